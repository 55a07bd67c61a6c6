// SPDX-License-Identifier: MIT
// A frame becomes an object's page, with two references, while somebody who reached it late takes one. Once the second
// was stored after the first, and swallowed his: the page was freed while the object had it. It takes three
// preemptions.
#include "space.h"

static struct vmt_object *object, *other;
static uint64_t made;

// Brings a page into the object that has the frame which was freed last.
static void make_page(struct vmt_object *into, uint64_t index, uint64_t *pa)
{
	ok(vmt_object_page(into, index, true, pa));
	vmt_page_put(vmt, *pa);
}

static void end(void)
{
	xp_demand(!xp_frame_is_free(made), "an object has a page that is free");
	vmt_object_put(object);
	if (other)
		vmt_object_put(other);
	end_space();
}

// ---- CPU 0 takes a reference on A's page without a lock; CPU 1 gives it back, and an object gets the frame. -------

static void begin_reader(void)
{
	uint64_t pa;

	begin_space();
	other = NULL;
	ok(vmt_object_create(vmt, 2 * PAGE, NULL, NULL, &object));
	write_value(A, 1);
	make_page(object, 1, &pa); // so that the object has its inner frames
}

static void get(void)
{
	uint64_t pa;

	if (vmt_page_try_get(space, A, VMT_READ, &pa) == VMT_OK)
		vmt_page_put(vmt, pa);
}

static void release_and_make(void)
{
	release_page(A);
	make_page(object, 0, &made);
}

const struct scenario counted_against_reader = {
	.name = "counted-against-reader",
	.about = "a lock-free reader takes a reference on a frame that becomes an object's page",
	.cpus = 2, .reuse = true, .begin = begin_reader, .cpu = {get, release_and_make}, .end = end,
};

// ---- CPU 0's fault finds a page in an object under the lock; CPU 1 cuts it, and another object gets the frame. ----

static void begin_fault(void)
{
	struct vmt_map_request request = {.addr = A, .length = PAGE, .prot = RW,
					  .flags = VMT_MAP_FIXED | VMT_MAP_SHARED};
	uint64_t addr, pa;

	begin_space();
	ok(vmt_object_create(vmt, PAGE, NULL, NULL, &object));
	ok(vmt_object_create(vmt, 2 * PAGE, NULL, NULL, &other));
	request.object = object;
	ok(vmt_map(space, &request, &addr));
	make_page(object, 0, &pa);
	make_page(other, 1, &pa);
}

static void fault(void)
{
	enum vmt_status status = vmt_fault(space, A, VMT_WRITE, NULL);

	if (status != VMT_ERR_BUS)
		ok(status);
}

static void cut_and_make(void)
{
	vmt_object_set_size(object, 0);
	make_page(other, 0, &made);
	release_page(A);
}

const struct scenario counted_against_fault = {
	.name = "counted-against-fault",
	.about = "a fault takes a reference on a frame that becomes another object's page",
	.cpus = 2, .reuse = true, .begin = begin_fault, .cpu = {fault, cut_and_make}, .end = end,
};
