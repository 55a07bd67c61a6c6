// SPDX-License-Identifier: MIT
// Markers in spaces: what a fault makes of them, what they outlast, and that each page of them is accounted for.
#include "marks.h"

#define BASE (4 * VAST)

static const enum vmt_marker kinds[] = {
	VMT_MARKER_SWAP, VMT_MARKER_MIGRATION, VMT_MARKER_DEVICE, VMT_MARKER_POISON, VMT_MARKER_OWN,
	VMT_MARKER_OWN + 3, VMT_MARKER_OWN_LAST, VMT_MARKER_GUARD, // the guard last: it has no payload
};
#define KINDS	   (sizeof(kinds) / sizeof(*kinds))
#define NOT_GUARDS (KINDS - 1)

static uint64_t payload_of(unsigned k)
{
	if (kinds[k] == VMT_MARKER_GUARD)
		return 0;
	return k ? UINT64_C(0x123456000) + k : VMT_MARKER_PAYLOAD;
}

// One page, one entry of each higher level, and ranges that are neither.
static const struct shape {
	uint64_t offset, length;
} shapes[] = {{PAGE, PAGE}, {0, HUGE}, {0, VAST}, {HUGE - 3 * PAGE, VAST - 5 * PAGE}};
#define SHAPES (sizeof(shapes) / sizeof(*shapes))

static uint64_t size_at(struct env *env, uint64_t addr)
{
	struct vmt_run run;

	OK(env->ops->walk(env->space, addr, addr + PAGE, &run));
	return run.size;
}

static uint64_t frame_of(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_run run;

	OK(env->ops->walk(space, addr, addr + PAGE, &run));
	assert_true(run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED);
	return run.pa;
}

static uint64_t read_in(struct env *env, struct vmt_space *space, uint64_t addr)
{
	struct vmt_space *before = sim_active(env->cpu);
	uint64_t value;

	sim_activate(env->cpu, space);
	value = lib_read(env, addr);
	sim_activate(env->cpu, before);
	return value;
}

// ---- Faults ------------------------------------------------------------------------------------------------------

static void expect_call(uint64_t addr, vmt_prot access, unsigned k)
{
	assert_int_equal(marks.calls, 1);
	assert_int_equal(marks.last.addr, addr & ~VMT_PAGE_MASK);
	assert_int_equal(marks.last.access, access);
	assert_int_equal(marks.last.kind, kinds[k]);
	assert_int_equal(marks.last.payload, payload_of(k));
	marks.calls = 0;
}

// All ways to a page reach the handler.
static void refused(struct env *env, uint64_t addr, unsigned k)
{
	struct vmt_translation translation;
	uint64_t value, pa, done;

	marks.handler = MARKS_REFUSE;
	IS(sim_read(env->cpu, addr, 8, &value), VMT_ERR_BUS);
	expect_call(addr, VMT_READ, k);
	IS(sim_write(env->cpu, addr, 8, 1), VMT_ERR_BUS);
	expect_call(addr, VMT_WRITE, k);
	IS(env->ops->fault(env->space, addr, VMT_EXEC, NULL), VMT_ERR_BUS);
	expect_call(addr, VMT_EXEC, k);
	IS(env->ops->page_get(env->space, addr, VMT_WRITE, &pa), VMT_ERR_BUS);
	expect_call(addr, VMT_WRITE, k);
	IS(env->ops->page_pin(env->space, addr, VMT_READ, &pa), VMT_ERR_BUS);
	expect_call(addr, VMT_READ, k);
	IS(env->ops->populate(env->space, addr & ~VMT_PAGE_MASK, PAGE, &done), VMT_ERR_BUS);
	expect_call(addr, VMT_READ, k);
	assert_int_equal(done, 0);
	IS(env->ops->page_try_get(env->space, addr, VMT_READ, &pa), VMT_ERR_NOT_PRESENT);
	IS(env->ops->translate(env->space, addr, &translation), VMT_ERR_NOT_PRESENT);
	assert_int_equal(marks.calls, 0);
	// A permission that is missing comes first.
	OK(env->ops->protect(env->space, addr & ~VMT_PAGE_MASK, PAGE, VMT_READ));
	IS(sim_write(env->cpu, addr, 8, 1), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, addr & ~VMT_PAGE_MASK, PAGE, VMT_RWX));
	assert_int_equal(marks.calls, 0);
}

