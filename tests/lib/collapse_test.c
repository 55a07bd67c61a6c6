// SPDX-License-Identifier: MIT
// Collapsing small pages into huge ones: what it makes, what it leaves alone, and that no byte is lost on the way.
#include "huge.h"

static uint64_t collapse(struct env *env, uint64_t addr, uint64_t length)
{
	enum vmt_status status;
	uint64_t made = env->ops->collapse(env->space, addr, length, &status);

	OK(status);
	CHECK(env, env->space);
	return made;
}

// Small pages: two tables of them, filled.
static void open_small(struct env *env)
{
	lib_map(env, BASE, 2 * HUGE, RW, 0);
	huge_fill(env, BASE, 2 * HUGE);
	huge_expect_small(env, env->space, BASE);
}

static void copied(struct env *env)
{
	uint64_t before = huge_frames(env), tables;

	if (!HUGE_FITS)
		return;
	open_small(env);
	tables = lib_tables(env, env->space);
	assert_int_equal(collapse(env, BASE, 2 * HUGE), 2);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	huge_frame(env, env->space, BASE);
	huge_frame(env, env->space, BASE + HUGE);
	assert_int_equal(lib_tables(env, env->space), tables - 2);
	assert_int_equal(lib_resident(env, env->space), 2 * SLOTS);
	assert_int_equal(huge_frames(env), before + 2 * SLOTS + lib_tables(env, env->space) - 1);
	for (uint64_t at = BASE; at < BASE + 2 * HUGE; at += 7 * PAGE) {
		assert_int_equal(lib_read(env, at), huge_stamp(at)); // as programs see it
		lib_write(env, at + 8, 5);
	}
	assert_int_equal(collapse(env, BASE, 2 * HUGE), 0); // nothing is left to do
	lib_expect_bare(env, env->space);
	assert_int_equal(huge_frames(env), before);
}

// Holes and the zero page become zeroes.
static void with_holes(struct env *env)
{
	if (!HUGE_FITS)
		return;
	lib_map(env, BASE, 2 * HUGE, RW, 0);
	lib_write(env, BASE + 5 * PAGE, huge_stamp(BASE + 5 * PAGE));
	lib_read(env, BASE + 6 * PAGE);
	lib_read(env, BASE);
	assert_int_equal(collapse(env, BASE, HUGE), 1);
	assert_int_equal(lib_resident(env, env->space), SLOTS);
	for (uint64_t at = BASE; at < BASE + HUGE; at += PAGE)
		assert_int_equal(lib_read(env, at), at == BASE + 5 * PAGE ? huge_stamp(at) : 0);
	lib_write(env, BASE + 6 * PAGE, 1);
	lib_write(env, BASE, 2);
	assert_int_equal(lib_read(env, BASE + PAGE), 0);
	// Where nothing was ever touched, or all was read only, nothing is made or nothing is lost.
	collapse(env, BASE + HUGE, HUGE);
	assert_int_equal(lib_read(env, BASE + HUGE), 0);
	collapse(env, BASE + HUGE, HUGE);
	lib_write(env, BASE + HUGE, 3);
	assert_int_equal(lib_read(env, BASE + 2 * HUGE - PAGE), 0);
	lib_expect_bare(env, env->space);
}

// Pages that lie as one stay where they are: no memory is taken.
static void in_place(struct env *env)
{
	uint64_t frame, frames, value;

	if (!HUGE_FITS)
		return;
	huge_open(env, 2);
	frame = huge_frame(env, env->space, BASE);
	frames = huge_frames(env);
	for (unsigned prot = 0; prot < 2; prot++) {
		OK(env->ops->protect(env->space, BASE + 5 * PAGE, PAGE, prot ? VMT_READ : 0));
		assert_int_equal(collapse(env, BASE, HUGE), 0); // more than one set of attributes
		OK(env->ops->protect(env->space, BASE + 5 * PAGE, PAGE, RW));
		huge_expect_small(env, env->space, BASE);
		sim_set_frame_limit(env->machine, 1);
		assert_int_equal(collapse(env, BASE, HUGE), 1);
		sim_set_frame_limit(env->machine, HUGE_FRAMES * (PAGE / SIM_FRAME_SIZE));
		assert_int_equal(huge_frame(env, env->space, BASE), frame);
		assert_int_equal(huge_frames(env), frames);
		huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
		lib_write(env, BASE + 5 * PAGE, huge_stamp(BASE + 5 * PAGE));
	}
	// Of read-only memory too, which it does not make writable.
	OK(env->ops->protect(env->space, BASE + 5 * PAGE, PAGE, VMT_READ));
	OK(env->ops->protect(env->space, BASE, HUGE, VMT_READ));
	assert_int_equal(collapse(env, BASE, HUGE), 1);
	assert_int_equal(huge_frame(env, env->space, BASE), frame);
	IS(sim_write(env->cpu, BASE + 5 * PAGE, 8, 1), VMT_ERR_ACCESS);
	OK(sim_read(env->cpu, BASE + 5 * PAGE, 8, &value));
	OK(env->ops->protect(env->space, BASE, HUGE, RW));
	// One page was copied meanwhile: all are.
	OK(env->ops->release(env->space, BASE + 7 * PAGE, PAGE));
	lib_write(env, BASE + 7 * PAGE, huge_stamp(BASE + 7 * PAGE));
	assert_int_equal(collapse(env, BASE, HUGE), 1);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	huge_frame(env, env->space, BASE);
	assert_int_equal(huge_frames(env), frames);
	lib_expect_bare(env, env->space);
}

