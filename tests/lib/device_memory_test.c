// SPDX-License-Identifier: MIT
// Pages in device memory: there and back, who gets them where, and what operations on a space do with them. Each page's
// bytes are looked at at its beginning, middle and end; in the end no frame of the device is left.
#include "device_scene.h"

// ---- Memories ----------------------------------------------------------------------------------------------------

static void no_copy(void *owner, struct vmt_copy *copy)
{
	(void)owner;
	vmt_copy_done(copy, false);
}

static void memories(struct env *env)
{
	struct vmt_device_memory_ops none = {0}, ops = {.copy = no_copy};
	struct vmt_device_memory_config config = {.base = UINT64_C(1) << 40, .bytes = 10 * PAGE, .ops = &ops};
	struct vmt_device_memory *memory[VMT_DEVICE_MEMORIES + 1];
	struct vmt_device_memory_counts counts;
	const struct sim_ops *sim = env->ops;

	config.base++;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_UNALIGNED);
	config.base--;
	config.bytes++;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_UNALIGNED);
	config.bytes = 0;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_EMPTY);
	config.bytes = ((UINT64_C(1) << 32) + 1) * PAGE;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_LIMIT);
	config.bytes = 10 * PAGE;
	config.ops = &none;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_ARGUMENT);
	config.ops = NULL;
	IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_ARGUMENT);
	config.ops = &ops;
	for (unsigned n = 1; n <= 3; n++) {
		sim_fail_nth(env->machine, SIM_FAIL_MEM | SIM_FAIL_FRAME, n, 1);
		IS(sim->device_memory_create(env->vmt, &config, &memory[0]), VMT_ERR_NO_MEMORY);
		sim_fail_nth(env->machine, 0, 0, 0);
	}
	for (unsigned i = 0; i < VMT_DEVICE_MEMORIES; i++)
		OK(sim->device_memory_create(env->vmt, &config, &memory[i]));
	IS(sim->device_memory_create(env->vmt, &config, &memory[VMT_DEVICE_MEMORIES]), VMT_ERR_LIMIT);
	sim->device_memory_stats(memory[3], &counts);
	assert_int_equal(counts.pages, 10);
	assert_int_equal(counts.used + counts.moved_in + counts.moved_out + counts.copies + counts.failed, 0);
	OK(sim->device_memory_destroy(memory[3]));
	OK(sim->device_memory_create(env->vmt, &config, &memory[3]));
	for (unsigned i = 0; i < VMT_DEVICE_MEMORIES; i++)
		OK(sim->device_memory_destroy(memory[i]));
}

// With device memory, two kinds of markers are the library's. A memory in use is not destroyed.
static void busy(struct env *env)
{
	struct scene s;
	uint64_t pa;

	scene_open_there(env, &s);
	IS(env->ops->device_memory_destroy(s.vram.memory), VMT_ERR_BUSY);
	for (unsigned i = 0; i < 2; i++) {
		enum vmt_marker kind = i ? VMT_MARKER_DEVICE : VMT_MARKER_MIGRATION;

		IS(env->ops->mark(env->space, BASE, PAGE, kind, 0), VMT_ERR_ARGUMENT);
		IS(env->ops->unmark(env->space, BASE, PAGE, kind), VMT_ERR_ARGUMENT);
		IS(env->ops->page_take(env->space, BASE, kind, 0, &pa), VMT_ERR_ARGUMENT);
		IS(env->ops->marker_resolve(env->space, BASE, kind, 0, 0), VMT_ERR_ARGUMENT);
	}
	scene_close(env, &s);
}

// ---- There and back ----------------------------------------------------------------------------------------------

