// SPDX-License-Identifier: MIT
// 7. A page moves from A to B. When it can be read at B, it cannot be written at A any more.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	write_value(A, 2);
}

static void move_to_b(void)
{
	uint64_t got;

	ok(vmt_move(space, A, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, B, &got));
	xp_demand(!xp_mmu_translates(A), "the place that a page has left can be written");
}

static void write_a(void)
{
	enum vmt_status status = xp_write(A, 3);

	xp_demand(status == VMT_OK || status == VMT_ERR_UNMAPPED, "a write ends otherwise than it may");
}

const struct scenario r07 = {
	.name = "r07-move-against-write",
	.about = "a page is written at the place that it leaves",
	.without = "FLUSH_MOVE", .words = "the place that a page has left can be written",
	.cpus = 2, .begin = begin, .cpu = {move_to_b, write_a}, .end = end_space,
};

// ---- The same with the table that the page lies in, and all around it. --------------------------------------------

#define SPAN (2 * MIB)

static void begin_table(void)
{
	begin();
	ok(vmt_unmap(space, B & ~(SPAN - 1), SPAN));
}

static void move_table_to_b(void)
{
	uint64_t got;

	ok(vmt_move(space, A & ~(SPAN - 1), SPAN, SPAN, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, B & ~(SPAN - 1), &got));
	xp_demand(!xp_mmu_translates(A), "the place that a table has left can be written");
}

const struct scenario table_against_write = {
	.name = "r07-table-against-write",
	.about = "a page is written at the place that its table leaves",
	.without = "FLUSH_MOVE", .words = "the place that a table has left can be written",
	.cpus = 2, .begin = begin_table, .cpu = {move_table_to_b, write_a}, .end = end_space,
};
