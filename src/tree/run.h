// SPDX-License-Identifier: MIT
// Runs: neighbouring leaves that hardware may cache as one translation (format/format.h).
//
// To the tree a run is one leaf that takes several slots. All of its entries are written under the node's exclusive
// lock, and no operation leaves a run with some of its entries changed and others not: one that is about a part of it
// breaks it first, into leaves on their own. Breaking and joining clear all entries, flush, and set them (break before
// make, Arm ARM D8.17.1), since a CPU that has the run cached would go on using it for entries that say otherwise.
//
// Hardware sets accessed and dirty in any one entry of a run. What the run is, is what any of them is.
#ifndef VMT_TREE_RUN_H
#define VMT_TREE_RUN_H

static unsigned run_slots(unsigned level)
{
	return 1u << fmt_run_bits(level);
}

// Is the entry one of a run?
static bool run_is(uint64_t e, unsigned level)
{
	return FMT_RUN_SIZES && fmt_run_bits(level) && fmt_is_leaf(e, level) && fmt_is_run(e);
}

// The first slot of what the entry belongs to, and how many slots that takes.
static unsigned leaf_slot(uint64_t e, unsigned level, unsigned slot)
{
	return run_is(e, level) ? slot & ~(run_slots(level) - 1) : slot;
}

static unsigned leaf_slots(uint64_t e, unsigned level)
{
	return run_is(e, level) ? run_slots(level) : 1;
}

// The bytes that it covers.
static uint64_t leaf_size(uint64_t e, unsigned level)
{
	return (uint64_t)leaf_slots(e, level) << fmt_shift(level);
}

// The same entry, accessed and dirty if it or the other is.
static uint64_t leaf_marks(uint64_t e, uint64_t other)
{
	return fmt_with_marks(e, fmt_accessed(e) || fmt_accessed(other), fmt_dirty(e) || fmt_dirty(other));
}

// The entry of a slot with the accessed and dirty marks of its whole run. Without the lock: a snapshot, entry by entry.
static uint64_t leaf_load(const struct vmt_node *node, unsigned slot)
{
	uint64_t e = entry_load_acquire(node, slot);

	if (!run_is(e, node->level))
		return e;
	for (unsigned i = 0, first = leaf_slot(e, node->level, slot); i < run_slots(node->level); i++) {
		uint64_t other = entry_load(node, first + i);

		if (run_is(other, node->level))
			e = leaf_marks(e, other);
	}
	return e;
}

// Makes a run of leaves on their own (`join`), or leaves on their own of a run: the slots from `first` on. The node's
// exclusive lock is held.
static void run_rewrite(struct txn *txn, struct vmt_node *node, unsigned first, bool join)
{
	uint64_t pa = fmt_leaf_pa(entry_load(node, first), first), marks = 0, base = slot_base(node, first);
	unsigned n = run_slots(node->level);

	for (unsigned i = 0; i < n; i++) {
		uint64_t e = entry_exchange(txn->tree, node, first + i, fmt_make_marker(MARKER_BUSY, 0));

		marks = i ? leaf_marks(marks, e) : e;
	}
	flush_add(&txn->batch.flush, base, base + n * fmt_span(node->level));
	if (HOLDS(FLUSH_RUN))
		batch_flush(&txn->batch);
	for (unsigned i = 0; i < n; i++, pa += fmt_span(node->level)) {
		uint64_t e = fmt_leaf_like(marks, pa, node->level, txn->tree->user);

		entry_publish(txn->tree, node, first + i, join ? fmt_make_run(e, node->level) : e);
	}
}

// Does [start, last], which overlaps the slot, cover a part of its run only?
static bool run_is_partial(const struct vmt_node *node, unsigned slot, uint64_t start, uint64_t last)
{
	uint64_t e = entry_load(node, slot), base;

	if (!run_is(e, node->level))
		return false;
	base = slot_base(node, leaf_slot(e, node->level, slot));
	return start > base || last < base + leaf_size(e, node->level) - 1;
}

#endif
