// SPDX-License-Identifier: MIT
// Markers over ranges of a space: entries that say what has become of a page. The guard is one of them.
#ifndef VMT_SPACE_MARK_H
#define VMT_SPACE_MARK_H

// ---- Putting markers over a range --------------------------------------------------------------------------------

// Clears everything below `node`, which lies in the window with all that is below it, and unlinks what becomes empty.
static void mark_empty_below(struct txn *txn, struct vmt_node *node)
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
		mark_empty_below(txn, child);
		if (node_is_foldable(child))
			fold_into(txn, node, child);
	}
}

// Tables in slots that will be marked as a whole go, where their addresses have one id; the marker then takes the
// table's place, after the flush (R14). A table that stays is visited later and gets its own markers. Each table's
// addresses are reported to say the marker before what they say now is dropped, so that no count is zero in between.
// Returns how many that were.
SELDOM static unsigned mark_fold_tables(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last,
					uint64_t marker)
{
	unsigned tables = 0;

	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);
		struct vmt_node *child;

		if (!fmt_is_table(e, node->level))
			continue;
		child = node_of_table(txn->port, fmt_pa(e));
		if (child->level == 0 && (child->ids || !ids_can_set(txn, node, slot, slot, child->id)))
			continue;
		tables++;
		marker_copied(txn->tree, marker, node->level);
		mark_empty_below(txn, child);
		if (node_is_foldable(child))
			fold_into(txn, node, child);
	}
	batch_flush(&txn->batch);
	return tables;
}

static bool mark_wants(const struct advise *advise, uint32_t id)
{
	return advise->claimed ? id == ID_CLAIM : id_is_mapped(id);
}

// The marker takes the place of what the entry says, if that is anything.
static void mark_replace(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, uint64_t marker)
{
	if (fmt_holds_frame(e, node->level)) {
		leaf_clear(txn, node, slot, marker);
		return;
	}
	entry_publish(txn->tree, node, slot, marker);
	entry_flush(txn, node, slot, e);
	marker_dropped(txn, e, node->level);
}

// The slots that hold no tables.
static void mark_bare(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last,
		      const struct advise *advise)
{
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (fmt_is_table(e, node->level) || e == advise->marker || !mark_wants(advise, slot_id(node, slot)))
			continue;
		marker_copied(txn->tree, advise->marker, node->level);
		if (e) {
			mark_replace(txn, node, slot, e, advise->marker);
		} else {
			entry_publish(txn->tree, node, slot, advise->marker);
			node_add_live(node, 1);
		}
	}
}

SELDOM static void mark_upper(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last,
			      const struct advise *advise)
{
	unsigned tables = node_has_tables(node) ? mark_fold_tables(txn, node, first, last, advise->marker) : 0;

	mark_bare(txn, node, first, last, advise);
	while (tables--) // what mark_fold_tables reported in advance
		marker_dropped(txn, advise->marker, node->level);
}

static void space_mark_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(node->level == 0 ? mark_bare : mark_upper)(txn, node, first, last, arg);
}

static bool space_mark_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	const struct advise *advise = arg;

	(void)txn;
	return mark_wants(advise, slot_id(node, slot)) && entry_load(node, slot) != advise->marker;
}

// A table that goes leaves its id to the node above, which may have another.
static bool space_mark_sets(const struct vmt_node *node, void *arg)
{
	(void)arg;
	return node_has_tables(node);
}

static const struct range_op space_mark_op = {
	.slots = space_mark_slots,
	.splits = space_mark_splits,
	.inspect = advise_inspect,
	.sets = space_mark_sets,
	.above = true,
};

// ---- Joining them ------------------------------------------------------------------------------------------------

// Does the table say nothing but this, with one id?
static bool mark_fills(const struct vmt_node *node, uint64_t marker)
{
	if (node->ids || node_live(node) < FMT_SLOTS)
		return false;
	for (unsigned slot = 0; slot < FMT_SLOTS; slot++)
		if (entry_load(node, slot) != marker)
			return false;
	return true;
}

// A table full of one marker becomes one marker; anything else is left alone.
static void mark_join_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	uint64_t marker = *(const uint64_t *)arg;

	for (unsigned slot = first; node->level > 0 && slot <= last; slot++) {
		struct vmt_node *child;

		if (!slot_is_table(node, slot))
			continue;
		child = node_of_table(txn->port, fmt_pa(entry_load(node, slot)));
		if (!mark_fills(child, marker) || !fold_into(txn, node, child))
			continue;
		batch_flush(&txn->batch);
		entry_publish(txn->tree, node, slot, marker);
		node_add_live(node, 1);
	}
}

