// SPDX-License-Identifier: MIT
// What secondaries are told: of every change with its reason, of tables that go, of entries that allow more, in which
// order.
#include "devices.h"

#define BASE   (GIB(4) - 8 * PAGE) // in two tables of each of two levels
#define LENGTH (16 * PAGE)

// A region of LENGTH, written, and a device that has all of it.
static void open_one(struct env *env, struct device *device)
{
	devices_begin();
	lib_map(env, BASE, LENGTH, RW, 0);
	page_write_range(env, BASE, LENGTH, 100);
	device_open(env, device, env->space, 0, 0, NULL);
	OK(device_fault(device, BASE, LENGTH, VMT_WRITE, 0));
	record_clear();
}

static void close_one(struct env *env, struct device *device)
{
	device_close(device);
	lib_expect_bare(env, env->space);
}

// ---- Reasons -----------------------------------------------------------------------------------------------------

static void unmaps(struct env *env)
{
	struct vmt_map_request over = {.addr = BASE + 4 * PAGE, .length = 8 * PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
	const struct sim_ops *ops = env->ops;
	struct device device;
	uint64_t got;

	open_one(env, &device);
	OK(ops->unmap(env->space, BASE, 2 * PAGE));
	record_expect(&device, VMT_REASON_UNMAP, BASE, 2 * PAGE, true);
	assert_non_null(device_has(&device, BASE + 2 * PAGE)); // the next page was none of this
	OK(ops->map(env->space, &over, &got)); // over the border of the tables
	record_expect(&device, VMT_REASON_UNMAP, BASE + 4 * PAGE, 8 * PAGE, true);
	OK(ops->move(env->space, BASE + 12 * PAGE, 2 * PAGE, 2 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, BASE + 2 * PAGE,
		     &got)); // onto pages that go
	record_expect(&device, VMT_REASON_UNMAP, BASE + 2 * PAGE, 2 * PAGE, true);
	assert_null(device_has(&device, BASE + 12 * PAGE));
	assert_int_equal(device_page_read(&device, BASE + 2 * PAGE), 112);
	OK(ops->move(env->space, BASE + 14 * PAGE, 2 * PAGE, PAGE, 0, 0, &got)); // shrinks
	record_expect(&device, VMT_REASON_UNMAP, BASE + 15 * PAGE, PAGE, true);
	assert_non_null(device_has(&device, BASE + 14 * PAGE));
	close_one(env, &device);
}

static void releases(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device device;

	open_one(env, &device);
	OK(ops->release(env->space, BASE, PAGE));
	record_expect(&device, VMT_REASON_RELEASE, BASE, PAGE, true);
	OK(ops->mark(env->space, BASE + PAGE, PAGE, VMT_MARKER_SWAP, 5));
	record_expect(&device, VMT_REASON_RELEASE, BASE + PAGE, PAGE, true);
	OK(ops->guard_install(env->space, BASE + 2 * PAGE, PAGE));
	record_expect(&device, VMT_REASON_RELEASE, BASE + 2 * PAGE, PAGE, true);
	OK(ops->lazy_free(env->space, BASE + 3 * PAGE, 2 * PAGE));
	record_expect(&device, VMT_REASON_RELEASE, BASE + 3 * PAGE, 2 * PAGE, true);
	// What it reads may go any time, without begin and end; what it writes is not free any more.
	assert_int_equal(device_page_read(&device, BASE + 3 * PAGE), 103);
	device_page_write(&device, BASE + 4 * PAGE, 7);
	record_clear();
	assert_int_equal(ops->reclaim(env->space, 10), 1);
	record_expect(&device, VMT_REASON_RELEASE, BASE + 3 * PAGE, PAGE, false);
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 0);
	assert_int_equal(page_read(env, BASE + 4 * PAGE), 7);
	close_one(env, &device);
}

