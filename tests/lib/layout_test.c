// SPDX-License-Identifier: MIT
// What a space looks like and what it costs: huge mappings, folding, guards, areas, free ranges.
#include "lib.h"

#define RW (VMT_READ | VMT_WRITE)

static uint64_t huge_length(const struct env *env)
{
	return env->format == SIM_RISCV_SV39 ? GIB(64) : GIB(1024);
}

// A slot at the end of a huge mapping, one page in its middle: each edge costs at most one chain of tables.
static void huge(struct env *env)
{
	uint64_t length = huge_length(env), base = length, before, chain = env->levels - 1;
	struct vmt_space_stats stats;
	unsigned level = chain;
	struct vmt_area area;

	lib_map(env, base, length, RW, 0);
	before = lib_tables(env, env->space);
	while (span(level) > length)
		level--;
	assert_true(before <= env->levels - level); // a few slots of the highest level that has none larger
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.mapped_bytes, length);
	assert_int_equal(stats.resident_pages, 0);
	assert_true(stats.array_bytes <= PAGE); // two arrays

	OK(env->ops->protect(env->space, base + PAGE, length / 2, VMT_READ));
	assert_true(lib_tables(env, env->space) <= before + 2 * chain);
	CHECK(env, env->space);
	OK(env->ops->area_find(env->space, base + length / 4, &area));
	assert_int_equal(area.start, base + PAGE);
	assert_int_equal(area.end, base + PAGE + length / 2);
	assert_int_equal(area.prot, VMT_READ);
	OK(env->ops->protect(env->space, base + PAGE, length / 2, RW));
	env->ops->reclaim(env->space, 0);
	assert_int_equal(lib_tables(env, env->space), before);

	OK(env->ops->unmap(env->space, base + 3 * PAGE, length / 4));
	assert_true(lib_tables(env, env->space) <= before + 2 * chain);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.mapped_bytes, length - length / 4);
	CHECK(env, env->space);
	lib_write(env, base + 2 * PAGE, 1);
	IS(sim_write(env->cpu, base + 3 * PAGE, 8, 1), VMT_ERR_UNMAPPED);
	lib_write(env, base + 3 * PAGE + length / 4, 2);
	assert_int_equal(lib_read(env, base + 2 * PAGE), 1);
	lib_expect_bare(env, env->space);
}

#define SCATTERED 48

// Pages that are alone in their tables are met wherever in these they lie, and none beyond the edges of a request.
static void scattered(struct env *env)
{
	uint64_t length = huge_length(env), base = length, part = length / SCATTERED & ~(PAGE - 1), at[SCATTERED];
	uint64_t state = env->seed, before;
	unsigned cut = SCATTERED / 3;

	lib_map(env, base, length, RW, 0);
	before = lib_tables(env, env->space);
	for (unsigned i = 0; i < SCATTERED; i++) {
		at[i] = base + i * part + lib_random(&state) % part / PAGE * PAGE;
		lib_write(env, at[i], i + 1);
	}
	OK(env->ops->protect(env->space, at[cut] + PAGE, base + length - at[cut] - PAGE, VMT_READ));
	CHECK(env, env->space);
	for (unsigned i = 0; i < SCATTERED; i++) {
		IS(sim_write(env->cpu, at[i], 8, i + 1), i > cut ? VMT_ERR_ACCESS : VMT_OK);
		assert_int_equal(lib_read(env, at[i]), i + 1);
	}
	OK(env->ops->protect(env->space, base, length, VMT_READ));
	for (unsigned i = 0; i < SCATTERED; i++)
		IS(sim_write(env->cpu, at[i], 8, 0), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, base, length, RW));
	OK(env->ops->release(env->space, base, at[cut] - base));
	assert_int_equal(lib_resident(env, env->space), SCATTERED - cut);
	CHECK(env, env->space);
	for (unsigned i = 0; i < SCATTERED; i++)
		assert_int_equal(lib_read(env, at[i]), i < cut ? 0 : i + 1);
	OK(env->ops->release(env->space, base, length));
	assert_int_equal(lib_resident(env, env->space), 0);
	env->ops->reclaim(env->space, 0);
	assert_int_equal(lib_tables(env, env->space), before);
	lib_expect_bare(env, env->space);
}

