// SPDX-License-Identifier: MIT
// Hints: where pages should live, which the faults of a device see to; and pages that are mostly read, of which it gets
// copies.
#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)
#define COUNT  (LENGTH / PAGE)
#define FAR    GIB(20)
#define BIG    (8 * HUGE)

struct scene {
	struct env *env;
	struct vram vram;
	struct device device;
	struct vmt_space *child;
};

static void scene_open(struct env *env, struct scene *s)
{
	memset(s, 0, sizeof(*s));
	devices_begin();
	s->env = env;
	vram_open(env, &s->vram, 0, 64 * PAGE);
	s->vram.how = COPIES_WAITED_FOR;
	device_open(env, &s->device, env->space, 0, 0, &s->vram);
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	record_clear();
}

static void scene_close(struct scene *s)
{
	struct env *env = s->env;

	CHECK(env, env->space);
	record_check();
	if (s->child) {
		CHECK(env, s->child);
		OK(env->ops->space_destroy(s->child));
	}
	device_close(&s->device);
	lib_expect_bare(env, env->space);
	vram_close(&s->vram);
}

// ---- Hints -------------------------------------------------------------------------------------------------------

static void advice(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_object *object;
	struct vmt_area area;
	struct scene s;

	scene_open(env, &s);
	IS(ops->advise_device(env->space, BASE + 1, PAGE, s.vram.memory, false), VMT_ERR_UNALIGNED);
	IS(ops->advise_device(env->space, BASE, 0, s.vram.memory, false), VMT_ERR_EMPTY);
	IS(ops->advise_device(env->space, env->end, PAGE, s.vram.memory, false), VMT_ERR_OUTSIDE);
	OK(ops->object_create(env->vmt, PAGE, NULL, NULL, &object));
	lib_map_object(env, object, FAR, PAGE, 0, RW, 0);
	lib_map(env, FAR + PAGE, PAGE, RW, VMT_MAP_SHARED);
	IS(ops->advise_device(env->space, FAR, PAGE, s.vram.memory, false), VMT_ERR_ARGUMENT);
	IS(ops->advise_device(env->space, FAR + PAGE, PAGE, NULL, true), VMT_ERR_ARGUMENT);
	ops->object_put(object);
	IS(ops->advise_device(env->space, FAR + 4 * PAGE, PAGE, s.vram.memory, false), VMT_ERR_UNMAPPED);
	IS(ops->advise_device(env->space, BASE + 8 * PAGE, LENGTH, s.vram.memory, false), VMT_ERR_UNMAPPED);
	// What lies before was advised; areas with other hints do not join.
	OK(ops->area_find(env->space, BASE, &area));
	assert_int_equal(area.end, BASE + 8 * PAGE);
	assert_int_equal(device_page_read(&s.device, BASE + 15 * PAGE), 115);
	assert_true(device_has(&s.device, BASE + 15 * PAGE)->device);
	assert_int_equal(device_page_read(&s.device, BASE), 100);
	assert_false(device_has(&s.device, BASE)->device);
	OK(ops->advise_device(env->space, BASE, LENGTH, NULL, false));
	OK(ops->area_find(env->space, BASE, &area));
	assert_int_equal(area.end, BASE + LENGTH);
	for (uint64_t n = 1; n < 6; n++) { // without memory for the attributes of a part
		enum vmt_status status;

		lib_map(env, 2 * FAR, GIB(8), RW, 0);
		sim_fail_nth(env->machine, SIM_FAIL_MEM | SIM_FAIL_FRAME, n, 1000);
		status = ops->advise_device(env->space, 2 * FAR + PAGE, PAGE, s.vram.memory, true);
		sim_fail_nth(env->machine, 0, 0, 0);
		assert_true(status == VMT_OK || status == VMT_ERR_NO_MEMORY);
		CHECK(env, env->space);
		OK(ops->unmap(env->space, 2 * FAR, GIB(8)));
	}
	scene_close(&s);
}

