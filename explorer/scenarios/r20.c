// SPDX-License-Identifier: MIT
// 20. A page is shared or copied while another CPU still writes it through what it has cached.
#include "space.h"

// ---- CPU 0 forks while CPU 1 writes A and then B, which are there. A child with the new B has the new A. ----------

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

static void end_with_cut(void)
{
	uint64_t a = read_child(A), b = read_child(B);

	xp_demand(a >= b, "the child is a state that never was");
	destroy_child();
	end_space();
}

const struct scenario fork_against_writes = {
	.name = "r20-fork-against-writes",
	.about = "pages are written while a fork shares them",
	.without = "FLUSH_FORK", .words = "the child is a state that never was",
	.cpus = 2, .begin = begin, .cpu = {fork_space, write_both}, .end = end_with_cut,
};

// ---- Parent and child share A. CPU 0 writes it, and gets a copy, while CPU 1 uses it. -------------------------------

static void begin_shared(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	fork_space();
	xp_as(0);
	read_value(A);
}

static void write_a(void)
{
	write_value(A, 2);
}

static void write_and_read(void)
{
	write_value(A, 3);
	xp_demand(read_value(A) >= 2, "a CPU reads the old page after it has written the copy");
}

static void end_with_child(void)
{
	xp_demand(read_child(A) == 1, "what the parent writes shows in the child");
	destroy_child();
	end_space();
}

const struct scenario copy_against_read = {
	.name = "r20-copy-against-read",
	.about = "a shared page is copied on write while another CPU uses it",
	.without = "FLUSH_COPY", .words = "a CPU reads the old page after it has written the copy",
	.bytes = true, .cpus = 2, .begin = begin_shared, .cpu = {write_a, write_and_read}, .end = end_with_child,
};

// ---- CPU 1 has left for the child. Who comes last has the page for himself, when the other one has his copy; CPU 2
// writes by the entry that CPU 0 has made. ---------------------------------------------------------------------------

static void begin_apart(void)
{
	begin_shared();
	xp_as(1);
	xp_deactivate();
	xp_activate(child);
}

static void write_as_child(void)
{
	write_value(A, 3);
}

static void end_apart(void)
{
	xp_as(1);
	xp_demand(read_value(A) == 3, "what one space writes shows in the other");
	xp_deactivate();
	xp_activate(space);
	xp_demand(read_value(A) == 2, "what one space writes shows in the other");
	destroy_child();
	end_space();
}

const struct scenario parent_and_child = {
	.name = "r20-parent-and-child",
	.about = "parent and child write a page that they share",
	.without = "EXCLUSIVE", .words = "what one space writes shows in the other",
	.cpus = 3, .begin = begin_apart, .cpu = {write_a, write_as_child, write_a}, .end = end_apart,
};

const struct scenario two_copies = {
	.name = "r20-two-writers",
	.about = "parent's CPUs both write a page that the child shares",
	.without = "EXCLUSIVE", .words = "what the parent writes shows in the child",
	.cpus = 2, .begin = begin_shared, .cpu = {write_a, write_a}, .end = end_with_child,
};
