// SPDX-License-Identifier: MIT
// Entries as the space sees them: taking pages out, putting pages in, counting them.
#ifndef VMT_SPACE_LEAF_H
#define VMT_SPACE_LEAF_H

// Counts `n` pages more (or less) from `pa` on that entries hold. The zero page is nobody's.
static inline void count_resident(struct vmt_tree *tree, uint64_t pa, int64_t n)
{
	struct vmt_data *data = data_of_frame(tree->port, pa);
	struct vmt_cpu *cpu;

	if (pa == tree->vmt->zero_pa)
		return;
	cpu = this_cpu(tree);
	count_add(&cpu->count.resident, n);
	if (data && !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT))
		count_add(&cpu->count.anon, n);
	size_changed(tree, cpu, SIZE_RESIDENT);
}

// What kinds of entries leaf_zap removes.
enum zap {
	ZAP_ALL,	// everything
	ZAP_PAGES,	// frames, and markers that stand for a page's bytes
};

// The base pages of what an entry of `level` covers.
static uint64_t level_pages(unsigned level)
{
	return UINT64_C(1) << FMT_INDEX_BITS * level;
}

// The page of `addr` behind the leaf or parked leaf `e` of `level`.
static uint64_t leaf_page(uint64_t e, unsigned level, uint64_t addr)
{
	return entry_frame(e) + (addr & (fmt_span(level) - 1) & ~VMT_PAGE_MASK);
}

// Collects the flush for an entry that was changed.
static inline void entry_flush(struct txn *txn, const struct vmt_node *node, unsigned slot, uint64_t e)
{
	uint64_t addr = slot_base(node, slot);

	if (entry_is_used(txn->tree, e))
		flush_add(&txn->batch.flush, addr, addr + fmt_span(node->level));
}

static void marker_count_copied(struct vmt_tree *tree, uint64_t e, unsigned level)
{
	const struct vmt_marker_ops *ops = tree->space->config.marker_ops;
	struct device_frame *frame = device_frame_of(tree->vmt, e);

	if (frame)
		for (uint64_t i = 0; i < level_pages(level); i++)
			device_ref(frame + i);
	else if (ops && ops->copied)
		ops->copied(tree->space, (enum vmt_marker)fmt_kind(e), fmt_payload(e), level_pages(level));
}

static void marker_count_dropped(struct txn *txn, uint64_t e, unsigned level)
{
	struct vmt_tree *tree = txn->tree;
	const struct vmt_marker_ops *ops = tree->space->config.marker_ops;
	struct device_frame *frame = device_frame_of(tree->vmt, e);

	if (frame)
		batch_add_device(&txn->batch, frame, level_pages(level));
	else if (ops && ops->dropped)
		ops->dropped(tree->space, (enum vmt_marker)fmt_kind(e), fmt_payload(e), level_pages(level));
}

// Does nobody count who says what the marker `e` does?
static inline bool marker_is_plain(const struct vmt_tree *tree, uint64_t e)
{
	return fmt_kind(e) == MARKER_GUARD && !tree->space->config.marker_ops;
}

// An entry of `level` has come to say, or no longer says, what the marker `e` does.
static inline void marker_copied(struct vmt_tree *tree, uint64_t e, unsigned level)
{
	if (!marker_is_plain(tree, e))
		marker_count_copied(tree, e, level);
}

// The entry has been changed already, and its flush collected.
static inline void marker_dropped(struct txn *txn, uint64_t e, unsigned level)
{
	if (!marker_is_plain(txn->tree, e))
		marker_count_dropped(txn, e, level);
}

// Does the marker stand for the bytes of a page?
static bool marker_has_bytes(uint64_t e)
{
	enum marker_kind kind = fmt_kind(e);

	return kind == MARKER_SWAP || kind == MARKER_MIGRATION || kind == MARKER_DEVICE;
}

