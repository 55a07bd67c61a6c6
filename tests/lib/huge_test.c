// SPDX-License-Identifier: MIT
// Huge pages: where faults make them, what cuts them, what becomes of them in forks and moves. Bytes are compared after
// every step, and no frame is left in the end.
#include "huge.h"

// ---- Faults ------------------------------------------------------------------------------------------------------

static void made(struct env *env)
{
	struct vmt_translation translation;
	struct vmt_space_stats stats;
	uint64_t before = huge_frames(env), pa;

	if (!HUGE_FITS)
		return;
	lib_map(env, BASE + PAGE, 5 * HUGE, RW, VMT_MAP_HUGE);
	lib_write(env, BASE + 2 * HUGE + 7 * PAGE + 16, 1);
	CHECK(env, env->space);
	OK(env->ops->translate(env->space, BASE + 2 * HUGE + 9 * PAGE + 3, &translation));
	assert_int_equal(translation.size, HUGE);
	assert_int_equal(translation.prot & RW, RW);
	assert_int_equal(translation.pa, huge_frame(env, env->space, BASE + 2 * HUGE) + 9 * PAGE + 3);
	assert_int_equal(translation.pa & (HUGE - 1), 9 * PAGE + 3);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.faults_write_zero, 1);
	assert_int_equal(stats.resident_pages, SLOTS);
	assert_int_equal(stats.resident_anon, SLOTS);
	for (uint64_t at = BASE + 2 * HUGE; at < BASE + 3 * HUGE; at += PAGE)
		assert_int_equal(lib_read(env, at), 0);
	assert_int_equal(lib_read(env, BASE + 2 * HUGE + 7 * PAGE + 16), 1);
	// At the edges of the mapping, where none fits, and after a read there are small ones.
	lib_write(env, BASE + HUGE - PAGE, 1);
	lib_write(env, BASE + 5 * HUGE, 1);
	huge_expect_small(env, env->space, BASE + HUGE - PAGE);
	huge_expect_small(env, env->space, BASE + 5 * HUGE);
	assert_int_equal(lib_read(env, BASE + 3 * HUGE), 0);
	lib_write(env, BASE + 3 * HUGE, 1);
	huge_expect_small(env, env->space, BASE + 3 * HUGE);
	// Who takes a reference gets the page of his address.
	OK(env->ops->page_get(env->space, BASE + 4 * HUGE + 5 * PAGE, VMT_WRITE, &pa));
	assert_int_equal(pa, huge_frame(env, env->space, BASE + 4 * HUGE) + 5 * PAGE);
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->page_try_get(env->space, BASE + 4 * HUGE + 6 * PAGE + 1, VMT_WRITE, &pa));
	assert_int_equal(pa, huge_frame(env, env->space, BASE + 4 * HUGE) + 6 * PAGE);
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->page_pin(env->space, BASE + HUGE, VMT_READ, &pa));
	assert_int_equal(pa, huge_frame(env, env->space, BASE + HUGE));
	env->ops->page_unpin(env->vmt, pa);
	CHECK(env, env->space);
	lib_expect_bare(env, env->space);
	assert_int_equal(huge_frames(env), before);
}