// Requests that are one slot of a table whose slots all had the same attributes, at each level.
static void one_slot(struct env *env)
{
	for (unsigned level = 1; level + 1 < env->levels; level++) {
		uint64_t length = span(level + 1), base = length, slot = span(level);
		struct vmt_area area;

		if (base + length > env->end)
			break;
		lib_map(env, base, length, RW, 0);
		lib_write(env, base, 1); // which brings that table
		OK(env->ops->protect(env->space, base + 3 * slot, slot, VMT_READ));
		OK(env->ops->area_find(env->space, base + 3 * slot, &area));
		assert_true(area.start == base + 3 * slot && area.end == base + 4 * slot && area.prot == VMT_READ);
		OK(env->ops->area_find(env->space, base + 4 * slot, &area));
		assert_true(area.start == base + 4 * slot && area.end == base + length && area.prot == RW);
		CHECK(env, env->space);
		OK(env->ops->protect(env->space, base + 3 * slot, slot, RW));
		OK(env->ops->area_find(env->space, base + 3 * slot, &area));
		assert_true(area.start == base && area.end == base + length && area.prot == RW);
		OK(env->ops->unmap(env->space, base + 5 * slot, slot));
		OK(env->ops->guard_install(env->space, base + 7 * slot, slot));
		IS(sim_write(env->cpu, base + 5 * slot, 8, 1), VMT_ERR_UNMAPPED);
		IS(sim_write(env->cpu, base + 7 * slot, 8, 1), VMT_ERR_GUARD);
		lib_map(env, base + 5 * slot, slot, RW, 0);
		lib_write(env, base + 6 * slot - PAGE, 1);
		CHECK(env, env->space);
		lib_expect_bare(env, env->space);
	}
}

// A page of a huge mapping costs its chain of tables, which goes with it: at most one chain is kept.
static void fold_levels(struct env *env)
{
	for (unsigned level = 1; level < env->levels; level++) {
		uint64_t length = span(level), base = length, before;

		if (base + length > env->end)
			break;
		lib_map(env, base, length, RW, 0);
		before = lib_tables(env, env->space);
		lib_write(env, base + length - PAGE, 7);
		lib_write(env, base, 8);
		assert_true(lib_tables(env, env->space) >= before + level);
		OK(env->ops->release(env->space, base, length));
		assert_true(lib_tables(env, env->space) <= before + env->levels - 1);
		assert_int_equal(lib_resident(env, env->space), 0);
		CHECK(env, env->space);
		env->ops->reclaim(env->space, 0);
		assert_int_equal(lib_tables(env, env->space), before);
		assert_int_equal(lib_read(env, base), 0);
		lib_write(env, base + PAGE, 9);
		OK(env->ops->unmap(env->space, base, length));
		lib_expect_bare(env, env->space);
	}
}

// Touching and giving back, step by step, over a large range: what is left is one kept chain.
static void fold_sweep(struct env *env)
{
	uint64_t base = GIB(64), pages[] = {PAGE, MIB(2), MIB(2) + PAGE};
	struct vmt_space_stats stats;

	lib_map(env, base, GIB(32), RW, 0);
	for (unsigned kind = 0; kind < 3; kind++) {
		for (unsigned i = 0; i < 600; i++) {
			uint64_t at = base + i * pages[kind];

			lib_write(env, at, i + 1);
			lib_write(env, at + pages[kind] - 8, i + 1);
			OK(env->ops->release(env->space, at, pages[kind]));
		}
		env->ops->space_stats(env->space, &stats);
		assert_true(stats.tables <= 1 + env->levels - 1 + 1);
		assert_int_equal(stats.resident_pages, 0);
		CHECK(env, env->space);
	}
	lib_expect_bare(env, env->space);
}

// The loop of an allocator does not free and allocate a table each time round.
static void fold_keeps(struct env *env)
{
	struct vmt_space_stats before, after;

	lib_map(env, GIB(1), GIB(1), RW, 0);
	lib_write(env, GIB(1), 1);
	OK(env->ops->release(env->space, GIB(1), PAGE));
	env->ops->space_stats(env->space, &before);
	for (unsigned i = 0; i < 50; i++) {
		lib_write(env, GIB(1), 1);
		OK(env->ops->release(env->space, GIB(1), PAGE));
	}
	env->ops->space_stats(env->space, &after);
	assert_int_equal(before.tables_allocated, after.tables_allocated);
	lib_expect_bare(env, env->space);
}

