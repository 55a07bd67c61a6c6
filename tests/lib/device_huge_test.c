// SPDX-License-Identifier: MIT
// Huge pages in device memory: there and back as a whole, cut, forked, moved.
#include "device_scene.h"

static void huge(struct env *env)
{
	uint64_t tables;
	struct scene s;

	if (PAGE == 65536)
		return;
	huge_open(env, &s, 2, 4 * HUGE);
	tables = lib_tables(env, env->space);
	OK(migrate(env, &s, BIG, 2 * HUGE, 2 * SLOTS));
	assert_int_equal(s.vram.started, 2); // whole
	assert_int_equal(vram_used(&s.vram), 2 * SLOTS);
	assert_int_equal(page_entry(env, env->space, BIG + 5 * PAGE).size, HUGE);
	assert_int_equal(lib_tables(env, env->space), tables);
	device_page_write(&s.device, BIG + 5 * PAGE, 55);
	assert_int_equal(device_has(&s.device, BIG)->length, HUGE);
	assert_true(device_has(&s.device, BIG)->device);
	// A touch brings the whole back, as one.
	huge_expect(env, BIG, 0);
	assert_int_equal(page_read(env, BIG + 5 * PAGE), 55);
	assert_int_equal(page_entry(env, env->space, BIG).state, VMT_STATE_PRESENT);
	assert_int_equal(page_entry(env, env->space, BIG).size, HUGE);
	assert_int_equal(s.vram.started, 3);
	assert_int_equal(vram_used(&s.vram), SLOTS);
	// Without memory for a block it comes page by page.
	sim_fail_nth(env->machine, SIM_FAIL_FRAME, 1, 2);
	assert_int_equal(page_read(env, BIG + HUGE), 11);
	sim_fail_nth(env->machine, 0, 0, 0);
	assert_int_equal(page_entry(env, env->space, BIG + HUGE).size, PAGE);
	assert_true(page_is_there(env, env->space, BIG + HUGE + PAGE));
	assert_int_equal(vram_used(&s.vram), SLOTS - 1);
	huge_expect(env, BIG + HUGE, 1);
	scene_close(env, &s);
}

// Cut by what concerns a part of it.
static void huge_cut(struct env *env)
{
	struct vmt_space *child;
	struct scene s;

	if (PAGE == 65536)
		return;
	huge_open(env, &s, 3, 4 * HUGE);
	OK(migrate(env, &s, BIG, 3 * HUGE, 3 * SLOTS));
	OK(device_fault(&s.device, BIG, 3 * HUGE, VMT_WRITE, 0));
	assert_int_equal(s.device.count, 3);
	record_clear();
	OK(env->ops->unmap(env->space, BIG + 78 * PAGE, 2 * PAGE));
	CHECK(env, env->space);
	assert_null(device_has(&s.device, BIG + 78 * PAGE));
	assert_int_equal(vram_used(&s.vram), 3 * SLOTS - 2);
	assert_int_equal(page_read(env, BIG + 77 * PAGE), 2);
	assert_int_equal(vram_used(&s.vram), 3 * SLOTS - 3);
	assert_int_equal(device_page_read(&s.device, BIG + HUGE - PAGE), 3);
	assert_true(device_has(&s.device, BIG + HUGE - PAGE)->device);
	OK(env->ops->space_fork(env->space, NULL, &child));
	CHECK(env, child);
	OK(env->ops->release(env->space, BIG + HUGE + 78 * PAGE, 100 * PAGE));
	OK(env->ops->guard_install(env->space, BIG + 2 * HUGE + 79 * PAGE, PAGE));
	CHECK(env, env->space);
	assert_int_equal(vram_used(&s.vram), 3 * SLOTS - 3); // the child has them
	OK(env->ops->protect(env->space, BIG + 2 * HUGE + 80 * PAGE, PAGE, VMT_READ));
	huge_expect(env, BIG + HUGE, 1);
	huge_expect(env, BIG + 2 * HUGE, 2);
	sim_activate(env->cpu, child);
	huge_expect(env, BIG + HUGE, 1);
	huge_expect(env, BIG + 2 * HUGE, 2);
	sim_activate(env->cpu, env->space);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	scene_close(env, &s);
}

static void huge_moved(struct env *env)
{
	const uint64_t to[] = {4 * BIG, 6 * BIG + 5 * PAGE, 8 * BIG + HUGE};
	struct scene s;
	uint64_t got, at = BIG;

	if (PAGE == 65536)
		return;
	huge_open(env, &s, 1, 4 * HUGE);
	OK(migrate(env, &s, BIG, HUGE, SLOTS));
	for (unsigned i = 0; i < 3; i++) {
		OK(env->ops->move(env->space, at, HUGE, HUGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, to[i], &got));
		at = to[i];
		CHECK(env, env->space);
		assert_int_equal(vram_used(&s.vram), SLOTS);
		assert_int_equal(page_entry(env, env->space, at).size, i ? PAGE : HUGE);
		assert_int_equal(device_page_read(&s.device, at + 77 * PAGE), 2);
		assert_true(device_has(&s.device, at + 77 * PAGE)->device);
	}
	// A part of it, onto another one that is there.
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	page_write(env, BIG, 70);
	OK(env->ops->migrate(env->space, BIG, HUGE, s.vram.memory, NULL));
	assert_int_equal(vram_used(&s.vram), 2 * SLOTS);
	OK(env->ops->move(env->space, at + 76 * PAGE, 2 * PAGE, 2 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED,
			  BIG + 100 * PAGE, &got));
	CHECK(env, env->space);
	assert_int_equal(vram_used(&s.vram), 2 * SLOTS - 2);
	assert_int_equal(page_read(env, BIG + 101 * PAGE), 2);
	assert_int_equal(page_read(env, BIG), 70);
	assert_int_equal(page_read(env, at), 1);
	assert_int_equal(page_read(env, at + HUGE - PAGE), 3);
	scene_close(env, &s);
}

static const struct lib_case cases[] = {
	{.name = "huge", .run = huge, .frames = 32 * 2048},
	{.name = "huge, cut", .run = huge_cut, .frames = 32 * 2048},
	{.name = "huge, moved", .run = huge_moved, .frames = 32 * 2048},
};

int main(int argc, char **argv)
{
	return lib_main("huge pages in device memory", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
