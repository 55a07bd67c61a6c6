// SPDX-License-Identifier: MIT
// Secondaries that do not answer. What they could reach is given to nobody: each case lets the lost device write
// through all that it ever had, after the space has moved on, and nobody may notice. Then it is detached, and nothing
// is left.
#include "lost.h"

// ---- What operations say -----------------------------------------------------------------------------------------

static enum vmt_status op_unmap(struct env *env) { return env->ops->unmap(env->space, BASE, LENGTH); }
static enum vmt_status op_release(struct env *env) { return env->ops->release(env->space, BASE, LENGTH); }
static enum vmt_status op_guard(struct env *env) { return env->ops->guard_install(env->space, BASE, LENGTH); }

static enum vmt_status op_over(struct env *env)
{
	struct vmt_map_request request = {.addr = BASE, .length = LENGTH, .prot = RW, .flags = VMT_MAP_FIXED};
	uint64_t got = 0;
	enum vmt_status status = env->ops->map(env->space, &request, &got);

	assert_int_equal(got, BASE); // it is done
	return status;
}

static enum vmt_status op_mark(struct env *env)
{
	return env->ops->mark(env->space, BASE, LENGTH, VMT_MARKER_SWAP, 9);
}

// Onto the region: what was there goes.
static enum vmt_status op_onto(struct env *env)
{
	uint64_t got = 0;
	enum vmt_status status;

	lib_map(env, FAR, LENGTH, RW, 0);
	status = env->ops->move(env->space, FAR, LENGTH, LENGTH, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE, &got);
	assert_int_equal(got, BASE);
	return status;
}

static const struct {
	const char *name;
	enum vmt_status (*run)(struct env *env);
} goes[] = {
	{"unmap", op_unmap}, {"release", op_release}, {"guard", op_guard}, {"map over", op_over},
	{"mark", op_mark}, {"move onto", op_onto},
};

// The pages go, and stay allocated: as many frames as before, none of them anybody's.
static void pages_go(struct env *env)
{
	for (unsigned i = 0; i < sizeof(goes) / sizeof(*goes); i++) {
		uint64_t before, bare = frames_now(env);
		struct device device;

		devices_begin();
		open_lost(env, &device, NULL);
		before = frames_now(env);
		IS(goes[i].run(env), VMT_ERR_DEVICE);
		assert_true(frames_now(env) >= before);
		CHECK(env, env->space);
		record_check();
		// Once more, with other memory there: it is as usable as before.
		OK(env->ops->unmap(env->space, FAR, LENGTH));
		OK(op_over(env)); // it had nothing of that
		page_write_range(env, BASE, LENGTH, 500);
		lib_map(env, FAR, 64 * PAGE, RW, 0);
		page_write_range(env, FAR, 64 * PAGE, 600);
		run_wild(&device);
		page_expect_range(env, BASE, LENGTH, 500);
		page_expect_range(env, FAR, 64 * PAGE, 600);
		IS(device_fault(&device, BASE, 1, VMT_READ, 0), VMT_ERR_DEVICE);
		device.mute = false; // too late
		IS(device_fault(&device, BASE, 1, VMT_READ, 0), VMT_ERR_DEVICE);
		before = frames_now(env);
		device_close(&device);
		assert_true(frames_now(env) <= before - COUNT); // some operations take tables too
		lib_expect_bare(env, env->space);
		assert_int_equal(frames_now(env), bare);
	}
}

// ---- What stays where it is --------------------------------------------------------------------------------------

static enum vmt_status op_protect(struct env *env)
{
	enum vmt_status status = env->ops->protect(env->space, BASE, LENGTH, VMT_READ);
	uint64_t value = 0;

	IS(sim_write(env->cpu, BASE, 8, 1), VMT_ERR_ACCESS); // done
	OK(sim_read(env->cpu, BASE, 8, &value));
	env->ops->protect(env->space, BASE, LENGTH, RW);
	return status;
}

static enum vmt_status op_protect_none(struct env *env)
{
	enum vmt_status status = env->ops->protect(env->space, BASE, LENGTH, 0);

	IS(sim_write(env->cpu, BASE, 8, 1), VMT_ERR_ACCESS);
	env->ops->protect(env->space, BASE, LENGTH, RW);
	return status;
}

static enum vmt_status op_lazy_free(struct env *env)
{
	enum vmt_status status = env->ops->lazy_free(env->space, BASE, LENGTH);

