// SPDX-License-Identifier: MIT
// Huge pages: advice, and putting one in the place of a table of small pages. How faults make them is in fault.h, how
// they are cut in tree/range.h.
//
// A collapse takes pages that belong to this table's entries alone. It unlinks the table (the slot says "busy"),
// flushes, and only then looks at the counts for the last time: a lock-free reader takes its reference before it reads
// the path again (space/page.h), so either it finds the slot changed and lets go, or it is counted here and the table
// goes back. Nobody can write to the pages any more while they are copied.
#ifndef VMT_SPACE_HUGE_H
#define VMT_SPACE_HUGE_H

enum vmt_status vmt_advise_huge(struct vmt_space *space, uint64_t addr, uint64_t length, bool huge)
{
	enum vmt_status status = range_check(space, addr, length);

	return status == VMT_OK ? protect_range(space, addr, length, ATTR_HUGE, huge ? ATTR_HUGE : 0) : status;
}

// ---- What can be collapsed ---------------------------------------------------------------------------------------

// A table under consideration, held with the node above it.
struct huge {
	struct vmt_space *space;
	struct txn txn;
	struct vmt_node *parent, *child;
	unsigned slot;		// of the parent
	unsigned pages;		// that have a frame of their own
	bool in_place;		// they lie as one huge page
};

// A page of this entry's own, that nobody has pinned and reclaim will not take. (One that was written after it was
// lazily freed will not be taken.)
static bool huge_owns(struct vmt_tree *tree, uint64_t e)
{
	struct vmt_data *data = data_of_frame(tree->port, fmt_pa(e));
	uint32_t ignored = fmt_dirty(e) ? VMT_FRAME_LAZY : 0;

	// Sequentially consistent: after the slot was exchanged, see above.
	return data && atomic_load_explicit(&data->refs, memory_order_seq_cst) == 1 &&
	       !atomic_load_explicit(&data->pins, memory_order_relaxed) &&
	       !atomic_load_explicit(&data->copy, memory_order_relaxed) &&
	       !(atomic_load_explicit(&data->flags, memory_order_relaxed) & ~ignored);
}

// Is every entry empty, the zero page, or a page of its own? Counts the last kind.
static bool huge_looks_right(struct huge *huge)
{
	struct vmt_tree *tree = &huge->space->tree;
	uint64_t first = 0;

	huge->pages = 0;
	huge->in_place = true;
	for (unsigned slot = 0; slot < FMT_SLOTS; slot++) {
		uint64_t e = entry_load(huge->child, slot), pa = fmt_pa(e);

		if (e && !fmt_is_leaf(e, 0))
			return false; // a marker, or parked
		if (e && pa != tree->vmt->zero_pa && !huge_owns(tree, e))
			return false;
		first = slot ? first : pa;
		huge->pages += e && pa != tree->vmt->zero_pa;
		huge->in_place &= e && pa == first + slot * VMT_PAGE_SIZE;
	}
	huge->in_place &= !(first & (fmt_span(1) - 1));
	return huge->pages > 0;
}

// Locks the table for `addr` and the node above it. False: there is none, or it is not for collapsing. The locks are
// held either way.
static bool huge_lock(struct huge *huge, uint64_t addr)
{
	struct txn *txn = &huge->txn;

	huge->parent = collapse_lock(txn, addr, 1);
	huge->slot = fmt_index(addr, huge->parent->level);
	if (huge->parent->level != 1 || !slot_is_table(huge->parent, huge->slot))
		return false;
	huge->child = collapse_lock_below(txn, huge->parent, huge->slot);
	return !huge->child->ids && id_is_private_anon(huge->child->id) && !(huge->child->id & ATTR_SHARED) &&
	       attr_prot(huge->child->id) && huge_looks_right(huge);
}

// ---- The change --------------------------------------------------------------------------------------------------

// The pages stay where they are, and are not lazily free any more.
static uint64_t huge_keep(struct huge *huge)
{
	uint64_t pa = fmt_pa(entry_load(huge->child, 0));

	for (unsigned i = 0; i < FMT_SLOTS; i++)
		atomic_store_explicit(&data_of_frame(huge->txn.port, pa + i * VMT_PAGE_SIZE)->flags, 0,
				      memory_order_relaxed);
	return pa;
}

