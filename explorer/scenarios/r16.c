// SPDX-License-Identifier: MIT
// 16. Two faults race to install one page. CPU 0 wants a reference on it as well, and CPU 1 releases it at once.
#include "space.h"

static void get(void)
{
	uint64_t pa;

	ok(vmt_page_get(space, A, VMT_WRITE, &pa));
	xp_demand(!xp_frame_is_free(pa), "a reference on a free frame");
	vmt_page_put(vmt, pa);
}

static void write_and_release(void)
{
	write_value(A, 1);
	release_page(A);
}

const struct scenario r16 = {
	.name = "r16-two-faults",
	.about = "two faults install one page, and one of them takes a reference",
	.without = "REFERENCE_FIRST", .words = "a reference on a free frame",
	.cpus = 2, .begin = begin_space, .cpu = {get, write_and_release}, .end = end_space,
};

// ---- Two faults on one page of an object, at different addresses. The orders are what is tried (orders.txt). --------

static struct vmt_object *object;

static void begin_object(void)
{
	struct vmt_map_request request = {.length = PAGE, .prot = RW, .flags = VMT_MAP_FIXED | VMT_MAP_SHARED,
					  .offset = 600 * PAGE}; // the object's tree has two levels
	uint64_t addr;

	begin_space();
	ok(vmt_object_create(vmt, GIB, NULL, NULL, &object));
	request.object = object;
	request.addr = A;
	ok(vmt_map(space, &request, &addr));
	request.addr = B;
	ok(vmt_map(space, &request, &addr));
}

static void read_a(void)
{
	xp_demand(read_value(A) == 0, "a new page of an object has bytes");
}

static void read_b(void)
{
	xp_demand(read_value(B) == 0, "a new page of an object has bytes");
}

static void end_object(void)
{
	xp_demand(frame_at(A) == frame_at(B), "an object has two pages in one place");
	vmt_object_put(object);
	end_space();
}

const struct scenario faults_of_object = {
	.name = "r16-two-faults-of-object",
	.about = "two faults add one page to an object",
	.cpus = 2, .begin = begin_object, .cpu = {read_a, read_b}, .end = end_object,
};
