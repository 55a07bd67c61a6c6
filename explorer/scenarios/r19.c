// SPDX-License-Identifier: MIT
// 19. The hardware sets the dirty bit of a lazily freed page between another CPU's reading of the entry and its
// writing.
#include <vmtree/port.h>

#include "space.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	ok(vmt_lazy_free(space, A, PAGE));
}

static void write_again(void)
{
	write_value(A, 2);
}

static void end(void)
{
	vmt_reclaim(space, 16);
	xp_as(1);
	xp_demand(read_value(A) == 2, "a page was taken although it was written again");
	end_space();
}

static void reclaim(void)
{
	vmt_reclaim(space, 16);
}

static void protect(void)
{
	ok(vmt_protect(space, A, PAGE, VMT_RWX));
}

static void fork_and_destroy(void)
{
	fork_space();
	destroy_child();
}

// ---- A reference for writing, against the marking as lazily free. What the one who has it writes later stays. -----

static uint64_t got;

static void begin_with_page(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
}

static void lazy_free(void)
{
	ok(vmt_lazy_free(space, A, PAGE));
}

static void get_reference(void)
{
	ok(vmt_page_get(space, A, VMT_WRITE, &got));
}

static void end_with_reference(void)
{
	*(uint64_t *)vmt_port_frame_ptr(NULL, got) = 2;
	vmt_page_put(vmt, got);
	end();
}

const struct scenario reference_against_lazy_free = {
	.name = "r19-reference-against-lazy-free",
	.about = "a page is marked as lazily free while somebody takes a reference on it to write",
	.without = "WRITER_DIRTIES", .words = "a page was taken although it was written again",
	.cpus = 2, .begin = begin_with_page, .cpu = {lazy_free, get_reference}, .end = end_with_reference,
};

const struct scenario reclaim_against_write = {
	.name = "r19-reclaim-against-write",
	.about = "a lazily freed page is written while it is taken",
	.without = "SWAP_RECLAIM", .words = "a page was taken although it was written again",
	.cpus = 2, .begin = begin, .cpu = {reclaim, write_again}, .end = end,
};

const struct scenario protect_against_write = {
	.name = "r19-protect-against-write",
	.about = "a lazily freed page is written while its permissions change",
	.without = "SWAP_PROTECT", .words = "a page was taken although it was written again",
	.cpus = 2, .begin = begin, .cpu = {protect, write_again}, .end = end,
};

const struct scenario fork_against_write = {
	.name = "r19-fork-against-write",
	.about = "a lazily freed page is written while a fork shares it",
	.without = "SWAP_FORK", .words = "a page was taken although it was written again",
	.cpus = 2, .begin = begin, .cpu = {fork_and_destroy, write_again}, .end = end,
};

// ---- The same of a part of a huge page, which is cut for it. CPU 1 is in no flush. --------------------------------

static bool referred;

static void begin_with_huge(void)
{
	referred = false;
	begin_with_page();
	if (vmt_collapse(space, A - MIB, 2 * MIB, NULL) != 1)
		xp_fail("a table is not collapsed");
	write_value(A, 1);
	xp_as(1);
	xp_deactivate();
}

static void try_reference(void)
{
	referred = vmt_page_try_get(space, A, VMT_WRITE, &got) == VMT_OK;
}

static void end_with_huge(void)
{
	if (referred) {
		*(uint64_t *)vmt_port_frame_ptr(NULL, got) = 2;
		vmt_page_put(vmt, got);
	}
	vmt_reclaim(space, 16);
	xp_as(1);
	xp_activate(space);
	xp_demand(!referred || read_value(A) == 2, "a page was taken although it was written again");
	end_space();
}

const struct scenario reference_against_cut = {
	.name = "r19-reference-against-cut",
	.about = "a part of a huge page is marked as lazily free while somebody takes a reference on it to write",
	.cpus = 2, .begin = begin_with_huge, .cpu = {lazy_free, try_reference}, .end = end_with_huge,
};
