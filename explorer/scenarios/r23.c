// SPDX-License-Identifier: MIT
// 23. CPU 0 holds a table's lock and waits for CPU 1's answer to a flush; CPU 1 waits for that lock.
#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	xp_claim_circle((uint64_t[XP_CPUS]){XP_ANSWER, table_of(A, 0)}, "a CPU that waits for a lock serves nobody");
}

static void release(void)
{
	release_page(A);
}

static void write_again(void)
{
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
}

const struct scenario r23 = {
	.name = "r23-lock-against-flush",
	.about = "a CPU waits for a lock whose holder waits for its answer to a flush",
	.without = "RELAX_SERVES", .words = "a CPU that waits for a lock serves nobody",
	.cpus = 2, .polled = true, .begin = begin, .cpu = {release, write_again}, .end = end_space,
};