static void there_and_back(struct env *env)
{
	struct vmt_space_stats stats;
	uint64_t frames, pa;
	struct scene s;

	scene_open(env, &s, 64 * PAGE);
	lib_map(env, BASE, LENGTH, RW, 0);
	lib_write(env, BASE, 1);
	lib_write(env, BASE + 15 * PAGE, 1); // tables
	frames = frames_now(env);
	page_write_range(env, BASE, LENGTH, 100);
	assert_int_equal(frames_now(env), frames + COUNT - 2);
	OK(migrate(env, &s, BASE, LENGTH, COUNT));
	assert_int_equal(frames_now(env), frames - 2);
	assert_int_equal(vram_used(&s.vram), COUNT);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_pages, 0);
	assert_int_equal(stats.resident_anon, 0);
	OK(migrate(env, &s, BASE, LENGTH, 0)); // they are
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(page_is_there(env, env->space, BASE + i * PAGE));
	// A CPU's touch: to read, to write, to have a reference, to pin, ahead of time.
	assert_int_equal(page_read(env, BASE), 100);
	assert_int_equal(vram_used(&s.vram), COUNT - 1);
	assert_false(page_is_there(env, env->space, BASE));
	page_write(env, BASE + PAGE, 1);
	IS(env->ops->page_try_get(env->space, BASE + 2 * PAGE, VMT_READ, &pa), VMT_ERR_NOT_PRESENT);
	OK(env->ops->page_get(env->space, BASE + 2 * PAGE, VMT_READ, &pa));
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->page_pin(env->space, BASE + 3 * PAGE, VMT_READ, &pa));
	OK(env->ops->populate(env->space, BASE + 4 * PAGE, 2 * PAGE, NULL));
	assert_int_equal(vram_used(&s.vram), COUNT - 6);
	OK(migrate(env, NULL, BASE, LENGTH, COUNT - 6));
	assert_int_equal(vram_used(&s.vram), 0);
	assert_int_equal(page_read(env, BASE + PAGE), 1);
	page_expect_range(env, BASE + 2 * PAGE, LENGTH - 2 * PAGE, 102);
	assert_int_equal(vram_counts(&s.vram).moved_in, COUNT);
	assert_int_equal(vram_counts(&s.vram).moved_out, COUNT);
	assert_int_equal(vram_counts(&s.vram).failed, 0);
	// The pinned one stays where it is.
	OK(migrate(env, &s, BASE, LENGTH, COUNT - 1));
	assert_false(page_is_there(env, env->space, BASE + 3 * PAGE));
	env->ops->page_unpin(env->vmt, pa);
	assert_int_equal(lib_resident(env, env->space), 1);
	scene_close(env, &s);
}

// What does not move, and what is wrong with requests.
static void stays(struct env *env)
{
	struct vmt_migration *migration;
	struct vmt_object *object;
	struct vmt_space *child;
	struct scene s;
	uint64_t pa;

	scene_open(env, &s, 64 * PAGE);
	lib_map(env, BASE, LENGTH, RW, 0);
	OK(migrate(env, &s, BASE, LENGTH, 0)); // nothing is there
	assert_int_equal(page_read(env, BASE), 0); // the zero page
	page_write(env, BASE + PAGE, 1);
	OK(env->ops->page_get(env->space, BASE + PAGE, VMT_WRITE, &pa));
	page_write(env, BASE + 2 * PAGE, 2);
	OK(env->ops->protect(env->space, BASE + 2 * PAGE, PAGE, 0));
	page_write(env, BASE + 3 * PAGE, 3);
	OK(env->ops->guard_install(env->space, BASE + 4 * PAGE, PAGE));
	OK(env->ops->space_fork(env->space, NULL, &child)); // 1 and 3 are shared
	OK(env->ops->object_create(env->vmt, PAGE, NULL, NULL, &object));
	lib_map_object(env, object, BASE + 5 * PAGE, PAGE, 0, RW, VMT_MAP_SHARED);
	lib_write(env, BASE + 5 * PAGE, 5);
	lib_map_object(env, object, BASE + 6 * PAGE, PAGE, 0, RW, 0);
	assert_int_equal(lib_read(env, BASE + 6 * PAGE), 5); // the object's own page
	OK(migrate(env, &s, BASE, LENGTH, 0));
	assert_int_equal(vram_used(&s.vram), 0);
	assert_int_equal(s.vram.started, 0);
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->space_destroy(child));
	env->ops->object_put(object);
	OK(migrate(env, &s, BASE, LENGTH, 2)); // by now alone
	assert_int_equal(page_read(env, BASE + PAGE), 1);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 3);
	page_write(env, BASE + 7 * PAGE, 7);
	OK(env->ops->unmap(env->space, BASE + 8 * PAGE, PAGE));
	IS(env->ops->migrate(env->space, BASE, LENGTH, s.vram.memory, NULL), VMT_ERR_UNMAPPED);
	assert_int_equal(page_read(env, BASE + 7 * PAGE), 7);
	IS(env->ops->migrate(env->space, BASE, LENGTH, NULL, NULL), VMT_ERR_UNMAPPED);
	IS(env->ops->migrate(env->space, BASE + 1, PAGE, s.vram.memory, NULL), VMT_ERR_UNALIGNED);
	IS(env->ops->migrate(env->space, BASE, 0, s.vram.memory, NULL), VMT_ERR_EMPTY);
	IS(env->ops->migrate(env->space, env->end, PAGE, s.vram.memory, NULL), VMT_ERR_OUTSIDE);
	IS(env->ops->migration_start(env->space, BASE, PAGE, NULL, &migration), VMT_ERR_ARGUMENT);
	IS(env->ops->migration_start(env->space, BASE, 0, s.vram.memory, &migration), VMT_ERR_EMPTY);
	scene_close(env, &s);
}

