// SPDX-License-Identifier: MIT
// A3. CPU 0 has found a table on its way down; CPU 1 detaches it; CPU 0 locks it and writes an entry.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	release_page(A); // CPU 1 keeps the empty table
	xp_claim(XP_USED, table_of(A, 0), "a fault uses a table that is gone");
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
	xp_demand(frame_at(A) != 0, "a page went into a table that is gone");
	end_space();
}

const struct scenario A3 = {
	.name = "A3-entry-into-detached-table",
	.about = "a fault reaches a table that is detached before it has the lock",
	.without = "LINKED", .words = "a fault uses a table that is gone",
	.cpus = 2, .begin = begin, .cpu = {fault, reclaim}, .end = end,
};
