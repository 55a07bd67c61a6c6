// SPDX-License-Identifier: MIT
// Migration while others go on: what happens to pages on their way to device memory and back when the space changes
// meanwhile; and two memories.
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
	struct vmt_migration *migration;
	struct vmt_space *child;
};

static void scene_open(struct env *env, struct scene *s)
{
	memset(s, 0, sizeof(*s));
	devices_begin();
	s->env = env;
	vram_open(env, &s->vram, 0, 64 * PAGE);
	s->vram.how = COPIES_BY_HAND;
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

static void start(struct scene *s)
{
	OK(s->env->ops->migration_start(s->env->space, BASE, LENGTH, s->vram.memory, &s->migration));
	CHECK(s->env, s->env->space);
}

// Copies that are still under way end now.
static enum vmt_status finish(struct scene *s, uint64_t want)
{
	uint64_t pages = 12345;
	enum vmt_status status;

	s->vram.how = COPIES_WAITED_FOR;
	status = s->env->ops->migration_finish(s->migration, &pages);
	CHECK(s->env, s->env->space);
	assert_int_equal(pages, want);
	return status;
}

// ---- On their way there ------------------------------------------------------------------------------------------

static void polled(struct env *env)
{
	struct scene s;

	scene_open(env, &s);
	start(&s);
	record_expect(&s.device, VMT_REASON_MIGRATE, BASE, LENGTH, false);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(s.vram.count, COUNT - i);
		assert_false(env->ops->migration_poll(s.migration));
		assert_int_equal(page_entry(env, env->space, BASE + i * PAGE).state, VMT_STATE_PARKED);
		assert_true(vram_step(&s.vram));
	}
	assert_true(env->ops->migration_poll(s.migration));
	assert_int_equal(vram_used(&s.vram), COUNT);
	OK(finish(&s, COUNT));
	for (unsigned i = 0; i < COUNT; i++)
		assert_true(page_is_there(env, env->space, BASE + i * PAGE));
	page_expect_range(env, BASE, LENGTH, 100);
	scene_close(&s);
}

// Nobody waits for a move: who wants a page takes it back, and the copy is thrown away.
static void taken_back(struct env *env)
{
	struct device other;
	struct scene s;
	uint64_t pa;

	scene_open(env, &s);
	device_open(env, &other, env->space, 0, 0, NULL);
	start(&s);
	assert_int_equal(page_read(env, BASE), 100);
	page_write(env, BASE + PAGE, 1);
	assert_int_equal(device_page_read(&other, BASE + 2 * PAGE), 102);
	device_page_write(&other, BASE + 3 * PAGE, 3);
	assert_int_equal(device_page_read(&s.device, BASE + 4 * PAGE), 104);
	device_page_write(&s.device, BASE + 5 * PAGE, 5);
	OK(env->ops->page_pin(env->space, BASE + 6 * PAGE, VMT_WRITE, &pa));
	OK(env->ops->populate(env->space, BASE + 7 * PAGE, PAGE, NULL));
	OK(env->ops->release(env->space, BASE + 8 * PAGE, PAGE));
	page_write(env, BASE + 8 * PAGE, 8); // a new one
	CHECK(env, env->space);
	OK(finish(&s, COUNT - 9));
	assert_int_equal(vram_used(&s.vram), COUNT - 9);
	assert_int_equal(device_page_read(&other, BASE + 2 * PAGE), 102);
	assert_non_null(device_has(&other, BASE + 3 * PAGE));
	device_page_write(&other, BASE + 3 * PAGE, 33); // it kept what it had
	page_write(env, BASE + PAGE, 11);
	assert_int_equal(page_read(env, BASE), 100);
	assert_int_equal(page_read(env, BASE + PAGE), 11);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 33);
	assert_int_equal(page_read(env, BASE + 5 * PAGE), 5);
	assert_int_equal(page_read(env, BASE + 8 * PAGE), 8);
	page_expect_range(env, BASE + 9 * PAGE, 7 * PAGE, 109);
	env->ops->page_unpin(env->vmt, pa);
	device_close(&other);
	scene_close(&s);
}

