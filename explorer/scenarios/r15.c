// SPDX-License-Identifier: MIT
// 15. CPU 1 was in the space, has left it with a translation in its TLB, and takes up the identifier again under which
// that is kept: what was flushed meanwhile it has to notice by the generation.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	xp_deactivate();
}

static void release(void)
{
	release_page(A);
}

static void come_back(void)
{
	xp_activate(space);
	xp_demand(read_value(A) < 2, "a CPU reads what nobody has written");
}

const struct scenario switch_against_flush = {
	.name = "r15-switch-against-flush",
	.about = "a CPU comes back to a space, and has read the generation before it said so",
	.without = "GENERATION_LAST", .words = "a CPU reads what nobody has written",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release, come_back}, .end = end_space,
};

const struct scenario away_and_back = {
	.name = "r15-away-and-back",
	.about = "a CPU comes back to a space that was flushed without it",
	.without = "GENERATION_RAISED", .words = "a CPU reads what nobody has written",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release, come_back}, .end = end_space,
};
