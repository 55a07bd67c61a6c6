// SPDX-License-Identifier: MIT
// Resizing and moving, and stacks that grow.
#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define BASE (GIB(1) - 4 * PAGE)

static void fill(struct env *env, uint64_t base, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		lib_write(env, base + i * PAGE, 100 + i);
}

static void expect(struct env *env, uint64_t base, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(lib_read(env, base + i * PAGE), 100 + i);
}

static uint64_t move(struct env *env, uint64_t addr, uint64_t old, uint64_t new, uint32_t flags, uint64_t to)
{
	uint64_t got = 0;

	OK(env->ops->move(env->space, addr, old, new, flags, to, &got));
	CHECK(env, env->space);
	return got;
}

static void in_place(struct env *env)
{
	uint64_t got = 77, value;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	fill(env, BASE, 8);
	assert_int_equal(move(env, BASE, 8 * PAGE, 8 * PAGE, 0, 0), BASE);
	assert_int_equal(move(env, BASE, 8 * PAGE, 5 * PAGE, 0, 0), BASE);
	expect(env, BASE, 5);
	IS(sim_read(env->cpu, BASE + 5 * PAGE, 8, &value), VMT_ERR_UNMAPPED);
	assert_int_equal(move(env, BASE, 5 * PAGE, MIB(4), 0, 0), BASE);
	expect(env, BASE, 5);
	assert_int_equal(lib_read(env, BASE + 5 * PAGE), 0);
	assert_int_equal(lib_read(env, BASE + MIB(4) - PAGE), 0);
	lib_map(env, BASE + MIB(5), PAGE, RW, 0);
	IS(env->ops->move(env->space, BASE, MIB(4), MIB(5) + PAGE, 0, 0, &got), VMT_ERR_EXISTS);
	assert_int_equal(got, 77);
	// From the middle of an area it cannot grow where it is.
	IS(env->ops->move(env->space, BASE + PAGE, PAGE, 2 * PAGE, 0, 0, &got), VMT_ERR_EXISTS);
	expect(env, BASE, 5);
	IS(env->ops->move(env->space, env->end - 2 * PAGE, PAGE, PAGE, 0, 0, &got), VMT_ERR_UNMAPPED);
	lib_map(env, env->end - PAGE, PAGE, RW, 0);
	IS(env->ops->move(env->space, env->end - PAGE, PAGE, 2 * PAGE, 0, 0, &got), VMT_ERR_EXISTS);
	lib_expect_bare(env, env->space);
}

static void elsewhere(struct env *env)
{
	uint64_t got, value;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	lib_map(env, BASE + 8 * PAGE, PAGE, VMT_READ, 0);
	fill(env, BASE, 6);
	lib_read(env, BASE + 6 * PAGE); // a zero page
	OK(env->ops->guard_install(env->space, BASE + 7 * PAGE, PAGE));
	got = move(env, BASE, 8 * PAGE, 20 * PAGE, VMT_MOVE_MAY_MOVE, 0);
	assert_int_not_equal(got, BASE);
	expect(env, got, 6);
	assert_int_equal(lib_read(env, got + 6 * PAGE), 0);
	IS(sim_read(env->cpu, got + 7 * PAGE, 8, &value), VMT_ERR_GUARD);
	assert_int_equal(lib_read(env, got + 8 * PAGE), 0);
	IS(sim_read(env->cpu, BASE, 8, &value), VMT_ERR_UNMAPPED);
	IS(sim_read(env->cpu, BASE + 7 * PAGE, 8, &value), VMT_ERR_UNMAPPED);
	assert_int_equal(lib_read(env, BASE + 8 * PAGE), 0);
	assert_int_equal(lib_resident(env, env->space), 6);
	lib_expect_bare(env, env->space);
}

