// SPDX-License-Identifier: MIT
// What the MMU does otherwise than x86-64 and RISC-V: AArch64's marks and its need of break-before-make, guests,
// devices.
#include "tlb.h"

// ---- AArch64 -----------------------------------------------------------------------------------------------------

static enum vmt_status marks_a64(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	struct fixture *f = space->arg;
	uint64_t entry = fake_get(f->machine, f->table, addr >> 12 & 511) | A64_AF;

	if (access == VMT_WRITE)
		entry = sim_machine_ops(f->machine) == &fake_aarch64_s2 ? entry | A64_RO : entry & ~A64_RO;
	fake_set(f->machine, f->table, addr >> 12 & 511, entry);
	return flushes_own(space, addr, access);
}

// A leaf with DBM becomes writable by being written: AP[2] is cleared in stage 1, S2AP[1] is set in stage 2.
static void a64_accessed_and_dirty(const struct sim_ops *ops, bool software)
{
	bool second = ops == &fake_aarch64_s2;
	uint64_t clean = second ? 0 : A64_RO, dirty = A64_RO - clean;
	struct fixture f;

	f.machine = sim_machine_create(&(struct sim_config){
		.ops = ops, .cpus = 1, .frames = 256, .seed = 3, .fault_ad = software });
	f.cpu = sim_self();
	fake_space(f.machine, &f.space);
	f.one = fake_frame(f.machine);
	f.space.handler = marks_a64;
	f.space.arg = &f;
	sim_activate(f.cpu, &f.space);
	f.table = fake_map_4(&f.space, VA, f.one | (second ? UINT64_C(0x37f) : UINT64_C(0xb43) | A64_RO) | A64_DBM, 3);
	assert_int_equal(fake_read(f.cpu, VA), 0);
	assert_int_equal(fake_get(f.machine, f.table, VA >> 12 & 511) & (A64_AF | A64_RO), A64_AF | clean);
	assert_int_equal(sim_write(f.cpu, VA, 8, 9), VMT_OK);
	assert_int_equal(fake_get(f.machine, f.table, VA >> 12 & 511) & (A64_AF | A64_RO), A64_AF | dirty);
	assert_int_equal(faults(&f), software ? 2 : 0);
	// Nothing is written in tables.
	assert_int_equal(fake_get(f.machine, f.space.root, VA >> 39 & 511) & 0xfff, 3);
	end(&f);
}

static void a64_marks(void **state)
{
	(void)state;
	a64_accessed_and_dirty(&fake_aarch64_s1, false);
	a64_accessed_and_dirty(&fake_aarch64_s1, true);
	a64_accessed_and_dirty(&fake_aarch64_s2, false);
	a64_accessed_and_dirty(&fake_aarch64_s2, true);
}

static void write_va(void *arg)
{
	struct fixture *f = arg;

	sim_write(f->cpu, VA, 8, 5);
}

static void read_va(void *arg)
{
	struct fixture *f = arg;
	uint64_t value;

	sim_read(f->cpu, VA, 8, &value);
}

// A permission fault drops nothing.
static void a64_spurious(void **state)
{
	struct fixture f;
	char report[256];

	(void)state;
	begin(&f, &fake_aarch64_s1, &fake_always_cached);
	f.table = fake_map_4(&f.space, VA, f.one | A64_PAGE, 3);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | A64_PAGE | A64_DBM);
	f.space.handler = says_ok;
	assert_true(sim_stops(write_va, &f, report, sizeof(report)));
	assert_non_null(strstr(report, "no progress"));
	sim_machine_destroy(f.machine);
}

// Another page in the place of one that is still cached stops the test; other permissions, and a flush between, do
// not.
static void a64_break_before_make(void **state)
{
	struct fixture f;
	char report[256];

	(void)state;
	begin(&f, &fake_aarch64_s1, &fake_always_walk);
	f.table = fake_map_4(&f.space, VA, f.one | A64_PAGE, 3);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | A64_PAGE | A64_DBM);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	fake_set(f.machine, f.table, VA >> 12 & 511, 0);
	fake_flush(&f.space, VA, VA + 0x1000, false);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.two | A64_PAGE);
	assert_int_equal(fake_read(f.cpu, VA), 2);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | A64_PAGE);
	assert_true(sim_stops(read_va, &f, report, sizeof(report)));
	assert_non_null(strstr(report, "break before make"));
	sim_machine_destroy(f.machine);
}

// The same with a table, behind whose back the page stays.
static void a64_break_before_make_of_tables(void **state)
{
	struct fixture f;
	uint64_t above, table;
	char report[256];

	(void)state;
	begin(&f, &fake_aarch64_s1, &fake_always_walk);
	f.table = fake_map_4(&f.space, VA, f.one | A64_PAGE, 3);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	above = fake_get(f.machine, f.space.root, VA >> 39 & 511) & ~UINT64_C(0xfff);
	above = fake_get(f.machine, above, VA >> 30 & 511) & ~UINT64_C(0xfff);
	table = fake_frame(f.machine);
	fake_set(f.machine, table, VA >> 12 & 511, f.one | A64_PAGE);
	fake_set(f.machine, above, VA >> 21 & 511, table | 3);
	assert_true(sim_stops(read_va, &f, report, sizeof(report)));
	assert_non_null(strstr(report, "break before make"));
	sim_machine_destroy(f.machine);
}

// ---- Guests and devices ------------------------------------------------------------------------------------------

// An EPT violation drops what caused it.
static void spurious_ept(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_ept, &fake_always_cached);
	f.space.handler = says_ok;
	f.table = fake_map_4(&f.space, VA, f.one | 0x31, 7);
	fake_read(f.cpu, VA);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | 0x33);
	assert_int_equal(sim_write(f.cpu, VA, 8, 5), VMT_OK);
	assert_int_equal(faults(&f), 1);
	// Accessed and dirty, and the tables are accessed.
	assert_int_equal(fake_get(f.machine, f.table, VA >> 12 & 511) & 0x300, 0x300);
	assert_int_equal(fake_get(f.machine, f.space.root, VA >> 39 & 511) & 0x300, 0x100);
	end(&f);
}

// Behind an IOMMU a fetch is a read and there are no privileges; behind EPT there is a permission to execute.
static void devices_know_less(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_vtd_ss, &sim_hostility_default);
	fake_map_4(&f.space, VA, f.one | 1, 3);
	assert_int_equal(try(&f, VMT_READ, true), VMT_OK);
	assert_int_equal(try(&f, VMT_READ, false), VMT_OK);
	assert_int_equal(try(&f, VMT_EXEC, false), VMT_OK);
	assert_int_equal(try(&f, VMT_WRITE, false), VMT_ERR_NOT_PRESENT);
	end(&f);
	begin(&f, &fake_ept, &sim_hostility_default);
	fake_map_4(&f.space, VA, f.one | 0x31, 7);
	assert_int_equal(try(&f, VMT_READ, false), VMT_OK);
	assert_int_equal(try(&f, VMT_EXEC, true), VMT_ERR_NOT_PRESENT);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a64_marks),
		cmocka_unit_test(a64_spurious),
		cmocka_unit_test(a64_break_before_make),
		cmocka_unit_test(a64_break_before_make_of_tables),
		cmocka_unit_test(spurious_ept),
		cmocka_unit_test(devices_know_less),
	};

	return cmocka_run_group_tests_name("tlb formats", tests, NULL, NULL);
}