	page_write_range(env, BASE, LENGTH, 100); // wanted after all
	env->ops->reclaim(env->space, 1000);
	return status;
}

static enum vmt_status op_take(struct env *env)
{
	uint64_t pa;

	for (unsigned i = 1; i < COUNT; i++)
		IS(env->ops->page_take(env->space, BASE + i * PAGE, VMT_MARKER_SWAP, i, &pa), VMT_ERR_DEVICE);
	return env->ops->page_take(env->space, BASE, VMT_MARKER_SWAP, 0, &pa);
}

static enum vmt_status op_move(struct env *env)
{
	uint64_t got;
	enum vmt_status status = env->ops->move(env->space, BASE, LENGTH, LENGTH, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR,
						&got);

	page_expect_range(env, FAR, LENGTH, 100); // it has moved
	OK(env->ops->move(env->space, FAR, LENGTH, LENGTH, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE, &got));
	return status;
}

static enum vmt_status op_harvest(struct env *env)
{
	assert_int_equal(env->ops->test_and_clear(env->space, BASE, LENGTH, VMT_DIRTY, NULL), COUNT);
	return VMT_ERR_DEVICE; // it says how many pages, nothing else
}

static const struct {
	const char *name;
	enum vmt_status (*run)(struct env *env);
} stays[] = {
	{"protect", op_protect}, {"protect, none", op_protect_none}, {"lazy free", op_lazy_free}, {"fork", lost_fork},
	{"take", op_take}, {"move", op_move}, {"test and clear", op_harvest},
};

static void pages_stay(struct env *env)
{
	for (unsigned i = 0; i < sizeof(stays) / sizeof(*stays); i++) {
		struct device device;

		devices_begin();
		open_lost(env, &device, NULL);
		IS(stays[i].run(env), VMT_ERR_DEVICE);
		CHECK(env, env->space);
		page_expect_range(env, BASE, LENGTH, 100);
		page_write_range(env, BASE, LENGTH, 700);
		page_expect_range(env, BASE, LENGTH, 700);
		for (unsigned n = 0; n < device.count; n++) // what it has is still there
			assert_non_null(device_bytes(&device, device.held[n].grant.addr, VMT_READ));
		device_close(&device);
		page_expect_range(env, BASE, LENGTH, 700);
		lib_expect_bare(env, env->space);
	}
}

// ---- Single things -----------------------------------------------------------------------------------------------

// Operations elsewhere succeed, but what leaves the space is kept: a page may have been moved out of the range. What
// needs pages to stand still, or gives them out, is refused.
static void elsewhere(struct env *env)
{
	struct device device, other;
	enum vmt_status status;
	uint64_t before, pa;
	struct vram vram;

	devices_begin();
	vram_open(env, &vram, 0, 16 * PAGE);
	open_lost(env, &device, NULL);
	IS(op_release(env), VMT_ERR_DEVICE);
	lib_map(env, FAR, LENGTH, RW, 0);
	lib_write(env, FAR, 1); // tables
	before = frames_now(env);
	page_write_range(env, FAR, LENGTH, 1);
	assert_int_equal(frames_now(env), before + COUNT - 1);
	OK(env->ops->release(env->space, FAR + PAGE, LENGTH - PAGE));
	assert_int_equal(frames_now(env), before + COUNT - 1);
	page_write_range(env, FAR, LENGTH, 1);
	assert_int_equal(frames_now(env), before + 2 * (COUNT - 1));
	OK(env->ops->protect(env->space, FAR, LENGTH, VMT_READ));
	OK(env->ops->protect(env->space, FAR, LENGTH, RW));
	for (unsigned i = 0; i < 2; i++) { // the second time there is nothing to flush
		IS(lost_fork(env), VMT_ERR_DEVICE);
		IS(env->ops->page_take(env->space, FAR, VMT_MARKER_SWAP, 0, &pa), VMT_ERR_DEVICE);
		IS(env->ops->migrate(env->space, FAR, LENGTH, vram.memory, NULL), VMT_ERR_DEVICE);
	}
	assert_int_equal(env->ops->collapse(env->space, FAR / HUGE * HUGE, HUGE, &status), 0);
	page_expect_range(env, FAR, LENGTH, 1);
	// Others are told and answer as ever.
	device_open(env, &other, env->space, 0, 0, NULL);
	assert_int_equal(device_page_read(&other, FAR), 1);
	page_write_range(env, BASE, LENGTH, 300);
	assert_int_equal(device_page_read(&other, BASE + PAGE), 301);
	record_clear();
	OK(env->ops->release(env->space, FAR, PAGE));
	record_expect(&other, VMT_REASON_RELEASE, FAR, PAGE, true);
	IS(env->ops->release(env->space, BASE, LENGTH), VMT_ERR_DEVICE);
	for (unsigned i = 0; i < record.count; i++) // the lost one is asked no more
		assert_true(record.event[i].device != &device ||
			    (record.event[i].kind != ISSUE && record.event[i].kind != WAIT));
	record_expect(&other, VMT_REASON_RELEASE, BASE + PAGE, PAGE, true);
	IS(device_fault(&other, FAR + PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE), VMT_ERR_DEVICE); // who knows who writes it
	device_page_write(&other, FAR + PAGE, 5);
	assert_int_equal(page_read(env, FAR + PAGE), 5);
	device_close(&other);
	device_close(&device);
	OK(env->ops->unmap(env->space, FAR, LENGTH));
	lib_expect_bare(env, env->space);
	vram_close(&vram);
}