// What happens to the mapping meanwhile; done to page BASE + 4 and what follows.
static void meanwhile_unmap(struct scene *s) { OK(s->env->ops->unmap(s->env->space, BASE + 4 * PAGE, 8 * PAGE)); }
static void meanwhile_release(struct scene *s) { OK(s->env->ops->release(s->env->space, BASE + 4 * PAGE, 8 * PAGE)); }

static void meanwhile_guard(struct scene *s)
{
	OK(s->env->ops->guard_install(s->env->space, BASE + 4 * PAGE, 8 * PAGE));
}

static void meanwhile_none(struct scene *s)
{
	OK(s->env->ops->protect(s->env->space, BASE + 4 * PAGE, 8 * PAGE, 0));
}

static void meanwhile_read_only(struct scene *s)
{
	OK(s->env->ops->protect(s->env->space, BASE + 4 * PAGE, 8 * PAGE, VMT_READ));
}

static void meanwhile_lazy(struct scene *s)
{
	OK(s->env->ops->lazy_free(s->env->space, BASE + 4 * PAGE, 8 * PAGE));
	page_write_range(s->env, BASE + 4 * PAGE, 8 * PAGE, 104);
	s->env->ops->reclaim(s->env->space, 100);
}

static void meanwhile_move(struct scene *s)
{
	uint64_t got;

	OK(s->env->ops->move(s->env->space, BASE + 4 * PAGE, 8 * PAGE, 8 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, FAR,
			     &got));
}

// Away and back again: the entry names the same page.
static void meanwhile_move_twice(struct scene *s)
{
	uint64_t got;

	meanwhile_move(s);
	OK(s->env->ops->move(s->env->space, FAR, 8 * PAGE, 8 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE + 4 * PAGE,
			     &got));
}

static void meanwhile_swap(struct scene *s)
{
	uint64_t pa;

	for (unsigned i = 4; i < 12; i++)
		if (s->env->ops->page_take(s->env->space, BASE + i * PAGE, VMT_MARKER_SWAP, i, &pa) == VMT_OK)
			OK(s->env->ops->marker_resolve(s->env->space, BASE + i * PAGE, VMT_MARKER_SWAP, i, pa));
}

static void meanwhile_fork(struct scene *s)
{
	OK(s->env->ops->space_fork(s->env->space, NULL, &s->child));
	CHECK(s->env, s->child);
}

static void meanwhile_fork_and_write(struct scene *s)
{
	meanwhile_fork(s);
	sim_activate(s->env->cpu, s->child);
	page_expect_range(s->env, BASE, LENGTH, 100);
	page_write_range(s->env, BASE, LENGTH, 700);
	sim_activate(s->env->cpu, s->env->space);
}

static void meanwhile_fork_and_go(struct scene *s)
{
	meanwhile_fork(s);
	page_write_range(s->env, BASE + 4 * PAGE, 4 * PAGE, 104);
	OK(s->env->ops->space_destroy(s->child));
	s->child = NULL;
}

static void meanwhile_again(struct scene *s)
{
	struct vmt_migration *second;
	uint64_t pages;

	assert_int_equal(page_read(s->env, BASE + 4 * PAGE), 104);
	page_write(s->env, BASE + 5 * PAGE, 105);
	OK(s->env->ops->migration_start(s->env->space, BASE, LENGTH, s->vram.memory, &second));
	vram_drain(&s->vram);
	OK(s->env->ops->migration_finish(second, &pages));
	CHECK(s->env, s->env->space);
}

static void meanwhile_exclusive(struct scene *s)
{
	for (unsigned i = 4; i < 12; i++)
		if (device_fault(&s->device, BASE + i * PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE) == VMT_OK)
			device_page_write(&s->device, BASE + i * PAGE, 100 + i);
}

