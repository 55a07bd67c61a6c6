// SPDX-License-Identifier: MIT
// 11. CPU 0 releases every second page, more of them than a request to flush has ranges; CPU 1 reads the last.
#include <vmtree/port.h>

#include "space.h"

#define HOLES (VMT_FLUSH_RANGES + 1)
#define FIRST (A - 2 * (HOLES - 1) * PAGE)

static void begin(void)
{
	begin_space();
	for (uint64_t va = FIRST; va < A; va += 2 * PAGE)
		ok(vmt_fault(space, va, VMT_WRITE, NULL));
	xp_as(1);
	write_value(A, 1);
}

static void release_holes(void)
{
	ok(vmt_release(space, FIRST, A + PAGE - FIRST));
}

static void read_last(void)
{
	xp_demand(read_value(A) < 2, "a CPU reads a page that was unmapped and not flushed");
}

const struct scenario r11 = {
	.name = "r11-more-than-is-flushed",
	.about = "a range with more holes than a request has ranges is released",
	.without = "FLUSH_GROWS", .words = "a CPU reads a page that was unmapped and not flushed",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release_holes, read_last}, .end = end_space,
};
