// SPDX-License-Identifier: MIT
// One page against a marker, and back: what swapping and migrating are made of.
#ifndef VMT_SPACE_MARKER_H
#define VMT_SPACE_MARKER_H

// May the page at `addr`, which the entry `e` of `level` holds, be taken?
static enum vmt_status marker_inspect_page(struct txn *txn, uint64_t addr, uint64_t e, unsigned level)
{
	struct vmt_data *data;

	if (!e || !fmt_holds_frame(e, level) || entry_frame(e) == txn->tree->vmt->zero_pa)
		return VMT_ERR_NOT_PRESENT;
	data = data_of_frame(txn->port, leaf_page(e, level, addr));
	if (!data || atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT)
		return VMT_ERR_ARGUMENT;
	// Pins are taken under this lock.
	return atomic_load_explicit(&data->pins, memory_order_acquire) ? VMT_ERR_BUSY : VMT_OK;
}

// May the entry for `addr` be exchanged? `expect` 0: if it holds a page, else if it is this marker.
static enum vmt_status marker_inspect(struct txn *txn, uint64_t addr, uint64_t expect)
{
	const struct vmt_node *node = txn_lowest(txn);
	unsigned slot = fmt_index(addr, node->level);
	uint64_t e = entry_load(node, slot);
	uint32_t id = slot_id(node, slot);

	if (!id_is_mapped(id))
		return VMT_ERR_UNMAPPED;
	if (attr_of(txn->tree->vmt, id) & ATTR_SHARED)
		return VMT_ERR_ARGUMENT;
	if (expect)
		return e == expect ? VMT_OK : VMT_ERR_NOT_PRESENT;
	return marker_inspect_page(txn, addr, e, node->level);
}

// Locks the lowest table for `addr` and cuts what is larger than a page there. Nothing is held on an error.
static enum vmt_status marker_lock(struct txn *txn, uint64_t addr, uint64_t expect, struct vmt_node **node)
{
	for (;;) {
		enum vmt_status status;
		unsigned tables;

		txn_lock(txn, addr, addr + VMT_PAGE_SIZE - 1);
		tables = txn_lowest(txn)->level;
		if (range_meets_claim(txn)) {
			txn_abort(txn);
			vmt_port_relax(txn->port, true);
			continue;
		}
		status = marker_inspect(txn, addr, expect);
		if (status == VMT_OK && tables <= txn->pool.tables)
			break;
		txn_abort(txn);
		if (status == VMT_OK)
			status = pool_fill(txn->tree, &txn->pool, tables, 0);
		if (status != VMT_OK)
			return status;
	}
	*node = move_split_down(txn, txn_lowest(txn), addr, 0);
	return VMT_OK;
}

// The page's entry becomes the marker, and nobody uses the page any more. VMT_ERR_DEVICE: a secondary may still; then
// the entry is what it was.
static enum vmt_status marker_exchange(struct txn *txn, struct vmt_node *node, uint64_t addr, uint64_t marker,
				       uint64_t *pa)
{
	unsigned slot = fmt_index(addr, 0);
	uint64_t e = entry_exchange(txn->tree, node, slot, marker);
	struct vmt_data *data;

	*pa = entry_frame(e);
	data = data_of_frame(txn->port, *pa);
	if (HOLDS(FLUSH_TAKE))
		entry_flush(txn, node, slot, e);
	// It is not to be taken by reclaim any more, whoever holds it.
	atomic_fetch_and_explicit(&data->flags, ~VMT_FRAME_LAZY, memory_order_relaxed);
	batch_flush(&txn->batch);
	if (secondaries_lost(txn->tree)) {
		entry_publish(txn->tree, node, slot, e);
		return VMT_ERR_DEVICE;
	}
	count_resident(txn->tree, *pa, -1);
	// Others that hold the page may lead to its copy. Acquire: their uses are over.
	if (atomic_load_explicit(&data->refs, memory_order_acquire) == 1)
		leaf_drop_copy(txn->tree, data);
	return VMT_OK;
}

static enum vmt_status marker_check(const struct vmt_space *space, uint64_t addr, enum vmt_marker kind,
				    uint64_t payload)
{
	enum vmt_status status = range_check(space, addr, VMT_PAGE_SIZE);

	if (status == VMT_OK && (!mark_is_known(space, kind) || payload > VMT_MARKER_PAYLOAD))
		return VMT_ERR_ARGUMENT;
	return status;
}

enum vmt_status vmt_page_take(struct vmt_space *space, uint64_t addr, enum vmt_marker kind, uint64_t payload,
			      uint64_t *pa)
{
	enum vmt_status status = marker_check(space, addr, kind, payload);
	struct vmt_node *node;
	struct watch watch;
	struct txn txn;

	if (status != VMT_OK)
		return status;
	tree_note_peaks(&space->tree);
	change_begin(&watch, &txn, space, addr, VMT_PAGE_SIZE, VMT_REASON_MIGRATE);
	status = marker_lock(&txn, addr, 0, &node);
	if (status == VMT_OK) {
		status = marker_exchange(&txn, node, addr, fmt_make_marker((enum marker_kind)kind, payload), pa);
		txn_commit(&txn);
	}
	return change_end(&watch, &txn, status);
}

enum vmt_status vmt_marker_resolve(struct vmt_space *space, uint64_t addr, enum vmt_marker kind, uint64_t payload,
				   uint64_t pa)
{
	enum vmt_status status = marker_check(space, addr, kind, payload);
	uint64_t marker = fmt_make_marker((enum marker_kind)kind, payload);
	struct vmt_node *node;
	struct txn txn;

	if (status != VMT_OK)
		return status;
	txn_init(&txn, &space->tree);
	status = marker_lock(&txn, addr, marker, &node);
	if (status == VMT_OK) {
		uint32_t attr = attr_of(space->tree.vmt, slot_id(node, fmt_index(addr, 0)));
		bool write = attr_prot(attr) & VMT_WRITE && frame_is_exclusive(&space->tree, pa);

		if (write) // nobody else holds the page any more, so nobody leads to its copy
			leaf_drop_copy(&space->tree, data_of_frame(space->tree.port, pa));
		count_resident(&space->tree, pa, 1);
		entry_publish(&space->tree, node, fmt_index(addr, 0),
			      attr_prot(attr) ? fmt_set_dirty(leaf_make(&space->tree, pa, 0, attr, write)) :
						fmt_make_parked(pa, true, true));
		txn_commit(&txn);
	}
	txn_finish(&txn);
	if (status == VMT_OK)
		secondaries_filled(space, addr, addr + VMT_PAGE_SIZE, VMT_SECONDARIES, &txn.batch);
	return status == VMT_ERR_UNMAPPED ? VMT_ERR_NOT_PRESENT : status;
}

enum vmt_status vmt_page_new(struct vmt *vmt, bool zero, uint64_t *pa)
{
	*pa = vmt_port_frame_alloc(vmt->port, VMT_PAGE_SIZE, zero);
	if (*pa == VMT_NO_FRAME)
		return VMT_ERR_NO_MEMORY;
	frame_begin(vmt->port, *pa, 0, 1);
	return VMT_OK;
}

#endif
