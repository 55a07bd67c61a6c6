// SPDX-License-Identifier: MIT
// What the scenarios of spaces share.
#ifndef EXPLORER_SCENARIOS_SPACE_H
#define EXPLORER_SCENARIOS_SPACE_H

#include "explore.h"

#define PAGE VMT_PAGE_SIZE
#define MIB  (UINT64_C(1) << 20)
#define GIB  (UINT64_C(1) << 30)
#define RW   (VMT_READ | VMT_WRITE)

// A lies in a table of level 0, and B in another one under the same table of level 1. Both are above the numbers of the
// arena's frames: a table that was detached, and has its frame's address where its base was, still seems to hold them.
#define A (XP_RAM + MIB)
#define B (XP_RAM + 5 * MIB)

extern struct vmt *vmt;
extern struct vmt_space *space;

// A machine and a space with the GiB around A and B mapped. All CPUs that the scenario has use it, and watch A and B.
void begin_space(void);
// ... which no CPU uses: only devices translate its addresses.
void begin_unused_space(void);
// Nothing is wrong in it, and nothing is left of it.
void end_space(void);

// Whoever calls: the CPU.
void write_value(uint64_t va, uint64_t value);
uint64_t read_value(uint64_t va);
void release_page(uint64_t va);
// What a system call copies there, by a reference on the page.
void copy_value(uint64_t va, uint64_t value);

// Of the tables as they are; before CPUs begin and in the end. 0: none is there.
uint64_t frame_at(uint64_t va);
uint64_t table_of(uint64_t va, unsigned level);

// A fork by the calling CPU; in the end: what the child has, and its end.
extern struct vmt_space *child;
void fork_space(void);
uint64_t read_child(uint64_t va);
bool read_child_if(uint64_t va, uint64_t *value); // false: nothing is mapped there
void destroy_child(void);

static inline void ok(enum vmt_status status)
{
	if (status != VMT_OK)
		xp_fail("a call ends with %s", vmt_status_name(status));
}

#endif
