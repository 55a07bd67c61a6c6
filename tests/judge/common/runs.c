// SPDX-License-Identifier: MIT
// Runs: neighbouring entries that the hardware takes for one leaf (AArch64's contiguous bit, RISC-V's NAPOT). Mapped,
// reached in every slot, cut, split, joined and harvested.
#include "judge.h"

#if FMT_RUN_SIZES

static enum judge_who owner(void)
{
	return judge_user ? USER : SUPERVISOR;
}

static uint64_t run_size(unsigned level)
{
	return fmt_span(level) << fmt_run_bits(level);
}

static uint64_t entry_at(uint64_t va, unsigned *level)
{
	return atomic_load_explicit(judge_entry(va, level), memory_order_relaxed);
}

// The entry of each slot of [va, va + length) is a leaf of `level`, one of a run or on its own, and reaches its memory.
static void expect_slots(uint64_t va, uint64_t pa, uint64_t length, unsigned level, bool run)
{
	for (uint64_t offset = 0; offset < length; offset += fmt_span(level)) {
		unsigned found;
		uint64_t e = entry_at(va + offset, &found);

		if (found != level || !fmt_is_leaf(e, found) || fmt_is_run(e) != run)
			judge_fail("the entry for %X is %X of level %u", va + offset, e, found);
		judge_access(owner(), READ, va + offset, pa + offset, ALLOWED);
		judge_access(owner(), READ, va + offset + fmt_span(level) - PAGE, pa + offset + fmt_span(level) - PAGE,
			     ALLOWED);
	}
}

// Mapped as a whole, with every permission, and unmapped.
static void whole_run(unsigned level, vmt_prot prot)
{
	uint64_t size = run_size(level), va = judge_va(level + 1, 2) + 3 * size, pa = JUDGE_MEMORY + 5 * size;
	struct vmt_translation translation;

	judge_case("%s run of %u leaves of %s %s", judge_mode(), 1u << fmt_run_bits(level), judge_size(level),
		   judge_prot(prot));
	judge_map(va, size, pa, prot, 0);
	for (uint64_t offset = 0; offset < size; offset += fmt_span(level)) {
		unsigned at;

		judge_require(fmt_is_run(entry_at(va + offset, &at)) && at == level);
		judge_require(vmt_tree_translate(judge_tree, va + offset, &translation) == VMT_OK);
		judge_require(translation.size == size && translation.pa == pa + offset);
		judge_probe(va + offset, pa + offset, prot);
	}
	judge_probe(va + size - PAGE, pa + size - PAGE, prot);
	judge_probe(va - PAGE, NOWHERE, 0);
	judge_probe(va + size, NOWHERE, 0);
	judge_unmap(va, size);
	for (uint64_t offset = 0; offset < size; offset += fmt_span(level))
		judge_probe(va + offset, NOWHERE, 0);
	judge_require_empty();
}

// What is not aligned for a run is none.
static void no_run(unsigned level)
{
	uint64_t size = run_size(level), span = fmt_span(level);
	uint64_t va = judge_va(level + 1, 2), pa = JUDGE_MEMORY + 5 * size;

	judge_case("%s leaves of %s that are not aligned for a run", judge_mode(), judge_size(level));
	judge_map(va, size, pa + span, VMT_RWX, 0);
	expect_slots(va, pa + span, size, level, false);
	judge_map(va + size + span, size, pa + span, VMT_RWX, 0);
	expect_slots(va + size + span, pa + span, size - span, level, false);
	judge_map(va + 4 * size, size - span, pa, VMT_RWX, 0);
	expect_slots(va + 4 * size, pa, size - span, level, false);
	judge_empty();
}

