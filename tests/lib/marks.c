// SPDX-License-Identifier: MIT
// The embedder of marks.h: its account, and its handler.
#include "marks.h"

#define LINES  64
#define SPACES 4

struct marks marks;

static struct env *the_env;
static struct vmt_space *spaces[SPACES];

static struct line {
	enum vmt_marker kind;
	uint64_t payload;
	int64_t pages, seen;
} account[LINES];

static struct line *line_of(enum vmt_marker kind, uint64_t payload)
{
	for (unsigned i = 0; i < LINES; i++) {
		if (!account[i].kind)
			account[i] = (struct line){.kind = kind, .payload = payload};
		if (account[i].kind == kind && account[i].payload == payload)
			return &account[i];
	}
	abort();
}

void marks_note(enum vmt_marker kind, uint64_t payload, int64_t pages)
{
	line_of(kind, payload)->pages += pages;
}

// ---- The library's reports ---------------------------------------------------------------------------------------

static void copied(struct vmt_space *space, enum vmt_marker kind, uint64_t payload, uint64_t pages)
{
	(void)space;
	marks_note(kind, payload, (int64_t)pages);
}

static void dropped(struct vmt_space *space, enum vmt_marker kind, uint64_t payload, uint64_t pages)
{
	(void)space;
	marks_note(kind, payload, -(int64_t)pages);
}

static enum vmt_status resolve(struct vmt_space *space, const struct vmt_marker_fault *fault)
{
	uint64_t pa;

	if (marks.calls <= marks.wait)
		return VMT_OK;
	OK(the_env->ops->page_new(the_env->vmt, true, &pa));
	*(uint64_t *)marks_bytes(the_env, pa) = fault->payload;
	OK(the_env->ops->marker_resolve(space, fault->addr, fault->kind, fault->payload, pa));
	marks_note(fault->kind, fault->payload, -1);
	return VMT_OK;
}

static enum vmt_status handle(struct vmt_space *space, const struct vmt_marker_fault *fault)
{
	marks.last = *fault;
	marks.calls++;
	if (marks.handler == MARKS_REFUSE)
		return VMT_ERR_BUS;
	if (marks.handler == MARKS_RESOLVE)
		return resolve(space, fault);
	return the_env->ops->unmark(space, fault->addr, PAGE, fault->kind);
}

static const struct vmt_marker_ops usual = {.fault = handle, .copied = copied, .dropped = dropped};

// ---- Spaces ------------------------------------------------------------------------------------------------------

void *marks_bytes(struct env *env, uint64_t pa)
{
	return vmt_port_frame_ptr(sim_port(env->machine), pa);
}

void marks_open(struct env *env, const struct vmt_marker_ops *ops)
{
	struct vmt_space_config config = {
		.start = SPACE_START, .end = env->end, .user = true, .marker_ops = ops ? ops : &usual};

	the_env = env;
	marks = (struct marks){0};
	memset(account, 0, sizeof(account));
	memset(spaces, 0, sizeof(spaces));
	sim_deactivate(env->cpu);
	OK(env->ops->space_destroy(env->space));
	OK(env->ops->space_create(env->vmt, &config, &env->space));
	sim_activate(env->cpu, env->space);
	marks_add_space(env->space);
}

void marks_add_space(struct vmt_space *space)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (!spaces[i]) {
			spaces[i] = space;
			return;
		}
	}
	abort();
}

void marks_destroy_space(struct env *env, struct vmt_space *space)
{
	for (unsigned i = 0; i < SPACES; i++)
		if (spaces[i] == space)
			spaces[i] = NULL;
	OK(env->ops->space_destroy(space));
	marks_check(env);
}

// ---- Comparing ---------------------------------------------------------------------------------------------------

static bool is_marker(const struct vmt_run *run)
{
	return run->state == VMT_STATE_GUARD || run->state == VMT_STATE_POISON || run->state == VMT_STATE_MARKER;
}

static void count_space(struct env *env, struct vmt_space *space)
{
	struct vmt_run run;

	for (uint64_t at = SPACE_START; at < env->end; at = run.end) {
		OK(env->ops->walk(space, at, env->end, &run));
		if (is_marker(&run))
			line_of(run.marker, run.payload)->seen += (int64_t)((run.end - run.start) / PAGE);
	}
}

void marks_check(struct env *env)
{
	for (unsigned i = 0; i < LINES; i++)
		account[i].seen = 0;
	for (unsigned i = 0; i < SPACES; i++) {
		if (!spaces[i])
			continue;
		CHECK(env, spaces[i]);
		count_space(env, spaces[i]);
	}
	for (unsigned i = 0; i < LINES && account[i].kind; i++)
		if (account[i].seen != account[i].pages)
			fail_msg("%s: %lld pages say %u with %#llx, and the account has %lld", env->ops->name,
				 (long long)account[i].seen, account[i].kind, (unsigned long long)account[i].payload,
				 (long long)account[i].pages);
}

void marks_set(struct env *env, uint64_t addr, uint64_t length, enum vmt_marker kind, uint64_t payload)
{
	if (kind == VMT_MARKER_GUARD)
		OK(env->ops->guard_install(env->space, addr, length));
	else
		OK(env->ops->mark(env->space, addr, length, kind, payload));
}

void marks_expect(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind,
		  uint64_t payload)
{
	struct vmt_run run;

	for (uint64_t at = addr; at < addr + length; at = run.end) {
		OK(env->ops->walk(space, at, addr + length, &run));
		assert_true(is_marker(&run));
		assert_int_equal(run.marker, kind);
		assert_int_equal(run.payload, payload);
		assert_true(run.mapped);
	}
}

void marks_expect_none(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t length)
{
	struct vmt_run run;

	for (uint64_t at = addr; at < addr + length; at = run.end) {
		OK(env->ops->walk(space, at, addr + length, &run));
		assert_false(is_marker(&run));
	}
}

void marks_close(struct env *env)
{
	marks_check(env);
	lib_expect_bare(env, env->space);
	marks_check(env);
	for (unsigned i = 0; i < LINES && account[i].kind; i++)
		assert_int_equal(account[i].pages, 0);
}
