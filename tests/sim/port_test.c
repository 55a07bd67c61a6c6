// SPDX-License-Identifier: MIT
// The rest of the port on one CPU: frames and blocks and their figures, failures on request, deferred items, the log.
#include "fake.h"

static struct sim_machine *begin(void)
{
	return fake_machine(&fake_x86_4, 2, NULL);
}

static struct sim_counts counts_of(struct sim_machine *machine)
{
	struct sim_counts counts;

	sim_get_counts(machine, &counts);
	return counts;
}

static void frames(void **state)
{
	struct sim_machine *machine = begin();
	uint64_t pa[256], generation;
	struct sim_counts counts;

	(void)state;
	for (unsigned i = 0; i < 256; i++) {
		uint64_t *words;

		pa[i] = vmt_port_frame_alloc(machine, SIM_FRAME_SIZE, true);
		assert_int_not_equal(pa[i], VMT_NO_FRAME);
		assert_int_equal(pa[i] & SIM_FRAME_MASK, 0);
		assert_true(pa[i] >= SIM_RAM_BASE);
		words = vmt_port_frame_ptr(machine, pa[i]);
		for (unsigned j = 0; j < 512; j++)
			assert_int_equal(words[j], 0);
		words[i] = i + 1;	// two frames at one place would show
		vmt_port_frame_meta(machine, pa[i])->data.next = i;
	}
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(((uint64_t *)vmt_port_frame_ptr(machine, pa[i]))[i], i + 1);
		assert_int_equal(vmt_port_frame_meta(machine, pa[i])->data.next, i);
	}
	assert_int_equal(vmt_port_frame_alloc(machine, SIM_FRAME_SIZE, true), VMT_NO_FRAME);
	assert_null(vmt_port_frame_meta(machine, 0x1000));
	assert_null(vmt_port_frame_meta(machine, SIM_RAM_BASE + 256 * SIM_FRAME_SIZE));
	for (unsigned i = 1; i < 256; i++)
		vmt_port_frame_free(machine, pa[i], SIM_FRAME_SIZE);
	counts = counts_of(machine);
	assert_int_equal(counts.frames, 1);
	assert_int_equal(counts.frames_peak, 256);
	assert_int_equal(counts.frame_allocs, 257);
	assert_int_equal(counts.frame_failures, 1);
	assert_int_equal(counts.injected, 0);
	assert_int_equal(sim_leaks(machine), 1);
	assert_non_null(strstr(sim_log_line(machine, 0), "leaked: the frame"));
	assert_true(sim_frame_allocated(machine, pa[0], &generation));
	assert_int_equal(generation, 1);
	vmt_port_frame_free(machine, pa[0], SIM_FRAME_SIZE);
	assert_int_equal(sim_leaks(machine), 0);
	sim_set_frame_limit(machine, 3);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(vmt_port_frame_alloc(machine, SIM_FRAME_SIZE, i & 1) != VMT_NO_FRAME, i < 3);
	sim_machine_destroy(machine);
}

