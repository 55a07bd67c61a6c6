// SPDX-License-Identifier: MIT
// 9. A secondary is detached, or a mirror ends, while something changes.
#include "devices.h"

static void release(void)
{
	release_page(A);
}

static void leave(void)
{
	xp_device_leave(DEVICE);
}

// ---- CPU 0 is telling the secondary of a change when CPU 1 detaches it. -------------------------------------------

static void late(struct xp_device *device)
{
	(void)device;
	xp_demand(false, "a secondary was called after it had been detached");
}

static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	attach_device(DEVICE, XP_GIVEN, 0);
	DEVICE->late = late;
	device_writes(A, 1);
}

const struct scenario r09 = {
	.name = "r09-detach-in-callback",
	.about = "a secondary is detached while it is being told of something",
	.without = "DETACH_WAITS", .words = "a secondary was called after it had been detached",
	.cpus = 2, .begin = begin, .cpu = {release, leave}, .end = end_space,
};

// ---- The mirror has taken all out of the device's tables, and asks it to forget; CPU 0 releases the page. ----------

static void begin_mirror(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	xp_claim(XP_REACHED, frame_at(A), "a page was freed that a device has cached");
	attach_device(DEVICE, XP_OWN_TABLES, 0);
	device_writes(A, 1);
}

const struct scenario mirror_ends = {
	.name = "r09-mirror-ends",
	.about = "a page is released while a mirror ends that has it",
	.without = "MIRROR_WIDE", .words = "a page was freed that a device has cached",
	.cpus = 2, .begin = begin_mirror, .cpu = {release, leave}, .end = end_space,
};

// ---- CPU 0 is about to enter what its fault has brought when the mirror ends. -------------------------------------

static void begin_eager(void)
{
	begin_unused_space();
	attach_device(DEVICE, XP_EAGER, 0);
}

static void fault(void)
{
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
}

static void end_eager(void)
{
	struct vmt_translation translation;

	xp_demand(vmt_tree_translate(DEVICE->tree, A, &translation) == VMT_ERR_NOT_PRESENT,
		  "a mirror that has ended has left something behind");
	end_space();
}

const struct scenario mirror_ends_filled = {
	.name = "r09-mirror-ends-filled",
	.about = "a mirror ends while something is entered ahead of its device",
	.without = "MIRROR_ENDS", .words = "a mirror that has ended has left something behind",
	.cpus = 2, .begin = begin_eager, .cpu = {fault, leave}, .end = end_eager,
};