// A location: the device's faults bring pages there, CPUs' touches bring them back, and neither waits for the other.
static void location(struct env *env)
{
	struct device other;
	struct scene s;

	scene_open(env, &s);
	device_open(env, &other, env->space, 0, 0, NULL);
	OK(env->ops->advise_device(env->space, BASE, LENGTH, s.vram.memory, false));
	assert_int_equal(vram_used(&s.vram), 0);
	for (unsigned round = 0; round < 5; round++) {
		assert_int_equal(device_page_read(&s.device, BASE), 100 + round);
		assert_true(device_has(&s.device, BASE)->device);
		assert_true(page_is_there(env, env->space, BASE));
		assert_int_equal(page_read(env, BASE), 100 + round);
		assert_null(device_has(&s.device, BASE));
		device_page_write(&s.device, BASE + PAGE, round);
		assert_true(device_has(&s.device, BASE + PAGE)->device);
		page_write(env, BASE, 101 + round);
	}
	assert_int_equal(device_page_read(&other, BASE + PAGE), 4); // of no interest to another
	assert_false(page_is_there(env, env->space, BASE + PAGE));
	// What was never touched, what may not be moved, what only is looked at.
	OK(env->ops->release(env->space, BASE + 2 * PAGE, PAGE));
	device_page_write(&s.device, BASE + 2 * PAGE, 2);
	assert_int_equal(page_read(env, BASE + 2 * PAGE), 2);
	OK(device_fault(&s.device, BASE + 3 * PAGE, 1, 0, VMT_GRANT_PRESENT));
	assert_false(device_has(&s.device, BASE + 3 * PAGE)->device);
	// Without room it stays here, and with copies that fail.
	s.vram.fail_one_in = 1;
	OK(device_fault(&s.device, BASE + 4 * PAGE, 1, VMT_WRITE, 0));
	assert_false(device_has(&s.device, BASE + 4 * PAGE)->device);
	s.vram.fail_one_in = 0;
	lib_map(env, FAR, 80 * PAGE, RW, 0);
	page_write_range(env, FAR, 80 * PAGE, 1);
	IS(env->ops->migrate(env->space, FAR, 80 * PAGE, s.vram.memory, NULL), VMT_ERR_NO_MEMORY);
	device_page_write(&s.device, BASE + 5 * PAGE, 5);
	assert_false(device_has(&s.device, BASE + 5 * PAGE)->device);
	assert_int_equal(page_read(env, BASE + 5 * PAGE), 5);
	device_close(&other);
	scene_close(&s);
}

static void touch_back(void *arg)
{
	struct scene *s = arg;

	page_read(s->env, BASE);
	s->vram.meanwhile = touch_back; // and the next time
}

// A CPU that takes the page back each time does not keep the device from its page.
static void no_livelock(struct env *env)
{
	struct scene s;

	scene_open(env, &s);
	OK(env->ops->advise_device(env->space, BASE, LENGTH, s.vram.memory, false));
	s.vram.meanwhile = touch_back;
	s.vram.arg = &s;
	for (unsigned i = 0; i < 8; i++) {
		device_page_write(&s.device, BASE, i);
		assert_int_equal(device_page_read(&s.device, BASE), i);
	}
	s.vram.meanwhile = NULL;
	assert_int_equal(page_read(env, BASE), 7);
	scene_close(&s);
}

static void location_huge(struct env *env)
{
	struct scene s;

	if (PAGE == 65536)
		return;
	scene_open(env, &s);
	device_close(&s.device);
	vram_close(&s.vram);
	vram_open(env, &s.vram, 0, 2 * HUGE);
	s.vram.how = COPIES_WAITED_FOR;
	device_open(env, &s.device, env->space, 0, 0, &s.vram);
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	page_write(env, BIG + 5 * PAGE, 5);
	OK(env->ops->advise_device(env->space, BIG, HUGE, s.vram.memory, false));
	device_page_write(&s.device, BIG + 6 * PAGE, 6);
	assert_true(device_has(&s.device, BIG)->device);
	assert_int_equal(device_has(&s.device, BIG)->length, HUGE);
	assert_int_equal(device_page_read(&s.device, BIG + 5 * PAGE), 5);
	assert_int_equal(page_read(env, BIG + 6 * PAGE), 6);
	assert_int_equal(page_entry(env, env->space, BIG).size, HUGE);
	scene_close(&s);
}

