// SPDX-License-Identifier: MIT
// Device memory without room, copies that fail, and memory that runs out at every point: every page is where it was or
// where it was to go.
#include "device_scene.h"

// No room for a block: cut. No room at all: as many as fit.
static void no_room(struct env *env)
{
	struct scene s;
	uint64_t pages = 0;

	scene_open(env, &s, 4 * PAGE);
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	IS(migrate(env, &s, BASE, LENGTH, 4), VMT_ERR_NO_MEMORY);
	assert_int_equal(vram_used(&s.vram), 4);
	page_expect_range(env, BASE, LENGTH, 100);
	IS(migrate(env, &s, BASE, LENGTH, 4), VMT_ERR_NO_MEMORY); // free again
	OK(migrate(env, NULL, BASE, LENGTH, 4));
	scene_close(env, &s);
	if (PAGE == 65536)
		return;
	huge_open(env, &s, 2, HUGE + HUGE / 2);
	IS(env->ops->migrate(env->space, BIG, 2 * HUGE, s.vram.memory, &pages), VMT_ERR_NO_MEMORY);
	assert_int_equal(pages, SLOTS + SLOTS / 2);
	assert_int_equal(vram_used(&s.vram), SLOTS + SLOTS / 2);
	CHECK(env, env->space);
	huge_expect(env, BIG, 0);
	huge_expect(env, BIG + HUGE, 1);
	scene_close(env, &s);
	// A memory whose base is no boundary of a huge page has no room for one.
	devices_begin();
	vram_open(env, &s.vram, (UINT64_C(1) << 40) + PAGE, 2 * HUGE);
	device_open(env, &s.device, env->space, 0, 0, &s.vram);
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	page_write(env, BIG + 5 * PAGE, 1);
	OK(env->ops->migrate(env->space, BIG, HUGE, s.vram.memory, &pages));
	assert_int_equal(pages, SLOTS);
	assert_int_equal(device_page_read(&s.device, BIG + 5 * PAGE), 1);
	assert_int_equal(page_read(env, BIG + 5 * PAGE), 1);
	scene_close(env, &s);
}

// The n-th copy fails, having written anything: the page is where it was, and can be used.
static void copies_fail(struct env *env)
{
	for (unsigned n = 1; n <= COUNT; n += n < 3 ? 1 : 5) {
		struct scene s;
		uint64_t pages;

		scene_open(env, &s, 64 * PAGE);
		lib_map(env, BASE, LENGTH, RW, 0);
		page_write_range(env, BASE, LENGTH, 100);
		s.vram.fail_in = n;
		IS(migrate(env, &s, BASE, LENGTH, COUNT - 1), VMT_ERR_DEVICE);
		assert_int_equal(vram_used(&s.vram), COUNT - 1);
		assert_int_equal(vram_counts(&s.vram).failed, 1);
		for (unsigned i = 0; i < COUNT; i++)
			assert_int_equal(device_page_read(&s.device, BASE + i * PAGE), 100 + i);
		s.vram.fail_in = n > COUNT - 1 ? 1 : n;
		IS(env->ops->migrate(env->space, BASE, LENGTH, NULL, &pages), VMT_ERR_DEVICE);
		CHECK(env, env->space);
		s.vram.fail_in = 0;
		assert_true(vram_used(&s.vram) >= 1);
		for (unsigned i = 0; i < COUNT; i++)
			assert_int_equal(device_page_read(&s.device, BASE + i * PAGE), 100 + i);
		page_expect_range(env, BASE, LENGTH, 100);
		scene_close(env, &s);
	}
}

