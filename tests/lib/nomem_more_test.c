// SPDX-License-Identifier: MIT
// Memory runs out at every point in turn, as in nomem_test.c, of what works with markers and huge pages: whatever had
// been there is as it was, each page of a marker is accounted for, and the operation works once there is memory again.
#include "marks.h"

#define BASE (4 * VAST - 2 * HUGE) // two tables of each of two levels
#define FAR  (BASE + 4 * VAST)

#define HUGE_FITS   (PAGE < 65536)
#define HUGE_FRAMES (32 * SLOTS)

// A huge page (small ones where none fits); pages and markers of a page's size; a large marker; a vast one.
#define AT_HUGE	 BASE
#define AT_SMALL (BASE + HUGE)
#define AT_LARGE (BASE + 2 * HUGE)
#define AT_VAST	 (BASE + 2 * HUGE + VAST)
#define SCENE	 (2 * HUGE + 2 * VAST)

static void scene_open(struct env *env)
{
	marks_open(env, NULL);
	lib_map(env, BASE, SCENE, RW, HUGE_FITS ? VMT_MAP_HUGE : 0);
	for (unsigned i = 0; i < 8; i++)
		lib_write(env, AT_HUGE + i * PAGE, 100 + i);
	OK(env->ops->advise_huge(env->space, AT_SMALL, HUGE, false));
	for (unsigned i = 0; i < 8; i++)
		lib_write(env, AT_SMALL + i * PAGE, 200 + i);
	if (HUGE_FITS)
		OK(env->ops->advise_huge(env->space, AT_SMALL, HUGE, true));
	marks_set(env, AT_SMALL + 9 * PAGE, 3 * PAGE, VMT_MARKER_MIGRATION, 1);
	marks_set(env, AT_LARGE, HUGE, VMT_MARKER_SWAP, 2);
	marks_set(env, AT_VAST, VAST, VMT_MARKER_OWN, 3);
	marks_check(env);
}

// ---- What is to be compared --------------------------------------------------------------------------------------

// State, bytes and markers of the scene and of where it may be moved; not how large the entries are.
static char *picture(struct env *env, struct vmt_space *space)
{
	size_t size = 1 << 18, used = 0;
	char *text = calloc(1, size);
	struct vmt_run run, last = {0};

	assert_non_null(text);
	for (uint64_t at = BASE; at < FAR + SCENE + VAST && used + 200 < size; at = run.end) {
		bool frame, joins;

		OK(env->ops->walk(space, at, FAR + SCENE + VAST, &run));
		frame = run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED;
		joins = run.state == last.state && run.mapped == last.mapped && run.marker == last.marker &&
			run.payload == last.payload && run.zero == last.zero &&
			(!frame || run.pa == last.pa + (run.start - last.start));
		if (joins)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%llx state %d %s marker %u %llx frame %llx word %llu\n",
					 (unsigned long long)run.start, run.state, run.mapped ? "mapped" : "-",
					 run.marker, (unsigned long long)run.payload,
					 (unsigned long long)(frame ? run.pa : 0),
					 (unsigned long long)(frame ? *(uint64_t *)marks_bytes(env, run.pa) : 0));
		last = run;
	}
	return text;
}

// ---- The operations ----------------------------------------------------------------------------------------------

static struct vmt_space *child;

static enum vmt_status mark_in_vast(struct env *env)
{
	return env->ops->mark(env->space, AT_VAST + HUGE + PAGE, PAGE, VMT_MARKER_SWAP, 9);
}

static enum vmt_status mark_over_edges(struct env *env)
{
	return env->ops->mark(env->space, AT_HUGE + 5 * PAGE, 2 * HUGE, VMT_MARKER_POISON, 9);
}

static enum vmt_status guard_in_huge(struct env *env)
{
	return env->ops->guard_install(env->space, AT_HUGE + 5 * PAGE, PAGE);
}