// ---- What it leaves alone ----------------------------------------------------------------------------------------

static void expect_refused(struct env *env)
{
	uint64_t frames = huge_frames(env);
	char *before = lib_dump(env, env->space), *after;

	assert_int_equal(collapse(env, BASE, HUGE), 0);
	after = lib_dump(env, env->space);
	assert_string_equal(before, after);
	assert_int_equal(huge_frames(env), frames);
	free(before);
	free(after);
}

static void shared(struct env *env)
{
	struct vmt_space *child;

	if (!HUGE_FITS)
		return;
	open_small(env);
	OK(env->ops->space_fork(env->space, NULL, &child));
	expect_refused(env);
	huge_fill(env, BASE, HUGE); // its own again, all but one
	OK(env->ops->release(child, BASE, HUGE));
	assert_int_equal(collapse(env, BASE, HUGE), 1);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	huge_expect(env, child, BASE + HUGE, HUGE, BASE + HUGE);
	OK(env->ops->space_destroy(child));
	assert_int_equal(collapse(env, BASE, 2 * HUGE), 1); // alone
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	lib_expect_bare(env, env->space);
}

static void held(struct env *env)
{
	const uint64_t pages[] = {0, 3, SLOTS - 1};
	uint64_t pa;

	if (!HUGE_FITS)
		return;
	open_small(env);
	for (unsigned i = 0; i < 6; i++) {
		bool pin = i & 1;

		OK((pin ? env->ops->page_pin : env->ops->page_get)(env->space, BASE + pages[i / 2] * PAGE, VMT_WRITE,
								    &pa));
		expect_refused(env);
		*huge_word(env, pa) = huge_stamp(BASE + pages[i / 2] * PAGE);
		(pin ? env->ops->page_unpin : env->ops->page_put)(env->vmt, pa);
	}
	assert_int_equal(collapse(env, BASE, HUGE), 1);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	lib_expect_bare(env, env->space);
}

