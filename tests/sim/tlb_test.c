// SPDX-License-Identifier: MIT
// What the MMU keeps, until when, and how it uses it: stale translations and intermediate entries, accessed and dirty
// bits, faults, address-space identifiers.
#include "tlb.h"

static void stale_until_flushed(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4, &fake_always_cached);
	f.table = fake_map_x86(&f.space, VA, f.one, LEAF_RO);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	assert_int_equal(sim_audit(f.machine), 0);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.two | LEAF_RO);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	assert_int_equal(sim_audit(f.machine), 1);
	// A flush beside it does nothing.
	fake_flush(&f.space, VA + 0x1000, VA + 0x3000, true);
	fake_flush(&f.space, VA - 0x3000, VA, true);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	// Nor does one of everything that says that it is about what is beside it.
	vmt_port_flush(f.machine, &(struct vmt_flush){
		.space = &f.space, .cpus = { 1 }, .all = true, .start = VA + 0x1000, .end = VA + 0x3000 });
	assert_int_equal(fake_read(f.cpu, VA), 1);
	fake_flush(&f.space, VA, VA + 0x1000, false);
	assert_int_equal(sim_cached(f.cpu, VA, false), 0);
	assert_int_equal(fake_read(f.cpu, VA), 2);
	assert_int_equal(sim_audit(f.machine), 0);
	end(&f);
}

static void both_used(void **state)
{
	struct fixture f;
	unsigned seen[3] = { 0 };

	(void)state;
	begin(&f, &fake_x86_4, &sim_hostility_default);
	f.table = fake_map_x86(&f.space, VA, f.one, LEAF_RO);
	fake_read(f.cpu, VA);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.two | LEAF_RO);
	for (unsigned i = 0; i < 1000; i++)
		seen[fake_read(f.cpu, VA)]++;
	assert_true(seen[1] > 100);
	assert_true(seen[2] > 100);
	fake_flush_all(&f.space, false);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(fake_read(f.cpu, VA), 2);
	end(&f);
}

// Another table is linked in the place of the lowest. Without `tables` the old one is still used.
static void tables_flag(bool all)
{
	struct fixture f;
	uint64_t old, new, above;

	begin(&f, &fake_x86_4, &fake_always_cached);
	old = fake_map_x86(&f.space, VA, f.one, LEAF_RO);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	assert_int_equal(sim_cached(f.cpu, VA, true), 3);
	new = fake_frame(f.machine);
	fake_set(f.machine, new, VA >> 12 & 511, f.two | LEAF_RO);
	above = f.space.root;
	for (unsigned level = 3; level > 1; level--)
		above = fake_get(f.machine, above, VA >> (12 + 9 * level) & 511) & UINT64_C(0xffffffffff000);
	fake_set(f.machine, above, VA >> 21 & 511, new | X86_P | X86_W | X86_U | X86_A);
	if (all)
		fake_flush_all(&f.space, false);
	else
		fake_flush(&f.space, VA, VA + 0x1000, false);
	assert_int_equal(sim_cached(f.cpu, VA, true), 3);
	assert_int_equal(sim_cached(f.cpu, VA, false), 0);
	// Chance picks one of three cached entries; the old table is reached through one.
	sim_set_hostility(f.machine, &(struct sim_hostility){ .structure = 100 });
	for (unsigned i = 0, was_old = 0; !was_old; i++) {
		assert_true(i < 1000);
		was_old = fake_read(f.cpu, VA) == 1;
	}
	assert_true(sim_audit(f.machine) > 0);
	if (all)
		fake_flush_all(&f.space, true);
	else
		fake_flush(&f.space, VA, VA + 0x1000, true);
	assert_int_equal(sim_cached(f.cpu, VA, true), 0);
	assert_int_equal(sim_audit(f.machine), 0);
	vmt_port_frame_free(f.machine, old, SIM_FRAME_SIZE);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(fake_read(f.cpu, VA), 2);
	end(&f);
}

static void tables_flag_range(void **state)
{
	(void)state;
	tables_flag(false);
}

static void tables_flag_all(void **state)
{
	(void)state;
	tables_flag(true);
}

static uint64_t leaf_of(struct fixture *f)
{
	return fake_get(f->machine, f->table, VA >> 12 & 511);
}