// Frames that others hold as well: of a child, of an object, of whoever took a reference. The last to let go does not
// free them.
static void shared(struct env *env)
{
	struct vmt_object *object;
	struct vmt_space *child;
	struct device device;
	uint64_t pa[3], generation;

	devices_begin();
	OK(env->ops->object_create(env->vmt, 4 * PAGE, NULL, NULL, &object));
	lib_map(env, BASE, 8 * PAGE, RW, 0);
	page_write_range(env, BASE, 8 * PAGE, 100);
	lib_map_object(env, object, BASE + 8 * PAGE, 4 * PAGE, 0, RW, VMT_MAP_SHARED);
	page_write_range(env, BASE + 8 * PAGE, 4 * PAGE, 200);
	OK(env->ops->space_fork(env->space, NULL, &child));
	device_open(env, &device, env->space, BASE, BASE + LENGTH, NULL);
	OK(device_fault(&device, BASE, 8 * PAGE, VMT_READ, 0));
	OK(device_fault(&device, BASE + 8 * PAGE, 4 * PAGE, VMT_WRITE, 0));
	device_write(&device, BASE + 7 * PAGE, 5); // its own by now
	OK(env->ops->page_get(env->space, BASE + 7 * PAGE, VMT_READ, &pa[2]));
	pa[0] = device_has(&device, BASE)->pa;
	pa[1] = device_has(&device, BASE + 9 * PAGE)->pa;
	device.mute = true;
	record_clear();
	// A write of the CPU copies what is shared; the old frame may still be read.
	page_write(env, BASE, 1);
	assert_int_equal(page_read(env, BASE), 1);
	IS(env->ops->unmap(env->space, BASE, LENGTH), VMT_ERR_DEVICE);
	OK(env->ops->space_destroy(child));
	env->ops->object_put(object);
	env->ops->page_put(env->vmt, pa[2]);
	lib_map(env, FAR, 64 * PAGE, RW, 0);
	page_write_range(env, FAR, 64 * PAGE, 600);
	for (unsigned i = 0; i < 3; i++)
		assert_true(sim_frame_allocated(env->machine, pa[i], &generation));
	run_wild(&device);
	page_expect_range(env, FAR, 64 * PAGE, 600);
	device_close(&device);
	sim_grace_barrier(env->machine);
	for (unsigned i = 0; i < 3; i++)
		assert_false(sim_frame_allocated(env->machine, pa[i], &generation));
	lib_expect_bare(env, env->space);
}

// One frame that goes twice: from two places of one space.
static void twice(struct env *env)
{
	struct vmt_object *object;
	struct device device;
	uint64_t generation, pa;

	devices_begin();
	OK(env->ops->object_create(env->vmt, 4 * PAGE, NULL, NULL, &object));
	for (unsigned i = 0; i < 3; i++)
		lib_map_object(env, object, BASE + i * 4 * PAGE, 4 * PAGE, 0, RW, VMT_MAP_SHARED);
	device_open(env, &device, env->space, 0, 0, NULL);
	OK(device_fault(&device, BASE, 12 * PAGE, VMT_WRITE, 0));
	pa = device_has(&device, BASE + 4 * PAGE)->pa;
	assert_int_equal(device_has(&device, BASE)->pa, pa);
	device.mute = true;
	for (unsigned i = 0; i < 3; i++)
		IS(env->ops->unmap(env->space, BASE + i * 4 * PAGE, 4 * PAGE), VMT_ERR_DEVICE);
	env->ops->object_put(object);
	assert_true(sim_frame_allocated(env->machine, pa, &generation));
	run_wild(&device);
	device_close(&device);
	sim_grace_barrier(env->machine);
	assert_false(sim_frame_allocated(env->machine, pa, &generation));
	lib_expect_bare(env, env->space);
}

