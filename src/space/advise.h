// SPDX-License-Identifier: MIT
// Release, lazy free, guards: what changes states and leaves attributes alone.
#ifndef VMT_SPACE_ADVISE_H
#define VMT_SPACE_ADVISE_H

// What was met in the range. Linux works on what is mapped and reports the rest afterwards.
struct advise {
	bool hole;		// a part is not mapped
	bool anon_only;		// refuse anything but private anonymous memory
	bool claimed;		// the range is one that a move has claimed for itself (space/move.h)
};

static bool advise_see(struct txn *txn, uint32_t id, uint64_t start, uint64_t last, void *arg)
{
	struct advise *advise = arg;

	(void)txn, (void)start, (void)last;
	if (!id_is_mapped(id))
		advise->hole = true;
	else if (advise->anon_only && !id_is_private_anon(id))
		return false;
	return true;
}

static enum vmt_status advise_inspect(struct txn *txn, void *arg)
{
	return window_ids(txn, advise_see, arg) ? VMT_OK : VMT_ERR_ARGUMENT;
}

static enum vmt_status advise_run(struct vmt_space *space, uint64_t addr, uint64_t length, const struct range_op *op,
				  bool anon_only)
{
	struct advise advise = {.anon_only = anon_only};
	enum vmt_status status = range_check(space, addr, length);
	struct txn txn;

	if (status != VMT_OK)
		return status;
	tree_note_peaks(&space->tree);
	txn_init(&txn, &space->tree);
	status = range_run(&txn, addr, addr + length - 1, op, &advise, NULL);
	txn_finish(&txn);
	return status == VMT_OK && advise.hole ? VMT_ERR_UNMAPPED : status;
}

// ---- Release -----------------------------------------------------------------------------------------------------

static void release_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)arg;
	leaf_zap(txn, node, first, last, ZAP_PAGES);
}

// Frames lie in the lowest tables only: there is no page to be cut.
static bool splits_nothing(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)node, (void)slot, (void)arg;
	return false;
}

static const struct range_op release_op = {
	.slots = release_slots,
	.splits = splits_nothing,
	.inspect = advise_inspect,
};

enum vmt_status vmt_release(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &release_op, false);
}

// ---- Lazy free ---------------------------------------------------------------------------------------------------

// Somebody got a reference meanwhile, and may write without the entry: it has to say that it was written.
static void lazy_free_undo(struct txn *txn, struct vmt_node *node, unsigned slot, struct vmt_data *data)
{
	uint64_t e = entry_load(node, slot);

	while (!atomic_compare_exchange_weak_explicit(&node->table[slot], &e, fmt_set_dirty(e), memory_order_acq_rel,
						      memory_order_relaxed))
		;
	vmt_port_publish(txn->port, &node->table[slot], 1);
	atomic_fetch_and_explicit(&data->flags, ~VMT_FRAME_LAZY, memory_order_relaxed);
}

// The page may be taken as long as its entry stays clean. Only a page that is this entry's alone is marked.
static void lazy_free_entry(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e)
{
	uint64_t addr = slot_base(node, slot), pa = fmt_pa(e), next;
	struct vmt_data *data = data_of_frame(txn->port, pa);

	if (!data || !frame_is_exclusive(txn->tree, pa) ||
	    atomic_load_explicit(&data->pins, memory_order_relaxed) != 0)
		return;
	// Relaxed: read and written under the lock of the one entry that holds the page.
	atomic_fetch_or_explicit(&data->flags, VMT_FRAME_LAZY, memory_order_relaxed);
	do {
		next = fmt_clean(e);
		// Sequentially consistent, with the load below: a lock-free reader that takes a reference for writing
		// does so before it looks at the dirty bit for the last time (space/page.h). One of us sees the other.
	} while (!atomic_compare_exchange_weak_explicit(&node->table[slot], &e, next, memory_order_seq_cst,
							memory_order_relaxed));
	vmt_port_publish(txn->port, &node->table[slot], 1);
	if (atomic_load_explicit(&data->refs, memory_order_seq_cst) != 1)
		lazy_free_undo(txn, node, slot, data);
	// A CPU that has the entry cached as dirty would write without saying so.
	if (fmt_dirty(e) && HOLDS(FLUSH_LAZY))
		flush_add(&txn->batch.flush, addr, addr + fmt_span(node->level));
}

