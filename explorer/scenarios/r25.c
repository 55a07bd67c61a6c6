// SPDX-License-Identifier: MIT
// 25. CPU 1 writes A and then B, and gets copies, while CPU 0's fork is half done. A child with the new B has the new
// A.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	write_value(B, 1);
}

static void write_both(void)
{
	write_value(A, 2);
	write_value(B, 2);
}

static void end(void)
{
	uint64_t a = read_child(A), b = read_child(B);

	xp_demand(a >= b, "the child has an old page with a new one");
	destroy_child();
	end_space();
}

const struct scenario r25 = {
	.name = "r25-fork-against-copies",
	.about = "pages are copied on write while a fork copies their tables",
	.without = "GATE", .words = "the child has an old page with a new one",
	.cpus = 2, .begin = begin, .cpu = {fork_space, write_both}, .end = end,
};
