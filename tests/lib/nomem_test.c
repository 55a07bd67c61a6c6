// SPDX-License-Identifier: MIT
// Memory runs out at every point in turn. For each operation, in each state: the first allocation fails, then the
// second alone, and so on until the operation succeeds. Each time it says so, what had been there is as it was, nothing
// leaks, and the operation works once there is memory again. Both kinds of failure are tried: one allocation, and all
// from there on.
#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define BASE (GIB(2) - MIB(1))	// in two tables of each of two levels
#define FAR  (GIB(5) + 3 * PAGE)

struct scene {
	struct env *env;
	struct vmt_object *object;
	struct vmt_space *child; // a fork of the space made before, or NULL
};

// A bit of everything: pages, parked pages, guards, shared memory, a file, copies, a large untouched mapping.
static void scene_open(struct scene *s, unsigned variant)
{
	struct env *env = s->env;

	OK(env->ops->object_create(env->vmt, MIB(4), NULL, NULL, &s->object));
	lib_map(env, BASE, MIB(4), RW, 0);
	lib_map(env, GIB(8), GIB(40), RW, 0);
	lib_map_object(env, s->object, BASE + MIB(4), MIB(2), PAGE, RW, VMT_MAP_SHARED);
	lib_map_object(env, s->object, BASE + MIB(6), MIB(2), 0, RW, 0);
	if (variant == 0)
		return;
	for (unsigned i = 0; i < 8; i++) {
		lib_write(env, BASE + i * PAGE, 100 + i);
		lib_write(env, BASE + MIB(4) + i * PAGE, 200 + i);
		lib_write(env, BASE + MIB(6) + i * MIB(1) / 4, 300 + i);
	}
	lib_write(env, GIB(8) + GIB(1), 7);
	OK(env->ops->protect(env->space, BASE + 2 * PAGE, 2 * PAGE, 0));
	OK(env->ops->guard_install(env->space, BASE + MIB(1), MIB(2)));
	if (variant == 2) {
		OK(env->ops->space_fork(env->space, NULL, &s->child));
		lib_write(env, BASE, 100);
	}
}

static void scene_close(struct scene *s)
{
	struct env *env = s->env;

	if (s->child)
		OK(env->ops->space_destroy(s->child));
	env->ops->object_put(s->object);
	lib_expect_bare(env, env->space);
}

// ---- What is to be compared --------------------------------------------------------------------------------------

#define WORDS 48

struct picture {
	char *areas;
	enum vmt_status status[WORDS];
	uint64_t value[WORDS];
};

static void add_areas(struct env *env, char **text)
{
	size_t used = 0, size = 65536;
	struct vmt_area area;
	uint64_t at = 0;

	*text = calloc(1, size);
	assert_non_null(*text);
	while (env->ops->area_find(env->space, at, &area) == VMT_OK && used + 200 < size) {
		used += (size_t)snprintf(*text + used, size - used, "%llx-%llx prot %u max %u flags %x %p+%llx\n",
					 (unsigned long long)area.start, (unsigned long long)area.end, area.prot,
					 area.prot_max, area.flags, (void *)area.object,
					 (unsigned long long)area.offset);
		at = area.end;
	}
}

static uint64_t picture_addr(unsigned i)
{
	static const uint64_t more[] = {GIB(8), GIB(8) + GIB(1), GIB(47), FAR, FAR + PAGE, BASE - PAGE, BASE + MIB(2),
					BASE + MIB(3)};

	if (i < 16)
		return BASE + (i / 2) * PAGE + (i % 2) * MIB(4);
	if (i < 24)
		return BASE + MIB(6) + (i - 16) * MIB(1) / 4;
	return more[i % 8];
}

// Looks without touching: bytes where something is present or parked, the state elsewhere.
static void picture_take(struct env *env, struct picture *p)
{
	memset(p, 0, sizeof(*p));
	add_areas(env, &p->areas);
	for (unsigned i = 0; i < WORDS; i++) {
		uint64_t at = picture_addr(i);
		struct vmt_run run;

		OK(env->ops->walk(env->space, at, at + PAGE, &run));
		p->status[i] = run.state == VMT_STATE_GUARD ? VMT_ERR_GUARD : VMT_OK;
		if (run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED)
			p->value[i] = *(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), run.pa);
	}
}

static void picture_same(const char *what, uint64_t n, const struct picture *a, const struct picture *b)
{
	if (strcmp(a->areas, b->areas))
		fail_msg("%s, allocation %llu: the areas were\n%sand are\n%s", what, (unsigned long long)n, a->areas,
			 b->areas);
	for (unsigned i = 0; i < WORDS; i++)
		if (a->status[i] != b->status[i] || a->value[i] != b->value[i])
			fail_msg("%s, allocation %llu: %llx was %llu and is %llu", what, (unsigned long long)n,
				 (unsigned long long)picture_addr(i), (unsigned long long)a->value[i],
				 (unsigned long long)b->value[i]);
}

