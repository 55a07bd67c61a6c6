// SPDX-License-Identifier: MIT
// 1. CPU 0 splits a huge leaf, to take write permission from one page; CPU 1 puts the huge leaf in its place again.
#include "alone.h"

static void begin(void)
{
	begin_tree(2 * MIB, 0);
	xp_claim_address(IN, "a huge leaf and what it was split into are cached together");
}

static void split(void)
{
	ok(vmt_tree_protect(tree, IN, PAGE, VMT_READ, NULL));
}

static void refault(void)
{
	struct vmt_tree_map map = map_of(HUGE, 2 * MIB, 0);

	ok(vmt_tree_replace(tree, &map, NULL));
}

const struct scenario r01 = {
	.name = "r01-split-against-refault",
	.about = "a huge leaf is split, and comes back",
	.without = "FLUSH_SPLIT", .words = "a huge leaf and what it was split into are cached together",
	.cpus = 2, .begin = begin, .cpu = {split, refault}, .end = end_tree,
};