static void accessed_and_dirty(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4, &fake_always_cached);
	f.table = fake_map_x86(&f.space, VA, f.one, X86_P | X86_U | X86_W);
	sim_prefetch(f.cpu, VA);
	assert_int_equal(leaf_of(&f) & (X86_A | X86_D), X86_A);
	assert_int_equal(fake_get(f.machine, f.space.root, VA >> 39 & 511) & X86_A, X86_A);
	assert_int_equal(sim_write(f.cpu, VA, 4, 77), VMT_OK);
	assert_int_equal(leaf_of(&f) & (X86_A | X86_D), X86_A | X86_D);
	assert_int_equal(fake_read(f.cpu, VA), 77);
	end(&f);
}

// A write through a translation whose dirty mark is clear looks at the entry again: here it has become read-only.
static void dirty_looks_again(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4, &fake_always_cached);
	f.table = fake_map_x86(&f.space, VA, f.one, LEAF_RW);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | LEAF_RO);
	assert_int_equal(sim_write(f.cpu, VA, 8, 5), VMT_ERR_UNMAPPED);
	assert_int_equal(faults(&f), 1);
	assert_int_equal(leaf_of(&f), f.one | LEAF_RO);
	// A dirty one does not look: that is the stale write that a flush has to end.
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | LEAF_RW);
	assert_int_equal(sim_write(f.cpu, VA, 8, 5), VMT_OK);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | LEAF_RO | X86_D);
	assert_int_equal(sim_audit(f.machine), 1);
	assert_int_equal(sim_write(f.cpu, VA, 8, 6), VMT_OK);
	assert_int_equal(*(uint64_t *)vmt_port_frame_ptr(f.machine, f.one), 6);
	end(&f);
}

// A permission was added and nothing flushed. x86-64 faults once, and the fault itself drops what was stale.
static void spurious_x86(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, &fake_x86_4, &fake_always_cached);
	f.space.handler = says_ok;
	f.table = fake_map_x86(&f.space, VA, f.one, LEAF_RO);
	fake_read(f.cpu, VA);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.one | LEAF_RW);
	assert_int_equal(sim_audit(f.machine), 0);
	assert_int_equal(sim_write(f.cpu, VA, 8, 5), VMT_OK);
	assert_int_equal(faults(&f), 1);
	end(&f);
}

static void write_rva(void *arg)
{
	struct fixture *f = arg;

	sim_write(f->cpu, RVA, 8, 5);
}

// RISC-V keeps it: the handler has to ask for the flush, or the fault comes back for ever.
static void spurious_riscv(void **state)
{
	struct fixture f;
	char report[256];

	(void)state;
	begin(&f, &fake_sv39, &fake_always_cached);
	f.table = fake_map_sv39(&f.space, RVA, f.one, RV_V | RV_R | RV_U | RV_A);
	assert_int_equal(fake_read(f.cpu, RVA), 1);
	fake_set(f.machine, f.table, RVA >> 12 & 511, f.one >> 2 | RV_V | RV_R | RV_W | RV_U | RV_A);
	f.space.handler = flushes_own;
	assert_int_equal(sim_write(f.cpu, RVA, 8, 5), VMT_OK);
	assert_int_equal(faults(&f), 1);
	fake_set(f.machine, f.table, RVA >> 12 & 511, f.one >> 2 | RV_V | RV_R | RV_U | RV_A);
	fake_flush_all(&f.space, false);
	assert_int_equal(fake_read(f.cpu, RVA), 5);
	fake_set(f.machine, f.table, RVA >> 12 & 511, f.one >> 2 | RV_V | RV_R | RV_W | RV_U | RV_A);
	f.space.handler = says_ok;
	assert_true(sim_stops(write_rva, &f, report, sizeof(report)));
	assert_non_null(strstr(report, "no progress"));
	sim_machine_destroy(f.machine);
}

static void absent_is_cached_on_riscv(void **state)
{
	struct fixture f;
	uint64_t value;

	(void)state;
	begin(&f, &fake_sv39, &(struct sim_hostility){ .cached = 100, .negative = 100 });
	assert_int_equal(sim_read(f.cpu, RVA, 8, &value), VMT_ERR_UNMAPPED);
	fake_map_sv39(&f.space, RVA, f.one, RV_V | RV_R | RV_U | RV_A);
	assert_int_equal(sim_read(f.cpu, RVA, 8, &value), VMT_ERR_UNMAPPED);
	assert_int_equal(sim_audit(f.machine), 0);
	f.space.handler = flushes_own;
	assert_int_equal(fake_read(f.cpu, RVA), 1);
	end(&f);
}

static enum vmt_status sets_bits(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	struct fixture *f = space->arg;
	uint64_t entry = fake_get(f->machine, f->table, addr >> 12 & 511);

	fake_set(f->machine, f->table, addr >> 12 & 511, entry | RV_A | (access == VMT_WRITE ? RV_D : 0));
	return flushes_own(space, addr, access);
}