static void meanwhile_harvest(struct scene *s)
{
	s->env->ops->test_and_clear(s->env->space, BASE, LENGTH, VMT_ACCESSED | VMT_DIRTY, NULL);
}

// What the pages hold afterwards: their bytes; zero, or nothing is there; they lie FAR; they lie in a child as well.
enum after { KEPT, ZERO, NOTHING, GUARDED, MOVED };

static const struct {
	const char *name;
	void (*run)(struct scene *s);
	enum after after;
	uint64_t child;		// what it holds, from 100 or 700 on; 0: there is none
} meanwhiles[] = {
	{"unmap", meanwhile_unmap, NOTHING, 0}, {"release", meanwhile_release, ZERO, 0},
	{"guard", meanwhile_guard, GUARDED, 0}, {"no access", meanwhile_none, KEPT, 0},
	{"read only", meanwhile_read_only, KEPT, 0}, {"lazy free", meanwhile_lazy, KEPT, 0},
	{"move", meanwhile_move, MOVED, 0}, {"move twice", meanwhile_move_twice, KEPT, 0},
	{"swap", meanwhile_swap, KEPT, 0}, {"fork", meanwhile_fork, KEPT, 100},
	{"fork and write", meanwhile_fork_and_write, KEPT, 700}, {"fork and go", meanwhile_fork_and_go, KEPT, 0},
	{"again", meanwhile_again, KEPT, 0}, {"exclusive", meanwhile_exclusive, KEPT, 0},
	{"harvest", meanwhile_harvest, KEPT, 0},
};

#define MEANWHILES (sizeof(meanwhiles) / sizeof(*meanwhiles))

// The pages of the child hold what they have to, whatever is done to the parent's afterwards.
static void judge_child(struct scene *s, uint64_t value)
{
	struct env *env = s->env;

	page_write_range(env, BASE, LENGTH, 400);
	for (unsigned i = 0; i < 4; i++)
		device_page_write(&s->device, BASE + i * PAGE, 500 + i);
	sim_activate(env->cpu, s->child);
	page_expect_range(env, BASE, LENGTH, value);
	sim_activate(env->cpu, env->space);
	page_expect_range(env, BASE, 4 * PAGE, 500);
	page_expect_range(env, BASE + 4 * PAGE, 12 * PAGE, 404);
}

static void judge(struct scene *s, unsigned m)
{
	struct env *env = s->env;
	uint64_t value;

	page_expect_range(env, BASE, 4 * PAGE, 100);
	page_expect_range(env, BASE + 12 * PAGE, 4 * PAGE, 112);
	for (uint64_t i = 4; i < 12; i++) {
		switch (meanwhiles[m].after) {
		case KEPT:
			OK(env->ops->protect(env->space, BASE + i * PAGE, PAGE, RW));
			assert_int_equal(page_read(env, BASE + i * PAGE), 100 + i);
			device_page_write(&s->device, BASE + i * PAGE, 300 + i);
			assert_int_equal(page_read(env, BASE + i * PAGE), 300 + i);
			page_write(env, BASE + i * PAGE, 100 + i);
			break;
		case ZERO:
			assert_int_equal(page_read(env, BASE + i * PAGE), 0);
			break;
		case MOVED:
			assert_int_equal(page_read(env, FAR + (i - 4) * PAGE), 100 + i);
			break;
		default:
			IS(sim_read(env->cpu, BASE + i * PAGE, 8, &value),
			   meanwhiles[m].after == GUARDED ? VMT_ERR_GUARD : VMT_ERR_UNMAPPED);
		}
	}
	if (s->child)
		judge_child(s, meanwhiles[m].child);
}

