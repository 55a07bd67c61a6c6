// SPDX-License-Identifier: MIT
// 11. CPU 0 unmaps pages here and there, more than a request has room for; the device, on CPU 1, is at
// the last, or the first.
#include <vmtree/port.h>

#include "devices.h"

// The page that the device uses is the one at A.
static uint64_t first;

static void begin(void)
{
	begin_unused_space();
	for (unsigned i = 0; i <= VMT_FLUSH_RANGES; i++)
		ok(vmt_fault(space, first + 2 * i * PAGE, VMT_WRITE, NULL));
	xp_claim(XP_REACHED, frame_at(A), "more was unmapped than a device was told of");
	attach_device(DEVICE, XP_GIVEN, 0);
}

static void begin_last(void)
{
	first = A - 2 * VMT_FLUSH_RANGES * PAGE;
	begin();
}

static void begin_first(void)
{
	first = A;
	begin();
}

static void unmap(void)
{
	ok(vmt_unmap(space, first, (2 * VMT_FLUSH_RANGES + 1) * PAGE));
	xp_demand(!xp_device_keeps(DEVICE, A, false), "more was unmapped than a device was told of");
}

static void device_faults(void)
{
	enum vmt_status status = xp_device_fault(DEVICE, A, VMT_READ, 0);

	if (status != VMT_ERR_UNMAPPED)
		ok(status);
}

const struct scenario r11_device = {
	.name = "r11-many-ranges-device",
	.about = "more ranges are unmapped than one request to flush has room for",
	.without = "FLUSH_GROWS", .words = "more was unmapped than a device was told of",
	.cpus = 2, .begin = begin_last, .cpu = {unmap, device_faults}, .end = end_space,
};

const struct scenario r11_device_hull = {
	.name = "r11-hull-device",
	.about = "a request to flush has become one for everything",
	.without = "FLUSH_HULL", .words = "more was unmapped than a device was told of",
	.cpus = 2, .begin = begin_first, .cpu = {unmap, device_faults}, .end = end_space,
};
