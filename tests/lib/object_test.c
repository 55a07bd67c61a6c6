// SPDX-License-Identifier: MIT
// Memory objects and the mappings of them.
#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define BASE (GIB(1) - 4 * PAGE)

struct file {
	unsigned fills, gone;
	bool broken;
};

static enum vmt_status fill(void *owner, uint64_t index, void *page)
{
	struct file *file = owner;

	if (file->broken)
		return VMT_ERR_NO_SPACE;
	for (unsigned i = 0; i < PAGE; i += 8)
		assert_int_equal(*(uint64_t *)((char *)page + i), 0);
	*(uint64_t *)page = 1000 + index;
	file->fills++;
	return VMT_OK;
}

static void gone(void *owner)
{
	((struct file *)owner)->gone++;
}

static const struct vmt_object_ops file_ops = {.fill = fill, .gone = gone};

static struct vmt_object *open_file(struct env *env, struct file *file, uint64_t size)
{
	struct vmt_object *object;

	OK(env->ops->object_create(env->vmt, size, &file_ops, file, &object));
	return object;
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

static void lifetime(struct env *env)
{
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, MIB(1));
	struct vmt_space *child;
	uint64_t pa;

	assert_int_equal(env->ops->object_size(object), MIB(1));
	env->ops->object_get(object);
	env->ops->object_put(object);
	lib_map_object(env, object, BASE, 8 * PAGE, 0, RW, VMT_MAP_SHARED);
	env->ops->object_put(object); // the mapping's reference is left
	assert_int_equal(file.gone, 0);
	assert_int_equal(lib_read(env, BASE + PAGE), 1001);
	OK(env->ops->space_fork(env->space, NULL, &child));
	OK(env->ops->page_get(env->space, BASE + PAGE, VMT_READ, &pa));
	OK(env->ops->unmap(env->space, BASE, 8 * PAGE));
	assert_int_equal(file.gone, 0);
	assert_int_equal(read_in(env, child, BASE + 2 * PAGE), 1002);
	OK(env->ops->unmap(child, BASE, 7 * PAGE));
	assert_int_equal(file.gone, 0);
	OK(env->ops->unmap(child, BASE + 7 * PAGE, PAGE));
	assert_int_equal(file.gone, 1); // and the page that somebody still holds outlives its object
	assert_int_equal(*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa), 1001);
	env->ops->page_put(env->vmt, pa);
	assert_false(sim_frame_allocated(env->machine, pa, NULL));
	OK(env->ops->space_destroy(child));
	assert_int_equal(file.gone, 1);

	object = open_file(env, &file, MIB(1));
	OK(env->ops->object_page(object, 5, true, &pa));
	env->ops->page_put(env->vmt, pa);
	env->ops->object_put(object);
	assert_int_equal(file.gone, 2); // never mapped

	object = open_file(env, &file, MIB(1));
	lib_map_object(env, object, BASE, 8 * PAGE, 0, RW, 0);
	OK(env->ops->space_fork(env->space, NULL, &child));
	env->ops->object_put(object);
	OK(env->ops->unmap(env->space, BASE, 8 * PAGE));
	assert_int_equal(file.gone, 2);
	OK(env->ops->space_destroy(child)); // the end of a space gives its references back
	assert_int_equal(file.gone, 3);
}

static void pages_by_index(struct env *env)
{
	static const uint64_t far[] = {0, 1, 511, 512, UINT64_C(1) << 18, UINT64_C(1) << 27, (UINT64_C(1) << 36) + 3};
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, UINT64_C(1) << 62);
	uint64_t pa, again;

	for (unsigned i = 0; i < sizeof(far) / sizeof(*far); i++) {
		IS(env->ops->object_page(object, far[i], false, &pa), VMT_ERR_NOT_PRESENT);
		OK(env->ops->object_page(object, far[i], true, &pa));
		assert_int_equal(*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa), 1000 + far[i]);
		OK(env->ops->object_page(object, far[i], false, &again));
		assert_int_equal(pa, again);
		env->ops->page_put(env->vmt, pa);
		env->ops->page_put(env->vmt, again);
		assert_int_equal(env->ops->object_pages(object), i + 1);
	}
	assert_int_equal(file.fills, 7);
	file.broken = true;
	IS(env->ops->object_page(object, 77, true, &pa), VMT_ERR_BUS);
	assert_int_equal(env->ops->object_pages(object), 7);
	env->ops->object_put(object);
	assert_int_equal(file.gone, 1);
}