// The device that can reach it gets a page where it is, may write it, and the bytes come back. Another cannot.
static void in_place(struct env *env)
{
	struct device other;
	struct scene s;

	scene_open_there(env, &s);
	device_open(env, &other, env->space, 0, 0, NULL);
	assert_int_equal(device_page_read(&s.device, BASE), 100);
	assert_true(device_has(&s.device, BASE)->device);
	assert_int_equal(device_has(&s.device, BASE)->prot & RW, VMT_READ);
	device_page_write(&s.device, BASE + PAGE, 1);
	assert_true(device_has(&s.device, BASE + PAGE)->device);
	assert_int_equal(vram_used(&s.vram), COUNT);
	assert_int_equal(s.vram.started, COUNT);
	record_clear();
	assert_int_equal(page_read(env, BASE + PAGE), 1); // it is taken from the device first
	record_expect(&s.device, VMT_REASON_MIGRATE, BASE + PAGE, PAGE, false);
	assert_int_equal(device_page_read(&s.device, BASE + PAGE), 1); // and now shared with it in system memory
	assert_false(device_has(&s.device, BASE + PAGE)->device);
	device_page_write(&s.device, BASE + PAGE, 2);
	assert_int_equal(page_read(env, BASE + PAGE), 2);
	device_page_write(&s.device, BASE + 2 * PAGE, 3);
	assert_int_equal(device_page_read(&other, BASE + 2 * PAGE), 3); // cannot reach it: it comes back
	assert_false(page_is_there(env, env->space, BASE + 2 * PAGE));
	assert_null(device_has(&s.device, BASE + 2 * PAGE));
	// For itself it has what lies there already.
	OK(device_fault(&s.device, BASE + 3 * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	device_page_write(&s.device, BASE + 3 * PAGE, 4);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 4);
	page_expect_range(env, BASE + 4 * PAGE, 12 * PAGE, 104);
	device_close(&other);
	scene_close(env, &s);
}

// ---- Fork --------------------------------------------------------------------------------------------------------

static void forked(struct env *env)
{
	struct vmt_space *child, *grandchild;
	struct scene s;

	scene_open_there(env, &s);
	device_page_write(&s.device, BASE, 100);
	device_page_write(&s.device, BASE + PAGE, 101);
	record_clear();
	OK(env->ops->space_fork(env->space, NULL, &child));
	record_expect(&s.device, VMT_REASON_PROTECT, BASE, 2 * PAGE, true); // it may write there no more
	CHECK(env, child);
	assert_int_equal(vram_used(&s.vram), COUNT);
	assert_int_equal(device_page_read(&s.device, BASE), 100); // where it is
	assert_true(device_has(&s.device, BASE)->device);
	device_page_write(&s.device, BASE, 1); // its own
	page_write(env, BASE + PAGE, 2);
	page_write(env, BASE + 2 * PAGE, 3);
	sim_activate(env->cpu, child);
	assert_int_equal(page_read(env, BASE), 100);
	assert_int_equal(page_read(env, BASE + PAGE), 101);
	page_write(env, BASE + 3 * PAGE, 4);
	OK(env->ops->space_fork(child, NULL, &grandchild));
	page_write(env, BASE + 4 * PAGE, 5);
	sim_activate(env->cpu, grandchild);
	CHECK(env, child);
	CHECK(env, grandchild);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 4);
	page_expect_range(env, BASE + 4 * PAGE, 12 * PAGE, 104);
	sim_activate(env->cpu, child);
	OK(env->ops->space_destroy(grandchild));
	assert_int_equal(page_read(env, BASE + 4 * PAGE), 5);
	OK(env->ops->migrate(child, BASE, LENGTH, s.vram.memory, NULL));
	CHECK(env, child);
	sim_activate(env->cpu, env->space);
	page_expect_range(env, BASE, 3 * PAGE, 1);
	device_page_write(&s.device, BASE + 5 * PAGE, 6);
	sim_activate(env->cpu, child);
	page_expect_range(env, BASE + 5 * PAGE, 11 * PAGE, 105);
	sim_activate(env->cpu, env->space);
	OK(env->ops->space_destroy(child)); // with pages there
	assert_int_equal(page_read(env, BASE + 5 * PAGE), 6);
	page_expect_range(env, BASE + 6 * PAGE, 10 * PAGE, 106);
	scene_close(env, &s);
}