static void lazy_free_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)arg;
	if (node->level > 0 || node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (fmt_is_leaf(e, 0))
			lazy_free_entry(txn, node, slot, e);
	}
}

static const struct range_op lazy_free_op = {
	.slots = lazy_free_slots,
	.splits = splits_nothing,
	.inspect = advise_inspect,
};

enum vmt_status vmt_lazy_free(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &lazy_free_op, true);
}

// ---- Guards ------------------------------------------------------------------------------------------------------

// Clears everything below `node`, which lies in the window with all that is below it, and unlinks what becomes empty.
static void guard_empty_below(struct txn *txn, struct vmt_node *node)
{
	leaf_zap(txn, node, 0, FMT_SLOTS - 1, ZAP_ALL);
	if (node->level == 0 || node_live(node) == 0)
		return;
	for (unsigned slot = 0; slot < FMT_SLOTS; slot++) {
		uint64_t e = entry_load(node, slot);
		struct vmt_node *child;

		if (!fmt_is_table(e, node->level))
			continue;
		child = node_of_table(txn->port, fmt_pa(e));
		guard_empty_below(txn, child);
		if (node_is_foldable(child))
			fold_into(txn, node, child);
	}
}

// Tables in slots that will be guarded as a whole go, where their addresses have one id (and the parent has it too, or
// an array to say otherwise); the marker then takes the table's place, after the flush (R14). A table that stays is
// visited later and gets its own markers.
static void guard_fold_tables(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last)
{
	if (node->level == 0 || node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);
		struct vmt_node *child;

		if (!fmt_is_table(e, node->level))
			continue;
		child = node_of_table(txn->port, fmt_pa(e));
		guard_empty_below(txn, child);
		if (node_is_foldable(child))
			fold_into(txn, node, child);
	}
	batch_flush(&txn->batch);
}

static bool guard_wants(const struct advise *advise, uint32_t id)
{
	return advise->claimed ? id == ID_CLAIM : id_is_mapped(id);
}

static void guard_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	uint64_t guard = fmt_make_marker(MARKER_GUARD, 0);

	guard_fold_tables(txn, node, first, last);
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (fmt_is_table(e, node->level) || e == guard || !guard_wants(arg, slot_id(node, slot)))
			continue;
		if (fmt_holds_frame(e, node->level))
			leaf_clear(txn, node, slot, guard);
		else
			entry_publish(txn->tree, node, slot, guard);
		node_add_live(node, e == 0);
	}
}

static bool guard_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn;
	return guard_wants(arg, slot_id(node, slot)) && entry_load(node, slot) != fmt_make_marker(MARKER_GUARD, 0);
}

static const struct range_op guard_op = {
	.slots = guard_slots,
	.splits = guard_splits,
	.inspect = advise_inspect,
	.above = true,
};

enum vmt_status vmt_guard_install(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &guard_op, true);
}

static void unguard_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	int gone = 0;

	(void)arg;
	if (node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		if (entry_load(node, slot) != fmt_make_marker(MARKER_GUARD, 0))
			continue;
		entry_publish(txn->tree, node, slot, 0);
		gone++;
	}
	node_add_live(node, -gone);
}

static bool unguard_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)arg;
	return entry_load(node, slot) == fmt_make_marker(MARKER_GUARD, 0);
}

static const struct range_op unguard_op = {
	.slots = unguard_slots,
	.splits = unguard_splits,
	.inspect = advise_inspect,
};

enum vmt_status vmt_guard_remove(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &unguard_op, true);
}

#endif
