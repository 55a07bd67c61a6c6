// SPDX-License-Identifier: MIT
// What the library puts in the place of something else: markers, other memory, smaller and larger leaves, clean ones.
#include "judge.h"

// A leaf of level 1.
#define LARGE fmt_span(1)

static enum judge_who owner(void)
{
	return judge_user ? USER : SUPERVISOR;
}

static unsigned level_at(uint64_t va)
{
	unsigned level;

	judge_entry(va, &level);
	return level;
}

// Reads all over as much memory as a leaf of level 1 maps; with pages of 4 KiB each page.
static void sweep(uint64_t va, uint64_t pa)
{
	for (uint64_t offset = 0; offset < LARGE; offset += LARGE / 512)
		judge_access(owner(), READ, va + offset, pa + offset, ALLOWED);
}

// Markers over leaves in use, in whole and in part.
static void marking(unsigned level)
{
	uint64_t va = judge_va(level, 2), span = fmt_span(level), pa = judge_pa(level);
	uint64_t at = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY;
	struct vmt_tree_map map = {.addr = va, .length = span, .pa = pa, .prot = VMT_READ};
	struct vmt_run run;

	judge_case("%s leaf %s under the library's markers", judge_mode(), judge_size(level));
	for (enum vmt_marker kind = VMT_MARKER_GUARD; kind <= VMT_MARKER_POISON; kind++) {
		judge_map(va, span, pa, VMT_RWX, 0);
		judge_access(owner(), READ, va + at - pa, at, ALLOWED);
		judge_require(vmt_tree_mark(judge_tree, va, span, kind, VMT_MARKER_PAYLOAD, NULL) == VMT_OK);
		judge_probe(va, NOWHERE, 0);
		judge_probe(va + at - pa, NOWHERE, 0);
		judge_probe(va + span - PAGE, NOWHERE, 0);
		judge_require(level_at(va) == level);
		judge_require(vmt_tree_walk(judge_tree, va, va + PAGE, &run) == VMT_OK);
		judge_require(run.marker == kind && run.payload == VMT_MARKER_PAYLOAD);
		judge_require(vmt_tree_map(judge_tree, &map, NULL) == VMT_ERR_EXISTS);
		judge_probe(va + at - pa, NOWHERE, 0);
		judge_empty();
	}
	if (!level)
		return;
	judge_case("%s leaf %s with a marker in it", judge_mode(), judge_size(level));
	judge_map(va, span, pa, VMT_RWX, 0);
	judge_access(owner(), READ, va + at + PAGE - pa, at + PAGE, ALLOWED);
	judge_require(vmt_tree_mark(judge_tree, va + at + PAGE - pa, PAGE, VMT_MARKER_GUARD, 0, NULL) == VMT_OK);
	judge_probe(va + at - pa, at, VMT_RWX);
	judge_probe(va + at + PAGE - pa, NOWHERE, 0);
	judge_probe(va + at + 2 * PAGE - pa, at + 2 * PAGE, VMT_RWX);
	judge_empty();
}

// Other memory, with leaves of each size in the place of leaves of each.
static void replacing(unsigned from, unsigned to)
{
	uint64_t va = judge_va(2, 2), old = JUDGE_MEMORY, length = LARGE == GIB / 2 ? LARGE : 2 * LARGE;
	uint64_t pa = JUDGE_MEMORY + (length > 64 * MIB ? length : 64 * MIB);
	struct vmt_tree_map map = {
		.addr = va, .length = length, .pa = pa, .prot = VMT_RWX, .leaf_max = fmt_span(to),
	};

	judge_case("%s leaves of %s replaced by %s", judge_mode(), judge_size(from), judge_size(to));
	judge_map(va, from == 2 ? GIB : length, old, VMT_RWX, fmt_span(from));
	sweep(va + length - LARGE, old + length - LARGE);
	judge_require(vmt_tree_replace(judge_tree, &map, NULL) == VMT_OK);
	judge_require(level_at(va) == to);
	sweep(va, pa);
	sweep(va + length - LARGE, pa + length - LARGE);
	if (from == 2)
		sweep(va + length, old + length);
	else
		judge_probe(va + length, NOWHERE, 0);
	judge_empty();
}

