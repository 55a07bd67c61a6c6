// SPDX-License-Identifier: MIT
// What the scenarios of trees on their own share: a tree, and 2 MiB of memory that is mapped in it.
#ifndef EXPLORER_SCENARIOS_ALONE_H
#define EXPLORER_SCENARIOS_ALONE_H

#include "space.h"

#define HUGE (XP_RAM + 2 * MIB)	// where it is mapped
#define IN   (HUGE + MIB)	// an address in it, which all MMUs watch

extern struct vmt_tree *tree;

// A tree with so much mapped, in leaves of `leaf_max` at most. All CPUs that the scenario has use it.
void begin_tree(uint64_t length, uint64_t leaf_max);
// Nothing is wrong in it, and nothing is left of it.
void end_tree(void);

// For vmt_tree_map and vmt_tree_replace.
struct vmt_tree_map map_of(uint64_t va, uint64_t length, uint64_t leaf_max);

#endif