static void advised(struct env *env)
{
	struct vmt_map_request request = {.addr = BASE, .length = HUGE, .prot = RW};
	struct vmt_object *object;
	struct vmt_area area;
	uint64_t got;

	if (!HUGE_FITS)
		return;
	lib_map(env, BASE, 4 * HUGE, RW, 0);
	lib_write(env, BASE, 1);
	huge_expect_small(env, env->space, BASE);
	OK(env->ops->advise_huge(env->space, BASE + HUGE, 2 * HUGE, true));
	OK(env->ops->area_find(env->space, BASE + HUGE, &area));
	assert_int_equal(area.start, BASE + HUGE);
	assert_int_equal(area.end, BASE + 3 * HUGE);
	assert_int_equal(area.flags, VMT_MAP_HUGE);
	lib_write(env, BASE + HUGE, 1);
	huge_frame(env, env->space, BASE + HUGE);
	OK(env->ops->advise_huge(env->space, BASE, 4 * HUGE, false));
	huge_frame(env, env->space, BASE + HUGE); // what is there stays
	lib_write(env, BASE + 2 * HUGE, 1);
	huge_expect_small(env, env->space, BASE + 2 * HUGE);
	OK(env->ops->area_find(env->space, BASE, &area));
	assert_int_equal(area.end, BASE + 4 * HUGE);
	// A part of what one would cover is something else.
	OK(env->ops->unmap(env->space, BASE, 4 * HUGE));
	lib_map(env, BASE, 4 * HUGE - PAGE, RW, VMT_MAP_HUGE);
	OK(env->ops->protect(env->space, BASE + HUGE, PAGE, VMT_READ));
	OK(env->ops->advise_huge(env->space, BASE + HUGE - PAGE, PAGE, false));
	for (unsigned i = 0; i < 4; i++) {
		lib_write(env, BASE + i * HUGE + 5 * PAGE, 1);
		assert_int_equal(huge_entry(env, env->space, BASE + i * HUGE + 5 * PAGE).size, i == 2 ? HUGE : PAGE);
	}
	IS(env->ops->advise_huge(env->space, BASE, 4 * HUGE, true), VMT_ERR_UNMAPPED);
	IS(env->ops->advise_huge(env->space, BASE + 1, HUGE, true), VMT_ERR_UNALIGNED);
	CHECK(env, env->space);
	// Memory of objects knows no huge pages: the advice is for nothing.
	request.flags = VMT_MAP_HUGE | VMT_MAP_SHARED | VMT_MAP_FIXED;
	IS(env->ops->map(env->space, &request, &got), VMT_ERR_ARGUMENT);
	OK(env->ops->object_create(env->vmt, HUGE, NULL, NULL, &object));
	lib_map_object(env, object, BASE, HUGE, 0, RW, 0);
	OK(env->ops->advise_huge(env->space, BASE, HUGE, true));
	lib_write(env, BASE, 1);
	huge_expect_small(env, env->space, BASE);
	OK(env->ops->area_find(env->space, BASE, &area));
	assert_int_equal(area.flags, 0);
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

// Without a block for it there are small pages, and no failure.
static void fallen_back(struct env *env)
{
	uint64_t before = huge_frames(env);
	unsigned small = 0, huge = 0;

	if (!HUGE_FITS)
		return;
	lib_map(env, BASE, 4 * HUGE, RW, VMT_MAP_HUGE);
	for (uint64_t n = 1; n < 12; n++) {
		sim_fail_nth(env->machine, SIM_FAIL_FRAME, n, 1);
		lib_write(env, BASE, n);
		sim_fail_nth(env->machine, 0, 0, 0);
		small += huge_entry(env, env->space, BASE).size == PAGE;
		huge += huge_entry(env, env->space, BASE).size == HUGE;
		assert_int_equal(lib_read(env, BASE), n);
		CHECK(env, env->space);
		OK(env->ops->unmap(env->space, BASE, HUGE));
		lib_map(env, BASE, HUGE, RW, VMT_MAP_HUGE);
		env->ops->reclaim(env->space, 0);
	}
	assert_true(small >= 1 && huge >= 1);
	sim_set_frame_limit(env->machine, (huge_frames(env) + SLOTS / 2) * (PAGE / SIM_FRAME_SIZE));
	lib_write(env, BASE + HUGE, 5);
	huge_expect_small(env, env->space, BASE + HUGE);
	sim_set_frame_limit(env->machine, HUGE_FRAMES * (PAGE / SIM_FRAME_SIZE));
	lib_write(env, BASE + 2 * HUGE, 6);
	huge_frame(env, env->space, BASE + 2 * HUGE);
	lib_expect_bare(env, env->space);
	assert_int_equal(huge_frames(env), before);
}

// ---- A part of one -----------------------------------------------------------------------------------------------

static const struct part {
	const char *name;
	uint64_t first, end; // pages
} parts[] = {
	{"first page", 0, 1}, {"a page", 7, 8}, {"last page", SLOTS - 1, SLOTS}, {"first half", 0, SLOTS / 2},
	{"all but the edges", 1, SLOTS - 1}, {"last of one, first of the next", SLOTS - 2, SLOTS + 3},
	{"all", 0, SLOTS}, {"all and a page", 0, SLOTS + 1},
};
#define PARTS (sizeof(parts) / sizeof(*parts))

enum change { UNMAP, READ_ONLY, PARK, RELEASE, LAZY, GUARD, POISON, REMAP, CHANGES };

static void apply(struct env *env, enum change change, uint64_t addr, uint64_t length)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = RW, .flags = VMT_MAP_FIXED};
	uint64_t got;

	if (change == UNMAP)
		OK(env->ops->unmap(env->space, addr, length));
	else if (change == READ_ONLY || change == PARK)
		OK(env->ops->protect(env->space, addr, length, change == PARK ? 0 : VMT_READ));
	else if (change == RELEASE)
		OK(env->ops->release(env->space, addr, length));
	else if (change == LAZY)
		OK(env->ops->lazy_free(env->space, addr, length));
	else if (change == GUARD)
		OK(env->ops->guard_install(env->space, addr, length));
	else if (change == POISON)
		OK(env->ops->mark(env->space, addr, length, VMT_MARKER_POISON, 0));
	else
		OK(env->ops->map(env->space, &request, &got));
}