static void protects(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_space *child;
	struct device device;

	open_one(env, &device);
	OK(ops->protect(env->space, BASE, 2 * PAGE, VMT_READ));
	record_expect(&device, VMT_REASON_PROTECT, BASE, 2 * PAGE, true);
	OK(ops->protect(env->space, BASE + 2 * PAGE, PAGE, 0));
	record_expect(&device, VMT_REASON_PROTECT, BASE + 2 * PAGE, PAGE, true);
	IS(device_fault(&device, BASE, 1, VMT_WRITE, 0), VMT_ERR_ACCESS);
	IS(device_fault(&device, BASE + 2 * PAGE, 1, VMT_READ, 0), VMT_ERR_ACCESS);
	assert_int_equal(device_page_read(&device, BASE), 100);
	record_clear();
	OK(ops->space_fork(env->space, NULL, &child));
	record_expect(&device, VMT_REASON_PROTECT, BASE + 3 * PAGE, 13 * PAGE, true);
	OK(device_fault(&device, BASE + 3 * PAGE, 1, VMT_READ, 0)); // shared with the child: to read
	assert_int_equal(device_has(&device, BASE + 3 * PAGE)->prot & RW, VMT_READ);
	record_clear();
	device_page_write(&device, BASE + 3 * PAGE, 9); // to its own copy
	record_check();
	OK(ops->space_destroy(child));
	assert_int_equal(page_read(env, BASE + 3 * PAGE), 9);
	close_one(env, &device);
}

// A page is exchanged for another, or for the CPU's sake.
static void replaces(struct env *env)
{
	struct vmt_space *child;
	struct device device;

	open_one(env, &device);
	OK(env->ops->space_fork(env->space, NULL, &child));
	assert_int_equal(device_page_read(&device, BASE), 100);
	OK(env->ops->release(env->space, BASE + PAGE, PAGE));
	assert_int_equal(device_page_read(&device, BASE + PAGE), 0); // the zero page
	record_clear();
	page_write(env, BASE, 1);
	record_expect(&device, VMT_REASON_REPLACE, BASE, PAGE, false);
	page_write(env, BASE + PAGE, 2);
	record_expect(&device, VMT_REASON_REPLACE, BASE + PAGE, PAGE, false);
	// The device's own write is a fault as any, of which it is told before it gets the new page.
	assert_int_equal(device_page_read(&device, BASE + 2 * PAGE), 102);
	record_clear();
	OK(device_fault(&device, BASE + 2 * PAGE, 1, VMT_WRITE, 0));
	assert_int_equal(record.event[0].kind, ISSUE);
	assert_int_equal(record.event[0].change.start, BASE + 2 * PAGE);
	assert_int_equal(record.event[0].change.reason, VMT_REASON_REPLACE);
	record_check();
	OK(env->ops->space_destroy(child));
	close_one(env, &device);
}

static void migrates(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	enum vmt_status status;
	struct device device;
	struct vram vram;
	uint64_t pa, pages;

	open_one(env, &device);
	vram_open(env, &vram, 0, 64 * PAGE);
	OK(ops->page_take(env->space, BASE, VMT_MARKER_SWAP, 1, &pa));
	record_expect(&device, VMT_REASON_MIGRATE, BASE, PAGE, true);
	ops->page_put(env->vmt, pa);
	OK(ops->migrate(env->space, BASE + PAGE, 2 * PAGE, vram.memory, &pages));
	assert_int_equal(pages, 2);
	assert_true(record_filled(&device, BASE + PAGE, 2 * PAGE));
	record_expect(&device, VMT_REASON_MIGRATE, BASE + PAGE, 2 * PAGE, true);
	OK(ops->unmap(env->space, BASE, LENGTH));
	lib_map(env, 4 * HUGE, HUGE, RW, 0);
	for (unsigned i = 0; i < 4; i++)
		page_write(env, 4 * HUGE + i * PAGE, i);
	OK(device_fault(&device, 4 * HUGE, 4 * PAGE, VMT_WRITE, 0));
	record_clear();
	if (PAGE < 65536) {
		assert_int_equal(ops->collapse(env->space, 4 * HUGE, HUGE, &status), 1);
		OK(status);
		assert_true(record_tables(&device, 4 * HUGE));
		record_expect(&device, VMT_REASON_MIGRATE, 4 * HUGE, 4 * PAGE, true);
	}
	OK(ops->unmap(env->space, 4 * HUGE, HUGE));
	vram_close(&vram);
	close_one(env, &device);
}