// The same pages at another place of their table, of two tables, of two levels' tables, up and down.
static void fixed(struct env *env)
{
	static const uint64_t offsets[] = {0, PAGE, MIB(2) - PAGE, MIB(1) + 5 * PAGE, GIB(1) - MIB(1)};
	uint64_t value, length = MIB(2) + 6 * PAGE;

	for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		for (unsigned down = 0; down < 2; down++) {
			uint64_t from = down ? GIB(6) : GIB(3) - 4 * PAGE, to = (down ? GIB(3) : GIB(6)) + offsets[i];

			lib_map(env, from, length, RW, 0);
			lib_map(env, to - PAGE, 4 * PAGE, RW, 0); // in the way
			lib_write(env, to - PAGE, 1);
			lib_write(env, to, 2);
			fill(env, from, 6);
			lib_write(env, from + MIB(2), 9);
			OK(env->ops->protect(env->space, from + 2 * PAGE, 0 + PAGE, RW));
			OK(env->ops->guard_install(env->space, from + MIB(1), MIB(1) - 4 * PAGE));
			assert_int_equal(move(env, from, length, length, 3, to), to);
			expect(env, to, 6);
			assert_int_equal(lib_read(env, to + MIB(2)), 9);
			assert_int_equal(lib_read(env, to - PAGE), 1);
			IS(sim_read(env->cpu, to + MIB(1), 8, &value), VMT_ERR_GUARD);
			IS(sim_read(env->cpu, to + MIB(2) - 5 * PAGE, 8, &value), VMT_ERR_GUARD);
			assert_int_equal(lib_read(env, to + MIB(1) - PAGE), 0);
			IS(sim_read(env->cpu, from, 8, &value), VMT_ERR_UNMAPPED);
			// Shrinking on the way.
			assert_int_equal(move(env, to, length, 3 * PAGE, 3, GIB(9)), GIB(9));
			expect(env, GIB(9), 3);
			IS(sim_read(env->cpu, to + 4 * PAGE, 8, &value), VMT_ERR_UNMAPPED);
			lib_expect_bare(env, env->space);
		}
	}
}

static void parked(struct env *env)
{
	uint64_t got, value;
	struct vmt_run run;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	fill(env, BASE, 8);
	OK(env->ops->protect(env->space, BASE, 8 * PAGE, 0));
	got = move(env, BASE, 8 * PAGE, 8 * PAGE, 3, GIB(4) + PAGE);
	OK(env->ops->walk(env->space, got, got + PAGE, &run));
	assert_int_equal(run.state, VMT_STATE_PARKED);
	IS(sim_read(env->cpu, got, 8, &value), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, got, 8 * PAGE, VMT_READ));
	expect(env, got, 8);
	lib_expect_bare(env, env->space);
}