// Two lost ones, of two spaces: everything waits for the last.
static void two(struct env *env)
{
	struct vmt_space *usual = env->space;
	struct device one, other;
	uint64_t before, generation, pa;

	devices_begin();
	open_lost(env, &one, NULL);
	IS(op_release(env), VMT_ERR_DEVICE);
	env->space = env_new_space(env);
	sim_activate(env->cpu, env->space);
	open_lost(env, &other, NULL);
	IS(op_release(env), VMT_ERR_DEVICE);
	before = frames_now(env);
	pa = device_has(&one, BASE)->pa;
	device_close(&one);
	assert_int_equal(frames_now(env), before);
	assert_true(sim_frame_allocated(env->machine, pa, &generation));
	page_write_range(env, BASE, LENGTH, 3);
	run_wild(&other);
	page_expect_range(env, BASE, LENGTH, 3);
	before = frames_now(env);
	device_close(&other);
	assert_int_equal(frames_now(env), before - 2 * COUNT);
	assert_false(sim_frame_allocated(env->machine, pa, &generation));
	sim_activate(env->cpu, usual);
	OK(env->ops->space_destroy(env->space));
	env->space = usual;
	lib_expect_bare(env, env->space);
}

// A page that was lost while it stayed in the space is no less lost: wherever it is moved, or hidden, when it goes at
// last it is given to nobody.
static void later(struct env *env)
{
	struct vmt_space *child;
	struct device device;
	uint64_t got, pa;

	for (unsigned how = 0; how < 6; how++) {
		devices_begin();
		open_lost(env, &device, NULL);
		if (how < 4)
			IS(env->ops->move(env->space, BASE, LENGTH, LENGTH, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR, &got),
			   VMT_ERR_DEVICE);
		else
			IS(env->ops->protect(env->space, BASE, LENGTH, 0), VMT_ERR_DEVICE);
		if (how == 0) {
			env->ops->unmap(env->space, FAR, LENGTH);
		} else if (how == 1) { // copied on write
			if (env->ops->space_fork(env->space, NULL, &child) == VMT_OK) {
				page_write_range(env, FAR, LENGTH, 5);
				OK(env->ops->space_destroy(child));
			}
		} else if (how == 2) { // freed lazily
			env->ops->lazy_free(env->space, FAR, LENGTH);
			env->ops->reclaim(env->space, 1000);
		} else if (how == 3) { // taken out
			for (unsigned i = 0; i < COUNT; i++)
				if (env->ops->page_take(env->space, FAR + i * PAGE, VMT_MARKER_SWAP, i, &pa) == VMT_OK)
					env->ops->page_put(env->vmt, pa);
		} else if (how == 4) {
			env->ops->unmap(env->space, BASE, LENGTH);
		} else {
			env->ops->guard_install(env->space, BASE, LENGTH);
		}
		lib_map(env, GIB(28), 64 * PAGE, RW, 0);
		page_write_range(env, GIB(28), 64 * PAGE, 600);
		run_wild(&device);
		page_expect_range(env, GIB(28), 64 * PAGE, 600);
		device_close(&device);
		lib_expect_bare(env, env->space);
	}
}

// Tables: who walks them may still do so.
static void tables(struct env *env)
{
	uint64_t before, bare = frames_now(env), with;
	struct device device;

	devices_begin();
	for (unsigned i = 0; i < 4; i++) {
		lib_map(env, FAR + i * GIB(8), PAGE, RW, 0);
		lib_write(env, FAR + i * GIB(8), 1);
	}
	device_open(env, &device, env->space, 0, 0, NULL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(device_read(&device, FAR + i * GIB(8)), 1);
	device.mute = true;
	before = frames_now(env);
	with = lib_tables(env, env->space);
	IS(env->ops->unmap(env->space, FAR, 4 * GIB(8)), VMT_ERR_DEVICE);
	env->ops->reclaim(env->space, 0);
	assert_true(lib_tables(env, env->space) < with);
	assert_int_equal(frames_now(env), before);
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 9);
	run_wild(&device);
	page_expect_range(env, BASE, LENGTH, 9);
	device_close(&device);
	lib_expect_bare(env, env->space);
	assert_int_equal(frames_now(env), bare);
}

