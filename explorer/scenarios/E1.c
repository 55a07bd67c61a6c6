// SPDX-License-Identifier: MIT
// E1. CPU 0's fault is about to add a table below an upper one, which CPU 1 gives back meanwhile.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(B, 1);
	release_page(B); // CPU 1 keeps the empty table, and with it the upper one
	xp_claim(XP_USED, table_of(B, 1), "a fault uses an upper table that is gone");
}

static void fault(void)
{
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
}

static void reclaim(void)
{
	vmt_reclaim(space, 16);
}

static void end(void)
{
	xp_demand(frame_at(A) != 0, "a table went into one that is gone");
	end_space();
}

const struct scenario E1 = {
	.name = "E1-table-into-detached-table",
	.about = "a fault adds a table to an upper one that is detached before it has the lock",
	.without = "LINKED", .words = "a fault uses an upper table that is gone",
	.cpus = 2, .begin = begin, .cpu = {fault, reclaim}, .end = end,
};
