// SPDX-License-Identifier: MIT
// What a device keeps, and how it comes to forget it. It forgets in two steps, between which it may have done so or
// not: with xp_mmu_issue what it keeps is *doomed*, and what is loaded from then on is not; xp_mmu_done takes away what
// is doomed. One without tables keeps what it is given (device.c).
#include <string.h>

#include "mmu.h"

void xp_mmu_attach(unsigned device, struct vmt_space *space, uint64_t root)
{
	struct identifier *id = mmu_of_device(device);

	memset(id, 0, sizeof(*id));
	id->used = true;
	id->space = space;
	id->root = root;
	id->state = IN_USE;
	mmu_load(id);
}

void xp_mmu_detach(unsigned device)
{
	memset(mmu_of_device(device), 0, sizeof(struct identifier));
}

// Of a page and its copy in device memory, neither of which may be written, one will do.
static bool keeps_copy(const struct identifier *id, unsigned at, const struct leaf *leaf)
{
	for (unsigned i = 0; i < id->leaves[at]; i++) {
		const struct leaf *kept = &id->leaf[at][i];

		if (!kept->doomed && !((kept->may | leaf->may) & SIM_MAY_WRITE) &&
		    !xp_device_word(kept->pa) != !xp_device_word(leaf->pa))
			return true;
	}
	return false;
}

void xp_mmu_give(unsigned device, uint64_t start, uint64_t length, uint64_t pa, bool write)
{
	struct leaf leaf = {.may = SIM_MAY_READ | (write ? SIM_MAY_WRITE : 0), .accessed = true, .dirty = true};
	struct identifier *id = mmu_of_device(device);

	for (unsigned at = 0; at < mmu_watched_count; at++) {
		leaf.pa = pa + (mmu_watched[at] - start);
		if (mmu_watched[at] - start < length && !keeps_copy(id, at, &leaf))
			mmu_keep_leaf(id, at, &leaf);
	}
}

void xp_mmu_issue(unsigned device, uint64_t start, uint64_t end, bool tables)
{
	struct identifier *id = mmu_of_device(device);

	for (unsigned at = 0; at < mmu_watched_count; at++) {
		if (mmu_watched[at] < start || mmu_watched[at] >= end)
			continue;
		for (unsigned i = 0; i < id->leaves[at]; i++)
			id->leaf[at][i].doomed = true;
		for (unsigned i = 0; i < LEVELS * KEPT && tables; i++)
			id->doomed[at][i / KEPT][i % KEPT] = true;
	}
	xp_mmu_load();
}

static void drop_doomed(struct identifier *id, unsigned at)
{
	for (unsigned i = id->leaves[at]; i-- > 0;) {
		if (id->leaf[at][i].doomed)
			mmu_drop_leaf(id, at, &id->leaf[at][i]);
	}
	for (unsigned level = 0; level < LEVELS; level++) {
		unsigned left = 0;

		for (unsigned i = 0; i < id->tables[at][level]; i++) {
			if (id->doomed[at][level][i])
				continue;
			id->way[at][level][left] = id->way[at][level][i];
			id->table[at][level][left++] = id->table[at][level][i];
		}
		id->tables[at][level] = left;
		memset(id->doomed[at][level], 0, sizeof(id->doomed[at][level]));
	}
}

void xp_mmu_done(unsigned device, uint64_t start, uint64_t end)
{
	for (unsigned at = 0; at < mmu_watched_count; at++) {
		if (mmu_watched[at] >= start && mmu_watched[at] < end)
			drop_doomed(mmu_of_device(device), at);
	}
	xp_mmu_load();
}
