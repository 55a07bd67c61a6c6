// SPDX-License-Identifier: MIT
// C2, of a device. CPU 0 clears an entry; CPU 1 faults a new page in there; the device has had the old one all the
// while, and no CPU's flush reaches it.
#include "devices.h"

static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	attach_device(DEVICE, XP_GIVEN, 0);
	device_writes(A, 1);
}

static void release(void)
{
	release_page(A);
}

// By a system call. The release may come first, or last.
static void refill(void)
{
	copy_value(A, 2);
	xp_demand(device_reads(A) != 1, "a device reads the old page after a new one has taken its place");
}

const struct scenario C2_device = {
	.name = "C2-new-page-before-device",
	.about = "a fault puts a page where another was released, before a device has forgotten that",
	.without = "FLUSH_UNDER_LOCK", .words = "a device reads the old page after a new one has taken its place",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release, refill}, .end = end_space,
};