// Each of these, after none, some, and all of the copies have ended; and with copies that fail.
static void meanwhile(struct env *env)
{
	for (unsigned n = 0; n < MEANWHILES * 6; n++) {
		unsigned m = n / 6, ended = n % 3 * (COUNT / 2);
		bool bad = n / 3 % 2;
		enum vmt_status status;
		struct scene s;

		scene_open(env, &s);
		OK(device_fault(&s.device, BASE, LENGTH, VMT_WRITE, 0));
		start(&s);
		assert_int_equal(s.device.count, 0);
		s.vram.fail_one_in = bad ? 2 : 0;
		for (unsigned i = 0; i < ended; i++)
			vram_step(&s.vram);
		meanwhiles[m].run(&s);
		CHECK(env, env->space);
		s.vram.how = COPIES_WAITED_FOR;
		status = env->ops->migration_finish(s.migration, NULL);
		assert_true(status == VMT_OK || (bad && status == VMT_ERR_DEVICE));
		CHECK(env, env->space);
		s.vram.fail_one_in = 0;
		judge(&s, m);
		scene_close(&s);
	}
}

// Two at once, finished in either order, over the same pages.
static void overlapping(struct env *env)
{
	for (unsigned order = 0; order < 2; order++) {
		struct vmt_migration *second;
		struct scene s;

		scene_open(env, &s);
		start(&s);
		page_write(env, BASE, 1);
		assert_int_equal(page_read(env, BASE + PAGE), 101);
		OK(env->ops->migration_start(env->space, BASE, LENGTH, s.vram.memory, &second));
		s.vram.how = COPIES_WAITED_FOR;
		OK(env->ops->migration_finish(order ? second : s.migration, NULL));
		CHECK(env, env->space);
		page_write(env, BASE + 2 * PAGE, 2);
		OK(env->ops->migration_finish(order ? s.migration : second, NULL));
		CHECK(env, env->space);
		assert_int_equal(page_read(env, BASE), 1);
		assert_int_equal(page_read(env, BASE + PAGE), 101);
		assert_int_equal(page_read(env, BASE + 2 * PAGE), 2);
		page_expect_range(env, BASE + 3 * PAGE, 13 * PAGE, 103);
		scene_close(&s);
	}
}

// ---- On their way back -------------------------------------------------------------------------------------------

static struct scene *during;
static unsigned during_what;

static void run_during(void *arg)
{
	(void)arg;
	meanwhiles[during_what].run(during);
	CHECK(during->env, during->env->space);
}

// The CPU touches a page; while its bytes are copied back one of these happens, and others touch it too.
static void coming_back(struct env *env)
{
	for (unsigned n = 0; n < MEANWHILES * 4; n++) {
		unsigned m = n / 4;
		bool write = n & 1, bad = n & 2;
		enum vmt_status status;
		struct scene s;
		uint64_t value;

		scene_open(env, &s);
		s.vram.how = COPIES_WAITED_FOR;
		OK(env->ops->migrate(env->space, BASE, LENGTH, s.vram.memory, NULL));
		OK(device_fault(&s.device, BASE, LENGTH, VMT_WRITE, 0));
		during = &s;
		during_what = m;
		s.vram.meanwhile = run_during;
		s.vram.meanwhile_bad = bad;
		status = write ? sim_write(env->cpu, BASE + 4 * PAGE, 8, 3 * 104) :
				 sim_read(env->cpu, BASE + 4 * PAGE, 8, &value);
		assert_null(s.vram.meanwhile);
		if (meanwhiles[m].after != NOTHING && meanwhiles[m].after != MOVED && meanwhiles[m].after != GUARDED &&
		    status != VMT_ERR_ACCESS)
			assert_true(status == VMT_OK || (bad && status == VMT_ERR_DEVICE));
		CHECK(env, env->space);
		if (write && status == VMT_OK && meanwhiles[m].after == ZERO)
			OK(env->ops->release(env->space, BASE + 4 * PAGE, PAGE));
		judge(&s, m);
		scene_close(&s);
	}
}