// A whole table whose way a lost device may know goes nowhere else: its pages do, and it is kept.
static void table_stays(struct env *env)
{
	uint64_t before, bare = frames_now(env), to = FAR + GIB(8), got;
	struct device device;

	devices_begin();
	lib_map(env, FAR, span(1), RW, 0);
	page_write_range(env, FAR, 4 * PAGE, 50);
	lib_map(env, FAR + span(1), PAGE, VMT_READ, 0); // the ways to both places, up to the last table
	lib_map(env, to + span(1), PAGE, VMT_READ, 0);
	device_open(env, &device, env->space, 0, 0, NULL);
	assert_int_equal(device_read(&device, FAR), 150);
	OK(env->ops->move(env->space, FAR, span(1), span(1), 3, to, &got));
	assert_int_equal(device_read(&device, to), 150);
	before = frames_now(env);
	OK(env->ops->move(env->space, to, span(1), span(1), 3, FAR, &got));
	assert_int_equal(frames_now(env), before); // the same table, both times
	assert_int_equal(device_read(&device, FAR), 150);
	device.mute = true;
	IS(env->ops->move(env->space, FAR, span(1), span(1), 3, to, &got), VMT_ERR_DEVICE);
	env->ops->reclaim(env->space, 0);
	assert_int_equal(frames_now(env), before + 1); // another one
	page_expect_range(env, to, 4 * PAGE, 50);
	CHECK(env, env->space);
	run_wild(&device);
	device_close(&device);
	lib_expect_bare(env, env->space);
	assert_int_equal(frames_now(env), bare);
}

// It answers as long as it is not asked about the place that the tables go to, which it is when they come back.
static void falls_silent(struct device *device, enum event_kind kind, const struct vmt_change *change)
{
	device->mute |= kind == ISSUE && change->start >= FAR + GIB(4);
}

// Tables are linked elsewhere, and come back for want of memory; by then the device does not answer any more.
static void tables_come_back(struct env *env)
{
	enum vmt_status status = VMT_ERR_NO_MEMORY;
	uint64_t more = PAGE == 4096 ? span(2) : 2 * span(1), length = 2 * span(1) + more, got;
	uint64_t from = FAR - 2 * span(1), to = FAR + GIB(8) - 2 * span(1);

	for (unsigned n = 1; status == VMT_ERR_NO_MEMORY; n++) {
		struct device device;

		devices_begin();
		lib_map(env, from, length, RW, 0);
		page_write_range(env, from, 4 * PAGE, 50);
		page_write_range(env, from + span(1), 4 * PAGE, 60);
		page_write_range(env, from + 2 * span(1), PAGE, 70);
		lib_map(env, to - PAGE, PAGE, RW, 0);
		device_open(env, &device, env->space, 0, 0, NULL);
		device.told = falls_silent;
		sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, UINT64_MAX - n);
		status = env->ops->move(env->space, from, length, length, 3, to, &got);
		sim_fail_nth(env->machine, 0, 0, 0);
		CHECK(env, env->space);
		if (status == VMT_ERR_NO_MEMORY) {
			page_expect_range(env, from, 4 * PAGE, 50);
			page_expect_range(env, from + span(1), 4 * PAGE, 60);
			page_expect_range(env, from + 2 * span(1), PAGE, 70);
		}
		assert_true(n < 100);
		device_close(&device);
		lib_expect_bare(env, env->space);
	}
}

static const struct lib_case cases[] = {
	{.name = "pages go", .run = pages_go},
	{.name = "pages stay", .run = pages_stay},
	{.name = "elsewhere", .run = elsewhere},
	{.name = "shared", .run = shared},
	{.name = "twice", .run = twice},
	{.name = "two", .run = two},
	{.name = "later", .run = later},
	{.name = "tables", .run = tables},
	{.name = "a whole table", .run = table_stays},
	{.name = "tables that come back", .run = tables_come_back},
};

int main(int argc, char **argv)
{
	return lib_main("lost secondaries", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
