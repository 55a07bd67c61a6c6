// SPDX-License-Identifier: MIT
// Bad arguments: each has its status, and changes nothing.
#include "lib.h"

#define BASE MIB(64)

struct range_case {
	uint64_t addr, length;
	enum vmt_status status;
};

typedef enum vmt_status range_fn(struct env *env, uint64_t addr, uint64_t length);

static enum vmt_status do_unmap(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->unmap(env->space, addr, length);
}

static enum vmt_status do_protect(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->protect(env->space, addr, length, VMT_READ);
}

static enum vmt_status do_release(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->release(env->space, addr, length);
}

static enum vmt_status do_lazy_free(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->lazy_free(env->space, addr, length);
}

static enum vmt_status do_guard_install(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->guard_install(env->space, addr, length);
}

static enum vmt_status do_guard_remove(struct env *env, uint64_t addr, uint64_t length)
{
	return env->ops->guard_remove(env->space, addr, length);
}

static enum vmt_status do_populate(struct env *env, uint64_t addr, uint64_t length)
{
	uint64_t done = 77;
	enum vmt_status status = env->ops->populate(env->space, addr, length, &done);

	assert_int_equal(done, 0);
	return status;
}

static enum vmt_status do_map_fixed(struct env *env, uint64_t addr, uint64_t length)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = VMT_READ, .flags = VMT_MAP_FIXED};
	uint64_t got = 77;
	enum vmt_status status = env->ops->map(env->space, &request, &got);

	assert_int_equal(got, 77);
	return status;
}

static enum vmt_status do_map_shared(struct env *env, uint64_t addr, uint64_t length)
{
	struct vmt_map_request request = {.addr = addr, .length = length, .prot = VMT_READ,
					  .flags = VMT_MAP_FIXED_NOREPLACE | VMT_MAP_SHARED};
	uint64_t got = 77;

	return env->ops->map(env->space, &request, &got);
}

static enum vmt_status do_move_from(struct env *env, uint64_t addr, uint64_t length)
{
	uint64_t got;

	if (!length) // asks for a second mapping, see shared_test.c
		return addr & VMT_PAGE_MASK ? VMT_ERR_UNALIGNED : VMT_ERR_EMPTY;
	return env->ops->move(env->space, addr, length, PAGE, VMT_MOVE_MAY_MOVE, 0, &got);
}

static enum vmt_status do_move_to(struct env *env, uint64_t addr, uint64_t length)
{
	uint64_t got;

	return env->ops->move(env->space, BASE, PAGE, length, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, addr, &got);
}

// A space with a bit of everything, to see that it stays.
static void prepare(struct env *env)
{
	lib_map(env, BASE, MIB(8), VMT_READ | VMT_WRITE, 0);
	for (uint64_t at = BASE; at < BASE + 4 * PAGE; at += PAGE)
		lib_write(env, at, at);
	OK(env->ops->protect(env->space, BASE + PAGE, PAGE, 0));
	OK(env->ops->guard_install(env->space, BASE + MIB(2), MIB(2) + PAGE));
	lib_map(env, BASE + MIB(32), PAGE, VMT_READ | VMT_WRITE, VMT_MAP_SHARED);
	lib_write(env, BASE + MIB(32), 5);
}

static void expect_same(struct env *env, char *before)
{
	char *after = lib_dump(env, env->space);

	assert_string_equal(before, after);
	free(before);
	free(after);
	CHECK(env, env->space);
}

static void ranges(struct env *env)
{
	const struct range_case cases[] = {
		{BASE + 1, PAGE, VMT_ERR_UNALIGNED},
		{BASE, PAGE + 1, VMT_ERR_UNALIGNED},
		{BASE, 1, VMT_ERR_UNALIGNED},
		{BASE + 8, 0, VMT_ERR_UNALIGNED},
		{UINT64_MAX, UINT64_MAX, VMT_ERR_UNALIGNED},
		{BASE, 0, VMT_ERR_EMPTY},
		{env->end, 0, VMT_ERR_EMPTY},
		{0 - PAGE, 2 * PAGE, VMT_ERR_WRAPPED},
		{BASE, 0 - BASE + PAGE, VMT_ERR_WRAPPED},
		{env->end, 0 - PAGE, VMT_ERR_WRAPPED},
		{0, PAGE, VMT_ERR_OUTSIDE},
		{SPACE_START - PAGE, 2 * PAGE, VMT_ERR_OUTSIDE},
		{env->end - PAGE, 2 * PAGE, VMT_ERR_OUTSIDE},
		{env->end, PAGE, VMT_ERR_OUTSIDE},
		{0 - 2 * PAGE, PAGE, VMT_ERR_OUTSIDE},
	};
	static range_fn *const calls[] = {do_unmap, do_protect, do_release, do_lazy_free, do_guard_install,
					  do_guard_remove, do_populate, do_map_fixed, do_map_shared, do_move_from,
					  do_move_to};
	char *before;

	prepare(env);
	before = lib_dump(env, env->space);
	for (unsigned c = 0; c < sizeof(calls) / sizeof(*calls); c++) {
		for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			enum vmt_status status = calls[c](env, cases[i].addr, cases[i].length);

			if (status != cases[i].status)
				fail_msg("call %u, range %u: %s, not %s", c, i, vmt_status_name(status),
					 vmt_status_name(cases[i].status));
		}
	}
	expect_same(env, before);
}