// Moves the bytes into a block from the pool, and lets go of the pages that they come from.
static uint64_t huge_copy(struct huge *huge)
{
	struct txn *txn = &huge->txn;
	uint64_t block = pool_take_huge(txn->tree, &txn->pool);

	for (unsigned slot = 0; slot < FMT_SLOTS; slot++) {
		uint64_t e = entry_load(huge->child, slot), pa = fmt_pa(e);

		if (!e || pa == txn->tree->vmt->zero_pa)
			continue;
		__builtin_memcpy(vmt_port_frame_ptr(txn->port, block + slot * VMT_PAGE_SIZE),
				 vmt_port_frame_ptr(txn->port, pa), VMT_PAGE_SIZE);
		count_resident(txn->tree, pa, -1);
		batch_add_frame(&txn->batch, pa);
	}
	count_resident(txn->tree, block, FMT_SLOTS);
	return block;
}

// Clear, flush, set. False: somebody got a reference meanwhile, and the table is back.
static bool huge_exchange(struct huge *huge)
{
	struct txn *txn = &huge->txn;
	struct vmt_node *parent = huge->parent, *child = huge->child;
	uint64_t busy = fmt_make_marker(MARKER_BUSY, 0), block, table;
	uint32_t id = child->id;

	// Sequentially consistent: before the counts are read again.
	table = atomic_exchange_explicit(&parent->table[huge->slot], busy, memory_order_seq_cst);
	vmt_port_publish(txn->port, &parent->table[huge->slot], 1);
	flush_add(&txn->batch.flush, child->base, node_end(child));
	txn->batch.flush.tables = true;
	if (HOLDS(FLUSH_HUGE))
		batch_flush(&txn->batch);
	if (secondaries_lost(txn->tree) || (HOLDS(COLLAPSE_RECHECKS) && !huge_looks_right(huge))) {
		entry_publish(txn->tree, parent, huge->slot, table);
		return false;
	}
	block = huge->in_place ? huge_keep(huge) : huge_copy(huge);
	ids_set(txn, parent, huge->slot, huge->slot, id);
	// Relaxed: read under the node's lock.
	atomic_store_explicit(&child->state, NODE_DETACHED, memory_order_relaxed);
	batch_add_table(&txn->batch, child, fmt_pa(table));
	entry_publish(txn->tree, parent, huge->slot, leaf_make(txn->tree, block, 1, id, attr_prot(id) & VMT_WRITE));
	return true;
}

// May the node above come to name what the table names? Not if that takes an array and there was none to be had.
static bool huge_can_name(struct huge *huge)
{
	return ids_can_set(&huge->txn, huge->parent, huge->slot, huge->slot, huge->child->id);
}

// The table for the aligned address `addr`, if it is one that can be.
static enum vmt_status huge_collapse(struct huge *huge, uint64_t addr, uint64_t *made)
{
	struct txn *txn = &huge->txn;

	for (;;) {
		enum vmt_status status, array = pool_fill(txn->tree, &txn->pool, 0, 1);
		bool fits = huge_lock(huge, addr) && !range_meets_claim(txn);

		status = VMT_OK;
		if (fits && !huge_can_name(huge))
			status = array;
		else if (fits && (huge->in_place || txn->pool.huge != VMT_NO_FRAME))
			*made += huge_exchange(huge);
		else if (fits)
			status = VMT_ERR_RETRY;
		txn_commit(txn);
		if (status != VMT_ERR_RETRY)
			return status;
		if (!pool_fill_huge(txn->tree, &txn->pool))
			return VMT_ERR_NO_MEMORY;
	}
}

uint64_t vmt_collapse(struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_status *result)
{
	enum vmt_status status = range_check(space, addr, length);
	uint64_t span = fmt_span(1), at = (addr + span - 1) & ~(span - 1), end = addr + length, made = 0;
	struct huge huge = {.space = space};
	struct watch watch;

	if (status == VMT_OK && secondaries_lost(&space->tree))
		status = VMT_ERR_DEVICE;
	if (result)
		*result = status;
	if (status != VMT_OK || FMT_LEAF_LEVELS < 2)
		return 0;
	tree_note_peaks(&space->tree);
	change_begin(&watch, &huge.txn, space, addr, length, VMT_REASON_MIGRATE);
	for (; at >= addr && at < end && end - at >= span; at += span) {
		struct vmt_run run;

		look_piece(&space->tree, at, end, &run);
		if (run.size >= span) { // no table hangs here, as far as this goes
			at = (run.end - 1) & ~(span - 1);
			continue;
		}
		status = huge_collapse(&huge, at, &made);
		if (status != VMT_OK && result)
			*result = status;
	}
	status = change_end(&watch, &huge.txn, VMT_OK);
	if (status != VMT_OK && result)
		*result = status;
	return made;
}

#endif
