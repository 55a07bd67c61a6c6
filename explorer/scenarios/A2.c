// SPDX-License-Identifier: MIT
// A2. CPU 0 takes everything out below an entry of a higher table, and the table; CPU 1 faults, which makes a new table
// there. The old way down must not be cached any more when there is a new one.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
}

static void map_anew(void)
{
	struct vmt_map_request request = {.addr = XP_RAM, .length = 4 * MIB, .prot = RW, .flags = VMT_MAP_FIXED};
	uint64_t addr;

	ok(vmt_map(space, &request, &addr));
}

static void fault(void)
{
	write_value(A, 2);
}

static void end(void)
{
	xp_as(0);
	xp_demand(frame_at(A) == 0 || read_value(A) == 2, "what comes after an unmapping is not what was written then");
	end_space();
}

const struct scenario A2 = {
	.name = "A2-new-table-before-flush",
	.about = "a fault makes a new table where one has just been taken away",
	.without = "FLUSH_UNDER_LOCK", .words = "two translations of one address at once",
	.cpus = 2, .begin = begin, .cpu = {map_anew, fault}, .end = end,
};
