// SPDX-License-Identifier: MIT
// 13. An update that takes more than one entry: CPU 0 takes write permission from one page of a run of 16, which is 15
// more entries to rewrite; CPU 1's hardware walks them meanwhile, and it makes a run of them again.
#include "alone.h"

static void begin(void)
{
	begin_tree(2 * MIB, 64u << 10);
	xp_claim_address(IN, "a run that is rewritten is seen half done");
}

static void restrict_one(void)
{
	ok(vmt_tree_protect(tree, IN + PAGE, PAGE, VMT_READ, NULL));
}

static void join(void)
{
	ok(vmt_tree_protect(tree, IN + PAGE, PAGE, RW, NULL));
	vmt_tree_collapse(tree, IN, 64u << 10);
}

const struct scenario r13 = {
	.name = "r13-run-half-rewritten",
	.about = "a run of entries is broken and made again",
	.without = "FLUSH_RUN", .words = "a run that is rewritten is seen half done",
	.cpus = 2, .begin = begin, .cpu = {restrict_one, join}, .end = end_tree,
};
