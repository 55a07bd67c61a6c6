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

// By a system call, so the new table is made whatever this CPU has cached.
static void refill(void)
{
	uint64_t value;

	copy_value(A, 2);
	value = read_value(A);
	xp_demand(value == 2 || value == 0, "a CPU goes the old way after a new table has taken its place");
}

const struct scenario A2 = {
	.name = "A2-new-table-before-flush",
	.about = "a fault makes a new table where one has just been taken away",
	.without = "FLUSH_UNDER_LOCK", .words = "a CPU goes the old way after a new table has taken its place",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {map_anew, refill}, .end = end_space,
};
