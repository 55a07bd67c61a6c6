// SPDX-License-Identifier: MIT
// D2. Who installs an entry while he holds nothing but the object's side. Here that is a fault: CPU 0 has made the page
// in the object, and comes to the table only then. CPU 1 cuts the object meanwhile, takes out what is mapped of it, and
// lets the object grow again. Where the page is there the fault finds it under the lock of the table; CPU 1 cuts the
// object at that moment, and uses the frame in another table before it takes out what is mapped.
#include "space.h"

static struct vmt_object *object;

static void begin(void)
{
	struct vmt_map_request request = {.addr = A, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED};
	uint64_t addr;

	begin_space();
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &object));
	request.object = object;
	ok(vmt_map(space, &request, &addr));
}

static void begin_with_page(void)
{
	uint64_t pa;

	begin();
	ok(vmt_fault(space, B + PAGE, VMT_WRITE, NULL)); // so that B has a table
	ok(vmt_object_page(object, 0, true, &pa));
	vmt_page_put(vmt, pa);
}

static void fault(void)
{
	enum vmt_status status = vmt_fault(space, A, VMT_WRITE, NULL);

	if (status != VMT_ERR_BUS) // the object was short at that moment
		ok(status);
}

static void cut(void)
{
	vmt_object_set_size(object, 0);
	release_page(A);
	vmt_object_set_size(object, PAGE);
}

static void fault_and_read(void)
{
	uint64_t value;

	fault();
	if (xp_read(A, &value) == VMT_OK)
		xp_demand(value != 7, "a fault has mapped a page that is somebody else's");
}

static void cut_and_reuse(void)
{
	vmt_object_set_size(object, 0);
	write_value(B, 7);
	release_page(A);
	vmt_object_set_size(object, PAGE);
}

static void end(void)
{
	uint64_t mapped = frame_at(A), pa = 0;

	if (mapped && vmt_object_page(object, 0, false, &pa) == VMT_OK)
		vmt_page_put(vmt, pa);
	xp_demand(mapped == pa || !mapped, "a fault has mapped a page that the object had given up");
	vmt_object_put(object);
	end_space();
}

const struct scenario D2 = {
	.name = "D2-fault-against-truncation",
	.about = "a fault has a page of an object that is cut and unmapped",
	.without = "PAGE_OF_OBJECT", .words = "a fault has mapped a page that the object had given up",
	.cpus = 2, .begin = begin, .cpu = {fault, cut}, .end = end,
};

const struct scenario D2_found = {
	.name = "D2-fault-finds-cut-page",
	.about = "a fault takes a page from an object that is cut, and whose page is reused",
	.without = "PAGE_IN_OBJECT", .words = "a fault has mapped a page that is somebody else's",
	.cpus = 2, .reuse = true, .begin = begin_with_page, .cpu = {fault_and_read, cut_and_reuse}, .end = end,
};