static void resolved(struct env *env, uint64_t addr, uint64_t next, unsigned k)
{
	uint64_t page = addr & ~VMT_PAGE_MASK;

	marks.handler = MARKS_RESOLVE;
	marks.wait = 3;
	if (kinds[k] == VMT_MARKER_GUARD) { // nothing resolves a guard
		marks.handler = MARKS_REMOVE;
		return;
	}
	assert_int_equal(lib_read(env, page), payload_of(k));
	assert_int_equal(marks.calls, 4);
	lib_write(env, page + 8, 77); // its own now, and writable
	assert_int_equal(marks.calls, 4);
	assert_int_equal(lib_read(env, page + 8), 77);
	assert_int_equal(lib_read(env, page), payload_of(k));
	assert_int_equal(lib_resident(env, env->space), 1);
	marks_check(env);
	if (next) { // the neighbours are as they were
		marks.calls = marks.wait = 0;
		lib_write(env, next, 5);
		assert_int_equal(marks.calls, 1);
		assert_int_equal(marks.last.access, VMT_WRITE);
		assert_int_equal(lib_read(env, next), 5);
	}
	OK(env->ops->release(env->space, page, PAGE));
}

static void faults(struct env *env)
{
	for (unsigned k = 0; k < KINDS; k++) {
		for (unsigned s = 0; s < SHAPES; s++) {
			uint64_t start = BASE + shapes[s].offset, length = shapes[s].length;
			uint64_t addr = start + length / 2 + 24, next = length > PAGE ? start + length - PAGE : 0;

			marks_open(env, NULL);
			lib_map(env, BASE, 2 * VAST, VMT_RWX, 0);
			marks_set(env, start, length, kinds[k], payload_of(k));
			marks_check(env);
			assert_int_equal(size_at(env, addr), s < 3 ? length : HUGE);
			refused(env, addr, k);
			marks_check(env);
			resolved(env, addr, next, k);
			marks_check(env);
			marks_expect_none(env, env->space, start - PAGE, PAGE);
			marks_expect_none(env, env->space, start + length, PAGE);
			if (kinds[k] == VMT_MARKER_GUARD)
				OK(env->ops->guard_remove(env->space, BASE, 2 * VAST));
			else
				OK(env->ops->unmark(env->space, BASE, 2 * VAST, kinds[k]));
			marks_expect_none(env, env->space, BASE, 2 * VAST);
			marks_check(env);
			assert_int_equal(lib_read(env, start), 0);
			marks_close(env);
		}
	}
}

// The handler takes the marker away instead.
static void removed(struct env *env)
{
	marks_open(env, NULL);
	lib_map(env, BASE, 2 * VAST, RW, 0);
	marks.handler = MARKS_REMOVE;
	for (unsigned k = 0; k < NOT_GUARDS; k++) {
		marks_set(env, BASE + k * HUGE, HUGE, kinds[k], payload_of(k));
		assert_int_equal(lib_read(env, BASE + k * HUGE + 3 * PAGE), 0);
		marks_expect(env, env->space, BASE + k * HUGE + 4 * PAGE, HUGE - 4 * PAGE, kinds[k], payload_of(k));
		marks_check(env);
	}
	marks_close(env);
}