// The child outlives the parent's mapping; and a space ends with pages there.
static void forked_outlives(struct env *env)
{
	struct vmt_space *child;
	struct scene s;

	scene_open_there(env, &s);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->unmap(env->space, BASE, LENGTH));
	assert_int_equal(vram_used(&s.vram), COUNT);
	sim_activate(env->cpu, child);
	page_expect_range(env, BASE, 4 * PAGE, 100);
	sim_activate(env->cpu, env->space);
	assert_int_equal(vram_used(&s.vram), COUNT - 4);
	OK(env->ops->space_destroy(child));
	assert_int_equal(vram_used(&s.vram), 0);
	scene_close(env, &s);
}

// ---- What becomes of them ----------------------------------------------------------------------------------------

static void given_back(struct env *env)
{
	struct vmt_map_request over = {.addr = BASE + 3 * PAGE, .length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
	const struct sim_ops *ops = env->ops;
	struct scene s;
	uint64_t got, pa;

	scene_open_there(env, &s);
	for (unsigned i = 0; i < COUNT; i++)
		device_page_write(&s.device, BASE + i * PAGE, 200 + i);
	record_clear();
	OK(ops->unmap(env->space, BASE, PAGE));
	record_expect(&s.device, VMT_REASON_UNMAP, BASE, PAGE, true);
	OK(ops->release(env->space, BASE + PAGE, PAGE));
	record_expect(&s.device, VMT_REASON_RELEASE, BASE + PAGE, PAGE, true);
	assert_int_equal(page_read(env, BASE + PAGE), 0);
	record_clear();
	OK(ops->guard_install(env->space, BASE + 2 * PAGE, PAGE));
	record_expect(&s.device, VMT_REASON_RELEASE, BASE + 2 * PAGE, PAGE, true);
	OK(ops->map(env->space, &over, &got));
	record_expect(&s.device, VMT_REASON_UNMAP, BASE + 3 * PAGE, PAGE, true);
	OK(ops->mark(env->space, BASE + 4 * PAGE, PAGE, VMT_MARKER_SWAP, 5));
	record_expect(&s.device, VMT_REASON_RELEASE, BASE + 4 * PAGE, PAGE, true);
	assert_int_equal(vram_used(&s.vram), COUNT - 5);
	// To take a page out it has to be here.
	IS(ops->page_take(env->space, BASE + 5 * PAGE, VMT_MARKER_SWAP, 5, &pa), VMT_ERR_NOT_PRESENT);
	assert_int_equal(page_read(env, BASE + 5 * PAGE), 205);
	// Moved, it is there at its new place.
	OK(ops->move(env->space, BASE + 6 * PAGE, 4 * PAGE, 4 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR + 7 * PAGE,
		     &got));
	assert_null(device_has(&s.device, BASE + 6 * PAGE));
	assert_true(page_is_there(env, env->space, FAR + 7 * PAGE));
	CHECK(env, env->space);
	assert_int_equal(device_page_read(&s.device, FAR + 7 * PAGE), 206);
	assert_true(device_has(&s.device, FAR + 7 * PAGE)->device);
	page_expect_range(env, FAR + 7 * PAGE, 4 * PAGE, 206);
	// Freed lazily: its bytes stay, or it reads as zero.
	OK(ops->lazy_free(env->space, BASE + 10 * PAGE, 2 * PAGE));
	device_page_write(&s.device, BASE + 10 * PAGE, 9);
	ops->reclaim(env->space, 100);
	assert_int_equal(page_read(env, BASE + 10 * PAGE), 9);
	got = page_read(env, BASE + 11 * PAGE);
	assert_true(got == 211 || got == 0);
	scene_close(env, &s);
}

static void protected(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct scene s;
	uint64_t value;

	scene_open_there(env, &s);
	for (unsigned i = 0; i < COUNT; i++)
		device_page_write(&s.device, BASE + i * PAGE, 200 + i);
	record_clear();
	OK(ops->protect(env->space, BASE, 2 * PAGE, VMT_READ));
	record_expect(&s.device, VMT_REASON_PROTECT, BASE, 2 * PAGE, true);
	IS(device_fault(&s.device, BASE, 1, VMT_WRITE, 0), VMT_ERR_ACCESS);
	assert_int_equal(device_page_read(&s.device, BASE), 200);
	assert_true(device_has(&s.device, BASE)->device);
	assert_int_equal(device_has(&s.device, BASE)->prot & RW, VMT_READ);
	assert_int_equal(page_read(env, BASE), 200);
	IS(sim_write(env->cpu, BASE, 8, 1), VMT_ERR_ACCESS);
	record_clear();
	OK(ops->protect(env->space, BASE + 2 * PAGE, 3 * PAGE, 0));
	record_expect(&s.device, VMT_REASON_PROTECT, BASE + 2 * PAGE, 3 * PAGE, true);
	IS(device_fault(&s.device, BASE + 2 * PAGE, 1, VMT_READ, 0), VMT_ERR_ACCESS);
	IS(sim_read(env->cpu, BASE + 2 * PAGE, 8, &value), VMT_ERR_ACCESS);
	assert_true(page_is_there(env, env->space, BASE + 2 * PAGE));
	OK(migrate(env, NULL, BASE + 3 * PAGE, PAGE, 1)); // nobody may access it, here or there
	IS(sim_read(env->cpu, BASE + 3 * PAGE, 8, &value), VMT_ERR_ACCESS);
	OK(ops->protect(env->space, BASE, 5 * PAGE, RW));
	page_expect_range(env, BASE, LENGTH, 200);
	page_write(env, BASE, 1);
	device_page_write(&s.device, BASE + 2 * PAGE, 2);
	assert_int_equal(page_read(env, BASE + 2 * PAGE), 2);
	scene_close(env, &s);
}

// Used and written: nothing is known.
static void harvested(struct env *env)
{
	struct scene s;

	scene_open_there(env, &s);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(env->ops->test_and_clear(env->space, BASE, LENGTH, VMT_DIRTY, NULL), COUNT);
	device_page_write(&s.device, BASE, 1);
	OK(env->ops->protect(env->space, BASE, LENGTH, VMT_READ));
	OK(migrate(env, NULL, BASE, LENGTH, COUNT));
	// What was written there is known to have been when it is back.
	assert_int_equal(env->ops->test_and_clear(env->space, BASE, LENGTH, VMT_DIRTY, NULL), COUNT);
	assert_int_equal(page_read(env, BASE), 1);
	scene_close(env, &s);
}

static const struct lib_case cases[] = {
	{.name = "memories", .run = memories},
	{.name = "busy", .run = busy},
	{.name = "there and back", .run = there_and_back},
	{.name = "stays", .run = stays},
	{.name = "in place", .run = in_place},
	{.name = "forked", .run = forked},
	{.name = "forked, outlives", .run = forked_outlives},
	{.name = "given back", .run = given_back},
	{.name = "protected", .run = protected},
	{.name = "harvested", .run = harvested},
};

int main(int argc, char **argv)
{
	return lib_main("device memory", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
