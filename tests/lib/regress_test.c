// SPDX-License-Identifier: MIT
// Small reproductions of what review and the larger tests have found, each with the interleaving or the state that it
// took. What needs several CPUs is in hammer_test.c, what needs failing allocations in nomem_test.c.
#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define BASE (GIB(1) + MIB(2)) // the beginning of a lowest table

static unsigned gone_count;

static void gone(void *owner)
{
	(void)owner;
	gone_count++;
}

static const struct vmt_object_ops counted_ops = {.gone = gone};

static uint64_t frame_of(struct env *env, uint64_t addr)
{
	struct vmt_translation translation;

	OK(env->ops->translate(env->space, addr, &translation));
	return translation.pa;
}

// Protecting a whole table of a level above, in which one slot leads to a table and all have one id.
static void protect_over_table(struct env *env)
{
	lib_map(env, GIB(4), GIB(1), RW, 0);
	lib_write(env, GIB(4) + MIB(100), 1);
	OK(env->ops->protect(env->space, GIB(4), GIB(1), VMT_READ));
	CHECK(env, env->space);
	IS(sim_write(env->cpu, GIB(4) + MIB(100), 8, 2), VMT_ERR_ACCESS);
	IS(sim_write(env->cpu, GIB(4) + MIB(700), 8, 2), VMT_ERR_ACCESS);
	assert_int_equal(lib_read(env, GIB(4) + MIB(100)), 1);
	lib_expect_bare(env, env->space);
}

// A page that somebody holds a reference on, and whose entry may be written: it is not copied.
static void no_copy_of_writable(struct env *env)
{
	uint64_t pa, again;

	lib_map(env, BASE, MIB(2), RW, 0);
	lib_write(env, BASE, 1);
	OK(env->ops->page_get(env->space, BASE, VMT_READ, &pa));
	OK(env->ops->fault(env->space, BASE, VMT_WRITE, NULL)); // an old translation of some CPU
	assert_int_equal(frame_of(env, BASE), pa);
	OK(env->ops->populate(env->space, BASE, PAGE, NULL));
	assert_int_equal(frame_of(env, BASE), pa);
	OK(env->ops->page_pin(env->space, BASE, VMT_READ, &again));
	assert_int_equal(again, pa);
	env->ops->page_unpin(env->vmt, again);
	env->ops->page_put(env->vmt, pa);
	lib_expect_bare(env, env->space);
}

// Write permission alone, on pages whose entries may not be written yet.
static void write_alone(struct env *env)
{
	struct vmt_space *child;

	lib_map(env, BASE, MIB(2), RW, 0);
	assert_int_equal(lib_read(env, BASE), 0); // the zero page
	lib_write(env, BASE + PAGE, 7);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->protect(env->space, BASE, MIB(2), VMT_WRITE));
	CHECK(env, env->space);
	assert_int_equal(lib_read(env, BASE), 0);
	assert_int_equal(lib_read(env, BASE + PAGE), 7);
	lib_write(env, BASE, 1);
	lib_write(env, BASE + PAGE, 8);
	OK(env->ops->space_destroy(child));
	lib_expect_bare(env, env->space);
}

// Guards before, between and behind pages of one table, moved within one table and across.
static void guards_among_pages(struct env *env)
{
	const uint64_t to[] = {GIB(3) + MIB(2) - 3 * PAGE, GIB(3) + PAGE};
	uint64_t value;

	for (unsigned k = 0; k < 2; k++) {
		uint64_t got;

		lib_map(env, BASE, 8 * PAGE, RW, 0);
		for (unsigned i = 0; i < 8; i++)
			lib_write(env, BASE + i * PAGE, i);
		for (unsigned i = 0; i < 8; i += 3)
			OK(env->ops->guard_install(env->space, BASE + i * PAGE, PAGE));
		OK(env->ops->move(env->space, BASE, 8 * PAGE, 8 * PAGE, 3, to[k], &got));
		CHECK(env, env->space);
		for (unsigned i = 0; i < 8; i++) {
			IS(sim_read(env->cpu, to[k] + i * PAGE, 8, &value), i % 3 ? VMT_OK : VMT_ERR_GUARD);
			assert_true(i % 3 == 0 || value == i);
		}
		lib_expect_bare(env, env->space);
	}
}

// The child of a space with kept, empty tables has none.
static void fork_of_kept(struct env *env)
{
	struct vmt_space *child;

	for (unsigned mapped = 0; mapped < 2; mapped++) {
		lib_map(env, BASE + PAGE, mapped ? GIB(1) : PAGE, RW, 0);
		lib_write(env, BASE + PAGE, 1);
		if (mapped)
			OK(env->ops->release(env->space, BASE + PAGE, PAGE));
		else
			OK(env->ops->unmap(env->space, BASE, 4 * PAGE));
		OK(env->ops->space_fork(env->space, NULL, &child));
		CHECK(env, child);
		OK(env->ops->space_destroy(child));
		lib_expect_bare(env, env->space);
	}
}

