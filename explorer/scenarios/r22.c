// SPDX-License-Identifier: MIT
// 22. CPU 0 takes a reference on A's page without a lock; CPU 1 gives that page back and writes B, for which it
// gets the same frame.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	ok(vmt_fault(space, B + PAGE, VMT_WRITE, NULL)); // so that B has its table
	write_value(A, 1);
}

static void get(void)
{
	uint64_t pa;

	if (vmt_page_try_get(space, A, VMT_READ, &pa) != VMT_OK)
		return;
	xp_demand(*(uint64_t *)xp_frame_ptr(pa) == 1, "a reference leads to another page");
	vmt_page_put(vmt, pa);
}

static void release_and_write(void)
{
	release_page(A);
	write_value(B, 2);
}

const struct scenario r22 = {
	.name = "r22-reference-to-reused",
	.about = "a lock-free reader takes a reference on a page that has become another's",
	.without = "LOOKED_AGAIN", .words = "a reference leads to another page",
	.cpus = 2, .reuse = true, .begin = begin, .cpu = {get, release_and_write}, .end = end_space,
};

// ---- The same, but that the frame becomes an object's, whose page is mapped at B. ---------------------------------

static struct vmt_object *object;

static void begin_with_object(void)
{
	struct vmt_map_request request = {.addr = B, .length = 2 * PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED};
	uint64_t addr;

	begin_space();
	xp_as(1);
	ok(vmt_object_create(vmt, 2 * PAGE, NULL, NULL, &object));
	request.object = object;
	ok(vmt_map(space, &request, &addr));
	ok(vmt_fault(space, B + PAGE, VMT_WRITE, NULL)); // so that B and the object have their tables
	write_value(A, 1);
}

static void release_and_read(void)
{
	release_page(A);
	xp_demand(read_value(B) == 0, "a new page of an object has bytes");
}

static void end_with_object(void)
{
	vmt_object_put(object);
	end_space();
}

const struct scenario reference_to_objects = {
	.name = "r22-reference-to-objects",
	.about = "a lock-free reader takes a reference on a page that has become an object's",
	.without = "LOOKED_AGAIN", .words = "a reference leads to another page",
	.cpus = 2, .reuse = true, .begin = begin_with_object, .cpu = {get, release_and_read}, .end = end_with_object,
};