// ---- The operations ----------------------------------------------------------------------------------------------

typedef enum vmt_status act(struct scene *s);

static enum vmt_status map_request(struct scene *s, uint64_t addr, uint64_t length, uint32_t flags,
				   struct vmt_object *object)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = VMT_READ, .flags = flags,
					  .object = object, .tag = 1};
	uint64_t got;

	return s->env->ops->map(s->env->space, &request, &got);
}

static enum vmt_status map_new(struct scene *s) { return map_request(s, FAR, MIB(3), VMT_MAP_FIXED_NOREPLACE, NULL); }
static enum vmt_status map_any(struct scene *s) { return map_request(s, 0, MIB(3), 0, NULL); }
static enum vmt_status map_over(struct scene *s) { return map_request(s, BASE + PAGE, MIB(5), VMT_MAP_FIXED, NULL); }
static enum vmt_status map_file(struct scene *s) { return map_request(s, FAR, MIB(1), VMT_MAP_FIXED, s->object); }

static enum vmt_status map_shared(struct scene *s)
{
	return map_request(s, FAR, MIB(1), VMT_MAP_FIXED | VMT_MAP_SHARED, NULL);
}

static enum vmt_status map_over_huge(struct scene *s)
{
	return map_request(s, GIB(9) + PAGE, GIB(20), VMT_MAP_FIXED | VMT_MAP_SHARED, s->object);
}

static enum vmt_status unmap_middle(struct scene *s)
{
	return s->env->ops->unmap(s->env->space, GIB(9) + PAGE, GIB(20));
}

static enum vmt_status unmap_page(struct scene *s)
{
	return s->env->ops->unmap(s->env->space, BASE + 5 * PAGE, PAGE);
}

static enum vmt_status protect_huge(struct scene *s)
{
	return s->env->ops->protect(s->env->space, GIB(9) + PAGE, GIB(20), VMT_READ);
}

static enum vmt_status protect_files(struct scene *s)
{
	return s->env->ops->protect(s->env->space, BASE + MIB(4) + PAGE, PAGE, VMT_READ);
}

static enum vmt_status guard_huge(struct scene *s)
{
	return s->env->ops->guard_install(s->env->space, GIB(9) + PAGE, GIB(20));
}

static enum vmt_status guard_page(struct scene *s)
{
	return s->env->ops->guard_install(s->env->space, BASE + MIB(3) + PAGE, PAGE);
}

static enum vmt_status unguard_page(struct scene *s)
{
	return s->env->ops->guard_remove(s->env->space, BASE + MIB(2), PAGE);
}

static enum vmt_status release_all(struct scene *s)
{
	return s->env->ops->release(s->env->space, BASE, MIB(8));
}

static enum vmt_status lazy_all(struct scene *s)
{
	return s->env->ops->lazy_free(s->env->space, BASE, MIB(4));
}

static enum vmt_status fault_at(struct scene *s, uint64_t addr, vmt_prot access)
{
	return s->env->ops->fault(s->env->space, addr, access, NULL);
}

static enum vmt_status fault_read(struct scene *s) { return fault_at(s, GIB(30), VMT_READ); }
static enum vmt_status fault_write(struct scene *s) { return fault_at(s, GIB(30), VMT_WRITE); }
static enum vmt_status fault_near(struct scene *s) { return fault_at(s, BASE + 9 * PAGE, VMT_WRITE); }
static enum vmt_status fault_cow(struct scene *s) { return fault_at(s, BASE + PAGE, VMT_WRITE); }
static enum vmt_status fault_file(struct scene *s) { return fault_at(s, BASE + MIB(5), VMT_WRITE); }
static enum vmt_status fault_private(struct scene *s) { return fault_at(s, BASE + MIB(6) + PAGE, VMT_WRITE); }

static enum vmt_status fork_it(struct scene *s)
{
	struct vmt_space *child = NULL;
	enum vmt_status status = s->env->ops->space_fork(s->env->space, NULL, &child);

	if (status == VMT_OK) {
		CHECK(s->env, child);
		OK(s->env->ops->space_destroy(child));
	} else {
		assert_null(child);
	}
	return status;
}

static enum vmt_status move_to(struct scene *s, uint64_t from, uint64_t old, uint64_t new, uint32_t flags, uint64_t to)
{
	uint64_t got;

	return s->env->ops->move(s->env->space, from, old, new, flags, to, &got);
}