// The last address that shows an object: the object goes at once, whatever tables are kept or stay for other reasons.
static void object_goes(struct env *env)
{
	for (unsigned how = 0; how < 4; how++) {
		struct vmt_map_request request = {.addr = BASE, .length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED};
		struct vmt_object *object;
		uint64_t got;

		gone_count = 0;
		OK(env->ops->object_create(env->vmt, MIB(4), &counted_ops, NULL, &object));
		lib_map_object(env, object, BASE, how == 0 ? PAGE : MIB(2), 0, RW, VMT_MAP_SHARED);
		env->ops->object_put(object);
		if (how != 1)
			lib_write(env, BASE + (how == 0 ? 0 : 5 * PAGE), 1);
		if (how == 2) // an anonymous page keeps the table in place
			OK(env->ops->map(env->space, &request, &got));
		if (how == 3)
			OK(env->ops->protect(env->space, BASE + PAGE, PAGE, VMT_READ));
		assert_int_equal(gone_count, 0);
		if (how == 2) {
			lib_write(env, BASE, 3);
			OK(env->ops->unmap(env->space, BASE + PAGE, MIB(2) - PAGE));
		} else {
			OK(env->ops->unmap(env->space, BASE, MIB(2)));
		}
		if (gone_count != 1)
			fail_msg("way %u: gone was called %u times", how, gone_count);
		CHECK(env, env->space);
		lib_expect_bare(env, env->space);
	}
}

// An address that nothing is mapped at is told so, also without memory.
static void refusals_need_no_memory(struct env *env)
{
	lib_map(env, BASE, MIB(2), VMT_READ, 0);
	sim_fail_nth(env->machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, 1, UINT64_MAX - 1);
	IS(env->ops->fault(env->space, GIB(7), VMT_WRITE, NULL), VMT_ERR_UNMAPPED);
	IS(env->ops->fault(env->space, BASE, VMT_WRITE, NULL), VMT_ERR_ACCESS);
	sim_fail_nth(env->machine, 0, 1, 0);
	lib_expect_bare(env, env->space);
}

static void space_from_zero(struct env *env)
{
	struct vmt_space_config config = {.start = 0, .end = env->end};
	struct vmt_map_request request = {.length = MIB(1), .prot = RW};
	struct vmt_space *space;
	uint64_t got;

	OK(env->ops->space_create(env->vmt, &config, &space));
	OK(env->ops->map(space, &request, &got));
	assert_int_not_equal(got, 0); // no hint is not a hint of 0
	request.flags = VMT_MAP_FIXED;
	OK(env->ops->map(space, &request, &got));
	assert_int_equal(got, 0);
	OK(env->ops->fault(space, 0, VMT_WRITE, NULL));
	CHECK(env, space);
	OK(env->ops->space_destroy(space));
	config.search_start = 1;
	config.search_end = MIB(1);
	IS(env->ops->space_create(env->vmt, &config, &space), VMT_ERR_UNALIGNED);
}

// At the limit of arrays, what only gives arrays back works.
static void unmap_at_the_limit(struct env *env)
{
	for (unsigned arrays = 1; arrays < 16; arrays++) {
		struct vmt_space_config config = {.start = SPACE_START, .end = env->end,
						  .array_limit = arrays * PAGE / 2};
		struct vmt_map_request request = {.addr = GIB(2) + MIB(2), .length = MIB(512), .prot = RW,
						  .flags = VMT_MAP_FIXED};
		enum vmt_status status = VMT_OK;
		struct vmt_space_stats stats;
		struct vmt_space *space;

		OK(env->ops->space_create(env->vmt, &config, &space));
		status = env->ops->map(space, &request, &request.addr);
		for (uint64_t at = GIB(2) + MIB(2); status == VMT_OK; at += MIB(2)) { // an array each, to the last
			OK(env->ops->fault(space, at, VMT_WRITE, NULL));
			status = env->ops->protect(space, at + PAGE, PAGE, VMT_READ);
		}
		IS(status, VMT_ERR_LIMIT);
		OK(env->ops->unmap(space, SPACE_START, env->end - SPACE_START));
		CHECK(env, space);
		env->ops->space_stats(space, &stats);
		assert_int_equal(stats.mapped_bytes, 0);
		assert_int_equal(stats.array_bytes, 0);
		OK(env->ops->space_destroy(space));
	}
}