static void guard_levels(struct env *env)
{
	for (unsigned level = 0; level < env->levels; level++) {
		uint64_t size = span(level), base = 2 * size < GIB(1) ? GIB(1) : 2 * size, before, value;

		if (base + 4 * size > env->end)
			break;
		lib_map(env, base, 4 * size, RW, 0);
		before = lib_tables(env, env->space);
		lib_write(env, base + size, 5);
		lib_write(env, base + 2 * size - PAGE, 6);
		OK(env->ops->guard_install(env->space, base + size, size));
		// One entry for the span: at most the tables that lead to its level.
		if (lib_tables(env, env->space) > before + (env->levels - 1 - level))
			fail_msg("level %u: %llu tables, %llu before", level,
				 (unsigned long long)lib_tables(env, env->space), (unsigned long long)before);
		assert_int_equal(lib_resident(env, env->space), 0);
		CHECK(env, env->space);
		IS(sim_read(env->cpu, base + size, 8, &value), VMT_ERR_GUARD);
		IS(sim_write(env->cpu, base + 2 * size - 8, 8, 1), VMT_ERR_GUARD);
		lib_write(env, base + 2 * size, 1);
		lib_write(env, base + size - 8, 1);
		OK(env->ops->guard_install(env->space, base + size, size)); // again: nothing happens
		OK(env->ops->release(env->space, base, 4 * size));	     // guards stay
		IS(sim_read(env->cpu, base + size, 8, &value), VMT_ERR_GUARD);
		// A page out of its middle: the rest is guarded.
		OK(env->ops->guard_remove(env->space, base + size + size / 2 / PAGE * PAGE, PAGE));
		CHECK(env, env->space);
		assert_int_equal(lib_read(env, base + size + size / 2 / PAGE * PAGE), 0);
		if (level > 0) {
			IS(sim_read(env->cpu, base + size, 8, &value), VMT_ERR_GUARD);
			IS(sim_read(env->cpu, base + size + size / 2 + PAGE, 8, &value), VMT_ERR_GUARD);
			IS(sim_read(env->cpu, base + size + size / 2 - PAGE, 8, &value), VMT_ERR_GUARD);
			IS(sim_read(env->cpu, base + 2 * size - PAGE, 8, &value), VMT_ERR_GUARD);
		}
		OK(env->ops->guard_remove(env->space, base, 4 * size));
		assert_int_equal(lib_read(env, base + size), 0);
		OK(env->ops->release(env->space, base, 4 * size));
		env->ops->reclaim(env->space, 0);
		assert_int_equal(lib_tables(env, env->space), before);
		OK(env->ops->guard_install(env->space, base + size + PAGE, size)); // unaligned, unmapped as a whole
		lib_expect_bare(env, env->space);
	}
}

// Guards keep through fork, protect, and cuts on either side.
static void guard_stays(struct env *env)
{
	uint64_t base = GIB(1), value;
	struct vmt_space *child;
	struct vmt_run run;

	lib_map(env, base, MIB(16), RW, 0);
	lib_write(env, base, 1);
	OK(env->ops->guard_install(env->space, base + MIB(3), MIB(6)));
	OK(env->ops->protect(env->space, base + MIB(4), MIB(2), VMT_READ));
	IS(sim_read(env->cpu, base + MIB(4), 8, &value), VMT_ERR_GUARD);
	OK(env->ops->space_fork(env->space, NULL, &child));
	CHECK(env, child);
	OK(env->ops->walk(child, base + MIB(3), base + MIB(3) + PAGE, &run));
	assert_int_equal(run.state, VMT_STATE_GUARD);
	sim_activate(env->cpu, child);
	IS(sim_read(env->cpu, base + MIB(8), 8, &value), VMT_ERR_GUARD);
	OK(env->ops->unmap(child, base + MIB(5), MIB(2)));
	IS(sim_read(env->cpu, base + MIB(5), 8, &value), VMT_ERR_UNMAPPED);
	IS(sim_read(env->cpu, base + MIB(5) - 8, 8, &value), VMT_ERR_GUARD);
	IS(sim_read(env->cpu, base + MIB(7), 8, &value), VMT_ERR_GUARD);
	CHECK(env, child);
	sim_activate(env->cpu, env->space);
	OK(env->ops->space_destroy(child));
	IS(sim_read(env->cpu, base + MIB(5), 8, &value), VMT_ERR_GUARD);
	// Mapped anew: the guard is gone.
	{
		struct vmt_map_request request = {.addr = base + MIB(4), .length = PAGE, .prot = RW,
						  .flags = VMT_MAP_FIXED};

		OK(env->ops->map(env->space, &request, &value));
	}
	lib_write(env, base + MIB(4), 3);
	lib_expect_bare(env, env->space);
}

