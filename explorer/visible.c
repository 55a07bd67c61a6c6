// SPDX-License-Identifier: MIT
// Which places are visible: those that, over all executions so far, one CPU has written, or given back to be free, and
// another one or an MMU has accessed. Any other access commutes with all that others do, and is no scheduling point.
#include <string.h>

#include "explore.h"

// Who has read and written each place, a bit for each CPU.
#define BY_MMU 0x80
static uint8_t readers[XP_PLACES], writers[XP_PLACES];
// ... and who has accessed it and gone on elsewhere than to the next place: where a scan ends.
static uint8_t ends[XP_PLACES];
static bool grew;

static uint32_t next[XP_CPUS + 1]; // the place behind that of a CPU's last access; 0: there was none

void xp_scans_reset(void)
{
	memset(next, 0, sizeof(next));
}

static bool is_visible(uint32_t place)
{
	uint8_t all = readers[place] | writers[place];

	return writers[place] && all & (all - 1);
}

static void note_access(uint32_t place, enum access access, uint8_t who)
{
	bool was = is_visible(place);

	if (access & XP_READ)
		readers[place] |= who;
	if (access & XP_WRITE)
		writers[place] |= who;
	grew |= !was && is_visible(place);
}

bool xp_note_event(unsigned cpu, uint32_t place, unsigned count, enum access access)
{
	bool visible = false;

	if (next[cpu] && place != next[cpu])
		ends[next[cpu] - 1] |= (uint8_t)(1u << cpu);
	next[cpu] = count ? place + count : 0;
	for (uint32_t at = place; at < place + count; at++) {
		note_access(at, access, (uint8_t)(1u << cpu));
		visible |= is_visible(at);
	}
	return visible;
}

void xp_mmu_reads(uint32_t place)
{
	if (xp_exploring())
		note_access(place, XP_READ, BY_MMU);
}

// Of a scan only the last access is looked at: what can be freed before an earlier one can be freed before that.
void xp_freed(uint32_t place, unsigned count)
{
	uint8_t by = (uint8_t)(1u << xp_freeing());

	for (uint32_t at = place; at < place + count; at++) {
		if (ends[at] & ~by)
			note_access(at, XP_WRITE, by);
	}
}

bool xp_visible_grew(void)
{
	bool did = grew;

	grew = false;
	return did;
}

void xp_forget_visible(void)
{
	memset(readers, 0, sizeof(readers));
	memset(writers, 0, sizeof(writers));
	memset(ends, 0, sizeof(ends));
	grew = false;
}