// Without a handler a fault has a status of its own.
static void no_handler(struct env *env)
{
	static const struct vmt_marker_ops silent = {0};
	uint64_t value;

	for (unsigned with = 0; with < 2; with++) {
		if (with)
			marks_open(env, &silent);
		lib_map(env, BASE, 2 * VAST, RW, 0);
		for (unsigned k = 0; k < KINDS; k++) {
			enum vmt_status want = kinds[k] == VMT_MARKER_GUARD  ? VMT_ERR_GUARD :
					       kinds[k] == VMT_MARKER_POISON ? VMT_ERR_POISON : VMT_ERR_MARKER;

			marks_set(env, BASE + k * HUGE, HUGE - PAGE, kinds[k], payload_of(k));
			IS(sim_read(env->cpu, BASE + k * HUGE, 8, &value), want);
			IS(sim_write(env->cpu, BASE + k * HUGE + PAGE, 8, 1), want);
			assert_int_equal(lib_read(env, BASE + (k + 1) * HUGE - PAGE), 0);
		}
		lib_expect_bare(env, env->space);
	}
}

// ---- What they outlast -------------------------------------------------------------------------------------------

// At `at`, which is aligned to HUGE or not: a table of pages and page-sized markers, then large markers, then nothing.
#define SCENE (8 * HUGE)

static void scene(struct env *env, uint64_t at)
{
	lib_map(env, at, SCENE, RW, 0);
	for (unsigned i = 0; i < 4; i++)
		lib_write(env, at + i * PAGE, 100 + i);
	lib_read(env, at + 4 * PAGE);
	for (unsigned k = 0; k < KINDS; k++) {
		marks_set(env, at + (5 + k) * PAGE, PAGE, kinds[k], payload_of(k));
		if (k < 5)
			marks_set(env, at + (1 + k) * HUGE, HUGE, kinds[k], payload_of(k));
	}
	lib_write(env, at + 6 * HUGE + 3 * PAGE, 200);
	marks_set(env, at + 6 * HUGE + 4 * PAGE, HUGE / 2, VMT_MARKER_GUARD, 0);
}

// What scene() has made, now in `space` at `at`.
static void scene_is(struct env *env, struct vmt_space *space, uint64_t at)
{
	for (unsigned k = 0; k < KINDS; k++) {
		marks_expect(env, space, at + (5 + k) * PAGE, PAGE, kinds[k], payload_of(k));
		if (k < 5)
			marks_expect(env, space, at + (1 + k) * HUGE, HUGE, kinds[k], payload_of(k));
	}
	marks_expect(env, space, at + 6 * HUGE + 4 * PAGE, HUGE / 2, VMT_MARKER_GUARD, 0);
	marks_expect_none(env, space, at, 5 * PAGE);
	marks_expect_none(env, space, at + (5 + KINDS) * PAGE, HUGE - (5 + KINDS) * PAGE);
	marks_expect_none(env, space, at + 7 * HUGE, HUGE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(*(uint64_t *)marks_bytes(env, frame_of(env, space, at + i * PAGE)), 100 + i);
	assert_int_equal(*(uint64_t *)marks_bytes(env, frame_of(env, space, at + 6 * HUGE + 3 * PAGE)), 200);
	marks_check(env);
}

static void protected(struct env *env)
{
	static const vmt_prot prots[] = {0, VMT_READ, RW, 0, RW};
	uint64_t value;

	marks_open(env, NULL);
	scene(env, BASE);
	for (unsigned i = 0; i < sizeof(prots) / sizeof(*prots); i++) {
		OK(env->ops->protect(env->space, BASE, SCENE, prots[i]));
		scene_is(env, env->space, BASE);
		IS(sim_read(env->cpu, BASE + 5 * PAGE, 8, &value), prots[i] ? VMT_ERR_BUS : VMT_ERR_ACCESS);
		IS(sim_read(env->cpu, BASE + HUGE, 8, &value), prots[i] ? VMT_ERR_BUS : VMT_ERR_ACCESS);
		// A part of a large one, and a part of what is left of it.
		OK(env->ops->protect(env->space, BASE + HUGE + (i + 1) * PAGE, HUGE, VMT_READ));
		scene_is(env, env->space, BASE);
	}
	// Resolved at an address without permissions the page is parked.
	OK(env->ops->protect(env->space, BASE, SCENE, 0));
	OK(env->ops->page_new(env->vmt, true, &value));
	OK(env->ops->marker_resolve(env->space, BASE + HUGE + PAGE, kinds[0], payload_of(0), value));
	marks_note(kinds[0], payload_of(0), -1);
	assert_int_equal(frame_of(env, env->space, BASE + HUGE + PAGE), value);
	IS(sim_read(env->cpu, BASE + HUGE + PAGE, 8, &value), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, BASE, SCENE, RW));
	lib_write(env, BASE + HUGE + PAGE, 9);
	marks_check(env);
	marks_close(env);
}

