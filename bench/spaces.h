// SPDX-License-Identifier: MIT
// The operations whose cost spaces.c measures, and what they work on.
#ifndef BENCH_SPACES_H
#define BENCH_SPACES_H

#define VMT_FORMAT x86_64_4
#include "bench_port.h"
#include <vmtree/vmtree.h>

#define SPACES_GIB   (UINT64_C(1) << 30)
#define SPACES_START (UINT64_C(1) << 40)

struct spaces {
	struct vmt *vmt;
	struct vmt_space *space;
	struct vmt_space *child;   // of the round, or NULL
	struct vmt_object *object; // of the round, or NULL
	uint64_t length;	   // that the calls of the round are about, from SPACES_START
};

extern struct spaces spaces;

struct spaces_operation {
	const char *name;
	uint64_t pages;		// of one call
	unsigned calls;		// of a round
	void (*before)(void);	// NULL: the range is unmapped
	void (*call)(uint64_t addr, uint64_t length);
};

extern const struct spaces_operation spaces_operations[];
extern const unsigned spaces_operation_count;

// Anonymous memory, or a shared mapping of an object, for reading and writing.
void spaces_map(uint64_t addr, uint64_t length, struct vmt_object *object);

// After a round: nothing is mapped, and the child and the object are gone.
void spaces_undo(void);

#endif
