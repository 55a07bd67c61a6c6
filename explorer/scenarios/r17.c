// SPDX-License-Identifier: MIT
// 17. Memory runs out in the middle of an operation, at any of its allocations. CPU 0 moves two pages, one after the
// other, each to another table: that of the first is there once the place is claimed, for the claim ends in it, and that
// of the second is made when the first has moved. CPU 1 looks at the first.
#include "space.h"

#define FROM   (XP_RAM + 2 * MIB)
#define LENGTH (4 * MIB)
#define TO     (XP_RAM + 17 * MIB) // no table has its entries where one at FROM has them, so none goes as a whole
#define FIRST  (FROM + MIB / 2)
#define SECOND (FROM + 2 * MIB + MIB / 2)

static bool failed;

static void begin(void)
{
	failed = false;
	begin_space();
	xp_watch(FIRST);
	xp_watch(SECOND);
	xp_as(0);
	write_value(FIRST, 1);
	write_value(SECOND, 2);
}

static void move(void)
{
	enum vmt_status status;
	uint64_t got;

	status = vmt_move(space, FROM, LENGTH, LENGTH, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, TO, &got);
	failed = status == VMT_ERR_NO_MEMORY;
	if (!failed)
		ok(status);
}

static void look(void)
{
	struct vmt_translation found;

	if (vmt_translate(space, FIRST, &found) == VMT_OK)
		xp_demand(*(uint64_t *)xp_frame_ptr(found.pa) == 1, "a page is at the place of another");
}

static void end(void)
{
	uint64_t moved = failed ? 0 : TO - FROM, first = frame_at(FIRST + moved), second = frame_at(SECOND + moved);

	xp_demand(first && *(uint64_t *)xp_frame_ptr(first) == 1, "a move that failed has lost a page");
	xp_demand(second && *(uint64_t *)xp_frame_ptr(second) == 2, "a move that failed has lost a page");
	end_space();
}

const struct scenario r17 = {
	.name = "r17-move-out-of-memory",
	.about = "memory runs out while two pages move",
	.without = "MOVE_UNDONE", .words = "a move that failed has lost a page",
	.scarce = 1, .cpus = 2, .begin = begin, .cpu = {move, look}, .end = end,
};