static void forked(struct env *env)
{
	struct vmt_space *child, *grandchild;

	marks_open(env, NULL);
	scene(env, BASE);
	lib_map(env, BASE + 2 * VAST, VAST, RW, 0);
	marks_set(env, BASE + 2 * VAST, VAST, VMT_MARKER_SWAP, 9);
	OK(env->ops->space_fork(env->space, NULL, &child));
	marks_add_space(child);
	scene_is(env, child, BASE);
	scene_is(env, env->space, BASE);
	marks_expect(env, child, BASE + 2 * VAST, VAST, VMT_MARKER_SWAP, 9);
	// They part: each resolves for itself.
	marks.handler = MARKS_RESOLVE;
	assert_int_equal(lib_read(env, BASE + HUGE + 5 * PAGE), payload_of(0));
	marks_expect(env, child, BASE + HUGE, HUGE, kinds[0], payload_of(0));
	OK(env->ops->unmap(env->space, BASE + 2 * HUGE, PAGE));
	marks_check(env);
	OK(env->ops->space_fork(child, NULL, &grandchild));
	marks_add_space(grandchild);
	scene_is(env, grandchild, BASE);
	assert_int_equal(read_in(env, grandchild, BASE + 2 * VAST + 7 * PAGE), 9);
	marks_check(env);
	marks_destroy_space(env, grandchild);
	marks_destroy_space(env, child);
	marks_close(env);
}

static void moved(struct env *env)
{
	// Aligned to all entries, to the second level's, to pages only; up and down.
	const uint64_t offsets[] = {0, HUGE, 3 * HUGE, PAGE, HUGE - PAGE, HUGE + HUGE / 2};

	for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		for (unsigned down = 0; down < 2; down++) {
			uint64_t from = BASE + (down ? 4 * VAST : 0), to = BASE + (down ? 0 : 4 * VAST) + offsets[i], got;

			marks_open(env, NULL);
			scene(env, from);
			lib_map(env, to, SCENE, VMT_READ, 0); // in the way, with markers in it
			marks_set(env, to + 2 * PAGE, HUGE, VMT_MARKER_OWN, 3);
			OK(env->ops->move(env->space, from, SCENE, SCENE, 3, to, &got));
			scene_is(env, env->space, to);
			marks_expect_none(env, env->space, from, SCENE);
			OK(env->ops->move(env->space, to, SCENE, SCENE + PAGE, 3, from, &got)); // and back
			scene_is(env, env->space, from);
			// Shrinking on the way: the rest goes.
			OK(env->ops->move(env->space, from, SCENE, 2 * HUGE + 5 * PAGE, 3, to, &got));
			marks_check(env);
			marks_expect(env, env->space, to + HUGE, HUGE, kinds[0], payload_of(0));
			marks_expect(env, env->space, to + 2 * HUGE, 5 * PAGE, kinds[1], payload_of(1));
			marks_expect_none(env, env->space, from, SCENE + PAGE);
			marks_close(env);
		}
	}
}

