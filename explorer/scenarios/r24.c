// SPDX-License-Identifier: MIT
// 24. A device has looked at a range; its table is freed and made anew, in the same place, with other pages; the device
// commits what it saw.
#include "devices.h"

static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	attach_device(DEVICE, XP_GIVEN, 0);
}

static void commit(void *arg, const struct vmt_grant *grant, unsigned count, bool programmed)
{
	(void)arg;
	xp_demand(!xp_frame_is_free(grant->pa) && grant->pa == frame_at(A), "a device was handed a page that was freed");
	xp_device_commit_range(DEVICE, grant, count, programmed);
}

static void fault_range(void)
{
	struct vmt_secondary_range range = {.addr = A, .length = PAGE, .access = VMT_WRITE, .commit = commit};
	enum vmt_status status = vmt_secondary_fault_range(space, DEVICE->id, &range);

	if (status != VMT_ERR_UNMAPPED)
		ok(status);
}

static void remake_table(void)
{
	release_page(A);
	vmt_reclaim(space, 16);
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
}

const struct scenario r24 = {
	.name = "r24-table-again",
	.about = "a table is freed and made anew between a device's looking at a range and its commit",
	.without = "RANGE_RECHECKS", .words = "a device was handed a page that was freed",
	.reuse = true,
	.cpus = 2, .begin = begin, .cpu = {fault_range, remake_table}, .end = end_space,
};