static void riscv_accessed_and_dirty(bool svade)
{
	struct fixture f;

	f.machine = sim_machine_create(&(struct sim_config){
		.ops = &fake_sv39, .cpus = 1, .frames = 256, .seed = 3, .fault_ad = svade });
	f.cpu = sim_self();
	fake_space(f.machine, &f.space);
	f.one = fake_frame(f.machine);
	f.space.handler = sets_bits;
	f.space.arg = &f;
	sim_activate(f.cpu, &f.space);
	f.table = fake_map_sv39(&f.space, RVA, f.one, RV_V | RV_R | RV_W | RV_U);
	assert_int_equal(fake_read(f.cpu, RVA), 0);
	assert_int_equal(fake_get(f.machine, f.table, RVA >> 12 & 511) & (RV_A | RV_D), RV_A);
	assert_int_equal(sim_write(f.cpu, RVA, 8, 9), VMT_OK);
	assert_int_equal(fake_get(f.machine, f.table, RVA >> 12 & 511) & (RV_A | RV_D), RV_A | RV_D);
	assert_int_equal(faults(&f), svade ? 2 : 0);
	// The tables' own entries must stay as they are: A and D are reserved in them.
	assert_int_equal(fake_get(f.machine, f.space.root, RVA >> 30 & 511) & (RV_A | RV_D), 0);
	end(&f);
}

static void riscv_sets_bits(void **state)
{
	(void)state;
	riscv_accessed_and_dirty(false);
}

static void riscv_faults_for_bits(void **state)
{
	(void)state;
	riscv_accessed_and_dirty(true);
}

// x86-64: every level has its say, also through cached intermediate entries.
static void permissions_along_the_walk(void **state)
{
	struct fixture f;
	uint64_t upper;

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		begin(&f, &fake_x86_4, round ? &fake_always_cached : &fake_always_walk);
		f.table = fake_map_x86(&f.space, VA, f.one, X86_P | X86_U | X86_W);
		upper = fake_get(f.machine, f.space.root, VA >> 39 & 511);
		assert_int_equal(try(&f, VMT_READ, true), VMT_OK);
		assert_int_equal(try(&f, VMT_WRITE, true), VMT_OK);
		assert_int_equal(try(&f, VMT_EXEC, true), VMT_OK);
		assert_int_equal(try(&f, VMT_READ, false), VMT_ERR_NOT_PRESENT);
		fake_set(f.machine, f.space.root, VA >> 39 & 511, upper & ~X86_W);
		fake_flush_all(&f.space, true);
		assert_int_equal(try(&f, VMT_READ, true), VMT_OK);
		assert_int_equal(try(&f, VMT_WRITE, true), VMT_ERR_NOT_PRESENT);
		fake_set(f.machine, f.space.root, VA >> 39 & 511, upper | X86_XD);
		fake_flush_all(&f.space, true);
		assert_int_equal(try(&f, VMT_WRITE, true), VMT_OK);
		assert_int_equal(try(&f, VMT_EXEC, true), VMT_ERR_NOT_PRESENT);
		fake_set(f.machine, f.space.root, VA >> 39 & 511, upper & ~X86_U);
		fake_flush_all(&f.space, true);
		assert_int_equal(try(&f, VMT_READ, true), VMT_ERR_NOT_PRESENT);
		assert_int_equal(try(&f, VMT_READ, false), VMT_OK);
		end(&f);
	}
}

static void huge_page(void **state)
{
	struct fixture f;
	uint64_t table, target, value = 0;

	(void)state;
	begin(&f, &fake_x86_4, &sim_hostility_default);
	fake_map_x86(&f.space, VA, f.one, LEAF_RW);
	table = fake_get(f.machine, f.space.root, VA >> 39 & 511) & UINT64_C(0xffffffffff000);
	table = fake_get(f.machine, table, VA >> 30 & 511) & UINT64_C(0xffffffffff000);
	// The 2 MiB of RAM from its beginning, mapped where the table was; the page that f.two is in.
	fake_set(f.machine, table, VA >> 21 & 511, SIM_RAM_BASE | LEAF_RW | X86_PS);
	target = (VA & ~UINT64_C(0x1fffff)) + (f.two - SIM_RAM_BASE);
	assert_int_equal(fake_read(f.cpu, target), 2);
	assert_int_equal(sim_write(f.cpu, target + 8, 8, 3), VMT_OK);
	assert_int_equal(fake_get(f.machine, table, VA >> 21 & 511) & X86_D, X86_D);
	// Beyond the machine's RAM within the huge page: mapped and not there.
	assert_int_equal(sim_read(f.cpu, VA + (UINT64_C(1) << 30), 8, &value), VMT_ERR_UNMAPPED);
	end(&f);
}