static void map_requests(struct env *env)
{
	struct vmt_object *object;
	char *before;

	prepare(env);
	OK(env->ops->object_create(env->vmt, MIB(1), NULL, NULL, &object));
	before = lib_dump(env, env->space);
	{
		const struct { struct vmt_map_request request; enum vmt_status status; } cases[] = {
			{{.length = PAGE, .flags = 1u << 31}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .prot = 8}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .prot = VMT_READ, .prot_max = 16}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .prot = VMT_WRITE, .prot_max = VMT_READ}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .tag = VMT_TAGS}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .offset = PAGE}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .offset = 1, .object = object}, VMT_ERR_UNALIGNED},
			{{.length = 2 * PAGE, .offset = 0 - PAGE, .object = object}, VMT_ERR_WRAPPED},
			{{.length = PAGE, .flags = VMT_MAP_GROWS_DOWN | VMT_MAP_SHARED}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .flags = VMT_MAP_GROWS_DOWN, .object = object}, VMT_ERR_ARGUMENT},
			{{.length = PAGE, .addr = BASE + 1}, VMT_ERR_UNALIGNED},
			{{.length = PAGE, .search_start = 1}, VMT_ERR_UNALIGNED},
			{{.length = PAGE, .search_end = BASE + 1}, VMT_ERR_UNALIGNED},
			{{.length = PAGE, .search_start = BASE, .search_end = MIB(1)}, VMT_ERR_ARGUMENT},
			{{.length = 1}, VMT_ERR_UNALIGNED},
			{{.length = 0}, VMT_ERR_EMPTY},
			{{.length = 0 - PAGE}, VMT_ERR_WRAPPED},
			{{.length = env->end}, VMT_ERR_NO_SPACE},
			{{.length = 2 * PAGE, .search_start = BASE, .search_end = BASE + PAGE}, VMT_ERR_NO_SPACE},
			{{.length = PAGE, .addr = BASE, .flags = VMT_MAP_FIXED_NOREPLACE}, VMT_ERR_EXISTS},
			{{.length = MIB(100), .addr = BASE - MIB(50), .flags = VMT_MAP_FIXED_NOREPLACE},
			 VMT_ERR_EXISTS},
		};

		for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			uint64_t got = 77;
			enum vmt_status status = env->ops->map(env->space, &cases[i].request, &got);

			if (status != cases[i].status || got != 77)
				fail_msg("request %u: %s, not %s", i, vmt_status_name(status),
					 vmt_status_name(cases[i].status));
		}
	}
	expect_same(env, before);
	env->ops->object_put(object);
}