static void objects(struct env *env)
{
	struct vmt_object *object;
	struct vmt_space *child;
	struct vmt_area area;
	uint64_t got, second;

	OK(env->ops->object_create(env->vmt, MIB(1), NULL, NULL, &object));
	lib_map_object(env, object, BASE, 8 * PAGE, 4 * PAGE, RW, VMT_MAP_SHARED);
	env->ops->object_put(object);
	fill(env, BASE, 8);
	OK(env->ops->space_fork(env->space, NULL, &child));
	got = move(env, BASE, 8 * PAGE, 16 * PAGE, 3, GIB(3) + PAGE);
	expect(env, got, 8);
	assert_int_equal(lib_read(env, got + 8 * PAGE), 0);
	OK(env->ops->area_find(env->space, got, &area));
	assert_ptr_equal(area.object, object);
	assert_int_equal(area.offset, 4 * PAGE);
	// A second mapping of the same pages, beginning in the middle.
	second = move(env, got + 2 * PAGE, 0, 4 * PAGE, VMT_MOVE_MAY_MOVE, 0);
	assert_int_equal(lib_read(env, second), 102);
	lib_write(env, second, 7);
	assert_int_equal(lib_read(env, got + 2 * PAGE), 7);
	sim_activate(env->cpu, child);
	assert_int_equal(lib_read(env, BASE + 2 * PAGE), 7);
	sim_activate(env->cpu, env->space);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

// Many tables: windows on both sides.
static void large(struct env *env)
{
	uint64_t length = MIB(2) * 150, from = GIB(2), to = GIB(4) + 3 * PAGE;

	lib_map(env, from, length, RW, 0);
	for (unsigned i = 0; i < 150; i++)
		lib_write(env, from + i * (MIB(2) + PAGE), i);
	assert_int_equal(move(env, from, length, length + PAGE, 3, to), to);
	for (unsigned i = 0; i < 149; i++)
		assert_int_equal(lib_read(env, to + i * (MIB(2) + PAGE)), i);
	lib_expect_bare(env, env->space);
}

static void forked(struct env *env)
{
	struct vmt_space *child;
	uint64_t got;

	lib_map(env, BASE, 8 * PAGE, RW, 0);
	fill(env, BASE, 8);
	OK(env->ops->space_fork(env->space, NULL, &child));
	got = move(env, BASE, 8 * PAGE, 8 * PAGE, 3, GIB(2));
	lib_write(env, got, 1);
	lib_write(env, got, 100);
	expect(env, got, 8);
	sim_activate(env->cpu, child);
	expect(env, BASE, 8);
	sim_activate(env->cpu, env->space);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

// ---- Whole tables -------------------------------------------------------------------------------------------------

// Two spans in which there is something of everything, and no page of which the table is empty.
static void furnish(struct env *env, uint64_t base)
{
	lib_map(env, base, 2 * span(1), RW, 0);
	for (unsigned i = 0; i < 2; i++, base += span(1)) {
		fill(env, base, 8);
		OK(env->ops->guard_install(env->space, base + 9 * PAGE, PAGE));
		OK(env->ops->mark(env->space, base + 11 * PAGE, PAGE, VMT_MARKER_SWAP, 9));
		lib_write(env, base + span(1) - PAGE, i);
	}
}

static void expect_furnished(struct env *env, uint64_t base)
{
	uint64_t value;
	struct vmt_run run;

	for (unsigned i = 0; i < 2; i++, base += span(1)) {
		expect(env, base, 8);
		IS(sim_read(env->cpu, base + 9 * PAGE, 8, &value), VMT_ERR_GUARD);
		OK(env->ops->walk(env->space, base + 11 * PAGE, base + 12 * PAGE, &run));
		assert_int_equal(run.marker, VMT_MARKER_SWAP);
		assert_int_equal(run.payload, 9);
		assert_int_equal(lib_read(env, base + span(1) - PAGE), i);
	}
}

// Tables are linked elsewhere as they are: their number is the same at each step, and the second way needs no memory.
static void whole_tables(struct env *env)
{
	uint64_t from = GIB(3), to = GIB(6), value, tables;

	lib_map(env, to - PAGE, PAGE, RW, 0); // the way there, but for the last two tables
	lib_map(env, to + 2 * span(1), PAGE, RW, 0);
	furnish(env, from);
	assert_int_equal(move(env, from, 2 * span(1), 2 * span(1), 3, to), to);
	expect_furnished(env, to);
	IS(sim_read(env->cpu, from, 8, &value), VMT_ERR_UNMAPPED);
	lib_map(env, from - PAGE, PAGE, RW, 0);
	lib_map(env, from + 2 * span(1), PAGE, RW, 0);
	tables = lib_tables(env, env->space);
	sim_fail_nth(env->machine, SIM_FAIL_FRAME, 1, UINT64_MAX);
	assert_int_equal(move(env, to, 2 * span(1), 2 * span(1), 3, from), from);
	assert_int_equal(move(env, from, 2 * span(1), 2 * span(1), 3, to), to);
	assert_int_equal(move(env, to, 2 * span(1), 2 * span(1), 3, from), from);
	sim_fail_nth(env->machine, 0, 0, 0);
	assert_int_equal(lib_tables(env, env->space), tables);
	expect_furnished(env, from);
	// A part of the second one; and to where a table is that was emptied and kept.
	assert_int_equal(move(env, from, span(1) + 8 * PAGE, span(1) + 8 * PAGE, 3, to), to);
	expect(env, to, 8);
	expect(env, to + span(1), 8);
	assert_int_equal(lib_read(env, from + 2 * span(1) - PAGE), 1);
	lib_map(env, from, PAGE, RW, 0);
	lib_write(env, from, 1);
	OK(env->ops->unmap(env->space, from, PAGE));
	assert_int_equal(move(env, to, span(1), span(1), 3, from), from);
	expect(env, from, 8);
	expect(env, to + span(1), 8);
	lib_expect_bare(env, env->space);
}

// Two tables are linked elsewhere, and for the third a table of level 1 has to be made there (where a slot of level 2
// is claimed as a whole); memory runs out at each of the allocations in turn. The first two come back.
static void tables_come_back(struct env *env)
{
	uint64_t from = GIB(3) - 2 * span(1), to = GIB(6) - 2 * span(1), got;
	uint64_t more = PAGE == 4096 ? span(2) : 2 * span(1), length = 2 * span(1) + more; // others' spans are too long
	enum vmt_status status = VMT_ERR_NO_MEMORY;

	furnish(env, from);
	lib_map(env, from + 2 * span(1), more, RW, 0);
	lib_write(env, from + 2 * span(1), 3);
	lib_map(env, to - PAGE, PAGE, RW, 0);
	for (unsigned n = 1; status == VMT_ERR_NO_MEMORY; n++) {
		sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, UINT64_MAX - n);
		status = env->ops->move(env->space, from, length, length, 3, to, &got);
		sim_fail_nth(env->machine, 0, 0, 0);
		CHECK(env, env->space);
		if (status == VMT_ERR_NO_MEMORY) {
			expect_furnished(env, from);
			assert_int_equal(lib_read(env, from + 2 * span(1)), 3);
			assert_true(n < 100);
		}
	}
	OK(status);
	expect_furnished(env, to);
	assert_int_equal(lib_read(env, to + 2 * span(1)), 3);
	lib_expect_bare(env, env->space);
}

// ---- Stacks ------------------------------------------------------------------------------------------------------

static void grow_down(struct env *env)
{
	uint64_t top = GIB(2), gap = MIB(1);
	struct vmt_area area;

	lib_map(env, top - 2 * PAGE, 2 * PAGE, RW, VMT_MAP_GROWS_DOWN);
	lib_write(env, top - 8, 1);
	IS(sim_write(env->cpu, top - 3 * PAGE, 8, 1), VMT_ERR_UNMAPPED);
	OK(env->ops->grow_down(env->space, top - 5 * PAGE + 123, MIB(8), gap));
	OK(env->ops->area_find(env->space, top - PAGE, &area));
	assert_int_equal(area.start, top - 5 * PAGE);
	assert_int_equal(area.end, top);
	assert_int_equal(area.flags, VMT_MAP_GROWS_DOWN);
	lib_write(env, top - 5 * PAGE, 2);
	OK(env->ops->grow_down(env->space, top - 5 * PAGE, MIB(8), gap)); // there already
	IS(env->ops->grow_down(env->space, top - MIB(8) - 1, MIB(8), gap), VMT_ERR_UNMAPPED);
	OK(env->ops->grow_down(env->space, top - MIB(8), MIB(8), gap));
	IS(env->ops->grow_down(env->space, top, MIB(8), gap), VMT_ERR_UNMAPPED);
	CHECK(env, env->space);
	// Not into the gap above another area, unless that has no permission at all.
	OK(env->ops->unmap(env->space, top - MIB(8), MIB(8) - PAGE));
	lib_map(env, top - MIB(3), MIB(1), VMT_READ, 0);
	IS(env->ops->grow_down(env->space, top - MIB(1) - 1, MIB(8), gap), VMT_ERR_UNMAPPED);
	OK(env->ops->grow_down(env->space, top - MIB(1), MIB(8), gap));
	OK(env->ops->protect(env->space, top - MIB(3), MIB(1), 0));
	OK(env->ops->grow_down(env->space, top - MIB(2), MIB(8), gap));
	IS(env->ops->grow_down(env->space, top - MIB(3) - PAGE, MIB(8), 0), VMT_ERR_UNMAPPED);
	CHECK(env, env->space);
	// An area that does not grow.
	lib_map(env, GIB(3), PAGE, RW, 0);
	IS(env->ops->grow_down(env->space, GIB(3) - 1, MIB(8), 0), VMT_ERR_UNMAPPED);
	// At the lower end of the space.
	lib_map(env, SPACE_START + PAGE, PAGE, RW, VMT_MAP_GROWS_DOWN);
	OK(env->ops->grow_down(env->space, SPACE_START, MIB(8), gap));
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "in place", .run = in_place},
		{.name = "elsewhere", .run = elsewhere},
		{.name = "fixed", .run = fixed, .hard = 1},
		{.name = "parked pages", .run = parked},
		{.name = "objects", .run = objects},
		{.name = "large", .run = large},
		{.name = "after a fork", .run = forked, .hard = 1},
		{.name = "whole tables", .run = whole_tables},
		{.name = "tables that come back", .run = tables_come_back},
		{.name = "growing down", .run = grow_down},
	};

	return lib_main("move", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