static void sizes_and_crossings(void **state)
{
	struct fixture f;
	uint64_t value = 0;
	char bytes[12] = "hello, page", back[12];
	size_t done;

	(void)state;
	begin(&f, &fake_x86_4, &sim_hostility_default);
	fake_map_x86(&f.space, VA, f.one, LEAF_RW);
	fake_map_x86(&f.space, VA + 0x1000, f.two, LEAF_RW);
	for (unsigned size = 1; size <= 8; size++) {
		uint64_t mask = UINT64_MAX >> (64 - 8 * size);

		assert_int_equal(sim_write(f.cpu, VA + 0xffd, size, UINT64_C(0x1122334455667788)), VMT_OK);
		assert_int_equal(sim_read(f.cpu, VA + 0xffd, size, &value), VMT_OK);
		assert_true(value == (UINT64_C(0x1122334455667788) & mask));
	}
	assert_int_equal(*((uint8_t *)vmt_port_frame_ptr(f.machine, f.two)), 0x55);
	assert_int_equal(sim_write_bytes(f.cpu, VA + 0xffb, bytes, sizeof(bytes), &done), VMT_OK);
	assert_int_equal(done, sizeof(bytes));
	assert_int_equal(sim_read_bytes(f.cpu, VA + 0xffb, back, sizeof(back), NULL), VMT_OK);
	assert_memory_equal(bytes, back, sizeof(bytes));
	assert_int_equal(sim_write_bytes(f.cpu, VA + 0x1ffb, bytes, sizeof(bytes), &done), VMT_ERR_UNMAPPED);
	assert_int_equal(done, 5);
	assert_int_equal(sim_write(f.cpu, VA + 16, 8, 40), VMT_OK);
	assert_int_equal(sim_add(f.cpu, VA + 16, 2, &value), VMT_OK);
	assert_int_equal(value, 40);
	assert_int_equal(fake_read(f.cpu, VA + 16), 42);
	assert_int_equal(sim_read(f.cpu, UINT64_C(1) << 47, 8, &value), VMT_ERR_OUTSIDE);
	end(&f);
}

// An identifier keeps its translations while its space is away, and loses them if the generation has moved.
static void identifiers(void **state)
{
	struct fixture f;
	struct vmt_space other;

	(void)state;
	begin(&f, &fake_x86_4, &fake_always_cached);
	fake_space(f.machine, &other);
	f.table = fake_map_x86(&f.space, VA, f.one, LEAF_RO);
	fake_map_x86(&other, VA, f.two, LEAF_RO);
	assert_int_equal(fake_read(f.cpu, VA), 1);
	do {	// until the other space gets another identifier than the first one's
		sim_activate(f.cpu, &other);
		assert_int_equal(fake_read(f.cpu, VA), 2);
		sim_activate(f.cpu, &f.space);
	} while (!sim_cached(f.cpu, VA, false) && fake_read(f.cpu, VA) == 1);
	assert_int_equal(sim_cached(f.cpu, VA, false), 1);
	sim_activate(f.cpu, &other);
	assert_int_equal(fake_read(f.cpu, VA), 2);
	fake_set(f.machine, f.table, VA >> 12 & 511, f.two | LEAF_RO);
	fake_flush(&f.space, VA, VA + 0x1000, false);	// on no CPU: only the generation tells
	sim_activate(f.cpu, &f.space);
	assert_int_equal(sim_cached(f.cpu, VA, false), 0);
	assert_int_equal(fake_read(f.cpu, VA), 2);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_until_flushed),
		cmocka_unit_test(both_used),
		cmocka_unit_test(tables_flag_range),
		cmocka_unit_test(tables_flag_all),
		cmocka_unit_test(accessed_and_dirty),
		cmocka_unit_test(dirty_looks_again),
		cmocka_unit_test(spurious_x86),
		cmocka_unit_test(spurious_riscv),
		cmocka_unit_test(absent_is_cached_on_riscv),
		cmocka_unit_test(riscv_sets_bits),
		cmocka_unit_test(riscv_faults_for_bits),
		cmocka_unit_test(permissions_along_the_walk),
		cmocka_unit_test(huge_page),
		cmocka_unit_test(sizes_and_crossings),
		cmocka_unit_test(identifiers),
	};

	return cmocka_run_group_tests_name("tlb", tests, NULL, NULL);
}