// ---- Mostly read -------------------------------------------------------------------------------------------------

static void read_mostly_open(struct env *env, struct scene *s)
{
	scene_open(env, s);
	OK(env->ops->advise_device(env->space, BASE, LENGTH, NULL, true));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(device_page_read(&s->device, BASE + i * PAGE), 100 + i);
		assert_true(device_has(&s->device, BASE + i * PAGE)->device);
		assert_int_equal(device_has(&s->device, BASE + i * PAGE)->prot & RW, VMT_READ);
	}
	assert_int_equal(vram_used(&s->vram), COUNT);
	assert_int_equal(vram_counts(&s->vram).copies, COUNT);
	page_expect_range(env, BASE, LENGTH, 100); // the CPU reads as before
	assert_int_equal(vram_used(&s->vram), COUNT);
	assert_non_null(device_has(&s->device, BASE));
	record_clear();
}

static void read_mostly(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device other;
	struct scene s;
	uint64_t pa, got;

	read_mostly_open(env, &s);
	device_open(env, &other, env->space, 0, 0, NULL);
	page_write(env, BASE, 1);
	record_expect(&s.device, VMT_REASON_REPLACE, BASE, PAGE, false);
	assert_int_equal(vram_used(&s.vram), COUNT - 1);
	assert_int_equal(device_page_read(&s.device, BASE), 1); // a new copy
	assert_true(device_has(&s.device, BASE)->device);
	device_page_write(&s.device, BASE + PAGE, 2);
	assert_false(device_has(&s.device, BASE + PAGE)->device);
	assert_int_equal(page_read(env, BASE + PAGE), 2);
	assert_int_equal(vram_used(&s.vram), COUNT - 1);
	device_page_write(&other, BASE + 2 * PAGE, 3);
	assert_null(device_has(&s.device, BASE + 2 * PAGE));
	assert_int_equal(device_page_read(&s.device, BASE + 2 * PAGE), 3);
	assert_int_equal(device_page_read(&other, BASE + 3 * PAGE), 103); // reads the page itself
	assert_false(device_has(&other, BASE + 3 * PAGE)->device);
	OK(ops->page_pin(env->space, BASE + 4 * PAGE, VMT_WRITE, &pa)); // somebody will write
	assert_null(device_has(&s.device, BASE + 4 * PAGE));
	*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa) = 12;
	assert_int_equal(device_read(&s.device, BASE + 4 * PAGE), 12);
	*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa) = 15;
	assert_int_equal(device_read(&s.device, BASE + 4 * PAGE), 15);
	ops->page_unpin(env->vmt, pa);
	OK(device_fault(&s.device, BASE + 5 * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&s.device, BASE + 5 * PAGE, 6);
	assert_int_equal(page_read(env, BASE + 5 * PAGE), 6);
	OK(ops->release(env->space, BASE + 6 * PAGE, PAGE));
	assert_int_equal(device_page_read(&s.device, BASE + 6 * PAGE), 0);
	OK(ops->move(env->space, BASE + 7 * PAGE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR, &got));
	assert_int_equal(device_page_read(&s.device, FAR), 107);
	page_write(env, FAR, 9);
	assert_int_equal(device_page_read(&s.device, FAR), 9);
	OK(ops->protect(env->space, BASE + 8 * PAGE, 2 * PAGE, VMT_READ));
	OK(ops->protect(env->space, BASE + 8 * PAGE, PAGE, RW));
	OK(ops->protect(env->space, BASE + 9 * PAGE, PAGE, 0));
	OK(ops->protect(env->space, BASE + 9 * PAGE, PAGE, RW));
	page_write_range(env, BASE + 8 * PAGE, 2 * PAGE, 50);
	assert_int_equal(device_page_read(&s.device, BASE + 8 * PAGE), 50);
	assert_int_equal(device_page_read(&s.device, BASE + 9 * PAGE), 51);
	OK(ops->page_take(env->space, BASE + 10 * PAGE, VMT_MARKER_SWAP, 1, &pa));
	*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa) = 18;
	OK(ops->marker_resolve(env->space, BASE + 10 * PAGE, VMT_MARKER_SWAP, 1, pa));
	assert_int_equal(device_read(&s.device, BASE + 10 * PAGE), 18);
	OK(ops->lazy_free(env->space, BASE + 11 * PAGE, PAGE));
	page_write(env, BASE + 11 * PAGE, 19);
	assert_int_equal(device_page_read(&s.device, BASE + 11 * PAGE), 19);
	page_expect_range(env, BASE + 12 * PAGE, 4 * PAGE, 112);
	device_close(&other);
	scene_close(&s);
}