static void sharing(struct env *env)
{
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, MIB(4));
	struct vmt_space_stats stats;
	struct vmt_space *child;
	uint64_t twice = GIB(2) + PAGE, pa;

	lib_map_object(env, object, BASE, MIB(1), PAGE, RW, VMT_MAP_SHARED);
	lib_map_object(env, object, twice, MIB(1), 0, RW, VMT_MAP_SHARED);
	lib_write(env, BASE, 5);
	assert_int_equal(lib_read(env, twice + PAGE), 5);
	lib_write(env, twice + 2 * PAGE, 6);
	assert_int_equal(lib_read(env, BASE + PAGE), 6);
	OK(env->ops->object_page(object, 2, false, &pa));
	*(uint64_t *)vmt_port_frame_ptr(sim_port(env->machine), pa) = 7; // write(2)
	env->ops->page_put(env->vmt, pa);
	assert_int_equal(lib_read(env, BASE + PAGE), 7);
	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, BASE, 50);
	assert_int_equal(read_in(env, child, BASE), 50);
	assert_int_equal(read_in(env, child, twice + PAGE), 50);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_anon, 0);
	assert_true(stats.resident_pages >= 3);
	OK(env->ops->release(env->space, BASE, MIB(1))); // the object keeps its pages
	assert_int_equal(lib_read(env, BASE), 50);
	OK(env->ops->protect(env->space, BASE, PAGE, VMT_READ));
	IS(sim_write(env->cpu, BASE, 8, 1), VMT_ERR_ACCESS);
	OK(env->ops->protect(env->space, BASE, PAGE, 0));
	OK(env->ops->protect(env->space, BASE, PAGE, RW));
	lib_write(env, BASE, 51);
	assert_int_equal(read_in(env, child, twice + PAGE), 51);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
	assert_int_equal(file.gone, 1);
}

// Shared anonymous memory is an object that nobody else knows.
static void anonymous_shared(struct env *env)
{
	struct vmt_space *child;
	struct vmt_area area;

	lib_map(env, BASE, MIB(4), RW, VMT_MAP_SHARED);
	lib_write(env, BASE, 1);
	OK(env->ops->area_find(env->space, BASE, &area));
	assert_int_equal(area.flags, VMT_MAP_SHARED);
	assert_non_null(area.object);
	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, BASE, 2);
	lib_write(env, BASE + MIB(2), 3);
	assert_int_equal(read_in(env, child, BASE), 2);
	assert_int_equal(read_in(env, child, BASE + MIB(2)), 3);
	OK(env->ops->unmap(env->space, BASE, MIB(4)));
	assert_int_equal(read_in(env, child, BASE), 2);
	OK(env->ops->space_destroy(child));
	lib_map(env, BASE, MIB(4), VMT_READ, VMT_MAP_SHARED);
	assert_int_equal(lib_read(env, BASE), 0); // another object
	lib_expect_bare(env, env->space);
}

