// SPDX-License-Identifier: MIT
// 8. A device walks the tables of the space and keeps how it got there. CPU 0 unmaps all that a table holds.
#include "devices.h"

static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	for (unsigned level = 0; level < 2; level++)
		xp_claim(XP_REACHED, table_of(A, level), "a device knows the way to a table that was freed");
	attach_device(DEVICE, XP_SPACE_TABLES, 0);
	device_reads(A);
}

static void unmap(void)
{
	ok(vmt_unmap(space, XP_RAM, GIB));
}

static void device_looks(void)
{
	uint64_t value;
	enum vmt_status status = xp_device_read(DEVICE, B, &value);

	if (status != VMT_ERR_UNMAPPED)
		ok(status);
}

const struct scenario r08 = {
	.name = "r08-device-walks-tables",
	.about = "tables are freed that a device walks",
	.without = "FLUSH_TABLES", .words = "a device knows the way to a table that was freed",
	.cpus = 2, .begin = begin, .cpu = {unmap, device_looks}, .end = end_space,
};