// Exactly one table's range, with a page in it: still one entry.
static void guard_of_one_table(struct env *env)
{
	uint64_t before;

	lib_map(env, GIB(1), GIB(1), RW, 0);
	before = lib_tables(env, env->space);
	lib_write(env, BASE, 1);
	lib_write(env, BASE + MIB(2) - PAGE, 1);
	OK(env->ops->guard_install(env->space, BASE, MIB(2)));
	assert_true(lib_tables(env, env->space) <= before + 1);
	CHECK(env, env->space);
	lib_expect_bare(env, env->space);
}

// Moved over a range with pages: the tables that this empties go.
static void move_over_tables(struct env *env)
{
	for (unsigned touched = 0; touched < 2; touched++) {
		uint64_t got;

		lib_map(env, GIB(2), MIB(64), RW, 0);
		lib_map(env, GIB(4), MIB(64), RW, 0);
		for (uint64_t at = 0; at < MIB(64); at += MIB(2)) {
			lib_write(env, GIB(4) + at + 3 * PAGE, 1);
			if (touched)
				lib_write(env, GIB(2) + at + 5 * PAGE, at + 1);
		}
		OK(env->ops->move(env->space, GIB(2), MIB(64), MIB(64), 3, GIB(4), &got));
		CHECK(env, env->space);
		for (uint64_t at = 0; touched && at < MIB(64); at += MIB(2))
			assert_int_equal(lib_read(env, GIB(4) + at + 5 * PAGE), at + 1);
		if (!touched)
			assert_true(lib_tables(env, env->space) <= 2 * env->levels);
		lib_expect_bare(env, env->space);
	}
}

// A fault in hand when the file is cut: what was filled in meanwhile is not beyond the end.
struct cutter {
	struct env *env;
	struct vmt_object *object;
	unsigned fills;
};

static enum vmt_status cut_while_filling(void *owner, uint64_t index, void *page)
{
	struct cutter *cutter = owner;

	if (cutter->fills++ == 0)
		cutter->env->ops->object_set_size(cutter->object, index * PAGE);
	*(uint64_t *)page = cutter->fills;
	return VMT_OK;
}

static void cut_during_a_fault(struct env *env)
{
	static const struct vmt_object_ops ops = {.fill = cut_while_filling};
	struct cutter cutter = {.env = env};
	uint64_t value;

	OK(env->ops->object_create(env->vmt, 16 * PAGE, &ops, &cutter, &cutter.object));
	lib_map_object(env, cutter.object, BASE, 16 * PAGE, 0, RW, VMT_MAP_SHARED);
	IS(sim_read(env->cpu, BASE + 4 * PAGE, 8, &value), VMT_ERR_BUS);
	assert_int_equal(env->ops->object_pages(cutter.object), 0);
	env->ops->object_set_size(cutter.object, 16 * PAGE);
	assert_int_equal(lib_read(env, BASE + 4 * PAGE), 2); // filled anew
	env->ops->object_put(cutter.object);
	lib_expect_bare(env, env->space);
}

// Somebody pins an object's page; a private mapping that has it in its original shares it with a child all the same.
static void fork_of_pinned_object(struct env *env)
{
	struct vmt_object *object;
	struct vmt_space *child;
	uint64_t pa;

	OK(env->ops->object_create(env->vmt, MIB(1), NULL, NULL, &object));
	lib_map_object(env, object, BASE, MIB(1), 0, RW, 0);
	lib_map_object(env, object, BASE + MIB(4), MIB(1), 0, RW, VMT_MAP_SHARED);
	lib_write(env, BASE + MIB(4), 1);
	assert_int_equal(lib_read(env, BASE), 1);
	OK(env->ops->page_pin(env->space, BASE + MIB(4), VMT_WRITE, &pa));
	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, BASE + MIB(4), 2);
	sim_activate(env->cpu, child);
	assert_int_equal(lib_read(env, BASE), 2);
	sim_activate(env->cpu, env->space);
	env->ops->page_unpin(env->vmt, pa);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "protect over a table", .run = protect_over_table},
		{.name = "no copy of a writable page", .run = no_copy_of_writable},
		{.name = "write permission alone", .run = write_alone, .hard = 1},
		{.name = "guards among pages", .run = guards_among_pages},
		{.name = "fork with kept tables", .run = fork_of_kept},
		{.name = "the object goes", .run = object_goes},
		{.name = "refusals need no memory", .run = refusals_need_no_memory},
		{.name = "a space from 0", .run = space_from_zero},
		{.name = "unmap at the limit", .run = unmap_at_the_limit},
		{.name = "guard of one table", .run = guard_of_one_table},
		{.name = "move over tables", .run = move_over_tables},
		{.name = "cut during a fault", .run = cut_during_a_fault},
		{.name = "fork of an object's page that is pinned", .run = fork_of_pinned_object},
	};

	return lib_main("regressions", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
