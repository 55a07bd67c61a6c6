// SPDX-License-Identifier: MIT
// 6. CPU 0 releases a page; CPU 1 releases the same range, finds nothing, and believes that nobody can use the page.
#include "space.h"

static uint64_t frame;

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	frame = frame_at(A);
}

static void release(void)
{
	release_page(A);
}

static void release_again(void)
{
	release_page(A);
	xp_demand(!xp_mmu_has(frame), "a page that was released can still be used");
}

const struct scenario r06 = {
	.name = "r06-second-release",
	.about = "a second release of a range returns before the first has flushed",
	.without = "FLUSH_UNDER_LOCK", .words = "a page that was released can still be used",
	.cpus = 2, .begin = begin, .cpu = {release, release_again}, .end = end_space,
};