// The end of a space, which no CPU uses.
static void exits(struct env *env)
{
	struct vmt_map_request request = {.addr = BASE, .length = LENGTH, .prot = RW, .flags = VMT_MAP_FIXED};
	struct vmt_space *space;
	struct device device;
	uint64_t got;

	devices_begin();
	space = env_new_space(env);
	OK(env->ops->map(space, &request, &got));
	device_open(env, &device, space, BASE, BASE + LENGTH, NULL);
	device_page_write(&device, BASE, 1);
	device_page_write(&device, BASE + 15 * PAGE, 1);
	record_clear();
	OK(env->ops->space_destroy(space));
	assert_true(record_tables(&device, BASE));
	for (unsigned i = 0; i < record.count; i++) {
		assert_int_equal(record.event[i].change.start, BASE); // as far as it subscribed
		assert_int_equal(record.event[i].change.end, BASE + LENGTH);
	}
	record_expect(&device, VMT_REASON_EXIT, BASE, LENGTH, true);
}

// ---- Tables ------------------------------------------------------------------------------------------------------

// Whenever there are fewer tables, somebody was told so, under the addresses that they were for.
static void tables(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device device;
	uint64_t before;

	open_one(env, &device);
	before = lib_tables(env, env->space);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t at = BASE + i * GIB(8), got;
		struct vmt_map_request request = {.addr = at, .length = LENGTH, .prot = RW, .flags = VMT_MAP_FIXED};
		bool kept;

		if (i)
			OK(ops->map(env->space, &request, &got));
		page_write_range(env, at, LENGTH, 1);
		OK(device_fault(&device, at, LENGTH, VMT_WRITE, 0));
		assert_true(lib_tables(env, env->space) >= before);
		before = lib_tables(env, env->space);
		record_clear();
		OK(ops->unmap(env->space, at, LENGTH));
		kept = lib_tables(env, env->space) == before; // a CPU may keep one
		assert_true(kept || record_tables(&device, at) || record_tables(&device, at + LENGTH - PAGE));
		record_expect(&device, VMT_REASON_UNMAP, at, LENGTH, true);
		ops->reclaim(env->space, 0);
		assert_true(lib_tables(env, env->space) < before);
		assert_true(record_tables(&device, at) || record_tables(&device, at + LENGTH - PAGE) || !kept);
		record_check();
		before = lib_tables(env, env->space);
	}
	assert_true(record.tables > 0);
	close_one(env, &device);
}

// A move takes whole tables' worth away; so does a marker over a large span.
static void tables_of_moves(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	uint64_t at = GIB(8), length = 2 * HUGE, got, before;
	struct device device;

	if (PAGE == 65536)
		return;
	devices_begin();
	device_open(env, &device, env->space, 0, 0, NULL);
	lib_map(env, at, length, RW, 0);
	for (unsigned i = 0; i < 8; i++)
		device_page_write(&device, at + i * (length / 8), i + 1);
	record_clear();
	before = record.tables;
	OK(ops->move(env->space, at, length, length, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, GIB(40), &got));
	for (unsigned i = 0; i < 8; i++)
		assert_null(device_has(&device, at + i * (length / 8)));
	record_check();
	ops->reclaim(env->space, 0); // what CPUs keep
	assert_true(record.tables > before);
	record_check();
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(device_page_read(&device, GIB(40) + i * (length / 8)), i + 1);
	before = record.tables;
	record_clear();
	OK(ops->guard_install(env->space, GIB(40), length));
	record_expect(&device, VMT_REASON_RELEASE, GIB(40), PAGE, true);
	ops->reclaim(env->space, 0);
	assert_true(record.tables > before);
	close_one(env, &device);
}

// ---- Ranges and order --------------------------------------------------------------------------------------------

#define MANY 48