// One slot less, or with less permission, and a half; after each slot was used.
static void cut_run(unsigned level)
{
	uint64_t size = run_size(level), span = fmt_span(level), va = judge_va(level + 1, 2) + 7 * size;
	uint64_t pa = JUDGE_MEMORY + 5 * size, at = 9 * span;

	judge_case("%s run of leaves of %s without one of them", judge_mode(), judge_size(level));
	judge_map(va, 2 * size, pa, VMT_RWX, 0);
	expect_slots(va, pa, 2 * size, level, true);
	judge_unmap(va + at, span);
	judge_probe(va + at, NOWHERE, 0);
	judge_probe(va + at + span - PAGE, NOWHERE, 0);
	expect_slots(va, pa, at, level, false);
	expect_slots(va + at + span, pa + at + span, size - at - span, level, false);
	expect_slots(va + size, pa + size, size, level, true);
	judge_empty();

	judge_case("%s run of leaves of %s with one of them read-only", judge_mode(), judge_size(level));
	judge_map(va, size, pa, VMT_RWX, 0);
	judge_access(owner(), WRITE, va + at, pa + at, ALLOWED);
	judge_protect(va + at, span, VMT_READ);
	judge_access(owner(), WRITE, va + at, pa + at, DENIED);
	for (uint64_t offset = 0; offset < size; offset += span)
		judge_probe(va + offset, pa + offset, offset == at ? VMT_READ : VMT_RWX);
	expect_slots(va, pa, size, level, false);
	judge_protect(va, size, VMT_READ);
	for (uint64_t offset = 0; offset < size; offset += span)
		judge_probe(va + offset, pa + offset, VMT_READ);
	judge_empty();

	judge_case("%s run of leaves of %s cut in halves", judge_mode(), judge_size(level));
	judge_map(va, size, pa, VMT_RWX, 0);
	expect_slots(va, pa, size, level, true);
	judge_unmap(va, size / 2);
	for (uint64_t offset = 0; offset < size / 2; offset += span)
		judge_probe(va + offset, NOWHERE, 0);
	expect_slots(va + size / 2, pa + size / 2, size / 2, level, false);
	judge_empty();
}

// From each permission to each, as a whole.
static void protect_run(unsigned level)
{
	static const vmt_prot prots[] = {VMT_READ, VMT_READ | VMT_WRITE, VMT_READ | VMT_EXEC, VMT_RWX};
	uint64_t size = run_size(level), va = judge_va(level + 1, 2), pa = JUDGE_MEMORY + 2 * size;

	judge_case("%s run of leaves of %s from each permission to each", judge_mode(), judge_size(level));
	judge_map(va, size, pa, VMT_READ, 0);
	for (unsigned n = 0; n < COUNT(prots) * COUNT(prots); n++) {
		judge_protect(va, size, prots[n / COUNT(prots)]);
		judge_protect(va, size, prots[n % COUNT(prots)]);
		judge_probe(va, pa, prots[n % COUNT(prots)]);
		judge_probe(va + size - PAGE, pa + size - PAGE, prots[n % COUNT(prots)]);
	}
	expect_slots(va, pa, size, level, true);
	judge_empty();
}

// Runs of leaves on their own, and back; and, where the level above has leaves, of one of those.
static void split_run(unsigned level)
{
	uint64_t size = run_size(level), span = fmt_span(level), table = fmt_table_span(level);
	uint64_t va = judge_va(level + 1, 2), pa = (JUDGE_MEMORY + table - 1) & ~(table - 1);

	judge_case("%s run of leaves of %s split and joined", judge_mode(), judge_size(level));
	judge_map(va + size, size, pa + size, VMT_RWX, 0);
	expect_slots(va + size, pa + size, size, level, true);
	judge_require(vmt_tree_split(judge_tree, va + size, size, span, NULL) == VMT_OK);
	expect_slots(va + size, pa + size, size, level, false);
	judge_require(vmt_tree_collapse(judge_tree, va + size, size) == 1);
	expect_slots(va + size, pa + size, size, level, true);
	judge_empty();

	if (table > GIB || level + 1 >= FMT_LEAF_LEVELS)
		return;
	judge_case("%s leaf of the level above %s split into runs and collapsed", judge_mode(), judge_size(level));
	judge_map(va, table, pa, VMT_RWX, 0);
	judge_require(vmt_tree_split(judge_tree, va, table, size, NULL) == VMT_OK);
	expect_slots(va, pa, table, level, true);
	judge_require(vmt_tree_collapse(judge_tree, va, table) == 1);
	port_settle();
	judge_access(owner(), READ, va + table - PAGE, pa + table - PAGE, ALLOWED);
	judge_unmap(va + 2 * size + span, span); // a cut makes runs of what is left, too
	expect_slots(va, pa, 2 * size, level, true);
	expect_slots(va + 2 * size, pa + 2 * size, span, level, false);
	judge_probe(va + 2 * size + span, NOWHERE, 0);
	expect_slots(va + 3 * size, pa + 3 * size, table - 3 * size, level, true);
	judge_empty();
}

