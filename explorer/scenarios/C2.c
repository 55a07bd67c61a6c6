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

// By a system call, so what is written is on the page that is there now, whatever this CPU has cached. The release may
// come first, or last.
static void refill(void)
{
	uint64_t value;

	copy_value(A, 2);
	value = read_value(A);
	xp_demand(value == 2 || value == 0, "a CPU reads the old page after a new one has taken its place");
}

const struct scenario C2 = {
	.name = "C2-new-page-before-flush",
	.about = "a fault puts a page where another was released, before the flush",
	.without = "FLUSH_UNDER_LOCK", .words = "a CPU reads the old page after a new one has taken its place",
	.bytes = true, .cpus = 3, .begin = begin, .cpu = {release, refill}, .end = end_space,
};
