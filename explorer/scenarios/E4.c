// SPDX-License-Identifier: MIT
// E4. CPU 0 has emptied a table and wants its parent; CPU 1 has the parent and wants the table.
#include "space.h"

#define PART (3 * GIB)

static void begin(void)
{
	struct vmt_map_request request = {.addr = PART, .length = 256 * MIB, .prot = RW,
					  .flags = VMT_MAP_FIXED_NOREPLACE};
	uint64_t addr;

	begin_space();
	ok(vmt_map(space, &request, &addr));
	ok(vmt_guard_install(space, PART, 2 * MIB));
}

static void unmap_part(void)
{
	ok(vmt_unmap(space, PART, 256 * MIB));
}

static void unmap_both(void)
{
	ok(vmt_unmap(space, 2 * GIB, 2 * GIB));
}

static void begin_circle(void)
{
	begin();
	xp_claim_circle((uint64_t[XP_CPUS]){vmt_space_root(space), table_of(PART, 1)},
			"a CPU waits upwards, and another one downwards for it");
}

const struct scenario locks_upwards = {
	.name = "E4-locks-upwards",
	.about = "locks are taken upwards by one CPU and downwards by another",
	.without = "UPWARDS_TRIES", .words = "a CPU waits upwards, and another one downwards for it",
	.cpus = 2, .begin = begin_circle, .cpu = {unmap_part, unmap_both}, .end = end_space,
};

// ---- The parent's lock is not to be had, so who has it is to fold. ------------------------------------------------

static void unmap_first(void)
{
	ok(vmt_unmap(space, GIB, 2 * GIB));
}

static void walk_first(void)
{
	struct vmt_run run;

	ok(vmt_walk(space, GIB, 2 * GIB, &run));
}

static void end(void)
{
	xp_demand(!table_of(PART, 1), "an empty table was left to nobody");
	end_space();
}

const struct scenario fold_left = {
	.name = "E4-fold-left-to-holder",
	.about = "a table becomes empty while another CPU has its parent",
	.without = "FOLD_MARK", .words = "an empty table was left to nobody",
	.cpus = 2, .begin = begin, .cpu = {unmap_part, unmap_first}, .end = end,
};

const struct scenario fold_left_to_pin = {
	.name = "E4-fold-left-to-pin",
	.about = "a table becomes empty while another CPU looks at its parent",
	.without = "FOLD_MARK_PIN", .words = "an empty table was left to nobody",
	.cpus = 2, .begin = begin, .cpu = {unmap_part, walk_first}, .end = end,
};