static void moves(struct env *env)
{
	const struct { uint64_t addr, old, new; uint32_t flags; uint64_t to; enum vmt_status status; } cases[] = {
		{BASE, PAGE, 1, 1, 0, VMT_ERR_UNALIGNED},
		{BASE, PAGE, 0, 1, 0, VMT_ERR_EMPTY},
		{BASE, PAGE, PAGE, 4, 0, VMT_ERR_ARGUMENT},
		{BASE, PAGE, PAGE, VMT_MOVE_FIXED, MIB(512), VMT_ERR_ARGUMENT},
		{BASE, MIB(1), MIB(1), 3, BASE + PAGE, VMT_ERR_ARGUMENT},
		{BASE, MIB(1), MIB(1), 3, BASE, VMT_ERR_ARGUMENT},
		{MIB(512), PAGE, PAGE, 1, 0, VMT_ERR_UNMAPPED},
		{BASE + MIB(8) - PAGE, 2 * PAGE, 3 * PAGE, 1, 0, VMT_ERR_UNMAPPED},
		{BASE, PAGE, 0 - 2 * PAGE, 1, 0, VMT_ERR_NO_SPACE},
		{BASE, PAGE, 2 * PAGE, 0, 0, VMT_ERR_EXISTS},
		{BASE, 0, PAGE, 1, 0, VMT_ERR_ARGUMENT},	// a second mapping of private memory
		{BASE + MIB(32), 0, PAGE, 0, 0, VMT_ERR_ARGUMENT},	// and of shared memory, in place
	};
	char *before;

	prepare(env);
	before = lib_dump(env, env->space);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t got = 77;
		enum vmt_status status = env->ops->move(env->space, cases[i].addr, cases[i].old, cases[i].new,
							cases[i].flags, cases[i].to, &got);

		if (status != cases[i].status || got != 77)
			fail_msg("move %u: %s, not %s", i, vmt_status_name(status), vmt_status_name(cases[i].status));
	}
	expect_same(env, before);
}

static void looks(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_translation translation;
	struct vmt_area area;
	struct vmt_run run;
	uint64_t pa;
	char *before;

	prepare(env);
	before = lib_dump(env, env->space);
	IS(ops->walk(env->space, BASE, BASE, &run), VMT_ERR_EMPTY);
	IS(ops->walk(env->space, BASE + 1, BASE, &run), VMT_ERR_EMPTY);
	IS(ops->walk(env->space, 0, BASE, &run), VMT_ERR_OUTSIDE);
	IS(ops->walk(env->space, BASE, env->end + 1, &run), VMT_ERR_OUTSIDE);
	IS(ops->walk(env->space, env->end, env->end + PAGE, &run), VMT_ERR_OUTSIDE);
	IS(ops->translate(env->space, 0, &translation), VMT_ERR_OUTSIDE);
	IS(ops->translate(env->space, env->end, &translation), VMT_ERR_OUTSIDE);
	IS(ops->translate(env->space, UINT64_MAX, &translation), VMT_ERR_OUTSIDE);
	IS(ops->translate(env->space, BASE + PAGE, &translation), VMT_ERR_NOT_PRESENT);
	IS(ops->translate(env->space, BASE + MIB(2), &translation), VMT_ERR_NOT_PRESENT);
	IS(ops->translate(env->space, GIB(1), &translation), VMT_ERR_NOT_PRESENT);
	IS(ops->area_find(env->space, env->end, &area), VMT_ERR_UNMAPPED);
	IS(ops->area_find(env->space, BASE + MIB(33), &area), VMT_ERR_UNMAPPED);
	IS(ops->area_find(env->space, UINT64_MAX, &area), VMT_ERR_UNMAPPED);
	IS(ops->fault(env->space, BASE, 0, NULL), VMT_ERR_ARGUMENT);
	IS(ops->fault(env->space, BASE, VMT_READ | VMT_WRITE, NULL), VMT_ERR_ARGUMENT);
	IS(ops->fault(env->space, BASE, 8, NULL), VMT_ERR_ARGUMENT);
	IS(ops->fault(env->space, 0, VMT_READ, NULL), VMT_ERR_UNMAPPED);
	IS(ops->fault(env->space, env->end, VMT_READ, NULL), VMT_ERR_UNMAPPED);
	IS(ops->fault(env->space, UINT64_MAX, VMT_WRITE, NULL), VMT_ERR_UNMAPPED);
	IS(ops->fault(env->space, GIB(1), VMT_READ, NULL), VMT_ERR_UNMAPPED);
	IS(ops->fault(env->space, BASE + PAGE, VMT_READ, NULL), VMT_ERR_ACCESS);
	IS(ops->fault(env->space, BASE, VMT_EXEC, NULL), VMT_ERR_ACCESS);
	IS(ops->fault(env->space, BASE + MIB(3), VMT_READ, NULL), VMT_ERR_GUARD);
	IS(ops->page_get(env->space, BASE, 0, &pa), VMT_ERR_ARGUMENT);
	IS(ops->page_get(env->space, 0, VMT_READ, &pa), VMT_ERR_UNMAPPED);
	IS(ops->page_get(env->space, GIB(1), VMT_READ, &pa), VMT_ERR_UNMAPPED);
	IS(ops->page_get(env->space, BASE + PAGE, VMT_READ, &pa), VMT_ERR_ACCESS);
	IS(ops->page_get(env->space, BASE + MIB(2), VMT_READ, &pa), VMT_ERR_GUARD);
	IS(ops->page_pin(env->space, BASE, 7, &pa), VMT_ERR_ARGUMENT);
	IS(ops->page_pin(env->space, env->end, VMT_READ, &pa), VMT_ERR_UNMAPPED);
	IS(ops->page_pin(env->space, BASE + PAGE, VMT_WRITE, &pa), VMT_ERR_ACCESS);
	IS(ops->protect(env->space, BASE, PAGE, 8), VMT_ERR_ARGUMENT);
	IS(ops->protect(env->space, GIB(1), PAGE, VMT_READ), VMT_ERR_UNMAPPED);
	IS(ops->release(env->space, GIB(1), PAGE), VMT_ERR_UNMAPPED);
	IS(ops->lazy_free(env->space, GIB(1), PAGE), VMT_ERR_UNMAPPED);
	IS(ops->lazy_free(env->space, BASE + MIB(32), PAGE), VMT_ERR_ARGUMENT);
	IS(ops->guard_install(env->space, GIB(1), PAGE), VMT_ERR_UNMAPPED);
	IS(ops->guard_install(env->space, BASE + MIB(32), PAGE), VMT_ERR_ARGUMENT);
	IS(ops->guard_remove(env->space, GIB(1), PAGE), VMT_ERR_UNMAPPED);
	IS(ops->grow_down(env->space, 0, MIB(1), 0), VMT_ERR_UNMAPPED);
	IS(ops->grow_down(env->space, env->end, MIB(1), 0), VMT_ERR_UNMAPPED);
	IS(ops->grow_down(env->space, BASE - 1, MIB(100), 0), VMT_ERR_UNMAPPED);
	expect_same(env, before);
}

