// SPDX-License-Identifier: MIT
// Leaves of every size and permission, mapped, protected, cut and unmapped by the library.
#include "judge.h"

// ---- One leaf ----------------------------------------------------------------------------------------------------

// Mapped, reached, unmapped, gone; at the first and the last address and at one between.
static void one_leaf(unsigned level, vmt_prot prot)
{
	uint64_t span = fmt_span(level), pa = judge_pa(level);

	judge_case("%s leaf %s %s", judge_mode(), judge_size(level), judge_prot(prot));
	for (unsigned n = 0; n < 3; n++) {
		uint64_t va = judge_va(level, n), flushes;
		struct vmt_translation translation;
		unsigned at;

		judge_probe(va, NOWHERE, 0);
		judge_map(va, span, pa, prot, 0);
		judge_entry(va, &at);
		judge_require(at == level);
		judge_require(vmt_tree_translate(judge_tree, va, &translation) == VMT_OK && translation.size == span);
		judge_probe_leaf(va, pa, level, prot);
		judge_probe(va ? va - PAGE : va + span, NOWHERE, 0);
		flushes = port_flushes();
		judge_unmap(va, span);
		judge_require(port_flushes() > flushes);
		judge_probe(va, NOWHERE, 0);
		judge_probe(va + span - PAGE, NOWHERE, 0);
		judge_require_empty();
	}
}

// From every permission to every other.
static void protect_leaf(unsigned level)
{
	static const vmt_prot prots[] = {VMT_READ, VMT_READ | VMT_WRITE, VMT_READ | VMT_EXEC, VMT_RWX};
	uint64_t va = judge_va(level, 2), span = fmt_span(level), pa = judge_pa(level);

	judge_case("%s leaf %s from each permission to each", judge_mode(), judge_size(level));
	judge_map(va, span, pa, VMT_READ, 0);
	for (unsigned n = 0; n < COUNT(prots) * COUNT(prots); n++) {
		judge_protect(va, span, prots[n / COUNT(prots)]);
		judge_probe_leaf(va, pa, level, prots[n / COUNT(prots)]);
		judge_protect(va, span, prots[n % COUNT(prots)]);
		judge_probe_leaf(va, pa, level, prots[n % COUNT(prots)]);
	}
	judge_unmap(va, span);
	judge_probe(va, NOWHERE, 0);
}

// What the processor has just used is not used after the call that took it away. (In judge_probe an emulator may
// flush by itself, where it changes modes.)
static void stale_leaf(unsigned level)
{
	uint64_t va = judge_va(level, 2), span = fmt_span(level), pa = judge_pa(level);
	uint64_t at = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY;
	enum judge_who who = judge_user ? USER : SUPERVISOR;

	judge_case("%s leaf %s is not used once it is gone", judge_mode(), judge_size(level));
	for (enum judge_access access = READ; access <= LAST_ACCESS; access++) {
		judge_map(va, span, pa, VMT_RWX, 0);
		judge_access(who, access, va + at - pa, at, ALLOWED);
		if (access != READ) {
			judge_protect(va, span, access == WRITE ? VMT_READ | VMT_EXEC : VMT_READ | VMT_WRITE);
			judge_access(who, access, va + at - pa, at, DENIED);
			judge_protect(va, span, VMT_RWX);
			judge_access(who, access, va + at - pa, at, ALLOWED);
		}
		judge_unmap(va, span);
		judge_access(who, access, va + at - pa, NOWHERE, ABSENT);
	}
	// The same where only a part goes, and then a table.
	judge_map(va, span, pa, VMT_RWX, 0);
	judge_access(who, READ, va + at - pa, at, ALLOWED);
	judge_access(who, READ, va + at - pa + (level ? PAGE : 0), at + (level ? PAGE : 0), ALLOWED);
	judge_unmap(va + at - pa, PAGE);
	judge_access(who, READ, va + at - pa, NOWHERE, ABSENT);
	if (level)
		judge_access(who, READ, va + at - pa + PAGE, at + PAGE, ALLOWED);
	judge_unmap(0, VA_END);
	judge_access(who, READ, va + at - pa + (level ? PAGE : 0), NOWHERE, ABSENT);
}