static enum vmt_status unmark_in_vast(struct env *env)
{
	return env->ops->unmark(env->space, AT_VAST + PAGE, VAST / 2, VMT_MARKER_OWN);
}

static enum vmt_status release_in_large(struct env *env)
{
	return env->ops->release(env->space, AT_HUGE + PAGE, 2 * HUGE + PAGE);
}

static enum vmt_status protect_parts(struct env *env)
{
	return env->ops->protect(env->space, AT_LARGE + PAGE, PAGE, VMT_READ);
}

static enum vmt_status park_in_huge(struct env *env)
{
	return env->ops->protect(env->space, AT_HUGE + PAGE, PAGE, 0);
}

static enum vmt_status advise_parts(struct env *env)
{
	return env->ops->advise_huge(env->space, AT_VAST + PAGE, HUGE, false);
}

static enum vmt_status unmap_parts(struct env *env)
{
	return env->ops->unmap(env->space, AT_VAST + PAGE, PAGE);
}

static enum vmt_status lazy_parts(struct env *env)
{
	return env->ops->lazy_free(env->space, AT_HUGE + 20 * PAGE, 5 * PAGE);
}

static enum vmt_status take_of_huge(struct env *env)
{
	enum vmt_status status;
	uint64_t pa;

	status = env->ops->page_take(env->space, AT_HUGE + 3 * PAGE, VMT_MARKER_SWAP, 9, &pa);
	if (status != VMT_OK)
		return status;
	marks_note(VMT_MARKER_SWAP, 9, 1);
	assert_int_equal(*(uint64_t *)marks_bytes(env, pa), 103);
	env->ops->page_put(env->vmt, pa);
	return VMT_OK;
}

static enum vmt_status resolve_in_vast(struct env *env)
{
	enum vmt_status status;
	uint64_t pa;

	status = env->ops->page_new(env->vmt, true, &pa);
	if (status != VMT_OK)
		return status;
	status = env->ops->marker_resolve(env->space, AT_VAST + HUGE + PAGE, VMT_MARKER_OWN, 3, pa);
	if (status == VMT_OK)
		marks_note(VMT_MARKER_OWN, 3, -1);
	else
		env->ops->page_put(env->vmt, pa);
	return status;
}

static enum vmt_status fork_it(struct env *env)
{
	enum vmt_status status = env->ops->space_fork(env->space, NULL, &child);

	if (status == VMT_OK)
		marks_add_space(child);
	else
		child = NULL;
	return status;
}

static enum vmt_status fork_pinned(struct env *env)
{
	enum vmt_status status;
	uint64_t pa;

	OK(env->ops->page_pin(env->space, AT_HUGE + 5 * PAGE, VMT_WRITE, &pa));
	status = fork_it(env);
	env->ops->page_unpin(env->vmt, pa);
	return status;
}

static enum vmt_status move_to(struct env *env, uint64_t from, uint64_t length, uint64_t to)
{
	uint64_t got;

	return env->ops->move(env->space, from, length, length, 3, to, &got);
}

static enum vmt_status move_aligned(struct env *env) { return move_to(env, BASE, SCENE, FAR + VAST); }
static enum vmt_status move_by_huge(struct env *env) { return move_to(env, BASE, SCENE, FAR + HUGE); }
static enum vmt_status move_by_pages(struct env *env) { return move_to(env, BASE, SCENE, FAR + 5 * PAGE); }
static enum vmt_status move_middle(struct env *env) { return move_to(env, AT_SMALL + 5 * PAGE, 2 * HUGE, FAR + PAGE); }

static enum vmt_status move_over(struct env *env)
{
	return move_to(env, AT_HUGE + PAGE, HUGE, AT_VAST + HUGE + PAGE);
}

static enum vmt_status copy_on_write(struct env *env)
{
	return sim_write(env->cpu, AT_HUGE + 5 * PAGE, 8, 5);
}

static enum vmt_status collapse_it(struct env *env)
{
	enum vmt_status status;