static void spaces(struct env *env)
{
	const struct sim_ops *ops = env->ops;
	struct vmt_space *space = NULL;
	struct vmt_object *object;
	struct vmt *vmt = NULL;
	int owner;
	const struct { uint64_t start, end; enum vmt_status status; } cases[] = {
		{1, env->end, VMT_ERR_UNALIGNED}, {0, env->end - 1, VMT_ERR_UNALIGNED},
		{PAGE, PAGE, VMT_ERR_EMPTY}, {2 * PAGE, PAGE, VMT_ERR_EMPTY},
		{0, env->end + PAGE, VMT_ERR_OUTSIDE}, {0, 0 - PAGE, VMT_ERR_OUTSIDE},
	};

	IS(ops->create(sim_port(env->machine), 0, &vmt), VMT_ERR_ARGUMENT);
	IS(ops->create(sim_port(env->machine), VMT_MAX_CPUS + 1, &vmt), VMT_ERR_ARGUMENT);
	assert_null(vmt);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vmt_space_config config = {.start = cases[i].start, .end = cases[i].end};

		IS(ops->space_create(env->vmt, &config, &space), cases[i].status);
	}
	assert_null(space);
	IS(ops->space_destroy(env->space), VMT_ERR_BUSY); // it is active
	IS(ops->destroy(env->vmt), VMT_ERR_BUSY);	  // it exists
	OK(ops->space_create(env->vmt, &(struct vmt_space_config){.end = env->end, .owner = &owner}, &space));
	assert_ptr_equal(ops->space_owner(space), &owner);
	assert_true(sim_frame_allocated(env->machine, ops->space_root(space), NULL));
	OK(ops->space_destroy(space));
	OK(ops->create(sim_port(env->machine), 1, &vmt));
	OK(ops->object_create(vmt, 0, NULL, &owner, &object));
	assert_ptr_equal(ops->object_owner(object), &owner);
	IS(ops->destroy(vmt), VMT_ERR_BUSY); // an object exists
	ops->object_put(object);
	OK(ops->destroy(vmt));
}

static void names(struct env *env)
{
	(void)env;
	for (int i = 0; i < VMT_STATUS_COUNT; i++)
		assert_non_null(strstr(vmt_status_name(i), "VMT_"));
	assert_non_null(vmt_status_name(VMT_STATUS_COUNT));
	assert_string_equal(vmt_status_name(VMT_ERR_POISON), "VMT_ERR_POISON");
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "ranges", .run = ranges},	{.name = "map requests", .run = map_requests},
		{.name = "moves", .run = moves},	{.name = "looks and the rest", .run = looks},
		{.name = "spaces", .run = spaces},	{.name = "status names", .run = names},
	};

	return lib_main("arguments", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