static void private_copies(struct env *env)
{
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, MIB(1));
	struct vmt_space_stats stats;
	struct vmt_space *child;

	lib_map_object(env, object, BASE, 8 * PAGE, 0, RW, 0);
	lib_map_object(env, object, GIB(2), 8 * PAGE, 0, RW, VMT_MAP_SHARED);
	assert_int_equal(lib_read(env, BASE), 1000);
	lib_write(env, BASE, 1);			// a copy of what was read
	lib_write(env, BASE + PAGE, 2);			// a copy at once
	assert_int_equal(lib_read(env, GIB(2)), 1000);
	assert_int_equal(lib_read(env, GIB(2) + PAGE), 1001);
	lib_write(env, GIB(2) + 2 * PAGE, 3);
	assert_int_equal(lib_read(env, BASE + 2 * PAGE), 3);
	env->ops->space_stats(env->space, &stats);
	assert_int_equal(stats.resident_anon, 2);
	OK(env->ops->space_fork(env->space, NULL, &child));
	lib_write(env, BASE, 10);
	assert_int_equal(read_in(env, child, BASE), 1);
	OK(env->ops->release(env->space, BASE, 8 * PAGE)); // back to the object's
	assert_int_equal(lib_read(env, BASE), 1000);
	assert_int_equal(lib_read(env, BASE + PAGE), 1001);
	OK(env->ops->protect(env->space, BASE, PAGE, VMT_READ));
	OK(env->ops->protect(env->space, BASE, PAGE, RW));
	lib_write(env, BASE, 11);
	assert_int_equal(lib_read(env, GIB(2)), 1000);
	CHECK(env, child);
	OK(env->ops->space_destroy(child));
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
	assert_int_equal(file.gone, 1);
}

static void sizes(struct env *env)
{
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, 3 * PAGE + 100);
	uint64_t value;

	lib_map_object(env, object, BASE, 8 * PAGE, 0, RW, VMT_MAP_SHARED);
	lib_map_object(env, object, GIB(2), 8 * PAGE, 0, RW, 0);
	lib_write(env, BASE + 3 * PAGE + 200, 9); // the last page is there as a whole
	IS(sim_read(env->cpu, BASE + 4 * PAGE, 8, &value), VMT_ERR_BUS);
	IS(sim_write(env->cpu, GIB(2) + 4 * PAGE, 8, 1), VMT_ERR_BUS);
	IS(sim_read(env->cpu, BASE + 7 * PAGE, 8, &value), VMT_ERR_BUS);
	env->ops->object_set_size(object, 6 * PAGE);
	assert_int_equal(lib_read(env, BASE + 5 * PAGE), 1005);
	IS(sim_read(env->cpu, BASE + 6 * PAGE, 8, &value), VMT_ERR_BUS);
	lib_write(env, BASE + PAGE + 8, 4);
	lib_write(env, BASE + PAGE + 2000, 5);
	lib_write(env, GIB(2) + PAGE + 2000, 6); // a private copy, which the object never learns of
	env->ops->object_set_size(object, PAGE + 1000);
	assert_int_equal(env->ops->object_size(object), PAGE + 1000);
	assert_int_equal(lib_read(env, BASE + PAGE + 8), 4);
	assert_int_equal(lib_read(env, BASE + PAGE + 2000), 0);
	assert_int_equal(lib_read(env, GIB(2) + PAGE + 2000), 6);
	OK(env->ops->release(env->space, BASE, 8 * PAGE));
	IS(sim_read(env->cpu, BASE + 2 * PAGE, 8, &value), VMT_ERR_BUS);
	assert_int_equal(lib_read(env, BASE + PAGE + 8), 4);
	env->ops->object_set_size(object, 0);
	assert_int_equal(env->ops->object_pages(object), 0);
	OK(env->ops->release(env->space, BASE, 8 * PAGE));
	IS(sim_read(env->cpu, BASE, 8, &value), VMT_ERR_BUS);
	env->ops->object_set_size(object, MIB(1));
	assert_int_equal(lib_read(env, BASE + PAGE + 8), 0); // filled anew
	assert_int_equal(lib_read(env, BASE + PAGE), 1001);
	file.broken = true;
	IS(sim_read(env->cpu, BASE + 7 * PAGE, 8, &value), VMT_ERR_BUS);
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
	assert_int_equal(file.gone, 1);
}