static enum vmt_status move_far(struct scene *s) { return move_to(s, BASE + 4 * PAGE, MIB(2), MIB(2), 3, FAR); }
static enum vmt_status move_any(struct scene *s) { return move_to(s, BASE + 4 * PAGE, MIB(2), MIB(3), 1, 0); }
static enum vmt_status move_grow(struct scene *s) { return move_to(s, GIB(8), GIB(40), GIB(40) + MIB(3), 0, 0); }
static enum vmt_status move_file(struct scene *s) { return move_to(s, BASE + MIB(6), MIB(1), MIB(1), 3, FAR); }

static enum vmt_status move_over(struct scene *s)
{
	return move_to(s, BASE + MIB(4), MIB(1), MIB(1), 3, GIB(9) + PAGE);
}

static enum vmt_status move_shrink(struct scene *s)
{
	return move_to(s, BASE + 4 * PAGE, MIB(2), MIB(1), 3, FAR);
}

static enum vmt_status move_twice(struct scene *s) { return move_to(s, BASE + MIB(4), 0, MIB(1), 1, 0); }

static enum vmt_status get_page(struct scene *s)
{
	uint64_t pa;
	enum vmt_status status = s->env->ops->page_get(s->env->space, GIB(30), VMT_WRITE, &pa);

	if (status == VMT_OK)
		s->env->ops->page_put(s->env->vmt, pa);
	return status;
}

static enum vmt_status pin_page(struct scene *s)
{
	uint64_t pa;
	enum vmt_status status = s->env->ops->page_pin(s->env->space, BASE + MIB(6) + 3 * PAGE, VMT_READ, &pa);

	if (status == VMT_OK)
		s->env->ops->page_unpin(s->env->vmt, pa);
	return status;
}

static enum vmt_status make_object(struct scene *s)
{
	struct vmt_object *object;
	enum vmt_status status = s->env->ops->object_create(s->env->vmt, 1, NULL, NULL, &object);

	if (status == VMT_OK)
		s->env->ops->object_put(object);
	return status;
}

static enum vmt_status object_page(struct scene *s)
{
	uint64_t pa;
	enum vmt_status status = s->env->ops->object_page(s->object, (UINT64_C(1) << 20) + 1, true, &pa);

	if (status == VMT_OK)
		s->env->ops->page_put(s->env->vmt, pa);
	return status;
}

static enum vmt_status make_space(struct scene *s)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = s->env->end};
	struct vmt_space *space;
	enum vmt_status status = s->env->ops->space_create(s->env->vmt, &config, &space);

	if (status == VMT_OK)
		OK(s->env->ops->space_destroy(space));
	return status;
}

static enum vmt_status make_machine(struct scene *s)
{
	struct vmt *vmt;
	enum vmt_status status = s->env->ops->create(sim_port(s->env->machine), 2, &vmt);

	if (status == VMT_OK)
		OK(s->env->ops->destroy(vmt));
	return status;
}

static const struct {
	const char *name;
	act *run;
	bool prefix;	// a part may have been done, says the header
} acts[] = {
	{"map new", map_new, 0}, {"map anywhere", map_any, 0}, {"map over", map_over, 0},
	{"map a file", map_file, 0}, {"map shared", map_shared, 0}, {"map over huge", map_over_huge, 0},
	{"unmap the middle", unmap_middle, 1}, {"unmap a page", unmap_page, 1},
	{"protect huge", protect_huge, 1}, {"protect of a file", protect_files, 1},
	{"guard huge", guard_huge, 1}, {"guard a page", guard_page, 0}, {"unguard a page", unguard_page, 0},
	{"release", release_all, 1}, {"lazy free", lazy_all, 1},
	{"fault, read", fault_read, 0}, {"fault, write", fault_write, 0}, {"fault, near", fault_near, 0},
	{"fault, copy", fault_cow, 0}, {"fault, file", fault_file, 0}, {"fault, private", fault_private, 0},
	{"fork", fork_it, 0}, {"move far", move_far, 0}, {"move anywhere", move_any, 0},
	{"grow", move_grow, 0}, {"move a file", move_file, 0}, {"move over", move_over, 1},
	{"move and shrink", move_shrink, 0}, {"map twice", move_twice, 0}, {"page get", get_page, 0},
	{"page pin", pin_page, 0}, {"object", make_object, 0}, {"object page", object_page, 0},
	{"space", make_space, 0}, {"machine", make_machine, 0},
};

// ---- The frame ---------------------------------------------------------------------------------------------------