// A leaf of level 1, at the address, into pages and back.
static void split_large(uint64_t va, uint64_t pa)
{
	judge_require(level_at(va) == 1);
	judge_require(vmt_tree_split(judge_tree, va, LARGE, PAGE, NULL) == VMT_OK);
	judge_require(level_at(va) == 0);
	sweep(va, pa);
	for (uint64_t offset = 0; offset < LARGE; offset += LARGE / 64)
		judge_access(owner(), WRITE, va + offset, pa + offset, ALLOWED);
	judge_require(vmt_tree_collapse(judge_tree, va, LARGE) == 1);
	port_settle();
	judge_require(level_at(va) == 1);
	sweep(va, pa);
}

// Smaller leaves and larger ones for the same memory.
static void splitting(void)
{
	uint64_t va = judge_va(2, 2), pa = JUDGE_MEMORY;

	judge_case("%s leaves split and collapsed", judge_mode());
	judge_map(va, LARGE, pa, VMT_RWX, 0);
	sweep(va, pa);
	split_large(va, pa);
	judge_empty();
	if (FMT_LEAF_LEVELS < 3 || fmt_span(2) > GIB)
		return;
	judge_map(va, GIB, pa, VMT_RWX, 0);
	sweep(va + LARGE, pa + LARGE);
	judge_require(vmt_tree_split(judge_tree, va, GIB, LARGE, NULL) == VMT_OK);
	sweep(va + LARGE, pa + LARGE);
	split_large(va + LARGE, pa + LARGE);
	judge_require(level_at(va) == 1);
	sweep(va, pa);
	for (uint64_t offset = 0; offset < GIB; offset += LARGE)
		judge_access(owner(), WRITE, va + offset, pa + offset, ALLOWED);
	judge_require(vmt_tree_collapse(judge_tree, va, GIB) == 1);
	port_settle();
	judge_require(level_at(va) == 2);
	sweep(va + LARGE, pa + LARGE);
	judge_probe_leaf(va, pa, 2, VMT_RWX);
	judge_empty();
}

// The bits that the hardware has set since they were cleared, and each time again.
static void harvesting(void)
{
	uint64_t va = judge_va(1, 2), pa = JUDGE_MEMORY, bits[8];

	judge_case("%s accessed and dirty pages harvested", judge_mode());
	judge_map(va, 512 * PAGE, pa, VMT_RWX, PAGE);
	judge_require(vmt_tree_test_and_clear(judge_tree, va, 512 * PAGE, VMT_ACCESSED | VMT_DIRTY, NULL) == 512);
	for (unsigned round = 0; round < 4; round++) {
		unsigned what = round & 1 ? VMT_DIRTY : VMT_ACCESSED;

		memset(bits, 0, sizeof(bits));
		judge_access(owner(), WRITE, va + 3 * PAGE, pa + 3 * PAGE, ALLOWED);
		judge_access(owner(), READ, va + 70 * PAGE, pa + 70 * PAGE, ALLOWED);
		judge_access(owner(), EXECUTE, va + 511 * PAGE, pa + 511 * PAGE, ALLOWED);
		judge_require(vmt_tree_test_and_clear(judge_tree, va, 512 * PAGE, what, bits) == (round & 1 ? 1 : 3));
		judge_require(bits[0] == 8 && bits[1] == (round & 1 ? 0 : 64));
		judge_require(bits[7] == (round & 1 ? 0 : UINT64_C(1) << 63));
	}
	judge_empty();
}

void cases_edits(void)
{
	for (unsigned user = 0; user < MODES; user++) {
		judge_open(user);
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++)
			marking(level);
		for (unsigned n = 0; n < 6; n++)
			if (n < 4 || (FMT_LEAF_LEVELS > 2 && fmt_span(2) <= GIB))
				replacing(n / 2, n % 2);
		splitting();
		if (!JUDGE_DEVICE)
			harvesting();
		judge_close();
	}
}
