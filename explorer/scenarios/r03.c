// SPDX-License-Identifier: MIT
// 3, 7 and 21. A page moves from A to B, which were both mapped; what others do there meanwhile.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
}

static void move_to_b(void)
{
	uint64_t got;

	ok(vmt_move(space, A, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, B, &got));
}

static void unmap_b(void)
{
	ok(vmt_unmap(space, B, PAGE));
}

static void begin_claimed(void)
{
	begin();
	xp_claim_said("vmtree: a claimed range was taken away", "the place of a move was unmapped under it");
}

const struct scenario move_against_unmap = {
	.name = "r03-move-against-unmap",
	.about = "a range that a move has claimed is unmapped",
	.without = "CLAIM_WAITS", .words = "the place of a move was unmapped under it",
	.cpus = 2, .begin = begin_claimed, .cpu = {move_to_b, unmap_b}, .end = end_space,
};

// ---- B is mapped before and after. --------------------------------------------------------------------------------

static void read_b(void)
{
	uint64_t value;

	xp_demand(xp_read(B, &value) == VMT_OK, "a fault where something is mapped before and after a move");
}

const struct scenario move_against_read = {
	.name = "r03-move-against-fault",
	.about = "a fault comes to a range that a move has claimed",
	.without = "CLAIM_FAULTS", .words = "a fault where something is mapped before and after a move",
	.cpus = 2, .begin = begin, .cpu = {move_to_b, read_b}, .end = end_space,
};
