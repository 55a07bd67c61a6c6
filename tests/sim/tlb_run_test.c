// SPDX-License-Identifier: MIT
// Runs of entries in the MMU, that is what the contiguous bit of AArch64 and RISC-V's NAPOT allow: one cached
// translation for all of them. And pages of 64 KiB.
#include "tlb.h"

#define RUN	16
#define BASE	UINT64_C(0x7f1234560000)
#define A64_RUN (UINT64_C(1) << 52)
#define A64_RW	(A64_PAGE | A64_DBM | A64_RUN)

struct run {
	struct fixture f;
	uint64_t pa;	// of 16 frames side by side, whose first words are 1 to 16
};

static unsigned slot_of(unsigned page)
{
	return (unsigned)(BASE >> 12 & 511) + page;
}

static void set_entry(struct run *run, unsigned page, uint64_t entry)
{
	fake_set(run->f.machine, run->f.table, slot_of(page), entry);
}

static uint64_t get_entry(struct run *run, unsigned page)
{
	return fake_get(run->f.machine, run->f.table, slot_of(page));
}

static void set_all(struct run *run, uint64_t bits)
{
	for (unsigned i = 0; i < RUN; i++)
		set_entry(run, i, bits ? (run->pa + i * 0x1000) | bits : 0);
}

static void begin_run(struct run *run, const struct sim_hostility *hostility, uint64_t bits)
{
	begin(&run->f, &fake_aarch64_s1, hostility);
	run->pa = vmt_port_frame_alloc(run->f.machine, RUN * 0x1000, true);
	for (unsigned i = 0; i < RUN; i++)
		set_word(run->f.machine, run->pa + i * 0x1000, i + 1);
	run->f.table = fake_map_4(&run->f.space, BASE, run->pa | bits, 3);
	set_all(run, bits);
}

static uint64_t page_of(struct run *run, unsigned page)
{
	return fake_read(run->f.cpu, BASE + page * 0x1000);
}

static bool is_gone(struct run *run, unsigned page)
{
	uint64_t value;

	return sim_read(run->f.cpu, BASE + page * 0x1000, 8, &value) == VMT_ERR_UNMAPPED;
}

static void flush_page(struct run *run, unsigned page)
{
	fake_flush(&run->f.space, BASE + page * 0x1000, BASE + (page + 1) * 0x1000, false);
}

// One access caches all; a flush of one page leaves the others.
static void cached_for_all(void **state)
{
	struct run run;

	(void)state;
	begin_run(&run, &fake_always_cached, A64_RW);
	assert_int_equal(page_of(&run, 3), 4);
	assert_int_equal(sim_cached(run.f.cpu, BASE + 15 * 0x1000, false), 1);
	set_all(&run, 0);
	for (unsigned i = 0; i < RUN; i++)
		assert_int_equal(page_of(&run, i), i + 1);
	flush_page(&run, 5);
	assert_true(is_gone(&run, 5));
	assert_int_equal(page_of(&run, 4), 5);
	assert_int_equal(page_of(&run, 6), 7);
	// What lies between two flushed pages may go too, and no more than that.
	flush_page(&run, 8);
	assert_true(is_gone(&run, 8));
	assert_int_equal(page_of(&run, 4), 5);
	assert_int_equal(page_of(&run, 9), 10);
	fake_flush(&run.f.space, BASE, BASE + RUN * 0x1000, false);
	assert_int_equal(sim_cached(run.f.cpu, BASE, false), 0);
	assert_true(is_gone(&run, 4) && is_gone(&run, 9));
	end(&run.f);
}

static void free_page(void *arg)
{
	struct run *run = arg;

	vmt_port_frame_free(run->f.machine, run->pa + 5 * 0x1000, 0x1000);
}

// A page of a run is not given back while the run is cached through another.
static void not_freed_under_it(void **state)
{
	char report[256];
	struct run run;

	(void)state;
	begin_run(&run, &fake_always_cached, A64_RW);
	assert_int_equal(page_of(&run, 3), 4);
	set_all(&run, 0);
	flush_page(&run, 5);
	free_page(&run); // this one may be
	end(&run.f);
	begin_run(&run, &fake_always_cached, A64_RW);
	assert_int_equal(page_of(&run, 3), 4);
	set_all(&run, 0);
	flush_page(&run, 3);
	assert_true(sim_stops(free_page, &run, report, sizeof(report)));
	assert_non_null(strstr(report, "is freed while CPU 0 has a translation of level 0 cached for 0x7f1234560000"));
	sim_machine_destroy(run.f.machine);
}

static void read_3(void *arg)
{
	page_of(arg, 3);
}

// The entries of a run have to agree; some may be missing, or permit less.
static void must_agree(void **state)
{
	static const uint64_t wrong[] = {0x1000, A64_RUN, UINT64_C(1) << 2}; // other memory, no run, another kind
	char report[256];
	struct run run;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		begin_run(&run, &fake_always_walk, A64_RW);
		set_entry(&run, 9, 0);
		set_entry(&run, 10, get_entry(&run, 10) & ~A64_DBM);
		assert_int_equal(page_of(&run, 3), 4);
		set_entry(&run, 7, get_entry(&run, 7) ^ wrong[i]);
		assert_true(sim_stops(read_3, &run, report, sizeof(report)));
		assert_non_null(strstr(report, "are of one run and differ"));
		sim_machine_destroy(run.f.machine);
	}
}