// More ranges than one request holds; every other page, so that they do not join. Of two devices one has subscribed to
// the middle only.
static void ranges(struct env *env)
{
	uint64_t from = BASE + 20 * PAGE, to = BASE + 40 * PAGE;
	struct device all, some;
	unsigned n;

	devices_begin();
	lib_map(env, BASE, 2 * MANY * PAGE, RW, 0);
	device_open(env, &all, env->space, 0, 0, NULL);
	device_open(env, &some, env->space, from, to, NULL);
	for (n = 0; n < MANY; n++) {
		uint64_t at = BASE + 2 * n * PAGE;

		device_page_write(&all, at, n);
		if (at >= from && at < to)
			device_page_write(&some, at, n);
	}
	IS(device_fault(&some, to, 1, VMT_READ, 0), VMT_ERR_OUTSIDE);
	IS(device_fault(&some, from - PAGE, 2 * PAGE, VMT_READ, 0), VMT_ERR_OUTSIDE);
	record_clear();
	OK(env->ops->release(env->space, BASE, 2 * MANY * PAGE));
	for (unsigned i = 0; i < record.count; i++)
		if (record.event[i].device == &some)
			assert_true(record.event[i].change.start >= from && record.event[i].change.end <= to);
	record_expect(&some, VMT_REASON_RELEASE, from, PAGE, true);
	assert_int_equal(all.count, 0);
	assert_int_equal(some.count, 0);
	// A few ranges: each is told by itself, and what lies between is not.
	for (n = 0; n < 5; n++)
		device_page_write(&all, BASE + 3 * n * PAGE, n);
	for (n = 0; n < 5; n++)
		OK(device_fault(&all, BASE + (3 * n + 1) * PAGE, 1, VMT_READ, 0));
	record_clear();
	for (n = 0; n < 5; n++)
		OK(env->ops->protect(env->space, BASE + (3 * n + 2) * PAGE, PAGE, VMT_READ)); // nothing is there
	record_check();
	for (n = 0; n < 5; n++)
		assert_non_null(device_has(&all, BASE + (3 * n + 1) * PAGE));
	device_close(&some);
	close_one(env, &all);
}

// Each begin sees the space as it was, each end as it is; both may use the library.
static unsigned looked;

static void look(struct device *device, enum event_kind kind, const struct vmt_change *change)
{
	struct vmt_area area;
	struct vmt_run run;

	(void)change;
	if (kind != BEGIN && kind != END)
		return;
	OK(device->env->ops->area_find(device->space, BASE, &area));
	OK(device->env->ops->walk(device->space, BASE, BASE + PAGE, &run));
	assert_int_equal(run.state == VMT_STATE_PRESENT, kind == BEGIN);
	OK(device->env->ops->fault(device->space, GIB(20), VMT_WRITE, NULL));
	looked++;
}

static void order(struct env *env)
{
	struct device device, more[3];

	open_one(env, &device);
	lib_map(env, GIB(20), PAGE, RW, 0);
	lib_write(env, GIB(20), 1);
	for (unsigned i = 0; i < 3; i++) {
		device_open(env, &more[i], env->space, 0, 0, NULL);
		assert_int_equal(device_page_read(&more[i], BASE), 100);
	}
	device.told = look;
	looked = 0;
	record_clear();
	OK(env->ops->release(env->space, BASE, 2 * PAGE));
	assert_int_equal(looked, 2);
	// All four: begin, issue, (CPUs), wait, end.
	assert_true(record.count >= 17);
	assert_int_equal(record.event[record.count / 2].kind, FLUSH);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(record.event[i].kind, BEGIN);
		assert_int_equal(record.event[record.count - 1 - i].kind, END);
		if (i < 3)
			assert_null(device_has(&more[i], BASE));
	}
	record_expect(&device, VMT_REASON_RELEASE, BASE, 2 * PAGE, true);
	for (unsigned i = 0; i < 3; i++)
		device_close(&more[i]);
	device.told = NULL;
	close_one(env, &device);
}

// ---- Filled ------------------------------------------------------------------------------------------------------