// What a program finds in the part then.
static void look(struct env *env, enum change change, uint64_t addr)
{
	static const enum vmt_status read[CHANGES] = {
		VMT_ERR_UNMAPPED, VMT_OK, VMT_ERR_ACCESS, VMT_OK, VMT_OK, VMT_ERR_GUARD, VMT_ERR_POISON, VMT_OK};
	uint64_t value, stamp = huge_stamp(addr);

	IS(sim_read(env->cpu, addr, 8, &value), read[change]);
	if (read[change] == VMT_OK && change == LAZY)
		assert_true(value == stamp || value == 0);
	else if (read[change] == VMT_OK)
		assert_int_equal(value, change == READ_ONLY ? stamp : 0);
	if (change == READ_ONLY)
		IS(sim_write(env->cpu, addr, 8, 1), VMT_ERR_ACCESS);
}

static void in_parts(struct env *env)
{
	for (unsigned change = 0; HUGE_FITS && change < CHANGES; change++) {
		for (unsigned i = 0; i < PARTS; i++) {
			uint64_t start = BASE + HUGE + parts[i].first * PAGE, end = BASE + HUGE + parts[i].end * PAGE;
			uint64_t before = huge_frames(env), frame;

			huge_open(env, 3);
			frame = huge_frame(env, env->space, BASE + HUGE);
			apply(env, change, start, end - start);
			CHECK(env, env->space);
			huge_expect(env, env->space, BASE, start - BASE, BASE);
			huge_expect(env, env->space, end, BASE + 3 * HUGE - end, end);
			huge_frame(env, env->space, BASE);
			for (uint64_t at = start; at < end; at += end - start > 8 * PAGE ? 5 * PAGE : PAGE)
				look(env, change, at);
			if (parts[i].first && change != REMAP)
				assert_int_equal(huge_entry(env, env->space, BASE + HUGE).pa, frame);
			if (parts[i].first)
				lib_write(env, BASE + HUGE, 5);
			lib_write(env, BASE + 3 * HUGE - PAGE, 6);
			CHECK(env, env->space);
			lib_expect_bare(env, env->space);
			assert_int_equal(huge_frames(env), before);
		}
	}
}

// Released whole, its frames go at once, and the next write makes another.
static void whole(struct env *env)
{
	uint64_t frames, pa;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	frames = huge_frames(env);
	OK(env->ops->release(env->space, BASE, HUGE));
	assert_int_equal(huge_frames(env), frames - SLOTS);
	assert_int_equal(lib_resident(env, env->space), SLOTS);
	// A reference keeps its page alone.
	OK(env->ops->page_get(env->space, BASE + HUGE + 3 * PAGE, VMT_READ, &pa));
	OK(env->ops->unmap(env->space, BASE + HUGE, HUGE));
	assert_int_equal(huge_frames(env), frames - 2 * SLOTS + 1);
	assert_int_equal(*huge_word(env, pa), huge_stamp(BASE + HUGE + 3 * PAGE));
	env->ops->page_put(env->vmt, pa);
	lib_write(env, BASE + 3 * PAGE, 1);
	huge_frame(env, env->space, BASE);
	assert_int_equal(lib_read(env, BASE), 0);
	lib_expect_bare(env, env->space);
}