// A vast one that has to be made of many.
static void moved_vast(struct env *env)
{
	const uint64_t to[] = {BASE + 8 * VAST, BASE + 8 * VAST + HUGE, BASE + 8 * VAST + 5 * PAGE};
	uint64_t from = BASE, got;

	marks_open(env, NULL);
	lib_map(env, from, 2 * VAST, RW, 0);
	marks_set(env, from, VAST, VMT_MARKER_SWAP, 12);
	marks_set(env, from + VAST, PAGE, VMT_MARKER_OWN, 13);
	for (unsigned i = 0; i < 3; i++) {
		OK(env->ops->move(env->space, i ? to[i - 1] : from, 2 * VAST, 2 * VAST, 3, to[i] + i * 4 * VAST, &got));
		marks_expect(env, env->space, got, VAST, VMT_MARKER_SWAP, 12);
		marks_expect(env, env->space, got + VAST, PAGE, VMT_MARKER_OWN, 13);
		marks_expect_none(env, env->space, got + VAST + PAGE, VAST - PAGE);
		marks_check(env);
		if (i < 2 && got != to[i])
			OK(env->ops->move(env->space, got, 2 * VAST, 2 * VAST, 3, to[i], &got));
		marks_check(env);
	}
	marks_close(env);
}

// Collapse, reclaim, lazy free and advice leave them alone, and so do releases those that stand for no bytes.
static void outlasted(struct env *env)
{
	enum vmt_status status;

	marks_open(env, NULL);
	scene(env, BASE);
	OK(env->ops->advise_huge(env->space, BASE, SCENE, true));
	scene_is(env, env->space, BASE);
	env->ops->collapse(env->space, BASE, SCENE, &status);
	OK(status);
	scene_is(env, env->space, BASE);
	env->ops->reclaim(env->space, UINT64_MAX);
	scene_is(env, env->space, BASE);
	OK(env->ops->lazy_free(env->space, BASE + 4 * PAGE, SCENE - 4 * PAGE));
	marks_check(env);
	OK(env->ops->populate(env->space, BASE, 4 * PAGE, NULL));
	OK(env->ops->guard_remove(env->space, BASE, SCENE));
	marks_check(env);
	for (unsigned k = 0; k < NOT_GUARDS; k++)
		marks_expect(env, env->space, BASE + (5 + k) * PAGE, PAGE, kinds[k], payload_of(k));
	marks_close(env);
}

static bool has_bytes(unsigned k)
{
	return kinds[k] == VMT_MARKER_SWAP || kinds[k] == VMT_MARKER_MIGRATION || kinds[k] == VMT_MARKER_DEVICE;
}

static void released(struct env *env)
{
	uint64_t value;

	for (unsigned k = 0; k < KINDS; k++) {
		marks_open(env, NULL);
		lib_map(env, BASE, 2 * VAST, RW, 0);
		marks_set(env, BASE + HUGE, HUGE, kinds[k], payload_of(k));
		marks_set(env, BASE + 5 * PAGE, PAGE, kinds[k], payload_of(k));
		marks_set(env, BASE + VAST, VAST, kinds[k], payload_of(k));
		// Parts of the large ones.
		OK(env->ops->release(env->space, BASE + HUGE + HUGE / 2, HUGE / 2 + PAGE));
		OK(env->ops->release(env->space, BASE + VAST + HUGE / 2, HUGE));
		marks_check(env);
		marks_expect(env, env->space, BASE + HUGE, HUGE / 2, kinds[k], payload_of(k));
		marks_expect(env, env->space, BASE + VAST, HUGE / 2, kinds[k], payload_of(k));
		marks_expect(env, env->space, BASE + VAST + 3 * HUGE / 2, VAST - 3 * HUGE / 2, kinds[k], payload_of(k));
		if (has_bytes(k)) {
			marks_expect_none(env, env->space, BASE + HUGE + HUGE / 2, HUGE / 2);
			assert_int_equal(lib_read(env, BASE + HUGE + HUGE / 2), 0);
		} else {
			marks_expect(env, env->space, BASE + VAST, VAST, kinds[k], payload_of(k));
			assert_int_equal(size_at(env, BASE + VAST), VAST); // nothing to cut
			IS(sim_read(env->cpu, BASE + HUGE + HUGE / 2, 8, &value), VMT_ERR_BUS);
		}
		OK(env->ops->release(env->space, BASE, 2 * VAST));
		marks_check(env);
		if (has_bytes(k))
			marks_expect_none(env, env->space, BASE, 2 * VAST);
		else
			marks_expect(env, env->space, BASE + VAST, VAST, kinds[k], payload_of(k));
		marks_close(env);
	}
}

