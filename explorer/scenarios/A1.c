// SPDX-License-Identifier: MIT
// A1. CPU 0 gives a table back that it believes to be empty, while CPU 1 faults a page into it.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	release_page(A); // CPU 0 keeps the empty table
}

static void reclaim(void)
{
	vmt_reclaim(space, 16);
}

static void fault(void)
{
	write_value(A, 7);
}

static void end(void)
{
	xp_demand(frame_at(A) != 0, "a table went with a page in it");
	end_space();
}

const struct scenario A1 = {
	.name = "A1-fold-against-fault",
	.about = "an empty table is given back while a fault fills it",
	.without = "EMPTY", .words = "a table went with a page in it",
	.cpus = 2, .begin = begin, .cpu = {reclaim, fault}, .end = end,
};

// ---- The same with a third CPU that unmaps everything. -------------------------------------------------------------

static void begin_with_table(void)
{
	begin();
	xp_claim(XP_USED | XP_RACED, XP_ANY_TABLE, "a fault uses a table that is gone");
}

static void unmap(void)
{
	ok(vmt_unmap(space, XP_RAM, GIB));
}

static void fault_or_fail(void)
{
	enum vmt_status status = xp_write(A, 7);

	xp_demand(status == VMT_OK || status == VMT_ERR_UNMAPPED, "a write ends otherwise than it may");
}

static void end_unmapped(void)
{
	xp_demand(frame_at(A) == 0, "a page is where nothing is mapped");
	end_space();
}

const struct scenario fold_among_three = {
	.name = "A1-fold-fault-and-unmap",
	.about = "a table is given back, filled by a fault, and unmapped, by three CPUs",
	.without = "LINKED", .words = "a fault uses a table that is gone",
	.cpus = 3, .begin = begin_with_table, .cpu = {reclaim, fault_or_fail, unmap}, .end = end_unmapped,
};