// Fails allocation `n` (and, with `all`, those that follow). True: the operation succeeded.
static bool one_failure(struct env *env, unsigned a, unsigned variant, uint64_t n, bool all)
{
	struct scene s = {.env = env};
	struct picture before, after;
	enum vmt_status status;

	scene_open(&s, variant);
	picture_take(env, &before);
	sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, all ? UINT64_MAX - n : 1);
	status = acts[a].run(&s);
	sim_fail_nth(env->machine, 0, 1, 0);
	CHECK(env, env->space);
	if (s.child)
		CHECK(env, s.child);
	if (status != VMT_OK) {
		if (status != VMT_ERR_NO_MEMORY)
			fail_msg("%s, allocation %llu: %s", acts[a].name, (unsigned long long)n,
				 vmt_status_name(status));
		picture_take(env, &after);
		if (!acts[a].prefix)
			picture_same(acts[a].name, n, &before, &after);
		free(after.areas);
		IS(acts[a].run(&s), VMT_OK); // there is memory again
		CHECK(env, env->space);
	}
	free(before.areas);
	scene_close(&s);
	return status == VMT_OK;
}

static void run_act(struct env *env, unsigned a)
{
	for (unsigned variant = 0; variant < 3; variant++) {
		for (unsigned all = 0; all < 2; all++) {
			uint64_t n = 1;

			// A failure may be made up for by reclaiming: only an end without failures is the end.
			for (unsigned good = 0; good < 2 && n < 200; n++) {
				struct sim_counts before, after;

				sim_get_counts(env->machine, &before);
				one_failure(env, a, variant, n, all);
				sim_get_counts(env->machine, &after);
				good = before.injected == after.injected ? good + 1 : 0;
			}
			assert_true(n < 200);
		}
	}
}

static void each_point(struct env *env)
{
	for (unsigned a = 0; a < sizeof(acts) / sizeof(*acts); a++)
		run_act(env, a);
}

// ---- At random ---------------------------------------------------------------------------------------------------

static void at_random(struct env *env)
{
	for (unsigned round = 0; round < 40; round++) {
		struct scene s = {.env = env};

		scene_open(&s, round % 3);
		sim_fail_random(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 300000, env->seed + round);
		for (unsigned i = 0; i < 30; i++)
			acts[sim_random(env->cpu) % (sizeof(acts) / sizeof(*acts))].run(&s);
		sim_fail_random(env->machine, 0, 0, 0);
		CHECK(env, env->space);
		if (s.child)
			CHECK(env, s.child);
		scene_close(&s);
	}
}

// Moves fail in the middle: onto a range with more tables than one window has, and where the way back would need a
// table that the way there did not make.
static void moves_fail(struct env *env)
{
	for (unsigned how = 0; how < 2; how++) {
		uint64_t to = how ? GIB(20) + MIB(1) : GIB(20), length = how ? MIB(8) : MIB(2) * 80 + PAGE, got;
		enum vmt_status status = VMT_ERR_NO_MEMORY;

		for (uint64_t n = 1; status != VMT_OK && n < 100; n++) {
			lib_map(env, GIB(2), length, RW, 0);
			lib_write(env, GIB(2) + length - PAGE, 5);
			lib_map(env, how ? to - MIB(1) : to, how ? MIB(1) : GIB(4), RW, 0);
			for (uint64_t at = 0; at < (how ? PAGE : length - PAGE); at += MIB(2))
				lib_write(env, (how ? to - PAGE : to) + at, 6);
			sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, UINT64_MAX - n);
			status = env->ops->move(env->space, GIB(2), length, length, 3, to, &got);
			sim_fail_nth(env->machine, 0, 1, 0);
			CHECK(env, env->space);
			if (status != VMT_OK)
				IS(status, VMT_ERR_NO_MEMORY);
			assert_int_equal(lib_read(env, (status == VMT_OK ? to : GIB(2)) + length - PAGE), 5);
			lib_expect_bare(env, env->space);
		}
		IS(status, VMT_OK);
	}
}

// Real exhaustion: everything is used up, given back, and used up again.
static void exhausted(struct env *env)
{
	for (unsigned round = 0; round < 3; round++) {
		enum vmt_status status = VMT_OK;
		uint64_t at;

		lib_map(env, GIB(1), GIB(1), RW, 0);
		for (at = GIB(1); status == VMT_OK; at += 3 * PAGE)
			status = sim_write(env->cpu, at, 8, at);
		IS(status, VMT_ERR_NO_MEMORY);
		IS(env->ops->space_fork(env->space, NULL, &(struct vmt_space *){NULL}), VMT_ERR_NO_MEMORY);
		for (uint64_t k = GIB(1); k < at - 3 * PAGE; k += 3 * PAGE)
			assert_int_equal(lib_read(env, k), k);
		CHECK(env, env->space);
		lib_expect_bare(env, env->space);
		sim_grace_barrier(env->machine);
	}
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "each allocation fails", .run = each_point},
		{.name = "moves fail in the middle", .run = moves_fail},
		{.name = "allocations fail at random", .run = at_random},
		{.name = "memory is used up", .run = exhausted, .frames = 700},
	};

	return lib_main("no memory", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