static void read_mostly_forked(struct env *env)
{
	struct device childs;
	struct scene s;

	read_mostly_open(env, &s);
	OK(env->ops->space_fork(env->space, NULL, &s.child));
	device_open(env, &childs, s.child, 0, 0, &s.vram);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(device_page_read(&s.device, BASE + i * PAGE), 100 + i);
		assert_int_equal(device_page_read(&childs, BASE + i * PAGE), 100 + i);
	}
	page_write(env, BASE, 1);
	assert_int_equal(device_page_read(&s.device, BASE), 1);
	assert_int_equal(device_page_read(&childs, BASE), 100);
	sim_activate(env->cpu, s.child);
	page_write(env, BASE + PAGE, 2);
	page_write(env, BASE, 3); // alone by now
	assert_int_equal(device_page_read(&childs, BASE + PAGE), 2);
	assert_int_equal(device_page_read(&childs, BASE), 3);
	assert_int_equal(device_page_read(&s.device, BASE + PAGE), 101);
	device_page_write(&childs, BASE + 2 * PAGE, 4);
	assert_int_equal(page_read(env, BASE + 2 * PAGE), 4);
	sim_activate(env->cpu, env->space);
	assert_int_equal(device_page_read(&s.device, BASE + 2 * PAGE), 102);
	OK(env->ops->unmap(env->space, BASE + 4 * PAGE, PAGE)); // the child still reads it
	assert_int_equal(device_page_read(&childs, BASE + 4 * PAGE), 104);
	device_close(&childs);
	OK(env->ops->space_destroy(s.child));
	s.child = NULL;
	page_write_range(env, BASE + 5 * PAGE, 11 * PAGE, 60);
	for (unsigned i = 0; i < 11; i++)
		assert_int_equal(device_page_read(&s.device, BASE + (5 + i) * PAGE), 60 + i);
	scene_close(&s);
}

// Migration of pages that have copies; copies that fail, or for which there is no room.
static void read_mostly_migrated(struct env *env)
{
	struct scene s;

	read_mostly_open(env, &s);
	OK(env->ops->migrate(env->space, BASE, 4 * PAGE, s.vram.memory, NULL));
	CHECK(env, env->space);
	for (unsigned i = 0; i < 4; i++)
		device_page_write(&s.device, BASE + i * PAGE, i);
	page_expect_range(env, BASE, 4 * PAGE, 0);
	assert_int_equal(device_page_read(&s.device, BASE), 0);
	page_write(env, BASE, 1);
	assert_int_equal(device_page_read(&s.device, BASE), 1);
	s.vram.fail_one_in = 1;
	IS(env->ops->migrate(env->space, BASE + 4 * PAGE, 4 * PAGE, s.vram.memory, NULL), VMT_ERR_DEVICE);
	page_write_range(env, BASE + 4 * PAGE, 4 * PAGE, 40);
	OK(env->ops->protect(env->space, BASE + 4 * PAGE, 4 * PAGE, VMT_READ));
	for (unsigned i = 0; i < 4; i++) { // no copy can be made: from system memory
		assert_int_equal(device_page_read(&s.device, BASE + (4 + i) * PAGE), 40 + i);
		assert_false(device_has(&s.device, BASE + (4 + i) * PAGE)->device);
	}
	s.vram.fail_one_in = 0;
	lib_map(env, FAR, 64 * PAGE, RW, 0);
	page_write_range(env, FAR, 64 * PAGE, 1);
	IS(env->ops->migrate(env->space, FAR, 64 * PAGE, s.vram.memory, NULL), VMT_ERR_NO_MEMORY);
	page_write(env, BASE + 8 * PAGE, 80);
	assert_int_equal(device_page_read(&s.device, BASE + 8 * PAGE), 80);
	scene_close(&s);
}