// A table that holds nothing but a marker stays, and goes with it.
static void keep_tables(struct env *env)
{
	for (unsigned k = 0; k < KINDS; k++) {
		uint64_t tables, few;

		marks_open(env, NULL);
		lib_map(env, BASE, 2 * VAST, RW, 0);
		few = lib_tables(env, env->space);
		lib_write(env, BASE + VAST + 5 * PAGE, 1);
		marks_set(env, BASE + VAST + 3 * PAGE, PAGE, kinds[k], payload_of(k));
		tables = lib_tables(env, env->space);
		OK(env->ops->release(env->space, BASE + VAST + 5 * PAGE, PAGE));
		env->ops->reclaim(env->space, UINT64_MAX);
		marks_expect(env, env->space, BASE + VAST + 3 * PAGE, PAGE, kinds[k], payload_of(k));
		assert_int_equal(lib_tables(env, env->space), tables);
		assert_int_equal(lib_resident(env, env->space), 0);
		// Another in its place, over the whole table: the table goes.
		marks_set(env, BASE + VAST, HUGE, VMT_MARKER_DEVICE, 8);
		marks_check(env);
		assert_int_equal(size_at(env, BASE + VAST), HUGE);
		assert_true(lib_tables(env, env->space) < tables);
		OK(env->ops->unmark(env->space, BASE, 2 * VAST, VMT_MARKER_SWAP)); // another kind: nothing
		marks_check(env);
		OK(env->ops->unmark(env->space, BASE, 2 * VAST, VMT_MARKER_DEVICE));
		env->ops->reclaim(env->space, UINT64_MAX);
		assert_int_equal(lib_tables(env, env->space), few);
		marks_close(env);
	}
}

// ---- Over what is there ------------------------------------------------------------------------------------------

static void over_pages(struct env *env)
{
	struct vmt_space *child;
	uint64_t pinned;

	marks_open(env, NULL);
	lib_map(env, BASE, 2 * HUGE, RW, 0);
	for (unsigned i = 0; i < 16; i++)
		lib_write(env, BASE + HUGE - 8 * PAGE + i * PAGE, i + 1);
	OK(env->ops->page_pin(env->space, BASE + HUGE - 2 * PAGE, VMT_WRITE, &pinned));
	OK(env->ops->protect(env->space, BASE + HUGE - 8 * PAGE, PAGE, 0));
	OK(env->ops->space_fork(env->space, NULL, &child));
	marks_add_space(child);
	marks_set(env, BASE + HUGE - 9 * PAGE, 9 * PAGE, VMT_MARKER_SWAP, 1);
	marks_check(env);
	assert_int_equal(lib_resident(env, env->space), 8);
	assert_int_equal(*(uint64_t *)marks_bytes(env, pinned), 7);
	for (unsigned i = 1; i < 16; i++)
		assert_int_equal(read_in(env, child, BASE + HUGE - 8 * PAGE + i * PAGE), i + 1);
	OK(env->ops->protect(env->space, BASE + HUGE - 8 * PAGE, PAGE, RW));
	// Markers over markers: the earlier are dropped, also guards, also from within a table that goes.
	marks_set(env, BASE, HUGE, VMT_MARKER_POISON, 2);
	marks_check(env);
	marks_set(env, BASE + HUGE / 2, HUGE, VMT_MARKER_GUARD, 0);
	marks_check(env);
	marks_set(env, BASE + PAGE, 2 * HUGE - 2 * PAGE, VMT_MARKER_OWN, 3);
	marks_check(env);
	marks_set(env, BASE + PAGE, 2 * HUGE - 2 * PAGE, VMT_MARKER_OWN, 4);
	marks_check(env);
	// The same once more changes nothing.
	OK(env->ops->mark(env->space, BASE + HUGE, PAGE, VMT_MARKER_OWN, 4));
	marks_check(env);
	// A mapping takes their place.
	OK(env->ops->unmap(env->space, BASE + HUGE + PAGE, PAGE));
	lib_map(env, BASE + HUGE + PAGE, PAGE, RW, 0);
	assert_int_equal(lib_read(env, BASE + HUGE + PAGE), 0);
	env->ops->page_unpin(env->vmt, pinned);
	marks_destroy_space(env, child);
	marks_close(env);
}