// Frames of 64 KiB and 2 MiB: side by side, aligned, and given back whole or page by page.
static void large_frames(void **state)
{
	struct sim_machine *machine = sim_machine_create(&(struct sim_config){
		.ops = &fake_x86_4, .cpus = 1, .frames = 2000, .seed = 3 });
	uint64_t pa, small[40], *words;

	(void)state;
	for (unsigned i = 0; i < 40; i++)
		small[i] = fake_frame(machine);
	for (unsigned round = 0; round < 50; round++) {
		uint64_t bytes = round & 1 ? UINT64_C(1) << 21 : UINT64_C(1) << 16;

		pa = vmt_port_frame_alloc(machine, bytes, round & 2);
		assert_int_not_equal(pa, VMT_NO_FRAME);
		assert_int_equal(pa & (bytes - 1), 0);
		words = vmt_port_frame_ptr(machine, pa);
		for (uint64_t i = 0; i < bytes / 8; i += 61) {
			assert_int_equal(words[i] == 0, !!(round & 2));
			words[i] = 1;
		}
		for (uint64_t at = 0; at < bytes; at += SIM_FRAME_SIZE)
			assert_true(sim_frame_allocated(machine, pa + at, NULL));
		assert_int_equal(counts_of(machine).frames, 40 + bytes / SIM_FRAME_SIZE);
		for (uint64_t at = 0; round & 4 && at < bytes; at += SIM_FRAME_SIZE)
			vmt_port_frame_free(machine, pa + at, SIM_FRAME_SIZE);
		if (!(round & 4))
			vmt_port_frame_free(machine, pa, bytes);
		assert_int_equal(counts_of(machine).frames, 40);
	}
	// Of the four places for 2 MiB, one has frames in use and one goes over the end.
	for (unsigned i = 0; i < 2; i++)
		assert_int_not_equal(vmt_port_frame_alloc(machine, UINT64_C(1) << 21, false), VMT_NO_FRAME);
	assert_int_equal(vmt_port_frame_alloc(machine, UINT64_C(1) << 21, false), VMT_NO_FRAME);
	for (unsigned i = 0; i < 40; i++)
		vmt_port_frame_free(machine, small[i], SIM_FRAME_SIZE);
	sim_machine_destroy(machine);
}

static void blocks(void **state)
{
	struct sim_machine *machine = begin();
	void *a, *b;

	(void)state;
	a = vmt_port_mem_alloc(machine, 2048);
	b = vmt_port_mem_alloc(machine, 10);
	assert_int_equal((uintptr_t)a & 63, 0);
	assert_int_equal((uintptr_t)b & 63, 0);
	assert_int_equal(counts_of(machine).mems, 2);
	assert_int_equal(counts_of(machine).mem_bytes, 2058);
	vmt_port_mem_free(machine, a, 2048);
	assert_int_equal(sim_leaks(machine), 1);
	assert_non_null(strstr(sim_log_line(machine, 0), "10 bytes, allocation number 2"));
	vmt_port_mem_free(machine, b, 10);
	assert_int_equal(sim_leaks(machine), 0);
	sim_machine_destroy(machine);
}

// Allocates frames (bit clear) and blocks (bit set) and returns which of them failed.
static unsigned pattern(struct sim_machine *machine, unsigned kinds, unsigned count)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < count; i++) {
		if (kinds >> i & 1) {
			void *block = vmt_port_mem_alloc(machine, 64);

			failed |= (unsigned)!block << i;
			if (block)
				vmt_port_mem_free(machine, block, 64);
		} else {
			uint64_t pa = vmt_port_frame_alloc(machine, SIM_FRAME_SIZE, false);

			failed |= (unsigned)(pa == VMT_NO_FRAME) << i;
			if (pa != VMT_NO_FRAME)
				vmt_port_frame_free(machine, pa, SIM_FRAME_SIZE);
		}
	}
	return failed;
}

static void failures_by_number(void **state)
{
	struct sim_machine *machine = begin();

	(void)state;
	assert_int_equal(sim_fail_counted(machine), 0);
	sim_fail_nth(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 1, 1);
	assert_int_equal(pattern(machine, 0x0a, 8), 0x01);
	assert_int_equal(sim_fail_counted(machine), 8);
	sim_fail_nth(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 4, 2);
	assert_int_equal(pattern(machine, 0x0a, 8), 0x18);
	sim_fail_nth(machine, SIM_FAIL_MEM, 2, 1);
	assert_int_equal(pattern(machine, 0x4a, 8), 0x08);
	assert_int_equal(sim_fail_counted(machine), 3);
	sim_fail_nth(machine, SIM_FAIL_FRAME, 3, UINT64_MAX);
	assert_int_equal(pattern(machine, 0x4a, 8), 0xb0);
	sim_fail_nth(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, UINT64_MAX, 1);
	assert_int_equal(pattern(machine, 0x4a, 8), 0);
	assert_int_equal(sim_fail_counted(machine), 8);
	sim_fail_nth(machine, 0, 0, 0);
	assert_int_equal(pattern(machine, 0x4a, 8), 0);
	assert_int_equal(counts_of(machine).injected, 1 + 2 + 1 + 3);
	assert_int_equal(counts_of(machine).frame_failures, 1 + 1 + 3);
	assert_int_equal(counts_of(machine).mem_failures, 1 + 1);
	sim_machine_destroy(machine);
}