// ---- Parts of a large leaf ---------------------------------------------------------------------------------------

// The probes around [start, end) of a leaf at va: outside as `prot` says, inside as `within` (0: absent).
static void probe_cut(uint64_t va, uint64_t pa, unsigned level, uint64_t start, uint64_t end, vmt_prot prot,
		      vmt_prot within)
{
	uint64_t inside[] = {start, start + (end - start) / 2 / PAGE * PAGE, end - PAGE};
	uint64_t outside[] = {start - PAGE, end, start - 3 * MIB, end + 3 * MIB};

	for (unsigned i = 0; i < COUNT(inside); i++)
		judge_probe(va + inside[i] - pa, within ? inside[i] : NOWHERE, within);
	for (unsigned i = 0; i < COUNT(outside); i++)
		if (outside[i] >= pa && outside[i] < pa + fmt_span(level) && outside[i] >= JUDGE_MEMORY &&
		    outside[i] < JUDGE_MEMORY + GIB)
			judge_probe(va + outside[i] - pa, outside[i], prot);
	judge_probe_leaf(va, pa, level, prot);
}

// One read in every slot of the tables that a cut has made, the one around the cut and those above it.
static void sweep_cut(uint64_t va, uint64_t pa, unsigned level, unsigned part, uint64_t start, uint64_t end, bool gone)
{
	for (unsigned n = part; n < level; n++) {
		uint64_t first = start & ~(fmt_table_span(n) - 1), last = first + fmt_table_span(n);

		for (uint64_t at = first; at < last; at += fmt_span(n)) {
			bool in = at >= start && at < end;

			// A slot whose start is cut is looked at through its end.
			at += in && fmt_span(n) > end - start ? fmt_span(n) - PAGE : 0;
			in = at >= start && at < end;
			if (at >= JUDGE_MEMORY && at < JUDGE_MEMORY + GIB)
				judge_access(judge_user ? USER : SUPERVISOR, READ, va + at - pa,
					     in && gone ? NOWHERE : at, in && gone ? ABSENT : ALLOWED);
			at &= ~(fmt_span(n) - 1);
		}
	}
}

// Takes away, or makes read-only, as much as a leaf of level `part` maps, in the middle of a leaf. What is left is in
// the largest leaves that fit.
static void cut_leaf(unsigned level, unsigned part)
{
	uint64_t span = fmt_span(level), pa = judge_pa(level), va = judge_va(level, 2), length = fmt_span(part);
	uint64_t base = pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY, in = span < GIB ? span : GIB;
	// A third into the leaf, and not in the middle of a smaller one.
	uint64_t start = (base + in / 3) & ~(length - 1), end = start + length;
	unsigned at;

	judge_case("%s leaf %s without %s", judge_mode(), judge_size(level), judge_size(part));
	judge_map(va, span, pa, VMT_RWX, 0);
	judge_unmap(va + start - pa, length);
	probe_cut(va, pa, level, start, end, VMT_RWX, 0);
	sweep_cut(va, pa, level, part, start, end, true);
	judge_entry(va + span - PAGE, &at);
	judge_require(at == level - 1);
	judge_unmap(va, span);
	judge_require_empty();

	judge_case("%s leaf %s with %s read-only", judge_mode(), judge_size(level), judge_size(part));
	judge_map(va, span, pa, VMT_RWX, 0);
	judge_protect(va + start - pa, length, VMT_READ);
	probe_cut(va, pa, level, start, end, VMT_RWX, VMT_READ);
	sweep_cut(va, pa, level, part, start, end, false);
	judge_entry(va + span - PAGE, &at);
	judge_require(at == level - 1);
	judge_unmap(va, span);
	judge_probe(va + start - pa, NOWHERE, 0);
	judge_require_empty();
}

// ---- Addresses ---------------------------------------------------------------------------------------------------