static void parked(struct env *env)
{
	struct vmt_space *child;
	uint64_t frame, value;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	frame = huge_frame(env, env->space, BASE);
	OK(env->ops->protect(env->space, BASE, 2 * HUGE, 0));
	CHECK(env, env->space);
	assert_int_equal(huge_entry(env, env->space, BASE).state, VMT_STATE_PARKED);
	assert_int_equal(huge_frame(env, env->space, BASE), frame);
	IS(sim_read(env->cpu, BASE + PAGE, 8, &value), VMT_ERR_ACCESS);
	assert_int_equal(lib_resident(env, env->space), 2 * SLOTS);
	OK(env->ops->space_fork(env->space, NULL, &child));
	CHECK(env, child);
	assert_int_equal(huge_frame(env, child, BASE), frame);
	// A part of it is woken, in both.
	OK(env->ops->protect(env->space, BASE + 3 * PAGE, PAGE, RW));
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	lib_write(env, BASE + 3 * PAGE, 5);
	huge_expect(env, child, BASE, 2 * HUGE, BASE);
	OK(env->ops->protect(child, BASE, 2 * HUGE, RW));
	CHECK(env, child);
	huge_expect(env, child, BASE, 2 * HUGE, BASE);
	OK(env->ops->space_destroy(child));
	OK(env->ops->protect(env->space, BASE, 2 * HUGE, RW));
	CHECK(env, env->space);
	assert_int_equal(lib_read(env, BASE + 3 * PAGE), 5);
	assert_int_equal(huge_frame(env, env->space, BASE + HUGE) & (HUGE - 1), 0);
	lib_write(env, BASE + HUGE + PAGE, 7); // alone again, so in place and whole
	huge_frame(env, env->space, BASE + HUGE);
	// Released while it is parked, a part and the rest.
	OK(env->ops->protect(env->space, BASE, 2 * HUGE, 0));
	OK(env->ops->release(env->space, BASE + HUGE, PAGE));
	assert_int_equal(lib_resident(env, env->space), 2 * SLOTS - 1);
	OK(env->ops->lazy_free(env->space, BASE, 2 * HUGE));
	CHECK(env, env->space);
	OK(env->ops->release(env->space, BASE, 2 * HUGE));
	assert_int_equal(lib_resident(env, env->space), 0);
	lib_expect_bare(env, env->space);
}

// A device's page is not to be lazily freed, and what is shared keeps its bytes.
static void lazily_freed(struct env *env)
{
	struct vmt_space *child;
	uint64_t pa, value;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	OK(env->ops->page_pin(env->space, BASE + 5 * PAGE, VMT_WRITE, &pa));
	OK(env->ops->lazy_free(env->space, BASE, HUGE));
	env->ops->reclaim(env->space, UINT64_MAX);
	*huge_word(env, pa) = 77;
	assert_int_equal(lib_read(env, BASE + 5 * PAGE), 77);
	assert_int_equal(huge_entry(env, env->space, BASE + 5 * PAGE).pa, pa);
	env->ops->page_unpin(env->vmt, pa);
	CHECK(env, env->space);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->lazy_free(env->space, BASE + HUGE, HUGE));
	env->ops->reclaim(env->space, UINT64_MAX);
	huge_expect(env, child, BASE + HUGE, HUGE, BASE + HUGE);
	value = lib_read(env, BASE + HUGE);
	assert_true(value == 0 || value == huge_stamp(BASE + HUGE));
	lib_write(env, BASE + HUGE, 3);
	CHECK(env, env->space);
	OK(env->ops->space_destroy(child));
	assert_int_equal(lib_read(env, BASE + HUGE), 3);
	lib_expect_bare(env, env->space);
}

// ---- Fork --------------------------------------------------------------------------------------------------------

static void write_in(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t value)
{
	sim_activate(env->cpu, space);
	lib_write(env, addr, value);
	sim_activate(env->cpu, env->space);
}