// The pages of a huge one but the first: each is counted by itself.
static void leaf_clear_huge(struct txn *txn, uint64_t pa, unsigned level)
{
	uint64_t pages = level_pages(level);

	count_resident(txn->tree, pa, 1 - (int64_t)pages);
	for (uint64_t i = 1; i < pages; i++)
		batch_add_frame(&txn->batch, pa + i * VMT_PAGE_SIZE);
}

// Clears one entry that holds a frame: out of the table, into the batch.
static inline void leaf_clear(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t replacement)
{
	uint64_t old = entry_exchange(txn->tree, node, slot, replacement), pa = entry_frame(old);

	if (HOLDS(FLUSH_ZAP))
		entry_flush(txn, node, slot, old);
	txn_note_peak(txn, SIZE_RESIDENT);
	count_resident(txn->tree, pa, -1);
	batch_add_frame(&txn->batch, pa);
	if (node->level > 0)
		leaf_clear_huge(txn, pa, node->level);
}

static void leaf_zap_entries(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, enum zap what)
{
	unsigned left = node_live(node);
	uint64_t e;
	int gone = 0;

	for (unsigned slot = first; (e = entry_next(node, &slot, last, &left)); slot++) {
		if (fmt_is_table(e, node->level))
			continue;
		if (fmt_holds_frame(e, node->level)) {
			leaf_clear(txn, node, slot, 0);
		} else if (what == ZAP_ALL || marker_has_bytes(e)) {
			entry_publish(txn->tree, node, slot, 0);
			entry_flush(txn, node, slot, e);
			marker_dropped(txn, e, node->level);
		} else {
			continue;
		}
		gone++;
	}
	node_add_live(node, -gone);
}

// Clears slots [first, last] of a node that is held exclusively. Tables are left alone.
static inline void leaf_zap(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, enum zap what)
{
	if (node_live(node) > 0)
		leaf_zap_entries(txn, node, first, last, what);
}

// The entry for a page with these attributes. `write`: hardware may write it now.
static uint64_t leaf_make(const struct vmt_tree *tree, uint64_t pa, unsigned level, uint32_t attr, bool write)
{
	vmt_prot prot = attr_prot(attr);

	if (!write)
		prot &= ~(vmt_prot)VMT_WRITE;
	return fmt_make_leaf(pa, level, prot ? prot : VMT_READ, tree->user);
}

// The leaf for what a parked one holds.
static uint64_t leaf_unparked(const struct vmt_tree *tree, uint64_t e, unsigned level, uint32_t attr, bool write)
{
	uint64_t leaf = leaf_make(tree, fmt_parked_pa(e), level, attr, write);

	// A lazily freed page that was written again is not to be taken.
	if (e & MARKER_DIRTY && HOLDS(DIRTY_PARKED))
		return fmt_set_dirty(leaf);
	return write ? leaf : fmt_clean(leaf);
}

// Is the page this entry's alone, so that its mapping may write it in place? Acquire pairs with the release in
// frame_unref: the others' uses are over. A pinned page is never shared (fork copies it at once), whatever references
// its pins hold; a lock-free reader's passing reference only makes a copy that was not needed.
static bool frame_is_exclusive(struct vmt_tree *tree, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(tree->port, pa);

	if (!data)
		return true; // no RAM: nothing to copy
	if (pa == tree->vmt->zero_pa ||
	    atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT)
		return false;
	return atomic_load_explicit(&data->refs, memory_order_acquire) == 1 || !HOLDS(EXCLUSIVE) ||
	       (atomic_load_explicit(&data->pins, memory_order_acquire) != 0 && HOLDS(PINS_STAY));
}

// The same of all pages of a leaf of `level`.
static bool leaf_is_exclusive(struct vmt_tree *tree, uint64_t pa, unsigned level)
{
	bool exclusive = frame_is_exclusive(tree, pa);

	for (uint64_t i = 1; i < level_pages(level) && exclusive; i++)
		exclusive = frame_is_exclusive(tree, pa + i * VMT_PAGE_SIZE);
	return exclusive;
}

