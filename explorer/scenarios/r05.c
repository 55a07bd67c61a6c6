// SPDX-License-Identifier: MIT
// 5. CPU 1 was in the space, has left it with a translation in its TLB, and comes back while CPU 0 releases the
// page. The flush has read who is there before it raises the generation.
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

const struct scenario r05 = {
	.name = "r05-flush-against-switch",
	.about = "a CPU comes back to a space during a flush, which has read who is there first",
	.without = "GENERATION_FIRST", .words = "a CPU reads what nobody has written",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release, come_back}, .end = end_space,
};