// ---- Areas -------------------------------------------------------------------------------------------------------

static void expect_area(struct env *env, uint64_t at, uint64_t start, uint64_t end, vmt_prot prot)
{
	struct vmt_area area;

	OK(env->ops->area_find(env->space, at, &area));
	assert_int_equal(area.start, start);
	assert_int_equal(area.end, end);
	assert_int_equal(area.prot, prot);
}

static void areas_join(struct env *env)
{
	uint64_t base = GIB(1) - MIB(2) - 3 * PAGE; // across a boundary of level 2
	struct vmt_map_request tagged = {.length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED | VMT_MAP_NO_RESERVE,
					 .tag = 3, .prot_max = RW};
	struct vmt_area area;

	for (unsigned i = 0; i < 6; i++)
		lib_map(env, base + i * MIB(1), MIB(1), RW, 0);
	expect_area(env, 0, base, base + MIB(6), RW);
	lib_write(env, base + MIB(3), 1); // tables in the middle change nothing
	expect_area(env, base + MIB(5), base, base + MIB(6), RW);
	OK(env->ops->protect(env->space, base + MIB(2), MIB(1), 0));
	expect_area(env, base, base, base + MIB(2), RW);
	expect_area(env, base + MIB(2), base + MIB(2), base + MIB(3), 0);
	expect_area(env, base + MIB(3), base + MIB(3), base + MIB(6), RW);
	OK(env->ops->protect(env->space, base + MIB(2), MIB(1), RW));
	expect_area(env, base, base, base + MIB(6), RW);
	tagged.addr = base + MIB(4);
	OK(env->ops->map(env->space, &tagged, &tagged.addr));
	expect_area(env, base, base, base + MIB(4), RW);
	OK(env->ops->area_find(env->space, base + MIB(4), &area));
	assert_int_equal(area.tag, 3);
	assert_int_equal(area.flags, VMT_MAP_NO_RESERVE);
	assert_int_equal(area.prot_max, RW);
	assert_null(area.object);
	expect_area(env, base + MIB(4) + PAGE, base + MIB(4) + PAGE, base + MIB(6), RW);
	IS(env->ops->protect(env->space, base + MIB(4) - PAGE, 2 * PAGE, VMT_EXEC), VMT_ERR_ACCESS);
	expect_area(env, base + MIB(4) - PAGE, base + MIB(4) - PAGE, base + MIB(4), VMT_EXEC);
	// A hole: what lies before it was changed, what lies behind it was not.
	OK(env->ops->unmap(env->space, base + MIB(1), PAGE));
	IS(env->ops->protect(env->space, base, MIB(2), VMT_READ), VMT_ERR_UNMAPPED);
	expect_area(env, base, base, base + MIB(1), VMT_READ);
	expect_area(env, base + MIB(1), base + MIB(1) + PAGE, base + MIB(4) - PAGE, RW);
	lib_expect_bare(env, env->space);
}