static void forked(struct env *env)
{
	struct vmt_space_stats stats;
	struct vmt_space *child;
	uint64_t frame, frames, copies;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	frame = huge_frame(env, env->space, BASE);
	frames = huge_frames(env);
	OK(env->ops->space_fork(env->space, NULL, &child));
	CHECK(env, env->space);
	CHECK(env, child);
	assert_int_equal(huge_frame(env, child, BASE), frame);
	assert_int_equal(lib_resident(env, child), 2 * SLOTS);
	assert_true(huge_frames(env) < frames + 8); // tables
	frames = huge_frames(env);
	lib_write(env, BASE + 5 * PAGE, 1); // cuts the parent's and copies that page alone
	CHECK(env, env->space);
	huge_expect(env, child, BASE, 2 * HUGE, BASE);
	assert_int_equal(huge_frame(env, child, BASE), frame);
	assert_int_equal(huge_frames(env), frames + 2); // a table and the copy
	assert_int_equal(huge_entry(env, env->space, BASE + 6 * PAGE).pa, frame + 6 * PAGE);
	assert_int_not_equal(huge_entry(env, env->space, BASE + 5 * PAGE).pa, frame + 5 * PAGE);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.faults_cow_copy, 1);
	write_in(env, child, BASE + HUGE + 9 * PAGE, 2);
	CHECK(env, child);
	huge_expect(env, env->space, BASE + HUGE, HUGE, BASE + HUGE);
	OK(env->ops->space_destroy(child));
	assert_int_equal(lib_read(env, BASE + 5 * PAGE), 1);
	// The parent is alone: it writes in place, and what was not cut stays whole.
	copies = stats.faults_cow_copy;
	lib_write(env, BASE + HUGE + 9 * PAGE, 3);
	huge_frame(env, env->space, BASE + HUGE);
	lib_write(env, BASE + 6 * PAGE, 4);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.faults_cow_copy, copies);
	CHECK(env, env->space);
	lib_expect_bare(env, env->space);
}

// The child outlives the parent's mapping.
static void fork_survives(struct env *env)
{
	struct vmt_space *child, *grandchild;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->unmap(env->space, BASE, 2 * HUGE));
	huge_expect(env, child, BASE, 2 * HUGE, BASE);
	OK(env->ops->space_fork(child, NULL, &grandchild));
	OK(env->ops->release(child, BASE + 3 * PAGE, HUGE));
	CHECK(env, child);
	huge_expect(env, grandchild, BASE, 2 * HUGE, BASE);
	write_in(env, child, BASE + 5 * PAGE, 1);
	huge_expect(env, grandchild, BASE, 2 * HUGE, BASE);
	OK(env->ops->space_destroy(child));
	write_in(env, grandchild, BASE, huge_stamp(BASE));
	CHECK(env, grandchild);
	huge_expect(env, grandchild, BASE, 2 * HUGE, BASE);
	OK(env->ops->space_destroy(grandchild));
	lib_expect_bare(env, env->space);
}

static void fork_pinned(struct env *env)
{
	const uint64_t pages[] = {0, 5, SLOTS - 1};
	struct vmt_space *child;
	uint64_t pa[3];

	for (unsigned park = 0; HUGE_FITS && park < 2; park++) {
		huge_open(env, 2);
		for (unsigned i = 0; i < 3; i++)
			OK(env->ops->page_pin(env->space, BASE + pages[i] * PAGE, VMT_WRITE, &pa[i]));
		if (park)
			OK(env->ops->protect(env->space, BASE, 2 * HUGE, 0));
		OK(env->ops->space_fork(env->space, NULL, &child));
		CHECK(env, env->space);
		CHECK(env, child);
		huge_expect(env, child, BASE, 2 * HUGE, BASE);
		huge_frame(env, child, BASE + HUGE); // the other one is shared whole
		if (park)
			OK(env->ops->protect(env->space, BASE, 2 * HUGE, RW));
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(huge_entry(env, env->space, BASE + pages[i] * PAGE).pa, pa[i]);
			assert_int_not_equal(huge_entry(env, child, BASE + pages[i] * PAGE).pa, pa[i]);
			lib_write(env, BASE + pages[i] * PAGE, 7); // in place
			assert_int_equal(*huge_word(env, pa[i]), 7);
			*huge_word(env, pa[i]) = 8; // the device
			assert_int_equal(lib_read(env, BASE + pages[i] * PAGE), 8);
		}
		assert_int_equal(huge_entry(env, child, BASE + PAGE).pa, huge_entry(env, env->space, BASE + PAGE).pa);
		huge_expect(env, child, BASE, 2 * HUGE, BASE);
		for (unsigned i = 0; i < 3; i++)
			env->ops->page_unpin(env->vmt, pa[i]);
		OK(env->ops->space_destroy(child));
		lib_expect_bare(env, env->space);
	}
}

