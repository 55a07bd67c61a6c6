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

// ---- CPU 0 makes a page for an object that CPU 1 cuts. -------------------------------------------------------------

static void begin_empty(void)
{
	struct vmt_map_request request = {.addr = A, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED,
					  .offset = 600 * PAGE}; // the object's tree has two levels
	uint64_t addr;

	begin_space();
	ok(vmt_object_create(vmt, GIB, NULL, NULL, &object));
	request.object = object;
	ok(vmt_map(space, &request, &addr));
}

static void cut_only(void)
{
	vmt_object_set_size(object, 0);
}

static void end_cut(void)
{
	release_page(A);
	xp_demand(vmt_object_pages(object) == 0, "a page has come into an object behind its end");
	vmt_object_put(object);
	end_space();
}

const struct scenario page_behind_end = {
	.name = "D2-page-against-truncation",
	.about = "a fault makes a page for an object that is cut",
	.without = "PAGE_BEYOND_END", .words = "a page has come into an object behind its end",
	.cpus = 2, .begin = begin_empty, .cpu = {fault, cut_only}, .end = end_cut,
};

// ---- CPU 0 has a page filled for an object that CPU 1 cuts and lets grow again: not what was there before. --------

static uint64_t bytes;

static enum vmt_status fill(void *owner, uint64_t index, void *page)
{
	(void)owner, (void)index;
	*(uint64_t *)page = bytes;
	return VMT_OK;
}

static void begin_filled(void)
{
	static const struct vmt_object_ops ops = {.fill = fill};
	struct vmt_map_request request = {.addr = A, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED};
	uint64_t addr;

	bytes = 1;
	begin_space();
	ok(vmt_object_create(vmt, PAGE, &ops, NULL, &object));
	request.object = object;
	ok(vmt_map(space, &request, &addr));
}

static void cut_and_grow(void)
{
	vmt_object_set_size(object, 0);
	bytes = 2;
	vmt_object_set_size(object, PAGE);
}

static void end_filled(void)
{
	uint64_t pa;

	if (vmt_object_page(object, 0, false, &pa) == VMT_OK) {
		xp_demand(*(uint64_t *)xp_frame_ptr(pa) == 2, "an object has a page of before it was cut");
		vmt_page_put(vmt, pa);
	}
	release_page(A);
	vmt_object_put(object);
	end_space();
}

const struct scenario page_of_before = {
	.name = "D2-page-of-before-truncation",
	.about = "a page is filled for an object that is cut and grows again",
	.without = "PAGE_BEYOND_END", .words = "an object has a page of before it was cut",
	.cpus = 2, .begin = begin_filled, .cpu = {fault, cut_and_grow}, .end = end_filled,
};

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