static void read_9(void *arg)
{
	page_of(arg, 9);
}

// A run is not taken apart, nor made, under a CPU that has the other cached.
static void break_before_make(void **state)
{
	char report[256];

	(void)state;
	for (unsigned joined = 0; joined < 2; joined++) {
		struct run run;

		begin_run(&run, &fake_always_walk, joined ? A64_RW & ~A64_RUN : A64_RW);
		page_of(&run, 3);
		set_all(&run, 0);
		fake_flush(&run.f.space, BASE, BASE + RUN * 0x1000, false);
		set_all(&run, joined ? A64_RW : A64_RW & ~A64_RUN);
		page_of(&run, 3);
		page_of(&run, 9);
		set_all(&run, joined ? A64_RW & ~A64_RUN : A64_RW);
		assert_true(sim_stops(joined ? read_3 : read_9, &run, report, sizeof(report)));
		assert_non_null(strstr(report, "break before make"));
		sim_machine_destroy(run.f.machine);
	}
}

// Accessed and dirty are set in any one entry. What is cached as dirty is right while one of them is.
static void marked_in_any(void **state)
{
	unsigned elsewhere = 0;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		unsigned accessed = 0, dirty = 0;
		struct run run;

		begin_run(&run, &sim_hostility_default, A64_RW & ~A64_AF);
		for (unsigned i = 0; i < round; i++)
			sim_random(run.f.cpu), sim_poll(run.f.cpu);
		assert_int_equal(sim_write(run.f.cpu, BASE + 3 * 0x1000, 8, 9), VMT_OK);
		for (unsigned i = 0; i < RUN; i++) {
			accessed += !!(get_entry(&run, i) & A64_AF);
			dirty += !(get_entry(&run, i) & A64_RO);
		}
		elsewhere += !!(get_entry(&run, 3) & A64_RO);
		assert_true(dirty == 1 && accessed >= 1);
		assert_int_equal(sim_audit(run.f.machine), 0);
		set_all(&run, A64_RW);
		assert_int_equal(sim_audit(run.f.machine), 1);
		assert_non_null(strstr(sim_log_line(run.f.machine, 0), "a write would not be noticed"));
		end(&run.f);
	}
	assert_true(elsewhere > 0);
}

// ---- Pages of 64 KiB ---------------------------------------------------------------------------------------------

#define LARGE_VA UINT64_C(0x123456780000)
#define LARGE	 UINT64_C(0x10000)

static void pages_of_64k(void **state)
{
	struct fixture f;
	uint64_t root, middle, low, page, word;

	(void)state;
	f.machine = sim_machine_create(&(struct sim_config){
		.ops = &fake_aarch64_s1_64k, .cpus = 1, .frames = 512, .seed = 5 });
	f.cpu = sim_self();
	fake_space(f.machine, &f.space);
	root = vmt_port_frame_alloc(f.machine, LARGE, true);
	middle = vmt_port_frame_alloc(f.machine, LARGE, true);
	low = vmt_port_frame_alloc(f.machine, LARGE, true);
	page = vmt_port_frame_alloc(f.machine, LARGE, true);
	f.space.root = root;
	fake_set(f.machine, root, LARGE_VA >> 42 & 63, middle | 3);
	fake_set(f.machine, middle, LARGE_VA >> 29 & 8191, low | 3);
	fake_set(f.machine, low, LARGE_VA >> 16 & 8191, page | A64_PAGE | A64_DBM);
	sim_activate(f.cpu, &f.space);
	// All of the page, one translation.
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(sim_write(f.cpu, LARGE_VA + i * 0x1000 + 0xffc, 8, i), VMT_OK);
	assert_int_equal(sim_write(f.cpu, LARGE_VA + 0xfffc, 8, 1), VMT_ERR_UNMAPPED);
	memcpy(&word, (uint8_t *)vmt_port_frame_ptr(f.machine, page) + 0x7ffc, sizeof(word));
	assert_int_equal(word, 7);
	assert_int_equal(sim_cached(f.cpu, LARGE_VA + 0xf000, false), 1);
	assert_int_equal(sim_cached(f.cpu, LARGE_VA + LARGE, false), 0);
	assert_int_equal(sim_audit(f.machine), 0);
	fake_flush(&f.space, LARGE_VA, LARGE_VA + LARGE, true);
	assert_int_equal(sim_cached(f.cpu, LARGE_VA + 0xf000, true), 0);
	sim_deactivate(f.cpu);
	sim_machine_destroy(f.machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cached_for_all),    cmocka_unit_test(not_freed_under_it),
		cmocka_unit_test(must_agree),	     cmocka_unit_test(break_before_make),
		cmocka_unit_test(marked_in_any),     cmocka_unit_test(pages_of_64k),
	};

	return cmocka_run_group_tests_name("tlb runs", tests, NULL, NULL);
}