	env->ops->collapse(env->space, AT_HUGE, HUGE, &status);
	return status;
}

static const struct operation {
	const char *name;
	enum vmt_status (*run)(struct env *env);
	bool forked;	// with a child that was forked before
	bool split;	// the huge page was cut before, and one of its pages is another
	bool partial;	// a failure may leave a part done
} operations[] = {
	{.name = "mark in a vast marker", .run = mark_in_vast},
	{.name = "mark over edges", .run = mark_over_edges},
	{.name = "guard in a huge page", .run = guard_in_huge},
	{.name = "unmark a part", .run = unmark_in_vast},
	{.name = "release parts", .run = release_in_large},
	{.name = "protect a part of a marker", .run = protect_parts},
	{.name = "park a part of a huge page", .run = park_in_huge},
	{.name = "advise", .run = advise_parts},
	{.name = "unmap a part", .run = unmap_parts},
	{.name = "lazy free of a part", .run = lazy_parts},
	{.name = "take of a huge page", .run = take_of_huge},
	{.name = "take of a shared huge page", .run = take_of_huge, .forked = true},
	{.name = "resolve in a vast marker", .run = resolve_in_vast},
	{.name = "fork", .run = fork_it},
	{.name = "fork with a pinned page", .run = fork_pinned},
	{.name = "move", .run = move_aligned},
	{.name = "move by huge pages", .run = move_by_huge},
	{.name = "move by pages", .run = move_by_pages},
	{.name = "move of the middle", .run = move_middle},
	{.name = "move of shared pages", .run = move_by_pages, .forked = true},
	{.name = "move over others", .run = move_over, .partial = true}, // what was in the way is gone
	{.name = "copy on write", .run = copy_on_write, .forked = true},
	{.name = "collapse", .run = collapse_it, .split = true},
};

// ---- Failing -----------------------------------------------------------------------------------------------------

static void prepare(struct env *env, const struct operation *op)
{
	child = NULL;
	scene_open(env);
	if (op->forked)
		fork_it(env);
	if (op->split) {
		OK(env->ops->release(env->space, AT_HUGE + 9 * PAGE, PAGE));
		lib_write(env, AT_HUGE + 9 * PAGE, 109);
	}
}

// True: it was all done before the n-th allocation.
static bool fails_at(struct env *env, const struct operation *op, uint64_t n, uint64_t count)
{
	struct vmt_space *before_child;
	enum vmt_status status;
	char *before, *after;
	bool last;

	prepare(env, op);
	before_child = child;
	before = picture(env, env->space);
	sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, count);
	status = op->run(env);
	last = sim_fail_counted(env->machine) < n;
	sim_fail_nth(env->machine, 0, 0, 0);
	if (status != VMT_OK) {
		lib_status(status, VMT_ERR_NO_MEMORY, op->name, __FILE__, __LINE__);
		after = picture(env, env->space);
		if (!op->partial && strcmp(before, after))
			fail_msg("%s: %s, allocation %llu: it was\n%sand is\n%s", env->ops->name, op->name,
				 (unsigned long long)n, before, after);
		free(after);
		child = before_child;
		marks_check(env);
		OK(op->run(env));
	}
	free(before);
	marks_check(env);
	if (child)
		marks_destroy_space(env, child);
	marks_close(env);
	return last;
}

// One allocation fails, or all from there on. With larger pages every third in turn.
static void run_out(struct env *env)
{
	unsigned step = PAGE > 4096 ? 3 : 1;

	for (unsigned i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		for (unsigned all = step > 1; all < 2; all++) {
			uint64_t n = 1 + i % step;

			while (!fails_at(env, &operations[i], n, all ? UINT64_MAX : 1))
				assert_true((n += step) < 3000);
			assert_true(n > 1 || step > 1);
		}
	}
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "memory runs out", .run = run_out, .frames = HUGE_FRAMES},
	};

	return lib_main("nomem, markers and huge pages", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
