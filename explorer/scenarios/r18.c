// SPDX-License-Identifier: MIT
// 18. CPU 0 releases more pages that a child shares than a batch lists, so that they leave it before all are collected;
// CPU 1 gives back the child's A, so that the parent's is the last reference, and goes on using A.
#include "space.h"

#define SHARED 33

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	for (uint64_t va = A + PAGE; va < A + SHARED * PAGE; va += PAGE)
		ok(vmt_fault(space, va, VMT_WRITE, NULL));
	fork_space();
	read_value(A);
}

static void release_many(void)
{
	ok(vmt_release(space, A, SHARED * PAGE));
}

static void release_and_read(void)
{
	ok(vmt_release(child, A, PAGE));
	xp_demand(read_value(A) < 2, "a CPU reads a page that left a full batch before the flush");
}

static void end(void)
{
	destroy_child();
	end_space();
}

const struct scenario r18 = {
	.name = "r18-full-batch",
	.about = "more shared pages are released than a batch lists",
	.without = "FLUSH_OVERFLOW", .words = "a CPU reads a page that left a full batch before the flush",
	.bytes = true, .cpus = 2, .begin = begin, .cpu = {release_many, release_and_read}, .end = end,
};
