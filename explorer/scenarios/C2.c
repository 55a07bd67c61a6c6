// SPDX-License-Identifier: MIT
// C2. CPU 0 clears an entry; CPU 1 faults a new page in there; CPU 2 has had the old page cached all the while.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
}

static void release(void)
{
	release_page(A);
}

static void refill(void)
{
	write_value(A, 2);
	xp_demand(read_value(A) != 1, "a CPU reads the old page after a new one has taken its place");
}

const struct scenario C2 = {
	.name = "C2-new-page-before-flush",
	.about = "a fault puts a page where another was released, before the flush",
	.without = "FLUSH_UNDER_LOCK", .words = "two translations of one address at once",
	.cpus = 3, .begin = begin, .cpu = {release, refill}, .end = end_space,
};