// Over tables, with pages in them: one marker takes the place of each, whatever is mapped beside it.
static void largest_spans(struct env *env)
{
	for (unsigned tables = 1; tables < 4; tables++) {
		for (unsigned guard = 0; guard < 2; guard++) {
			marks_open(env, NULL);
			lib_map(env, BASE, tables * HUGE, RW, 0);
			for (unsigned i = 0; i < tables; i++)
				lib_write(env, BASE + i * HUGE + 5 * PAGE, i);
			marks_set(env, BASE, HUGE, guard ? VMT_MARKER_GUARD : VMT_MARKER_POISON, 0);
			assert_int_equal(size_at(env, BASE), HUGE);
			for (unsigned i = 1; i < tables; i++)
				assert_int_equal(lib_read(env, BASE + i * HUGE + 5 * PAGE), i);
			marks_close(env);
		}
	}
}

static void over_holes(struct env *env)
{
	marks_open(env, NULL);
	lib_map(env, BASE, HUGE, RW, 0);
	lib_map(env, BASE + 3 * HUGE - PAGE, 2 * PAGE, RW, 0);
	IS(env->ops->mark(env->space, BASE, 4 * HUGE, VMT_MARKER_SWAP, 5), VMT_ERR_UNMAPPED);
	marks_check(env);
	IS(env->ops->unmark(env->space, BASE + PAGE, 4 * HUGE, VMT_MARKER_SWAP), VMT_ERR_UNMAPPED);
	marks_check(env);
	marks_expect(env, env->space, BASE, PAGE, VMT_MARKER_SWAP, 5);
	marks_expect_none(env, env->space, BASE + PAGE, 4 * HUGE);
	IS(env->ops->mark(env->space, BASE + 2 * HUGE, PAGE, VMT_MARKER_SWAP, 5), VMT_ERR_UNMAPPED);
	marks_close(env);
}

static void arguments(struct env *env)
{
	static const enum vmt_marker no_kinds[] = {0, 1, VMT_MARKER_GUARD, 7, 16, 99};
	uint64_t pa;

	marks_open(env, NULL);
	lib_map(env, BASE, HUGE, RW, 0);
	lib_write(env, BASE, 1);
	for (unsigned i = 0; i < sizeof(no_kinds) / sizeof(*no_kinds); i++) {
		IS(env->ops->mark(env->space, BASE, HUGE, no_kinds[i], 0), VMT_ERR_ARGUMENT);
		IS(env->ops->unmark(env->space, BASE, HUGE, no_kinds[i]), VMT_ERR_ARGUMENT);
		IS(env->ops->page_take(env->space, BASE, no_kinds[i], 0, &pa), VMT_ERR_ARGUMENT);
		IS(env->ops->marker_resolve(env->space, BASE, no_kinds[i], 0, 0), VMT_ERR_ARGUMENT);
	}
	IS(env->ops->mark(env->space, BASE, HUGE, VMT_MARKER_SWAP, VMT_MARKER_PAYLOAD + 1), VMT_ERR_ARGUMENT);
	IS(env->ops->page_take(env->space, BASE, VMT_MARKER_SWAP, VMT_MARKER_PAYLOAD + 1, &pa), VMT_ERR_ARGUMENT);
	IS(env->ops->mark(env->space, BASE + 1, HUGE, VMT_MARKER_GUARD, 0), VMT_ERR_UNALIGNED);
	IS(env->ops->mark(env->space, BASE, 0, VMT_MARKER_GUARD, 0), VMT_ERR_EMPTY);
	IS(env->ops->mark(env->space, BASE, 0 - PAGE, VMT_MARKER_GUARD, 0), VMT_ERR_WRAPPED);
	IS(env->ops->mark(env->space, 0, PAGE, VMT_MARKER_GUARD, 0), VMT_ERR_OUTSIDE);
	IS(env->ops->page_take(env->space, BASE + 8, VMT_MARKER_SWAP, 0, &pa), VMT_ERR_UNALIGNED);
	IS(env->ops->page_take(env->space, env->end, VMT_MARKER_SWAP, 0, &pa), VMT_ERR_OUTSIDE);
	assert_int_equal(lib_read(env, BASE), 1);
	marks_close(env);
}

