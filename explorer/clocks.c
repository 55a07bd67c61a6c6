// SPDX-License-Identifier: MIT
// Happens-before, by vector clocks. Each CPU has a clock; each place remembers when each CPU has last read and written
// it, plainly and atomically. Two accesses to one place race if one of them writes, one of them is plain, and neither
// comes before the other. What a CPU learns from which store: weak.c.
#include <string.h>

#include "explore.h"

struct past {
	uint32_t execution;	// of an earlier one: as if zero
	struct clock read, write, atomic_read, atomic_write;
};

static struct past pasts[XP_PLACES];
// Who has filled each frame when it was allocated.
static struct { uint32_t execution, at; unsigned who; } filled[XP_FRAMES];
static struct clock clocks[XP_CLOCKS];
static uint32_t execution;

void xp_clocks_reset(void)
{
	execution++;
	memset(clocks, 0, sizeof(clocks));
	for (unsigned i = 0; i < XP_CLOCKS; i++)
		clocks[i].at[i] = 1;
}

struct clock *xp_clock(unsigned who)
{
	return &clocks[who];
}

void xp_clock_join(struct clock *to, const struct clock *from)
{
	for (unsigned i = 0; i < XP_CLOCKS; i++) {
		if (from->at[i] > to->at[i])
			to->at[i] = from->at[i];
	}
}

void xp_clock_tick(unsigned who)
{
	clocks[who].at[who]++;
}

static struct past *past_of(uint32_t place)
{
	struct past *past = &pasts[place];

	if (past->execution != execution) {
		memset(past, 0, sizeof(*past));
		past->execution = execution;
	}
	return past;
}

// Another one who has done this, and that does not come before `who` now; XP_CLOCKS: nobody.
static unsigned unordered(const struct clock *did, unsigned who)
{
	for (unsigned i = 0; i < XP_CLOCKS; i++) {
		if (i != who && did->at[i] > clocks[who].at[i])
			return i;
	}
	return XP_CLOCKS;
}

// Does somebody with this knowledge see what the frame was filled with?
static bool sees_fill(uint32_t place, const struct clock *knows)
{
	unsigned frame = place < XP_PLACE_META ? xp_place_frame(place) : XP_FRAMES;

	return frame == XP_FRAMES || filled[frame].execution != execution ||
	       filled[frame].at <= knows->at[filled[frame].who];
}

void xp_clocks_fill(unsigned who, unsigned frame)
{
	filled[frame].execution = execution;
	filled[frame].who = who;
	filled[frame].at = clocks[who].at[who];
}

void xp_clocks_hardware(const struct clock *knows, uint32_t place, enum access access)
{
	const struct past *past = past_of(place);
	bool written = sees_fill(place, knows), read = true;
	char name[64];

	// With a protection off the scenario has to say it by itself.
	if (!xp_exploring() || vmt_without)
		return;
	for (unsigned i = 0; i < XP_CLOCKS; i++) {
		written &= past->write.at[i] <= knows->at[i];
		read &= past->read.at[i] <= knows->at[i] || !(access & XP_WRITE);
	}
	if (written && read)
		return;
	xp_memory_name(place, name, sizeof(name));
	xp_fail("an MMU leads to what %s: %s", written ? "is written while it may still be read" :
		"may not be written yet", name);
}

static void check(const struct clock *did, unsigned who, uint32_t place, const char *what)
{
	unsigned other = unordered(did, who);
	char name[64];

	if (other == XP_CLOCKS)
		return;
	xp_memory_name(place, name, sizeof(name));
	if (other == XP_GRACE)
		xp_fail_frame(XP_RACED, xp_place_frame(place), "a data race: %s, with the end of a grace period: %s",
			      what, name);
	xp_fail_frame(XP_RACED, xp_place_frame(place), "a data race: %s, with CPU %u: %s", what, other, name);
}

static void check_fill(unsigned who, uint32_t place)
{
	char name[64];

	if (sees_fill(place, &clocks[who]))
		return;
	xp_memory_name(place, name, sizeof(name));
	xp_fail("a data race: an access after a frame was filled, with CPU %u: %s", filled[xp_place_frame(place)].who,
		name);
}

void xp_clocks_access(unsigned who, uint32_t place, unsigned count, enum access access, bool atomic)
{
	for (uint32_t at = place; at < place + count; at++) {
		struct past *past = past_of(at);

		check_fill(who, at);
		check(&past->write, who, at, access & XP_WRITE ? "two writes" : "a read after a write");
		if (access & XP_WRITE)
			check(&past->read, who, at, "a write after a read");
		if (!atomic)
			check(&past->atomic_write, who, at, "a plain access after an atomic write");
		if (!atomic && access & XP_WRITE)
			check(&past->atomic_read, who, at, "a plain write after an atomic read");
		if (access & XP_READ)
			(atomic ? &past->atomic_read : &past->read)->at[who] = clocks[who].at[who];
		if (access & XP_WRITE)
			(atomic ? &past->atomic_write : &past->write)->at[who] = clocks[who].at[who];
	}
}

static void check_free(uint32_t place, unsigned who)
{
	const struct past *past = &pasts[place];
	const struct clock *all[] = {&past->read, &past->write, &past->atomic_read, &past->atomic_write};
	char name[64];

	if (past->execution != execution)
		return;
	for (unsigned i = 0; i < 4; i++) {
		unsigned other = unordered(all[i], who);

		if (other == XP_CLOCKS)
			continue;
		xp_memory_name(place, name, sizeof(name));
		xp_fail_frame(XP_USED, xp_place_frame(place), "a frame is freed that CPU %u may still be using: %s",
			      other, name);
	}
}

void xp_clocks_free(unsigned who, unsigned frame)
{
	unsigned words = VMT_PAGE_SIZE / 8;
	uint32_t meta = XP_PLACE_META + frame * (uint32_t)sizeof(struct vmt_frame);

	for (uint32_t i = 0; i < words; i++)
		check_free(frame * words + i, who);
	for (uint32_t i = 0; i < sizeof(struct vmt_frame); i++) {
		// The count may be read at any time (vmtree/frame.h).
		if (i < offsetof(struct vmt_data, refs) || i >= offsetof(struct vmt_data, refs) + 4)
			check_free(meta + i, who);
	}
}
