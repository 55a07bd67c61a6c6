// SPDX-License-Identifier: MIT
// C3. A device faults between the beginning of a change and the change of the entry: it keeps nothing of what it read.
#include "devices.h"

static void unmap_a(void)
{
	ok(vmt_unmap(space, A, PAGE));
	xp_demand(!xp_device_keeps(DEVICE, A, false), "a device keeps what it read before the entry changed");
}

// What is unmapped is no page for the device.
static void device_faults(void)
{
	enum vmt_status status = xp_device_fault(DEVICE, A, VMT_READ, 0);

	if (status != VMT_ERR_UNMAPPED)
		ok(status);
}

static void end(void)
{
	xp_demand(!xp_device_keeps(DEVICE, A, false), "a device keeps what it read before the entry changed");
	end_space();
}

// ---- CPU 0 unmaps; the device, on CPU 1, has read the entry and is about to be handed what it said. ---------------

static void handed(const struct vmt_grant *grant)
{
	xp_demand(!xp_frame_is_free(grant->pa), "a device was handed a page that was freed");
}

static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	attach_device(DEVICE, XP_GIVEN, 0);
	DEVICE->handed = handed;
}

const struct scenario late_commit = {
	.name = "C3-late-commit",
	.about = "a page is unmapped while a device faults on it",
	.without = "COMMIT_UNDER_LOCK", .words = "a device was handed a page that was freed",
	.cpus = 2, .begin = begin, .cpu = {unmap_a, device_faults}, .end = end,
};

// ---- The same with tables of its own, which it walks whenever it can. ---------------------------------------------

static void begin_mirror(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	xp_claim(XP_REACHED, frame_at(A), "a device finds in its tables what was unmapped");
	attach_device(DEVICE, XP_OWN_TABLES, 0);
}

const struct scenario mirror = {
	.name = "C3-mirror",
	.about = "a page is unmapped while a device makes a mirror enter it",
	.without = "MIRROR_REMOVES", .words = "a device finds in its tables what was unmapped",
	.cpus = 2, .begin = begin_mirror, .cpu = {unmap_a, device_faults}, .end = end,
};