// The read-only copy in device memory of a page that this entry alone holds, which nobody is led to any more, but for a
// secondary that is lost.
static void leaf_drop_copy(struct vmt_tree *tree, struct vmt_data *data)
{
	// Relaxed: set and cleared under locks of entries that hold the page.
	struct device_frame *copy = data ? atomic_load_explicit(&data->copy, memory_order_relaxed) : NULL;

	if (!copy)
		return;
	atomic_store_explicit(&data->copy, NULL, memory_order_relaxed);
	secondaries_lost(tree) ? quarantine_device(tree->vmt, copy) : device_unref(copy);
}

// Is it a page that this entry alone holds, and nothing else is known of it: no object's, not lazily freed, without a
// copy in device memory? Most are. One that is not may be the entry's alone all the same: see leaf_is_exclusive.
static inline bool frame_is_plain(const struct vmt_tree *tree, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(tree->port, pa);

	// Relaxed and acquire as in frame_is_exclusive and leaf_drop_copy. Who has pinned it has a reference.
	return data && pa != tree->vmt->zero_pa && !atomic_load_explicit(&data->flags, memory_order_relaxed) &&
	       atomic_load_explicit(&data->refs, memory_order_acquire) == 1 &&
	       !atomic_load_explicit(&data->copy, memory_order_relaxed);
}

// Before an entry comes to allow what it did not: a CPU to use a page that was hidden from it, or anybody (`write`) to
// write one. Who has it for himself, or reads a copy of it, is told first. The entry's lock is held.
static void leaf_before_more(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, bool write)
{
	struct vmt_data *data = NULL;
	bool copied;

	if (write && node->level == 0 && entry_frame(e) != txn->tree->vmt->zero_pa) // a huge page has no copy
		data = data_of_frame(txn->port, entry_frame(e));
	// Relaxed as in leaf_drop_copy.
	copied = data && atomic_load_explicit(&data->copy, memory_order_relaxed) && HOLDS(COPY_DROPPED);
	if (!copied && (fmt_is_present(e) || !entry_is_used(txn->tree, e)))
		return;
	entry_flush(txn, node, slot, e);
	batch_flush(&txn->batch);
	if (copied)
		leaf_drop_copy(txn->tree, data);
}

// Links `leaf` of `level` at `addr`, below `node`, whose slot there is empty: with new tables from the pool where
// levels are missing. They are complete before the last store makes them visible (R8, races.md E1).
static void leaf_install(struct txn *txn, struct vmt_node *node, uint64_t addr, uint64_t leaf, unsigned level)
{
	unsigned top_slot = fmt_index(addr, node->level), slot = top_slot;
	uint64_t first = 0;
	struct vmt_node *at = node;

	while (at->level > level) {
		uint64_t pa;
		struct vmt_node *below = node_new_below(txn, at, slot, &pa);

		if (at == node) {
			first = fmt_make_table(pa, at->level);
		} else {
			atomic_store_explicit(&at->table[slot], fmt_make_table(pa, at->level),
					      memory_order_relaxed);
			vmt_port_publish(txn->port, &at->table[slot], 1);
		}
		at = below;
		slot = fmt_index(addr, at->level);
		node_add_live(at, 1);
	}
	if (at != node) {
		atomic_store_explicit(&at->table[slot], leaf, memory_order_relaxed);
		vmt_port_publish(txn->port, &at->table[slot], 1);
	}
	// Before the store: a new table is linked unlocked, and from then on another CPU may take the page out of it.
	if (fmt_holds_frame(leaf, level))
		count_resident(txn->tree, entry_frame(leaf), (int64_t)level_pages(level));
	entry_publish(txn->tree, node, top_slot, at == node ? leaf : first);
	node_add_live(node, 1);
	if (at != node)
		ids_unname(txn, node, top_slot);
}

#endif
