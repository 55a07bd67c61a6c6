// SPDX-License-Identifier: MIT
// What MMUs keep: mmu.c of all of them, mmu_device.c of devices.
#ifndef EXPLORER_MMU_H
#define EXPLORER_MMU_H

#include "device.h"

#define WATCHED 4
#define LEVELS	3	// of the format's
#define KEPT	4	// of each kind, for one address and level: more is an error by itself

struct leaf {
	uint64_t pa;		// of the page of the address that is watched
	unsigned may, size;	// size: log2 of the bytes that are kept as one
	bool accessed, dirty, doomed;
	struct clock way;	// what was released with the entries on the way to it
};

// What one CPU keeps for one space or tree on its own, or a device.
struct identifier {
	bool used;
	struct vmt_space *space; // NULL: of a tree
	uint64_t root, generation; // of a device without tables no root
	// On the way into the space it takes part in flushes, but has loaded the root only behind that.
	enum { AWAY, ENTERING, IN_USE } state;
	unsigned tables[WATCHED][LEVELS], leaves[WATCHED];
	uint64_t table[WATCHED][LEVELS][KEPT];
	bool doomed[WATCHED][LEVELS][KEPT];
	struct clock way[WATCHED][LEVELS][KEPT];
	struct leaf leaf[WATCHED][KEPT];
};

// The addresses that are watched.
extern uint64_t mmu_watched[WATCHED];
extern unsigned mmu_watched_count;

struct identifier *mmu_of_device(unsigned device);
// Loads all that it could. One that has no tables loads nothing.
void mmu_load(struct identifier *id);
// `at` is an address that is watched. Fails if another page is kept for it.
void mmu_keep_leaf(struct identifier *id, unsigned at, const struct leaf *leaf);
void mmu_drop_leaf(struct identifier *id, unsigned at, struct leaf *leaf);

#endif
