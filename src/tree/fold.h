// SPDX-License-Identifier: MIT
// Folding: a table with no entries and one id goes back into its parent's slot, in the transaction that emptied it.
//
// "Empty" comes from the count, and is decided together with "detached", under the locks of the table and its parent
// (races.md A1). Nodes inside of a window have their parent locked already. The window's topmost node tries its
// parent's lock, for waiting upwards could deadlock; if that is taken, the parent's holder gets the FOLD mark.
//
// The lowest table that a transaction within one table has emptied is not folded at once but kept for this CPU, so that
// a loop of map, touch, unmap does not free and allocate a table each round. A CPU keeps one for each space, and the
// next one that it empties folds the one before.
#ifndef VMT_TREE_FOLD_H
#define VMT_TREE_FOLD_H

static bool node_is_foldable(const struct vmt_node *node)
{
	// A node that this transaction has detached already has no parent any more. Relaxed: its lock is held.
	return atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_ATTACHED && node_is_empty(node) &&
	       node->id != ID_CLAIM && node->parent;
}

// Unlinks `node` from `parent`; both are held exclusively.
static bool fold_into(struct txn *txn, struct vmt_node *parent, struct vmt_node *node)
{
	unsigned slot = fmt_index(node->base, parent->level);
	uint64_t e;

	if (!ids_can_set(txn, parent, slot, slot, node->id)) {
		txn_fold_later(txn, node->base, node_end(node) - 1);
		return false;
	}
	txn_note_peak(txn, SIZE_TABLES);
	e = entry_exchange(txn->tree, parent, slot, 0);
	ids_set(txn, parent, slot, slot, node->id);
	node_unuse_id(txn, node->id);
	node_add_live(parent, -1);
	// Relaxed: read under the node's lock.
	atomic_store_explicit(&node->state, NODE_DETACHED, memory_order_relaxed);
	batch_add_table(&txn->batch, node, fmt_pa(e));
	return true;
}

static void fold_kept_later(struct txn *txn, uint64_t kept)
{
	if (kept)
		txn_fold_later(txn, kept - 1, kept - 1 + fmt_table_span(0) - 1);
}

// What CPUs keep that do not use the space any more: a program that wanders from CPU to CPU would leave a chain on
// each.
static void fold_take_over(struct txn *txn)
{
	struct vmt_tree *tree = txn->tree;

	for (unsigned i = 0; i < tree->vmt->cpus && !tree->untracked; i++) {
		_Atomic uint64_t *kept = &tree->cpu[i].kept;
		uint64_t active = atomic_load_explicit(&tree->cpus[i / 64], memory_order_relaxed) >> i % 64 & 1;

		if (!active && i != vmt_port_cpu(tree->port) && atomic_load_explicit(kept, memory_order_relaxed))
			fold_kept_later(txn, atomic_exchange_explicit(kept, 0, memory_order_relaxed));
	}
}

static void fold_keep(struct txn *txn, struct vmt_node *node)
{
	_Atomic uint64_t *kept = &this_cpu(txn->tree)->kept;

	if (atomic_load_explicit(kept, memory_order_relaxed) == node->base + 1)
		return;
	fold_kept_later(txn, atomic_exchange_explicit(kept, node->base + 1, memory_order_relaxed));
	fold_take_over(txn);
}

// The window's top node became empty: upwards as long as parents can be locked and become empty in turn.
static void fold_upwards(struct txn *txn, struct vmt_node *node)
{
	while (node_is_foldable(node)) {
		struct vmt_node *parent = node->parent;

		if (!HOLDS(UPWARDS_TRIES))
			lock_exclusive(txn->port, parent);
		else if (!lock_try_or_mark(parent))
			return;
		txn->parent[txn->parents++] = parent;
		// A fork that has already copied the parent relies on its slots; see txn_lock.
		if (tree_gate(txn->tree) & GATE_FORK && HOLDS(GATE_FOLD)) {
			txn_fold_later(txn, node->base, node_end(node) - 1);
			return;
		}
		if (!fold_into(txn, parent, node))
			return;
		node = parent;
	}
}

static void fold_held(struct txn *txn)
{
	for (unsigned i = txn->held; i-- > 0;) {
		struct vmt_node *node = txn->node[i];

		if (!node_is_foldable(node) && (HOLDS(EMPTY) || txn->keep || node->ids))
			continue;
		if (i > 0)
			fold_into(txn, node->parent, node);
		else if (txn->keep && node->level == 0)
			fold_keep(txn, node);
		else
			fold_upwards(txn, node);
	}
}

static void txn_commit_all(struct txn *txn)
{
	if (txn->fold)
		fold_held(txn);
	if (batch_has_work(&txn->batch) && HOLDS(FLUSH_UNDER_LOCK) && HOLDS(FLUSH_BLIND))
		batch_flush(&txn->batch);
	while (txn->held)
		txn_release(txn, txn->node[--txn->held]);
	while (txn->parents)
		txn_release(txn, txn->parent[--txn->parents]);
	if (!HOLDS(FLUSH_UNDER_LOCK) || !HOLDS(FLUSH_BLIND))
		batch_flush(&txn->batch);
	batch_retire_tables(&txn->batch);
	vmt_port_preempt_on(txn->port);
}

// Folds, flushes, unlocks. Nothing that the window took out is reachable by any CPU once this has returned.
static inline void txn_commit(struct txn *txn)
{
	struct vmt_node *node = txn->node[0];

	// One table, which is not empty, and nothing was taken out: most faults. (Only a fold locks parents, and only
	// what was unlinked retires.)
	if (txn->held == 1 && !node_is_empty(node) && !txn->batch.taken && !flush_pending(&txn->batch.flush) &&
	    HOLDS(EMPTY)) {
		txn->held = 0;
		txn_release(txn, node);
		vmt_port_preempt_on(txn->port);
	} else {
		txn_commit_all(txn);
	}
}

// Folds every empty table in a range, kept ones too.
static void fold_range(struct txn *txn, uint64_t start, uint64_t last)
{
	txn->keep = false;
	for (;;) {
		// A tree on its own has no ids.
		if (pool_fill(txn->tree, &txn->pool, 0, !txn->tree->untracked) != VMT_OK) {
			atomic_store_explicit(&txn->tree->owed, true, memory_order_relaxed);
			return;
		}
		txn_lock(txn, start, last);
		txn_commit(txn);
		if (txn->last >= last)
			return;
		start = txn->last + 1;
	}
}

// Frees what the layer above left on txn->dead.
static void ids_bury(struct txn *txn);

static void txn_finish_work(struct txn *txn)
{
	while (txn->later) {
		txn->later--;
		fold_range(txn, txn->fold_later[txn->later].start, txn->fold_later[txn->later].last);
	}
	ids_bury(txn);
	pool_put_spare(txn->tree, &txn->pool);
	if (pool_has_any(&txn->pool))
		pool_drain(txn->tree, &txn->pool);
}

// Nothing is held. Does what was left for later and gives unused memory back.
static inline void txn_finish(struct txn *txn)
{
	if (txn->later | txn->dead || pool_has_any(&txn->pool))
		txn_finish_work(txn);
}

// Folds every empty table in [start, last]. Nothing is held.
static void tree_fold(struct vmt_tree *tree, uint64_t start, uint64_t last)
{
	struct txn txn;

	txn_init(&txn, tree);
	txn_fold_later(&txn, start, last);
	txn_finish(&txn);
}

#endif