static void failures_by_chance(void **state)
{
	struct sim_machine *machine = begin();
	unsigned first, count = 0;

	(void)state;
	sim_fail_random(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 500000, 42);
	first = pattern(machine, 0x5a5a5a5a, 32);
	for (unsigned i = 0; i < 32; i++)
		count += first >> i & 1;
	assert_true(count > 4 && count < 28);
	assert_int_equal(counts_of(machine).injected, count);
	// The same seed, the same failures.
	sim_fail_random(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 500000, 42);
	assert_int_equal(pattern(machine, 0x5a5a5a5a, 32), first);
	sim_fail_random(machine, SIM_FAIL_MEM, 1000000, 42);
	assert_int_equal(pattern(machine, 0xf0f0, 16), 0xf0f0);
	sim_fail_random(machine, 0, 0, 0);
	assert_int_equal(pattern(machine, 0xf0f0, 16), 0);
	sim_machine_destroy(machine);
}

// ---- Deferred items ----------------------------------------------------------------------------------------------

struct item {
	struct vmt_deferred deferred;
	uint64_t frame;
	unsigned ran;
};

static void run_item(void *port, struct vmt_deferred *self)
{
	struct item *item = (struct item *)self;

	item->ran++;
	vmt_port_frame_free(port, item->frame, SIM_FRAME_SIZE);
}

static void deferred_until_the_section_ends(void **state)
{
	struct sim_machine *machine = begin();
	struct item item = { .deferred.run = run_item, .frame = fake_frame(machine) };

	(void)state;
	vmt_port_read_enter(machine);
	vmt_port_read_enter(machine);
	vmt_port_defer(machine, &item.deferred);
	assert_int_equal(counts_of(machine).deferred, 1);
	vmt_port_read_exit(machine);
	for (unsigned i = 0; i < 100; i++)
		sim_poll(sim_self());
	assert_int_equal(item.ran, 0);
	vmt_port_read_exit(machine);
	sim_grace_barrier(machine);
	assert_int_equal(item.ran, 1);
	assert_int_equal(counts_of(machine).deferred, 0);
	assert_int_equal(sim_leaks(machine), 0);
	sim_machine_destroy(machine);
}

// Frames that wait for a grace period are waited for before memory is out.
static void allocation_waits_for_deferred(void **state)
{
	struct sim_machine *machine = begin();
	struct item item = { .deferred.run = run_item };

	(void)state;
	sim_set_frame_limit(machine, 1);
	item.frame = fake_frame(machine);
	vmt_port_preempt_off(machine);
	vmt_port_defer(machine, &item.deferred);
	vmt_port_preempt_on(machine);
	vmt_port_frame_free(machine, fake_frame(machine), SIM_FRAME_SIZE);
	assert_int_equal(item.ran, 1);
	sim_machine_destroy(machine);
}

static void log_lines(void **state)
{
	struct sim_machine *machine = begin();

	(void)state;
	assert_null(sim_log_line(machine, 0));
	vmt_port_log(machine, "one");
	vmt_port_log(machine, "two");
	assert_int_equal(sim_log_count(machine), 2);
	assert_string_equal(sim_log_line(machine, 1), "two");
	for (unsigned i = 0; i < 300; i++)
		vmt_port_log(machine, i == 299 ? "last" : "more");
	assert_int_equal(sim_log_count(machine), 256);
	assert_string_equal(sim_log_line(machine, 255), "last");
	assert_null(sim_log_line(machine, 256));
	sim_log_clear(machine);
	assert_int_equal(sim_log_count(machine), 0);
	sim_machine_destroy(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(large_frames),
		cmocka_unit_test(blocks),
		cmocka_unit_test(failures_by_number),
		cmocka_unit_test(failures_by_chance),
		cmocka_unit_test(deferred_until_the_section_ends),
		cmocka_unit_test(allocation_waits_for_deferred),
		cmocka_unit_test(log_lines),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
