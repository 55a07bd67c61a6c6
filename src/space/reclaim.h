// SPDX-License-Identifier: MIT
// Giving memory back under pressure: lazily freed pages that were not written again, and what CPUs keep: empty tables
// and spare arrays.
#ifndef VMT_SPACE_RECLAIM_H
#define VMT_SPACE_RECLAIM_H

struct reclaim {
	uint64_t wanted, got;
};

// Takes the page if it is still clean. The exchange decides: a write that comes later finds no entry and faults; one
// that came before has set the dirty bit, for no CPU has the entry cached as dirty (lazy_free_entry flushed).
static void reclaim_entry(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, struct reclaim *reclaim)
{
	struct vmt_data *data = data_of_frame(txn->port, fmt_pa(e));

	if (!data || !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_LAZY))
		return;
	if ((fmt_dirty(e) && HOLDS(DIRTY_STAYS)) || atomic_load_explicit(&data->refs, memory_order_acquire) != 1)
		return;
	if (!HOLDS(SWAP_RECLAIM))
		e = entry_load(node, slot);
	// Relaxed on failure: the page was touched a moment ago and stays.
	if (!atomic_compare_exchange_strong_explicit(&node->table[slot], &e, 0, memory_order_acq_rel,
						     memory_order_relaxed))
		return;
	vmt_port_publish(txn->port, &node->table[slot], 1);
	// There is no end of this operation for secondaries to be told of: they are told of just these pages.
	if (txn->batch.flush.count == VMT_FLUSH_RANGES && secondaries_of(txn->tree))
		batch_flush(&txn->batch);
	if (HOLDS(FLUSH_RECLAIM))
		flush_add(&txn->batch.flush, slot_base(node, slot), slot_base(node, slot) + VMT_PAGE_SIZE);
	count_resident(txn->tree, fmt_pa(e), -1);
	batch_add_frame(&txn->batch, fmt_pa(e));
	node_add_live(node, -1);
	reclaim->got++;
}

static void reclaim_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	struct reclaim *reclaim = arg;

	if (node->level > 0 || node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last && reclaim->got < reclaim->wanted; slot++) {
		uint64_t e = entry_load(node, slot);

		if (fmt_is_leaf(e, 0))
			reclaim_entry(txn, node, slot, e, reclaim);
	}
}

// Any status ends the walk once enough was found.
static enum vmt_status reclaim_inspect(struct txn *txn, void *arg)
{
	const struct reclaim *reclaim = arg;

	(void)txn;
	return reclaim->got < reclaim->wanted ? VMT_OK : VMT_ERR_BUSY;
}

// What is lazily freed lies in the lowest tables.
static bool reclaim_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)node, (void)slot, (void)arg;
	return false;
}

static const struct range_op reclaim_op = {
	.slots = reclaim_slots,
	.splits = reclaim_splits,
	.inspect = reclaim_inspect,
};

static uint64_t tree_reclaim(struct vmt_tree *tree, uint64_t pages)
{
	struct reclaim reclaim = {.wanted = pages};
	int64_t before = counted(tree, tables_freed);
	struct txn txn;

	tree_note_peaks(tree);
	spares_free(tree); // a fold may need the memory
	txn_init(&txn, tree);
	txn.batch.reason = VMT_REASON_RELEASE;
	txn.keep = false;
	txn.owns_claims = true; // a move may be what is short of memory; what it has claimed can be taken like the rest
	// Relaxed: cleared before the sweep, so that what is owed from now on is not forgotten.
	atomic_store_explicit(&tree->owed, false, memory_order_relaxed);
	if (!tree->untracked) // there the memory is the caller's, and has no metadata of ours
		range_run(&txn, tree->start, tree->end - 1, &reclaim_op, &reclaim, NULL);
	fold_range(&txn, tree->start, tree->end - 1);
	txn_finish(&txn);
	spares_free(tree);
	return reclaim.got + (uint64_t)(counted(tree, tables_freed) - before);
}

uint64_t vmt_tree_reclaim(struct vmt_tree *tree)
{
	return tree_reclaim(tree, 0);
}

uint64_t vmt_reclaim(struct vmt_space *space, uint64_t pages)
{
	return tree_reclaim(&space->tree, pages);
}

#endif