// Of an area that is a few upper slots, a part is described as if there were no more; what is in no slot is not there.
static void areas_within(struct env *env)
{
	uint64_t base = 2 * span(1), length = 4 * span(1);
	struct vmt_object *object;
	struct vmt_area area;

	OK(env->ops->object_create(env->vmt, length, NULL, NULL, &object));
	lib_map_object(env, object, base, length, 0, RW, VMT_MAP_SHARED);
	OK(env->ops->area_within(env->space, base + PAGE, base + span(1) + PAGE, &area));
	assert_int_equal(area.start, base + PAGE);
	assert_int_equal(area.end, base + span(1) + PAGE);
	assert_int_equal(area.offset, PAGE);
	assert_ptr_equal(area.object, object);
	OK(env->ops->area_within(env->space, 0, -PAGE, &area));
	assert_int_equal(area.start, base);
	assert_int_equal(area.end, base + length);
	OK(env->ops->area_within(env->space, base - PAGE, base + PAGE, &area));
	assert_int_equal(area.start, base);
	assert_int_equal(area.end, base + PAGE);
	OK(env->ops->protect(env->space, base + PAGE, PAGE, VMT_READ));
	OK(env->ops->area_within(env->space, base, base + length, &area));
	assert_int_equal(area.end, base + PAGE);
	OK(env->ops->area_within(env->space, base + PAGE, base + length, &area));
	assert_int_equal(area.end, base + 2 * PAGE);
	assert_int_equal(area.prot, VMT_READ);
	IS(env->ops->area_within(env->space, base - PAGE, base, &area), VMT_ERR_UNMAPPED);
	IS(env->ops->area_within(env->space, base + length, env->end, &area), VMT_ERR_UNMAPPED);
	IS(env->ops->area_within(env->space, base, base, &area), VMT_ERR_UNMAPPED);
	IS(env->ops->area_within(env->space, env->end, env->end + PAGE, &area), VMT_ERR_UNMAPPED);
	OK(env->ops->unmap(env->space, base, length));
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

static void areas_of_objects(struct env *env)
{
	struct vmt_object *object;
	struct vmt_area area;
	uint64_t base = MIB(64);

	OK(env->ops->object_create(env->vmt, MIB(8), NULL, NULL, &object));
	lib_map_object(env, object, base, MIB(1), 0, VMT_READ, VMT_MAP_SHARED);
	lib_map_object(env, object, base + MIB(1), MIB(1), MIB(1), VMT_READ, VMT_MAP_SHARED); // goes on: joins
	lib_map_object(env, object, base + MIB(2), MIB(1), MIB(1), VMT_READ, VMT_MAP_SHARED); // does not
	OK(env->ops->area_find(env->space, base, &area));
	assert_int_equal(area.end, base + MIB(2));
	assert_ptr_equal(area.object, object);
	assert_int_equal(area.offset, 0);
	assert_int_equal(area.flags, VMT_MAP_SHARED);
	OK(env->ops->area_find(env->space, base + MIB(2) + 5, &area));
	assert_int_equal(area.start, base + MIB(2));
	assert_int_equal(area.offset, MIB(1));
	OK(env->ops->unmap(env->space, base, PAGE));
	OK(env->ops->area_find(env->space, base, &area));
	assert_int_equal(area.offset, PAGE);
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

// ---- Free ranges -------------------------------------------------------------------------------------------------

static void find_in_window(struct env *env)
{
	struct vmt_map_request request = {.length = 4 * PAGE, .prot = RW, .search_start = GIB(2),
					  .search_end = GIB(2) + 64 * PAGE};
	uint64_t at[16], more;

	for (unsigned i = 0; i < 16; i++) {
		OK(env->ops->map(env->space, &request, &at[i]));
		assert_true(at[i] >= request.search_start && at[i] + request.length <= request.search_end);
		for (unsigned k = 0; k < i; k++)
			assert_true(at[k] + request.length <= at[i] || at[i] + request.length <= at[k]);
	}
	IS(env->ops->map(env->space, &request, &more), VMT_ERR_NO_SPACE);
	OK(env->ops->unmap(env->space, at[7], request.length));
	OK(env->ops->map(env->space, &request, &more)); // the one hole is found again
	assert_int_equal(more, at[7]);
	OK(env->ops->unmap(env->space, at[3], 3 * PAGE));
	IS(env->ops->map(env->space, &request, &more), VMT_ERR_NO_SPACE);
	request.length = 3 * PAGE;
	OK(env->ops->map(env->space, &request, &more));
	assert_int_equal(more, at[3]);
	// A hint is taken if it is free and passed over if not.
	request = (struct vmt_map_request){.length = MIB(3), .prot = RW, .addr = GIB(3)};
	OK(env->ops->map(env->space, &request, &more));
	assert_int_equal(more, GIB(3));
	OK(env->ops->map(env->space, &request, &more));
	assert_int_not_equal(more, GIB(3));
	lib_expect_bare(env, env->space);
}

// A gap that spans two tables, each of which has a smaller part of it.
static void find_across_tables(struct env *env)
{
	uint64_t base = GIB(4), got;
	struct vmt_map_request request = {.length = MIB(2), .prot = RW, .search_start = base,
					  .search_end = base + GIB(1)};

	lib_map(env, base, GIB(1), RW, 0);
	OK(env->ops->unmap(env->space, base + MIB(101), MIB(2)));
	for (unsigned i = 0; i < 3; i++) {
		OK(env->ops->map(env->space, &request, &got));
		assert_int_equal(got, base + MIB(101));
		IS(env->ops->map(env->space, &request, &got), VMT_ERR_NO_SPACE);
		OK(env->ops->unmap(env->space, base + MIB(101), MIB(2)));
	}
	lib_expect_bare(env, env->space);
}

// All of the space but its lowest page, to the last byte.
static void find_everything(struct env *env)
{
	struct vmt_map_request request = {.length = env->end - SPACE_START, .prot = RW};
	uint64_t got;

	OK(env->ops->map(env->space, &request, &got));
	assert_int_equal(got, SPACE_START);
	lib_write(env, env->end - 8, 1);
	lib_write(env, SPACE_START, 2);
	IS(env->ops->map(env->space, &(struct vmt_map_request){.length = PAGE}, &got), VMT_ERR_NO_SPACE);
	assert_int_equal(lib_read(env, env->end - 8), 1);
	lib_expect_bare(env, env->space);
}

// Freed ranges are used again: the address space does not creep.
static void find_reuses(struct env *env)
{
	struct vmt_map_request request = {.length = MIB(1), .prot = RW};
	uint64_t low = UINT64_MAX, high = 0, at;

	for (unsigned i = 0; i < 400; i++) {
		request.length = MIB(1) + i % 7 * PAGE;
		OK(env->ops->map(env->space, &request, &at));
		lib_write(env, at, i);
		low = at < low ? at : low;
		high = at + request.length > high ? at + request.length : high;
		OK(env->ops->unmap(env->space, at, request.length));
	}
	assert_true(high - low <= MIB(64));
	lib_expect_bare(env, env->space);
}

// ---- vmt_walk ----------------------------------------------------------------------------------------------------

static void walk_runs(struct env *env)
{
	uint64_t base = GIB(1) - 4 * PAGE, at = base, pages = 0, present = 0, guards = 0, parked = 0;
	struct vmt_translation translation;
	struct vmt_run run;

	lib_map(env, base, MIB(4), RW, 0);
	for (unsigned i = 0; i < 8; i++)
		lib_write(env, base + i * PAGE, i);
	lib_read(env, base + 9 * PAGE);
	OK(env->ops->protect(env->space, base + 2 * PAGE, PAGE, 0));
	OK(env->ops->guard_install(env->space, base + 5 * PAGE, PAGE));
	while (at < base + MIB(4)) {
		OK(env->ops->walk(env->space, at + 5, base + MIB(4), &run));
		assert_int_equal(run.start, at);
		assert_true(run.end > at && run.end <= base + MIB(4));
		assert_true(run.mapped);
		pages += (run.end - run.start) / PAGE;
		guards += run.state == VMT_STATE_GUARD ? (run.end - run.start) / PAGE : 0;
		parked += run.state == VMT_STATE_PARKED ? (run.end - run.start) / PAGE : 0;
		present += run.state == VMT_STATE_PRESENT && !run.zero ? (run.end - run.start) / PAGE : 0;
		if (run.state == VMT_STATE_PRESENT) {
			OK(env->ops->translate(env->space, run.end - 1, &translation));
			assert_int_equal(translation.pa, run.pa + (run.end - run.start) - 1);
			assert_int_equal(translation.zero, run.zero);
			assert_int_equal(translation.prot, run.prot);
			assert_int_equal(run.prot & VMT_WRITE, run.zero ? 0 : VMT_WRITE);
		}
		at = run.end;
	}
	assert_int_equal(pages, 1024);
	assert_int_equal(guards, 1);
	assert_int_equal(parked, 1);
	assert_int_equal(present, 6);
	OK(env->ops->walk(env->space, base + MIB(4), env->end, &run));
	assert_false(run.mapped);
	assert_int_equal(run.state, VMT_STATE_NONE);
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "huge mapping", .run = huge},
		{.name = "scattered pages", .run = scattered},
		{.name = "one slot", .run = one_slot},
		{.name = "fold at each level", .run = fold_levels},
		{.name = "fold while sweeping", .run = fold_sweep},
		{.name = "one chain is kept", .run = fold_keeps},
		{.name = "guards at each level", .run = guard_levels},
		{.name = "guards stay", .run = guard_stays},
		{.name = "areas join", .run = areas_join},
		{.name = "areas of objects", .run = areas_of_objects},
		{.name = "areas within a range", .run = areas_within},
		{.name = "find in a window", .run = find_in_window},
		{.name = "find across tables", .run = find_across_tables},
		{.name = "find everything", .run = find_everything},
		{.name = "find reuses", .run = find_reuses},
		{.name = "walk", .run = walk_runs},
	};

	return lib_main("layout", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