// The hardware marks one entry of a run, or all, and the library reports the whole of it; nothing else of it changes.
static void mark_run(unsigned level)
{
	uint64_t size = run_size(level), span = fmt_span(level);
	uint64_t va = judge_va(level + 1, 2), pa = JUDGE_MEMORY + 3 * size;
	uint64_t pages = size / PAGE;
	struct vmt_run seen;

	judge_case("%s run of leaves of %s is marked and harvested", judge_mode(), judge_size(level));
	judge_map(va, 2 * size, pa, VMT_RWX, 0);
	for (unsigned n = 0; n < 1u << fmt_run_bits(level); n++) {
		enum judge_access access = n % 3;
		uint64_t at = va + n * span;

		vmt_tree_test_and_clear(judge_tree, va, 2 * size, VMT_ACCESSED | VMT_DIRTY, NULL);
		judge_require(vmt_tree_test_and_clear(judge_tree, va, 2 * size, VMT_ACCESSED | VMT_DIRTY, NULL) == 0);
		judge_access(owner(), access, at, pa + n * span, ALLOWED);
		judge_require(vmt_tree_walk(judge_tree, va + size - PAGE, va + size, &seen) == VMT_OK);
		judge_require(seen.size == size && seen.accessed && seen.dirty == (access == WRITE));
		for (uint64_t offset = 0; offset < size; offset += span) {
			unsigned found;
			uint64_t clean = fmt_clean(entry_at(va + offset, &found)), e = entry_at(va + offset, &found);
			uint64_t marked = access == WRITE ? fmt_set_dirty(clean) : fmt_set_accessed(clean);

			if (!fmt_is_run(e) || (e != marked && (e != clean || va + offset == at)))
				judge_fail("access %u made %X of %X", (unsigned)access, e, clean);
		}
		judge_require(vmt_tree_test_and_clear(judge_tree, va, 2 * size, VMT_DIRTY, NULL) ==
			      (access == WRITE ? pages : 0));
	}
	judge_empty();
}

static bool is_dirty(uint64_t va)
{
	struct vmt_run seen;

	return vmt_tree_walk(judge_tree, va, va + PAGE, &seen) == VMT_OK && seen.accessed && seen.dirty;
}

// What one entry was marked as, all are after the run was broken, and the run after it was joined.
static void keep_marks(unsigned level)
{
	uint64_t size = run_size(level), span = fmt_span(level);
	uint64_t va = judge_va(level + 1, 2), pa = JUDGE_MEMORY + 3 * size;

	judge_case("%s run of leaves of %s keeps its marks", judge_mode(), judge_size(level));
	judge_map(va, size, pa, VMT_RWX, 0);
	vmt_tree_test_and_clear(judge_tree, va, size, VMT_ACCESSED | VMT_DIRTY, NULL);
	judge_require(!is_dirty(va) && !is_dirty(va + size - PAGE));
	judge_access(owner(), WRITE, va + 5 * span, pa + 5 * span, ALLOWED);
	judge_require(vmt_tree_split(judge_tree, va, size, span, NULL) == VMT_OK);
	for (uint64_t offset = 0; offset < size; offset += span)
		judge_require(is_dirty(va + offset));
	vmt_tree_test_and_clear(judge_tree, va, size, VMT_ACCESSED | VMT_DIRTY, NULL);
	judge_access(owner(), WRITE, va + 6 * span, pa + 6 * span, ALLOWED);
	judge_require(is_dirty(va + 6 * span) && !is_dirty(va + 5 * span));
	judge_require(vmt_tree_collapse(judge_tree, va, size) == 1);
	judge_require(is_dirty(va) && is_dirty(va + size - PAGE));
	expect_slots(va, pa, size, level, true);
	judge_empty();
}

void cases_runs(void)
{
	static const vmt_prot prots[] = {
		VMT_READ, VMT_WRITE, VMT_EXEC, VMT_READ | VMT_WRITE, VMT_READ | VMT_EXEC, VMT_RWX,
	};

	if (FMT_RUN_SIZES_OPTIONAL && !machine_has_extensions())
		return;
	for (unsigned user = 0; user < MODES; user++) {
		judge_open_sizes(user, vmt_tree_leaf_sizes());
		for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
			if (!fmt_run_bits(level) || run_size(level) > 64 * MIB) // of which several fit into memory
				continue;
			for (unsigned i = 0; i < COUNT(prots); i++)
				whole_run(level, prots[i]);
			no_run(level);
			cut_run(level);
			protect_run(level);
			split_run(level);
			mark_run(level);
			keep_marks(level);
		}
		judge_close();
	}
}

#else

void cases_runs(void)
{
}

#endif