// A page at each power of two, each with memory of its own: no two addresses share an index.
static void address_bits(void)
{
	judge_case("%s pages at every bit of the address", judge_mode());
	for (unsigned bit = VMT_PAGE_SHIFT; bit < JUDGE_VA_BITS; bit++)
		judge_map(UINT64_C(1) << bit, PAGE, JUDGE_MEMORY + 7 * bit * PAGE, VMT_RWX, 0);
	for (unsigned bit = VMT_PAGE_SHIFT; bit < JUDGE_VA_BITS; bit++)
		judge_probe(UINT64_C(1) << bit, JUDGE_MEMORY + 7 * bit * PAGE, VMT_RWX);
	judge_probe(0, NOWHERE, 0);
	judge_probe(3 * PAGE, NOWHERE, 0);
	judge_unmap(0, VA_END);

	judge_case("%s pages at every bit of memory", judge_mode());
	for (unsigned bit = VMT_PAGE_SHIFT; bit < 30; bit++) {
		uint64_t pa = JUDGE_MEMORY | UINT64_C(1) << bit;

		judge_map(0, PAGE, pa, VMT_READ, 0);
		judge_probe(0, pa, VMT_READ);
		judge_unmap(0, PAGE);
	}
}

#if JUDGE_TRANSLATES
// Where the machine has no memory, its translation still says the address.
static void wide_addresses(unsigned level)
{
	judge_case("%s leaf %s at every bit of the physical address", judge_mode(), judge_size(level));
	for (unsigned bit = fmt_shift(level); bit < JUDGE_PA_BITS; bit++) {
		uint64_t pa = UINT64_C(1) << bit, va = judge_va(level, 2), offset = fmt_span(level) - 8;
		struct judge_result got;

		judge_map(va, fmt_span(level), pa, VMT_READ, 0);
		got = machine_translate(judge_user ? USER : SUPERVISOR, READ, va + offset);
		if (got.outcome != ALLOWED || got.value != pa + offset)
			judge_fail("%X instead of %X", got.value, pa + offset);
		judge_unmap(va, fmt_span(level));
	}
}
#endif

// One request of many sizes of leaves: pages, large leaves, the largest, and down again.
static void one_range(void)
{
	uint64_t length = 512 * MIB + 2 * PAGE, va = 3 * GIB - PAGE, pa = JUDGE_MEMORY + 64 * MIB - PAGE;

	judge_case("%s range of many sizes", judge_mode());
	judge_map(va, length, pa, VMT_RWX, 0);
	for (uint64_t offset = 0; offset < length; offset += offset < 4 * PAGE ? PAGE : 2 * MIB - PAGE)
		judge_probe(va + offset, pa + offset, VMT_RWX);
	judge_probe(va + length - PAGE, pa + length - PAGE, VMT_RWX);
	judge_probe(va + length, NOWHERE, 0);
	judge_probe(va - PAGE, NOWHERE, 0);
	judge_unmap(va + PAGE, length - 2 * PAGE);
	judge_probe(va, pa, VMT_RWX);
	judge_probe(va + PAGE, NOWHERE, 0);
	judge_probe(va + length - 2 * PAGE, NOWHERE, 0);
	judge_probe(va + length - PAGE, pa + length - PAGE, VMT_RWX);
	judge_unmap(va, length);
	judge_require_empty();
}

void cases_leaves(void)
{
	static const vmt_prot prots[] = {
		VMT_READ, VMT_WRITE, VMT_EXEC, VMT_READ | VMT_WRITE, VMT_READ | VMT_EXEC, VMT_RWX,
	};

	for (unsigned user = 0; user < MODES; user++) {
		judge_open(user);
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
			for (unsigned i = 0; i < COUNT(prots); i++)
				one_leaf(level, prots[i]);
			protect_leaf(level);
			stale_leaf(level);
			for (unsigned part = 0; part < level && part < 2 && 4 * fmt_span(part) <= GIB; part++)
				cut_leaf(level, part);
#if JUDGE_TRANSLATES
			wide_addresses(level);
#endif
		}
		address_bits();
		one_range();
		judge_close();
	}
}