static void faults_say_major(struct env *env)
{
	struct file file = {0};
	struct vmt_object *object = open_file(env, &file, MIB(1));
	struct vmt_fault_info info = {0};

	lib_map_object(env, object, BASE, 8 * PAGE, 0, RW, VMT_MAP_SHARED);
	OK(env->ops->fault(env->space, BASE + 5, VMT_READ, &info));
	assert_true(info.major);
	OK(env->ops->release(env->space, BASE, PAGE));
	OK(env->ops->fault(env->space, BASE + 5, VMT_WRITE, &info));
	assert_false(info.major);
	OK(env->ops->fault(env->space, BASE + 5, VMT_WRITE, &info)); // nothing to do
	assert_false(info.major);
	env->ops->object_put(object);
	lib_expect_bare(env, env->space);
}

// Many protections of many objects: descriptors come and go.
static void many_backings(struct env *env)
{
	struct file file[8] = {{0}};

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 8; i++) {
			struct vmt_object *object = open_file(env, &file[i], MIB(4));

			lib_map_object(env, object, MIB(64) + i * MIB(4), MIB(4), 0, RW, i & 1 ? VMT_MAP_SHARED : 0);
			env->ops->object_put(object);
		}
		for (unsigned page = 0; page < 1024; page += 2) // each second page of each: all different
			OK(env->ops->protect(env->space, MIB(64) + page * 8 * PAGE, PAGE, page % 8));
		CHECK(env, env->space);
		OK(env->ops->protect(env->space, MIB(64), MIB(32), VMT_READ));
		CHECK(env, env->space);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(lib_read(env, MIB(64) + i * MIB(4) + 3 * PAGE), 1003);
		lib_expect_bare(env, env->space);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(file[i].gone, round + 1);
	}
}

static void array_limit(struct env *env)
{
	struct vmt_space_config config = {.start = SPACE_START, .end = env->end, .array_limit = 4 * PAGE};
	struct vmt_map_request request = {.addr = GIB(1), .length = GIB(1), .prot = RW, .flags = VMT_MAP_FIXED};
	enum vmt_status status = VMT_OK;
	struct vmt_space_stats stats;
	struct vmt_space *space;
	struct vmt_area area;
	unsigned i;

	OK(env->ops->space_create(env->vmt, &config, &space));
	OK(env->ops->map(space, &request, &request.addr));
	for (i = 0; i < 64 && status == VMT_OK; i++)
		status = env->ops->protect(space, GIB(1) + i * span(1), PAGE, VMT_READ);
	IS(status, VMT_ERR_LIMIT);
	env->ops->space_stats(space, &stats);
	assert_true(stats.array_bytes <= config.array_limit);
	assert_true(i > 4);
	OK(env->ops->area_find(space, GIB(1) + (i - 1) * span(1), &area));
	assert_int_equal(area.prot, RW);
	CHECK(env, space);
	OK(env->ops->protect(space, GIB(1), GIB(1), VMT_READ)); // whole tables need no array
	OK(env->ops->unmap(space, GIB(1), GIB(1)));
	CHECK(env, space);
	OK(env->ops->space_destroy(space));
}

int main(int argc, char **argv)
{
	static const struct lib_case cases[] = {
		{.name = "lifetime", .run = lifetime},
		{.name = "pages by index", .run = pages_by_index},
		{.name = "sharing", .run = sharing, .hard = 1},
		{.name = "shared anonymous memory", .run = anonymous_shared},
		{.name = "private copies", .run = private_copies, .hard = 1},
		{.name = "sizes", .run = sizes},
		{.name = "major faults", .run = faults_say_major},
		{.name = "many descriptors", .run = many_backings},
		{.name = "array limit", .run = array_limit},
	};

	return lib_main("objects", cases, sizeof(cases) / sizeof(*cases), argc, argv);
}
