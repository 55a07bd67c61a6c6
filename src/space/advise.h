// SPDX-License-Identifier: MIT
// Release, lazy free: what gives pages back and leaves attributes alone.
#ifndef VMT_SPACE_ADVISE_H
#define VMT_SPACE_ADVISE_H

// What was met in the range. Linux works on what is mapped and reports the rest afterwards.
struct advise {
	bool hole;		// a part is not mapped
	bool anon_only;		// refuse anything but private anonymous memory
	bool claimed;		// the range is one that a move has claimed for itself (space/move.h)
	uint64_t marker;	// the entry that space/marker.h puts there, or takes away
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
				  bool anon_only, uint64_t marker)
{
	struct advise advise = {.anon_only = anon_only, .marker = marker};
	enum vmt_status status = range_check(space, addr, length);
	struct watch watch;
	struct txn txn;

	if (status != VMT_OK)
		return status;
	change_begin(&watch, &txn, space, addr, length, VMT_REASON_RELEASE);
	status = range_run(&txn, addr, addr + length - 1, op, &advise, NULL);
	status = change_end(&watch, &txn, status);
	return status == VMT_OK && advise.hole ? VMT_ERR_UNMAPPED : status;
}

// ---- Release -----------------------------------------------------------------------------------------------------

static void release_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)arg;
	leaf_zap(txn, node, first, last, ZAP_PAGES);
}

// A huge page is cut, and a marker that stands for one's bytes.
static bool release_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	uint64_t e = entry_load(node, slot);

	(void)txn, (void)arg;
	return e && (fmt_holds_frame(e, node->level) || marker_has_bytes(e));
}

static const struct range_op release_op = {
	.slots = release_slots,
	.splits = release_splits,
	.inspect = advise_inspect,
};

enum vmt_status vmt_release(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &release_op, false, 0);
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

// A huge page that the range covers whole, and nobody else has a part in, is taken at once.
static void lazy_free_huge(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e)
{
	for (uint64_t i = 0; i < level_pages(node->level); i++) {
		struct vmt_data *data = data_of_frame(txn->port, fmt_pa(e) + i * VMT_PAGE_SIZE);

		// Pins are taken under this lock. A reader's reference that comes now keeps the page, not the mapping.
		if (!data || atomic_load_explicit(&data->refs, memory_order_acquire) != 1 ||
		    atomic_load_explicit(&data->pins, memory_order_relaxed))
			return;
	}
	leaf_clear(txn, node, slot, 0);
	node_add_live(node, -1);
}

static void lazy_free_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)arg;
	if (node_live(node) == 0)
		return;
	for (unsigned slot = first; slot <= last; slot++) {
		uint64_t e = entry_load(node, slot);

		if (fmt_is_leaf(e, node->level) && node->level > 0)
			lazy_free_huge(txn, node, slot, e);
		else if (fmt_is_leaf(e, node->level))
			lazy_free_entry(txn, node, slot, e);
	}
}

static bool lazy_free_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn, (void)arg;
	return fmt_is_leaf(entry_load(node, slot), node->level);
}

static const struct range_op lazy_free_op = {
	.slots = lazy_free_slots,
	.splits = lazy_free_splits,
	.inspect = advise_inspect,
};

enum vmt_status vmt_lazy_free(struct vmt_space *space, uint64_t addr, uint64_t length)
{
	return advise_run(space, addr, length, &lazy_free_op, true, 0);
}

#endif
