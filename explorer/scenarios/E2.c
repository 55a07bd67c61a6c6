// SPDX-License-Identifier: MIT
// E2. A fork, and what it may not meet half done: faults, folds, moves.
#include "space.h"

// ---- CPU 0 forks while CPU 1 writes first A and then B, which are not there yet. A child with B's has A's. --------

static void write_both(void)
{
	write_value(A, 1);
	write_value(B, 1);
}

static void end_with_cut(void)
{
	uint64_t a = read_child(A), b = read_child(B);

	xp_demand(a || !b, "the child is a state that never was");
	xp_demand(vmt_check(child) == 0, "the child is a state that never was, vmt_check says");
	ok(vmt_space_destroy(child));
	end_space();
}

const struct scenario fork_against_faults = {
	.name = "E2-fork-against-faults",
	.about = "a fork copies tables that another CPU faults pages into",
	.without = "GATE", .words = "the child is a state that never was",
	.cpus = 2, .begin = begin_space, .cpu = {fork_space, write_both}, .end = end_with_cut,
};

// ---- CPU 0 forks, and has copied the entry that leads to a table, when CPU 1 empties that table. ------------------

#define PART (3 * GIB)

static void begin_with_part(void)
{
	struct vmt_map_request request = {.addr = PART, .length = 256 * MIB, .prot = RW,
					  .flags = VMT_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	begin_space();
	ok(vmt_map(space, &request, &addr));
	ok(vmt_guard_install(space, PART, 2 * MIB));
	xp_claim(XP_USED, table_of(PART, 1), "a fork uses a table that has been folded");
}

static void unmap_part(void)
{
	ok(vmt_unmap(space, PART, 256 * MIB));
}

static void end_with_child(void)
{
	destroy_child();
	end_space();
}

const struct scenario fork_against_fold = {
	.name = "E2-fork-against-fold",
	.about = "a table is folded when a fork has copied the entry that leads to it",
	.without = "GATE_FOLD", .words = "a fork uses a table that has been folded",
	.cpus = 2, .begin = begin_with_part, .cpu = {fork_space, unmap_part}, .end = end_with_child,
};

// ---- CPU 0 forks while CPU 1 moves A to B. The child has the page in one of the places. ---------------------------

static void begin_with_page(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
}

static void move_to_b(void)
{
	uint64_t got;

	ok(vmt_move(space, A, PAGE, PAGE, VMT_MOVE_MAY_MOVE | VMT_MOVE_FIXED, B, &got));
}

// What is claimed in the child stays so for ever.
static void end_with_one(void)
{
	uint64_t a = 0, b = 0;

	xp_demand(vmt_check(child) == 0, "the child has what a move has claimed");
	b = read_child(B);
	xp_demand(read_child_if(A, &a) == (b == 0) && a + b == 1, "the child has a page twice, or not at all");
	end_with_child();
}

const struct scenario fork_against_move = {
	.name = "E2-fork-against-move",
	.about = "a fork copies a space in which a page is on its way elsewhere",
	.without = "FORK_WAITS", .words = "the child has what a move has claimed",
	.cpus = 2, .begin = begin_with_page, .cpu = {fork_space, move_to_b}, .end = end_with_one,
};

// ---- CPU 1 forks while CPU 2 writes both, and CPU 0 gives B's table back. -----------------------------------------

static void begin_with_table(void)
{
	begin_space();
	xp_as(0);
	write_value(B, 3);
	release_page(B); // CPU 0 keeps the empty table
}

static void reclaim(void)
{
	vmt_reclaim(space, 16);
}

const struct scenario fork_among_three = {
	.name = "E2-fork-fault-and-fold",
	.about = "a fork, faults of another CPU, and a third one that gives tables back",
	.without = "GATE", .words = "the child is a state that never was",
	.cpus = 3, .begin = begin_with_table, .cpu = {reclaim, fork_space, write_both}, .end = end_with_cut,
};