// ---- Memory of objects -------------------------------------------------------------------------------------------

static void objects(struct env *env)
{
	struct vmt_object *object;
	struct vmt_space *child;
	uint64_t pa;

	marks_open(env, NULL);
	OK(env->ops->object_create(env->vmt, 4 * VAST, NULL, NULL, &object));
	lib_map_object(env, object, BASE, 2 * VAST, 0, RW, 0);
	lib_map_object(env, object, BASE + 2 * VAST, 2 * VAST, 0, RW, VMT_MAP_SHARED);
	env->ops->object_put(object); // the mappings keep it
	lib_write(env, BASE + 3 * PAGE, 1);
	lib_write(env, BASE + 2 * VAST + 3 * PAGE, 2);
	// All slots of an upper table but one have markers, and that one gets a table (the id must stay with the
	// slots).
	marks_set(env, BASE + VAST, VAST - HUGE, VMT_MARKER_SWAP, 6);
	lib_write(env, BASE + 2 * VAST - PAGE, 3);
	marks_set(env, BASE + 3 * VAST, VAST, VMT_MARKER_POISON, 7);
	marks_check(env);
	OK(env->ops->space_fork(env->space, NULL, &child));
	marks_add_space(child);
	marks_check(env);
	// A private page may come back against its marker, a shared one is the object's.
	marks.handler = MARKS_RESOLVE;
	assert_int_equal(lib_read(env, BASE + VAST + 9 * PAGE), 6);
	lib_write(env, BASE + VAST + 9 * PAGE, 8);
	OK(env->ops->page_new(env->vmt, true, &pa));
	IS(env->ops->marker_resolve(env->space, BASE + 3 * VAST, VMT_MARKER_POISON, 7, pa), VMT_ERR_ARGUMENT);
	env->ops->page_put(env->vmt, pa);
	OK(env->ops->unmark(env->space, BASE + 3 * VAST, HUGE, VMT_MARKER_POISON));
	assert_int_equal(lib_read(env, BASE + 3 * VAST), 0);
	marks_check(env);
	OK(env->ops->unmap(env->space, BASE + HUGE, 2 * VAST));
	marks_check(env);
	marks_destroy_space(env, child);
	assert_int_equal(lib_read(env, BASE + 3 * PAGE), 1);
	marks_close(env);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "faults", .run = faults},
		{.name = "a handler that removes", .run = removed},
		{.name = "no handler", .run = no_handler},
		{.name = "protect", .run = protected},
		{.name = "fork", .run = forked},
		{.name = "move", .run = moved},
		{.name = "move of vast ones", .run = moved_vast},
		{.name = "collapse, reclaim, lazy free", .run = outlasted},
		{.name = "release", .run = released},
		{.name = "tables stay", .run = keep_tables},
		{.name = "over pages", .run = over_pages},
		{.name = "largest spans", .run = largest_spans},
		{.name = "over holes", .run = over_holes},
		{.name = "arguments", .run = arguments},
		{.name = "objects", .run = objects},
	};

	return lib_main("marker", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
