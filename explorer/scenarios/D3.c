// SPDX-License-Identifier: MIT
// D3. CPU 0 puts a huge leaf in the place of a table, while CPU 1 installs a marker in that.
#include "alone.h"

static void begin(void)
{
	begin_tree(2 * MIB, PAGE);
}

static void collapse(void)
{
	vmt_tree_collapse(tree, HUGE, 2 * MIB);
}

static void mark(void)
{
	ok(vmt_tree_mark(tree, IN, PAGE, VMT_MARKER_GUARD, 0, NULL));
}

static void end(void)
{
	struct vmt_run run;

	ok(vmt_tree_walk(tree, IN, IN + PAGE, &run));
	xp_demand(run.state == VMT_STATE_GUARD, "a marker went with the table that it was in");
	end_tree();
}

const struct scenario D3 = {
	.name = "D3-collapse-against-marker",
	.about = "a marker comes into a table that becomes a huge leaf",
	.without = "COLLAPSE_LOCKED", .words = "a marker went with the table that it was in",
	.cpus = 2, .begin = begin, .cpu = {collapse, mark}, .end = end,
};