static void others(struct env *env)
{
	struct vmt_object *object;

	if (!HUGE_FITS)
		return;
	open_small(env);
	OK(env->ops->guard_install(env->space, BASE + 3 * PAGE, PAGE));
	expect_refused(env);
	OK(env->ops->guard_remove(env->space, BASE, HUGE));
	for (unsigned kind = VMT_MARKER_SWAP; kind <= VMT_MARKER_OWN; kind += kind == VMT_MARKER_POISON ? 2 : 1) {
		OK(env->ops->mark(env->space, BASE + 4 * PAGE, PAGE, kind, 5));
		expect_refused(env);
		OK(env->ops->unmark(env->space, BASE, HUGE, kind));
	}
	OK(env->ops->lazy_free(env->space, BASE + 6 * PAGE, PAGE));
	expect_refused(env);
	OK(env->ops->release(env->space, BASE + 6 * PAGE, PAGE));
	lib_write(env, BASE + 6 * PAGE, huge_stamp(BASE + 6 * PAGE));
	OK(env->ops->protect(env->space, BASE, HUGE, 0)); // parked
	expect_refused(env);
	OK(env->ops->protect(env->space, BASE, HUGE, RW));
	OK(env->ops->unmap(env->space, BASE + HUGE - PAGE, PAGE)); // not all of it is mapped
	expect_refused(env);
	lib_map(env, BASE + HUGE - PAGE, PAGE, RW, 0);
	huge_fill(env, BASE + 3 * PAGE, 2 * PAGE);
	lib_write(env, BASE + HUGE - PAGE, huge_stamp(BASE + HUGE - PAGE));
	assert_int_equal(collapse(env, BASE + PAGE, HUGE), 0); // none lies in the range whole
	assert_int_equal(collapse(env, BASE, 2 * HUGE - PAGE), 1);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	OK(env->ops->unmap(env->space, BASE, 2 * HUGE));
	// Memory of an object, also copies of its pages, and a private table that is half of an object.
	OK(env->ops->object_create(env->vmt, HUGE, NULL, NULL, &object));
	for (unsigned flags = 0; flags < 2; flags++) {
		lib_map_object(env, object, BASE, HUGE, 0, RW, flags ? VMT_MAP_SHARED : 0);
		huge_fill(env, BASE, HUGE);
		expect_refused(env);
		OK(env->ops->unmap(env->space, BASE, HUGE));
	}
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

static void short_of_memory(struct env *env)
{
	enum vmt_status status;

	if (!HUGE_FITS)
		return;
	open_small(env);
	sim_set_frame_limit(env->machine, (huge_frames(env) + SLOTS - 1) * (PAGE / SIM_FRAME_SIZE));
	assert_int_equal(env->ops->collapse(env->space, BASE, 2 * HUGE, &status), 0);
	assert_int_equal(status, VMT_ERR_NO_MEMORY);
	assert_int_equal(env->ops->collapse(env->space, BASE, 2 * HUGE, NULL), 0);
	CHECK(env, env->space);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	// Memory for one at a time does: the pages of the first make room.
	sim_set_frame_limit(env->machine, (huge_frames(env) + SLOTS) * (PAGE / SIM_FRAME_SIZE));
	env->ops->collapse(env->space, BASE, 2 * HUGE, &status);
	CHECK(env, env->space);
	huge_frame(env, env->space, BASE);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	sim_set_frame_limit(env->machine, HUGE_FRAMES * (PAGE / SIM_FRAME_SIZE));
	// No array: either it needs none, or says so.
	OK(env->ops->release(env->space, BASE, HUGE));
	huge_fill(env, BASE, HUGE);
	sim_fail_nth(env->machine, SIM_FAIL_MEM, 1, UINT64_MAX);
	env->ops->collapse(env->space, BASE, 2 * HUGE, &status);
	sim_fail_nth(env->machine, 0, 0, 0);
	assert_true(status == VMT_OK || status == VMT_ERR_NO_MEMORY);
	CHECK(env, env->space);
	collapse(env, BASE, 2 * HUGE);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	lib_expect_bare(env, env->space);
}

static void arguments(struct env *env)
{
	enum vmt_status status;

	lib_map(env, BASE, 2 * HUGE, RW, 0);
	lib_write(env, BASE, 1);
	assert_int_equal(env->ops->collapse(env->space, BASE + 1, HUGE, &status), 0);
	assert_int_equal(status, VMT_ERR_UNALIGNED);
	assert_int_equal(env->ops->collapse(env->space, BASE, 0, &status), 0);
	assert_int_equal(status, VMT_ERR_EMPTY);
	assert_int_equal(env->ops->collapse(env->space, BASE, 0 - PAGE, &status), 0);
	assert_int_equal(status, VMT_ERR_WRAPPED);
	assert_int_equal(env->ops->collapse(env->space, BASE, env->end, &status), 0);
	assert_int_equal(status, VMT_ERR_OUTSIDE);
	assert_int_equal(lib_read(env, BASE), 1);
}

// The whole space, of which little is mapped: what is not there costs nothing.
static void everywhere(struct env *env)
{
	struct vmt_space_stats before, after;
	uint64_t far = env->end - 4 * HUGE;

	if (!HUGE_FITS)
		return;
	open_small(env);
	lib_map(env, BASE + 2 * HUGE, far - BASE - 2 * HUGE, RW, 0);
	lib_write(env, far - HUGE, huge_stamp(far - HUGE));
	env->ops->space_stats(env->space, &before);
	assert_int_equal(collapse(env, SPACE_START, env->end - SPACE_START), 3);
	env->ops->space_stats(env->space, &after);
	assert_true(after.transactions - before.transactions < 200);
	huge_expect(env, env->space, BASE, 2 * HUGE, BASE);
	huge_expect(env, env->space, far - HUGE, PAGE, far - HUGE);
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "copied", .run = copied, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "with holes", .run = with_holes, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "in place", .run = in_place, .frames = HUGE_FRAMES, .hard = 1},
		{.name = "shared pages", .run = shared, .frames = HUGE_FRAMES},
		{.name = "pages that somebody holds", .run = held, .frames = HUGE_FRAMES},
		{.name = "other things that stay", .run = others, .frames = HUGE_FRAMES},
		{.name = "short of memory", .run = short_of_memory, .frames = HUGE_FRAMES},
		{.name = "arguments", .run = arguments},
		{.name = "everywhere", .run = everywhere, .frames = HUGE_FRAMES},
	};

	return lib_main("collapse", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