// A CPU's access fails when the copy does, and can be repeated; so for a device's, and for a huge page.
static void touches_fail(struct env *env)
{
	struct vmt_space *child;
	struct device other;
	struct scene s;
	uint64_t value;

	scene_open_there(env, &s);
	device_open(env, &other, env->space, 0, 0, NULL);
	s.vram.fail_in = 1;
	IS(sim_read(env->cpu, BASE, 8, &value), VMT_ERR_DEVICE);
	CHECK(env, env->space);
	assert_true(page_is_there(env, env->space, BASE));
	assert_int_equal(device_page_read(&s.device, BASE), 100);
	s.vram.fail_in = 1;
	IS(sim_write(env->cpu, BASE, 8, 5), VMT_ERR_DEVICE);
	s.vram.fail_in = 1;
	IS(device_fault(&other, BASE, 1, VMT_WRITE, 0), VMT_ERR_DEVICE);
	s.vram.fail_in = 1;
	IS(env->ops->page_pin(env->space, BASE, VMT_READ, &value), VMT_ERR_DEVICE);
	assert_int_equal(vram_used(&s.vram), COUNT);
	// A child whose parent gave up half-way.
	OK(env->ops->space_fork(env->space, NULL, &child));
	s.vram.fail_in = 1;
	IS(device_fault(&s.device, BASE, 1, VMT_WRITE, 0), VMT_ERR_DEVICE); // to write it, it would have to come back
	assert_int_equal(page_read(env, BASE), 100);
	sim_activate(env->cpu, child);
	s.vram.fail_in = 1;
	IS(sim_read(env->cpu, BASE, 8, &value), VMT_ERR_DEVICE);
	assert_int_equal(page_read(env, BASE), 100);
	sim_activate(env->cpu, env->space);
	OK(env->ops->space_destroy(child));
	page_expect_range(env, BASE, LENGTH, 100);
	device_close(&other);
	scene_close(env, &s);
}

// Each allocation fails in turn, and all from there on, on the way there and back.
static void allocations_fail(struct env *env)
{
	for (unsigned how = 0; how < 8; how++) {
		bool all = how & 1, back = how & 2, big = how & 4;
		uint64_t at = big ? BIG : BASE, length = big ? HUGE : LENGTH;
		bool over = PAGE == 65536 && big;

		for (uint64_t n = 1; n < 60 && !over; n++) {
			enum vmt_status status;
			struct scene s;

			scene_open(env, &s, big ? 2 * HUGE + HUGE / 2 : 64 * PAGE);
			lib_map(env, at, length, RW, big ? VMT_MAP_HUGE : 0);
			page_write_range(env, at, LENGTH, 100);
			if (back)
				OK(env->ops->migrate(env->space, at, length, s.vram.memory, NULL));
			sim_fail_nth(env->machine, SIM_FAIL_MEM | SIM_FAIL_FRAME, n, all ? UINT64_MAX - n : 1);
			status = env->ops->migrate(env->space, at, length, back ? NULL : s.vram.memory, NULL);
			over = sim_fail_counted(env->machine) < n;
			sim_fail_nth(env->machine, 0, 0, 0);
			CHECK(env, env->space);
			if (status != VMT_OK)
				IS(status, VMT_ERR_NO_MEMORY);
			page_expect_range(env, at, LENGTH, 100);
			scene_close(env, &s);
		}
		assert_true(over);
	}
}

// The same for faults that bring a page back, and for migrations that have to cut huge pages.
static void faults_without_memory(struct env *env)
{
	bool over = false;

	for (uint64_t n = 1; n < 40 && !over; n++) {
		enum vmt_status status, other = VMT_OK;
		struct scene s;
		uint64_t value;

		scene_open_there(env, &s);
		if (PAGE < 65536) {
			lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
			page_write(env, BIG, 7);
		}
		sim_fail_nth(env->machine, SIM_FAIL_MEM | SIM_FAIL_FRAME, n, UINT64_MAX - n);
		status = sim_read(env->cpu, BASE, 8, &value);
		if (PAGE < 65536) // no room for the whole: it is cut
			other = env->ops->migrate(env->space, BIG, HUGE, s.vram.memory, NULL);
		over = sim_fail_counted(env->machine) < n;
		sim_fail_nth(env->machine, 0, 0, 0);
		assert_true(status == VMT_OK || status == VMT_ERR_NO_MEMORY);
		assert_true(other == VMT_OK || other == VMT_ERR_NO_MEMORY);
		page_expect_range(env, BASE, LENGTH, 100);
		if (PAGE < 65536)
			assert_int_equal(page_read(env, BIG), 7);
		scene_close(env, &s);
	}
	assert_true(over);
}

static const struct lib_case cases[] = {
	{.name = "no room", .run = no_room, .frames = 32 * 2048},
	{.name = "copies fail", .run = copies_fail},
	{.name = "touches fail", .run = touches_fail},
	{.name = "allocations fail", .run = allocations_fail, .frames = 32 * 2048},
	{.name = "faults without memory", .run = faults_without_memory, .frames = 32 * 2048},
};

int main(int argc, char **argv)
{
	return lib_main("failures with device memory", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