// ---- Move --------------------------------------------------------------------------------------------------------

static void moved(struct env *env)
{
	const uint64_t to[] = {BASE + 8 * VAST, BASE + 8 * HUGE, BASE + VAST + 5 * PAGE, BASE + VAST - HUGE + PAGE, BASE - 64 * HUGE};
	uint64_t frame, got, value;

	for (unsigned i = 0; HUGE_FITS && i < sizeof(to) / sizeof(*to); i++) {
		bool whole = !(to[i] & (HUGE - 1));

		huge_open(env, 3);
		frame = huge_frame(env, env->space, BASE);
		OK(env->ops->protect(env->space, BASE + 2 * HUGE, HUGE, RW));
		OK(env->ops->move(env->space, BASE, 3 * HUGE, 3 * HUGE + (i & 1) * PAGE, 3, to[i], &got));
		CHECK(env, env->space);
		assert_int_equal(huge_entry(env, env->space, to[i]).pa, frame);
		assert_int_equal(huge_entry(env, env->space, to[i]).size, whole ? HUGE : PAGE);
		huge_expect(env, env->space, to[i], 3 * HUGE, BASE);
		IS(sim_read(env->cpu, BASE + HUGE, 8, &value), VMT_ERR_UNMAPPED);
		lib_write(env, to[i] + HUGE + PAGE, huge_stamp(BASE + HUGE + PAGE));
		// A part of them, and back over what is left.
		OK(env->ops->move(env->space, to[i] + PAGE, HUGE, HUGE, 3, BASE + PAGE, &got));
		CHECK(env, env->space);
		huge_expect(env, env->space, BASE + PAGE, HUGE, BASE + PAGE);
		huge_expect(env, env->space, to[i], PAGE, BASE);
		huge_expect(env, env->space, to[i] + HUGE + PAGE, 2 * HUGE - PAGE, BASE + HUGE + PAGE);
		lib_expect_bare(env, env->space);
	}
}

// Parked ones, and shared ones; and into a place with tables.
static void moved_others(struct env *env)
{
	struct vmt_space *child;
	uint64_t got, to = BASE + 16 * HUGE;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->protect(env->space, BASE, 2 * HUGE, 0));
	lib_map(env, to, 2 * HUGE, RW, 0);
	lib_write(env, to, 1);
	lib_write(env, to + HUGE, 1);
	OK(env->ops->move(env->space, BASE, 2 * HUGE, 2 * HUGE, 3, to, &got));
	CHECK(env, env->space);
	huge_expect(env, env->space, to, 2 * HUGE, BASE);
	assert_int_equal(huge_entry(env, env->space, to).state, VMT_STATE_PARKED);
	OK(env->ops->protect(env->space, to, 2 * HUGE, RW));
	OK(env->ops->move(env->space, to, 2 * HUGE, 2 * HUGE, 3, BASE + PAGE, &got));
	CHECK(env, env->space);
	huge_expect(env, env->space, BASE + PAGE, 2 * HUGE, BASE);
	lib_write(env, BASE + PAGE, 9);
	huge_expect(env, child, BASE, 2 * HUGE, BASE);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "made by faults", .run = made, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "advice", .run = advised, .frames = HUGE_FRAMES},
		{.name = "no memory for one", .run = fallen_back, .frames = HUGE_FRAMES},
		{.name = "in parts", .run = in_parts, .frames = HUGE_FRAMES},
		{.name = "whole", .run = whole, .frames = HUGE_FRAMES},
		{.name = "parked", .run = parked, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "lazily freed", .run = lazily_freed, .frames = HUGE_FRAMES},
		{.name = "fork", .run = forked, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "fork survives the parent", .run = fork_survives, .frames = HUGE_FRAMES},
		{.name = "fork with pinned pages", .run = fork_pinned, .frames = HUGE_FRAMES},
		{.name = "move", .run = moved, .frames = HUGE_FRAMES},
		{.name = "move of parked and shared ones", .run = moved_others, .frames = HUGE_FRAMES},
	};

	return lib_main("huge", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