static void touch_during(void *arg)
{
	struct scene *s = arg;

	// The same page, by the CPU and by the device.
	assert_int_equal(page_read(s->env, BASE), 100);
	device_page_write(&s->device, BASE, 1);
	CHECK(s->env, s->env->space);
}

// Neither can keep the other from getting on: who is first has the page, and whose copy fails then has lost nothing.
static void both_come(struct env *env)
{
	for (unsigned how = 0; how < 6; how++) {
		enum vmt_status status;
		struct scene s;
		uint64_t value;

		scene_open(env, &s);
		s.vram.how = COPIES_WAITED_FOR;
		OK(env->ops->migrate(env->space, BASE, LENGTH, s.vram.memory, NULL));
		s.vram.meanwhile = touch_during;
		s.vram.arg = &s;
		s.vram.meanwhile_bad = how & 1;
		if (how < 2)
			status = env->ops->migrate(env->space, BASE, LENGTH, NULL, NULL);
		else
			status = how < 4 ? sim_read(env->cpu, BASE, 8, &value) : sim_add(env->cpu, BASE, 0, &value);
		OK(status);
		assert_null(s.vram.meanwhile);
		CHECK(env, env->space);
		assert_int_equal(page_read(env, BASE), 1);
		page_expect_range(env, BASE + PAGE, 15 * PAGE, 101);
		scene_close(&s);
	}
}

// ---- Two memories ------------------------------------------------------------------------------------------------

static void two_memories(struct env *env)
{
	struct device second;
	struct vram more;
	struct scene s;

	for (unsigned same = 0; same < 2; same++) {
		scene_open(env, &s);
		s.vram.how = COPIES_WAITED_FOR;
		vram_open(env, &more, same ? s.vram.base : 0, 32 * PAGE); // each may count from where it likes
		more.how = COPIES_WAITED_FOR;
		device_open(env, &second, env->space, 0, 0, &more);
		OK(env->ops->migrate(env->space, BASE, LENGTH, s.vram.memory, NULL));
		device_page_write(&s.device, BASE, 1);
		OK(env->ops->migrate(env->space, BASE, LENGTH, more.memory, NULL)); // from there
		CHECK(env, env->space);
		assert_int_equal(vram_used(&s.vram), 0);
		assert_int_equal(vram_used(&more), COUNT);
		assert_null(device_has(&s.device, BASE));
		assert_int_equal(device_page_read(&second, BASE), 1);
		assert_true(device_has(&second, BASE)->device);
		device_page_write(&second, BASE + PAGE, 2);
		// The first cannot reach it: it comes back for it.
		assert_int_equal(device_page_read(&s.device, BASE + PAGE), 2);
		assert_false(device_has(&s.device, BASE + PAGE)->device);
		assert_int_equal(device_page_read(&second, BASE + PAGE), 2);
		assert_false(device_has(&second, BASE + PAGE)->device);
		OK(env->ops->migrate(env->space, BASE, 8 * PAGE, s.vram.memory, NULL));
		CHECK(env, env->space);
		assert_int_equal(vram_used(&s.vram), 8);
		assert_int_equal(vram_used(&more), 8);
		assert_int_equal(device_page_read(&s.device, BASE + 2 * PAGE), 102);
		assert_true(device_has(&s.device, BASE + 2 * PAGE)->device);
		page_expect_range(env, BASE, 2 * PAGE, 1);
		page_expect_range(env, BASE + 2 * PAGE, 14 * PAGE, 102);
		device_close(&second);
		vram_close(&more);
		scene_close(&s);
	}
}

static const struct lib_case cases[] = {
	{.name = "polled", .run = polled},
	{.name = "taken back", .run = taken_back},
	{.name = "meanwhile", .run = meanwhile},
	{.name = "overlapping", .run = overlapping},
	{.name = "coming back", .run = coming_back},
	{.name = "both come", .run = both_come},
	{.name = "two memories", .run = two_memories},
};

int main(int argc, char **argv)
{
	return lib_main("migration", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
