// SPDX-License-Identifier: MIT
#include "alone.h"

#define RUN (64u << 10)

struct vmt_tree *tree;

struct vmt_tree_map map_of(uint64_t va, uint64_t length, uint64_t leaf_max)
{
	return (struct vmt_tree_map){.addr = va, .length = length, .pa = XP_OUTSIDE + (va - HUGE), .prot = RW,
				     .leaf_max = leaf_max};
}

void begin_tree(uint64_t length, uint64_t leaf_max)
{
	const struct vmt_tree_config config = {.end = 4 * GIB, .user = true, .cpus = XP_CPUS,
					       .leaf_sizes = PAGE | RUN | 2 * MIB};
	struct vmt_tree_map map = map_of(HUGE, length, leaf_max);

	ok(vmt_tree_create(NULL, &config, &tree));
	ok(vmt_tree_map(tree, &map, NULL));
	xp_watch(IN);
	for (unsigned cpu = xp_running_cpus(); cpu-- > 0;) {
		xp_as(cpu);
		xp_use_tree(tree);
	}
}

void end_tree(void)
{
	if (vmt_tree_check(tree))
		xp_fail("vmt_tree_check finds something wrong");
	for (unsigned cpu = 0; cpu < xp_running_cpus(); cpu++) {
		xp_as(cpu);
		xp_deactivate();
	}
	vmt_tree_destroy(tree);
}
