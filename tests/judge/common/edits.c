// SPDX-License-Identifier: MIT
// What the library puts in the place of something else: markers, other memory, smaller and larger leaves, clean ones.
#include "judge.h"

static enum judge_who owner(void)
{
	return judge_user ? USER : SUPERVISOR;
}

static const char *mode(void)
{
	return judge_user ? "user" : "supervisor";
}

static unsigned level_at(uint64_t va)
{
	unsigned level;

	judge_entry(va, &level);
	return level;
}

// One read in each page of 2 MiB.
static void sweep(uint64_t va, uint64_t pa)
{
	for (uint64_t offset = 0; offset < 2 * MIB; offset += PAGE)
		judge_access(owner(), READ, va + offset, pa + offset, ALLOWED);
}

// Markers over leaves in use, in whole and in part.
static void marking(unsigned level)
{
	uint64_t va = judge_va(level, 2), span = fmt_span(level), pa = judge_pa(level);
	uint64_t at = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY;
	struct vmt_tree_map map = {.addr = va, .length = span, .pa = pa, .prot = VMT_READ};
	struct vmt_run run;

	judge_case("%s leaf %s under the library's markers", mode(), judge_size(level));
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
	judge_case("%s leaf %s with a marker in it", mode(), judge_size(level));
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
	uint64_t va = judge_va(2, 2), old = JUDGE_MEMORY, pa = JUDGE_MEMORY + 64 * MIB;
	struct vmt_tree_map map = {
		.addr = va, .length = 4 * MIB, .pa = pa, .prot = VMT_RWX, .leaf_max = fmt_span(to),
	};

	judge_case("%s leaves of %s replaced by %s", mode(), judge_size(from), judge_size(to));
	judge_map(va, from == 2 ? GIB : 4 * MIB, old, VMT_RWX, fmt_span(from));
	sweep(va + 2 * MIB, old + 2 * MIB);
	judge_require(vmt_tree_replace(judge_tree, &map, NULL) == VMT_OK);
	judge_require(level_at(va) == to);
	sweep(va, pa);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	if (from == 2)
		sweep(va + 4 * MIB, old + 4 * MIB);
	else
		judge_probe(va + 4 * MIB, NOWHERE, 0);
	judge_empty();
}

// Smaller leaves and larger ones for the same memory.
static void splitting(void)
{
	uint64_t va = judge_va(2, 2), pa = JUDGE_MEMORY;

	judge_case("%s leaves split and collapsed", mode());
	judge_map(va, GIB, pa, VMT_RWX, 0);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	judge_require(vmt_tree_split(judge_tree, va, GIB, 2 * MIB, NULL) == VMT_OK);
	judge_require(level_at(va + 2 * MIB) == 1);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	judge_require(vmt_tree_split(judge_tree, va + 2 * MIB, 2 * MIB, PAGE, NULL) == VMT_OK);
	judge_require(level_at(va + 2 * MIB) == 0 && level_at(va) == 1);
	sweep(va, pa);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	for (uint64_t offset = 0; offset < GIB; offset += 2 * MIB)
		judge_access(owner(), WRITE, va + offset, pa + offset, ALLOWED);
	judge_require(vmt_tree_collapse(judge_tree, va + 2 * MIB, 2 * MIB) == 1);
	port_settle();
	judge_require(level_at(va + 2 * MIB) == 1);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	judge_require(vmt_tree_collapse(judge_tree, va, GIB) == 1);
	port_settle();
	judge_require(level_at(va) == 2);
	sweep(va + 2 * MIB, pa + 2 * MIB);
	judge_probe_leaf(va, pa, 2, VMT_RWX);
	judge_empty();
}

// The bits that the hardware has set since they were cleared, and each time again.
static void harvesting(void)
{
	uint64_t va = judge_va(1, 2), pa = JUDGE_MEMORY, bits[8];

	judge_case("%s accessed and dirty pages harvested", mode());
	judge_map(va, 2 * MIB, pa, VMT_RWX, PAGE);
	judge_require(vmt_tree_test_and_clear(judge_tree, va, 2 * MIB, VMT_ACCESSED | VMT_DIRTY, NULL) == 512);
	for (unsigned round = 0; round < 4; round++) {
		unsigned what = round & 1 ? VMT_DIRTY : VMT_ACCESSED;

		memset(bits, 0, sizeof(bits));
		judge_access(owner(), WRITE, va + 3 * PAGE, pa + 3 * PAGE, ALLOWED);
		judge_access(owner(), READ, va + 70 * PAGE, pa + 70 * PAGE, ALLOWED);
		judge_access(owner(), EXECUTE, va + 511 * PAGE, pa + 511 * PAGE, ALLOWED);
		judge_require(vmt_tree_test_and_clear(judge_tree, va, 2 * MIB, what, bits) == (round & 1 ? 1 : 3));
		judge_require(bits[0] == 8 && bits[1] == (round & 1 ? 0 : 64));
		judge_require(bits[7] == (round & 1 ? 0 : UINT64_C(1) << 63));
	}
	judge_empty();
}

void cases_edits(void)
{
	for (unsigned user = 0; user < 2; user++) {
		judge_open(user);
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++)
			marking(level);
		for (unsigned n = 0; n < 6; n++)
			replacing(n / 2, n % 2);
		splitting();
		harvesting();
		judge_close();
	}
}