// What comes to be there is told to all but to who asked for it.
static void fills(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct device one, other;
	struct vmt_object *object;
	uint64_t pa, got;

	devices_begin();
	lib_map(env, BASE, LENGTH, RW, 0);
	device_open(env, &one, env->space, 0, 0, NULL);
	device_open(env, &other, env->space, BASE, BASE + LENGTH, NULL);
	assert_int_equal(lib_read(env, BASE), 0); // the zero page
	assert_true(record_filled(&one, BASE, PAGE) && record_filled(&other, BASE, PAGE));
	assert_false(record_filled(&one, BASE + PAGE, PAGE));
	record_check();
	lib_write(env, BASE, 1);
	assert_true(record_filled(&one, BASE, PAGE));
	record_check();
	lib_write(env, BASE, 2); // allows nothing more
	record_expect_quiet();
	OK(ops->fault(env->space, BASE, VMT_WRITE, NULL));
	assert_false(record_filled(&one, BASE, PAGE));
	device_page_write(&one, BASE + PAGE, 1);
	assert_false(record_filled(&one, BASE + PAGE, PAGE)); // it has it
	assert_true(record_filled(&other, BASE + PAGE, PAGE));
	record_check();
	OK(ops->populate(env->space, BASE + 2 * PAGE, 4 * PAGE, NULL));
	assert_true(record_filled(&one, BASE + 2 * PAGE, 4 * PAGE));
	assert_false(record_filled(&one, BASE, 2 * PAGE));
	record_check();
	OK(ops->page_take(env->space, BASE, VMT_MARKER_SWAP, 3, &pa));
	record_clear();
	OK(ops->marker_resolve(env->space, BASE, VMT_MARKER_SWAP, 3, pa));
	assert_true(record_filled(&one, BASE, PAGE));
	record_check();
	OK(ops->move(env->space, BASE, 6 * PAGE, 6 * PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, GIB(20), &got));
	assert_true(record_filled(&one, GIB(20), 6 * PAGE));
	assert_false(record_filled(&other, GIB(20), PAGE)); // it did not subscribe to that
	record_check();
	OK(ops->page_pin(env->space, BASE + 8 * PAGE, VMT_WRITE, &pa));
	assert_true(record_filled(&one, BASE + 8 * PAGE, PAGE));
	ops->page_unpin(env->vmt, pa);
	record_check();
	OK(ops->object_create(env->vmt, 4 * PAGE, NULL, NULL, &object));
	lib_map_object(env, object, GIB(24), 4 * PAGE, 0, RW, VMT_MAP_SHARED);
	record_check();
	lib_write(env, GIB(24) + PAGE, 1);
	assert_true(record_filled(&one, GIB(24) + PAGE, PAGE));
	record_check();
	ops->object_put(object);
	device_close(&other);
	close_one(env, &one);
}

// Entries that come to allow more are told, whatever brought it about.
static void fills_again(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_space *child;
	struct device device;
	uint64_t got;

	open_one(env, &device);
	OK(ops->space_fork(env->space, NULL, &child));
	OK(ops->space_destroy(child));
	record_clear();
	lib_write(env, BASE, 1); // alone again: to write in place
	assert_true(record_filled(&device, BASE, PAGE));
	record_check();
	OK(device_fault(&device, BASE + PAGE, 1, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	record_clear();
	assert_int_equal(page_read(env, BASE + PAGE), 101);
	assert_true(record_filled(&device, BASE + PAGE, PAGE));
	record_expect(&device, VMT_REASON_REPLACE, BASE + PAGE, PAGE, false);
	OK(ops->protect(env->space, BASE + 2 * PAGE, PAGE, 0));
	record_clear();
	OK(ops->protect(env->space, BASE + 2 * PAGE, PAGE, RW)); // it is there again, as `end` says
	assert_true(record_ended(&device, BASE + 2 * PAGE, PAGE));
	record_check();
	OK(ops->guard_install(env->space, BASE + 3 * PAGE, PAGE));
	OK(ops->guard_remove(env->space, BASE + 3 * PAGE, PAGE));
	record_clear();
	assert_int_equal(lib_read(env, BASE + 3 * PAGE), 0);
	assert_true(record_filled(&device, BASE + 3 * PAGE, PAGE));
	record_check();
	// What a move took away and put elsewhere.
	OK(ops->move(env->space, BASE + 4 * PAGE, PAGE, 3 * PAGE, VMT_MOVE_MAY_MOVE, 0, &got));
	assert_true(record_filled(&device, got, PAGE));
	record_check();
	close_one(env, &device);
}

static const struct lib_case cases[] = {
	{.name = "unmaps", .run = unmaps},
	{.name = "releases", .run = releases},
	{.name = "protects", .run = protects},
	{.name = "replaces", .run = replaces},
	{.name = "migrates", .run = migrates, .frames = 32 * 2048},
	{.name = "exits", .run = exits},
	{.name = "tables", .run = tables},
	{.name = "tables of moves", .run = tables_of_moves},
	{.name = "ranges", .run = ranges},
	{.name = "order", .run = order},
	{.name = "fills", .run = fills},
	{.name = "fills again", .run = fills_again},
};

int main(int argc, char **argv)
{
	return lib_main("secondary, more", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
