// SPDX-License-Identifier: MIT
// 18. More pages go than the list has room for of those that others hold as well. CPU 0 unmaps them; CPU 1 lets go of
// the first, so that the list has the last reference on it; a device has it cached.
#include "devices.h"

#define LISTED 32 // BATCH_SHARED

static uint64_t held[LISTED + 1];

static void begin(void)
{
	begin_unused_space();
	for (unsigned i = 0; i <= LISTED; i++)
		ok(vmt_page_get(space, A + i * PAGE, VMT_WRITE, &held[i]));
	xp_claim(XP_REACHED, held[0], "a page was freed that a device has cached");
	attach_device(DEVICE, XP_GIVEN, 0);
	device_writes(A, 1);
}

static void unmap(void)
{
	ok(vmt_unmap(space, A, (LISTED + 1) * PAGE));
}

static void let_go(void)
{
	vmt_page_put(vmt, held[0]);
}

static void end(void)
{
	xp_demand(!xp_device_keeps(DEVICE, A, false), "a device has a page that was unmapped");
	for (unsigned i = 1; i <= LISTED; i++)
		vmt_page_put(vmt, held[i]);
	end_space();
}

const struct scenario r18_device = {
	.name = "r18-overflow-device",
	.about = "pages go that others hold as well, more than are listed",
	.without = "FLUSH_OVERFLOW", .words = "a page was freed that a device has cached",
	.cpus = 2, .begin = begin, .cpu = {unmap, let_go}, .end = end,
};