static bool mark_join_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)node, (void)slot, (void)arg;
	return false;
}

static const struct range_op mark_join_op = {
	.slots = mark_join_slots,
	.splits = mark_join_splits,
	.sets = space_mark_sets,
	.above = true,
};

// Where the range has more tables than one window holds, each window has left a marker for each of its tables. They are
// joined, level by level. That they cannot be, for want of an array, changes nothing.
static void mark_join(struct vmt_space *space, uint64_t addr, uint64_t length, uint64_t marker)
{
	struct txn txn;

	txn_init(&txn, &space->tree);
	for (unsigned level = 0; level < FMT_TOP && length / fmt_table_span(level) > TXN_HELD / 2; level++)
		range_run(&txn, addr, addr + length - 1, &mark_join_op, &marker, NULL);
	txn_finish(&txn);
}

static enum vmt_status mark_run_far(struct vmt_space *space, uint64_t addr, uint64_t length, bool anon_only,
				    uint64_t marker)
{
	enum vmt_status status = advise_run(space, addr, length, &space_mark_op, anon_only, marker);

	if (status == VMT_OK || status == VMT_ERR_UNMAPPED)
		mark_join(space, addr, length, marker);
	return status;
}

static inline enum vmt_status mark_run(struct vmt_space *space, uint64_t addr, uint64_t length, bool anon_only,
				       uint64_t marker)
{
	if (length / fmt_table_span(0) > TXN_HELD / 2)
		return mark_run_far(space, addr, length, anon_only, marker);
	return advise_run(space, addr, length, &space_mark_op, anon_only, marker);
}

// ---- The requests ------------------------------------------------------------------------------------------------

enum vmt_status vmt_guard_install(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return mark_run(space, addr, length, true, fmt_make_marker(MARKER_GUARD, 0));
}

// Is it a kind that the embedder may set? Two are the library's where there is device memory.
static bool mark_is_known(const struct vmt_space *space, enum vmt_marker kind)
{
	if ((kind == VMT_MARKER_DEVICE || kind == VMT_MARKER_MIGRATION) && device_any(space->tree.vmt))
		return false;
	return (kind >= VMT_MARKER_SWAP && kind <= VMT_MARKER_POISON) ||
	       (kind >= VMT_MARKER_OWN && kind <= VMT_MARKER_OWN_LAST);
}

enum vmt_status vmt_mark(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind,
			 uint64_t payload)
{
	enum vmt_status status = range_check(space, addr, length);

	if (status == VMT_OK && (!mark_is_known(space, kind) || payload > VMT_MARKER_PAYLOAD))
		status = VMT_ERR_ARGUMENT;
	if (status != VMT_OK)
		return status;
	return mark_run(space, addr, length, false, fmt_make_marker((enum marker_kind)kind, payload));
}

// ---- Taking them away --------------------------------------------------------------------------------------------

// One of the kind that is to go? The payload is whatever it is.
static bool unmark_takes(uint64_t e, unsigned level, const struct advise *advise)
{
	return e && !fmt_is_present(e) && !fmt_is_table(e, level) && fmt_kind(e) == fmt_kind(advise->marker);
}

static void unmark_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	int gone = 0;

	if (node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (!unmark_takes(e, node->level, arg))
			continue;
		entry_publish(txn->tree, node, slot, 0);
		marker_dropped(txn, e, node->level);
		gone++;
	}
	node_add_live(node, -gone);
}

static bool unmark_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn;
	return unmark_takes(entry_load(node, slot), node->level, arg);
}

static const struct range_op unmark_op = {
	.slots = unmark_slots,
	.splits = unmark_splits,
	.inspect = advise_inspect,
};

enum vmt_status vmt_guard_remove(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &unmark_op, true, fmt_make_marker(MARKER_GUARD, 0));
}

enum vmt_status vmt_unmark(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind)
{
	enum vmt_status status = range_check(space, addr, length);

	if (status == VMT_OK && !mark_is_known(space, kind))
		status = VMT_ERR_ARGUMENT;
	if (status != VMT_OK)
		return status;
	return advise_run(space, addr, length, &unmark_op, false, fmt_make_marker((enum marker_kind)kind, 0));
}

#endif