static void write_during(void *arg)
{
	struct scene *s = arg;

	page_write(s->env, BASE, 5);
}

static void fork_during(void *arg)
{
	struct scene *s = arg;

	OK(s->env->ops->space_fork(s->env->space, NULL, &s->child));
	page_write(s->env, BASE, 5);
}

static void release_during(void *arg)
{
	struct scene *s = arg;

	OK(s->env->ops->release(s->env->space, BASE, PAGE));
	page_write(s->env, BASE, 5);
}

static void move_during(void *arg)
{
	struct scene *s = arg;
	uint64_t got;

	OK(s->env->ops->move(s->env->space, BASE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR, &got));
	OK(s->env->ops->move(s->env->space, BASE + PAGE, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE, &got));
	page_write(s->env, BASE, 5);
}

// While the copy beside a page is made, somebody writes to the page, or it becomes another one.
static void read_mostly_meanwhile(struct env *env)
{
	void (*const what[])(void *arg) = {write_during, fork_during, release_during, move_during};

	for (unsigned i = 0; i < 4; i++) {
		struct scene s;

		scene_open(env, &s);
			OK(env->ops->advise_device(env->space, BASE, LENGTH, NULL, true));
		s.vram.meanwhile = what[i];
		s.vram.arg = &s;
		assert_int_equal(device_page_read(&s.device, BASE), 5);
		assert_null(s.vram.meanwhile);
		CHECK(env, env->space);
		page_write(env, BASE, 6);
		assert_int_equal(device_page_read(&s.device, BASE), 6);
		if (s.child) {
			sim_activate(env->cpu, s.child);
			assert_int_equal(page_read(env, BASE), 100);
			sim_activate(env->cpu, env->space);
		}
		scene_close(&s);
	}
}

// A table of pages with copies becomes a huge page, or not; huge pages get no copies.
static void read_mostly_huge(struct env *env)
{
	enum vmt_status status;
	struct scene s;

	if (PAGE == 65536)
		return;
	scene_open(env, &s);
	lib_map(env, BIG, HUGE, RW, 0);
	page_write_range(env, BIG, LENGTH, 100);
	OK(env->ops->advise_device(env->space, BIG, HUGE, NULL, true));
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(device_page_read(&s.device, BIG + i * PAGE), 100 + i);
	if (env->ops->collapse(env->space, BIG, HUGE, &status))
		for (unsigned i = 0; i < COUNT; i++)
			assert_null(device_has(&s.device, BIG + i * PAGE));
	OK(status);
	CHECK(env, env->space);
	page_write_range(env, BIG, LENGTH, 200);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(device_page_read(&s.device, BIG + i * PAGE), 200 + i);
	OK(env->ops->unmap(env->space, BIG, HUGE));
	lib_map(env, BIG, HUGE, RW, VMT_MAP_HUGE);
	page_write(env, BIG + 3 * PAGE, 3);
	OK(env->ops->advise_device(env->space, BIG, HUGE, NULL, true));
	assert_int_equal(device_page_read(&s.device, BIG + 3 * PAGE), 3);
	assert_false(device_has(&s.device, BIG + 3 * PAGE)->device);
	page_write(env, BIG + 3 * PAGE, 4);
	assert_int_equal(device_page_read(&s.device, BIG + 3 * PAGE), 4);
	scene_close(&s);
}

static const struct lib_case cases[] = {
	{.name = "advice", .run = advice},
	{.name = "location", .run = location},
	{.name = "no livelock", .run = no_livelock},
	{.name = "location, huge", .run = location_huge, .frames = 32 * 2048},
	{.name = "mostly read", .run = read_mostly},
	{.name = "mostly read, forked", .run = read_mostly_forked},
	{.name = "mostly read, migrated", .run = read_mostly_migrated},
	{.name = "mostly read, meanwhile", .run = read_mostly_meanwhile},
	{.name = "mostly read, huge", .run = read_mostly_huge, .frames = 32 * 2048},
};

int main(int argc, char **argv)
{
	return lib_main("hints", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
