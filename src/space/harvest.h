// SPDX-License-Identifier: MIT
// What was used and written of a space since it was last asked. The walk is that of a tree on its own (tree/edit.h); a
// space has to say more about lazily freed pages, and has pages that CPUs do not see.
#ifndef VMT_SPACE_HARVEST_H
#define VMT_SPACE_HARVEST_H

// A lazily freed page is kept for being dirty, which it is not any more: it is not free either.
static void harvest_written(struct txn *txn, uint64_t pa, unsigned level)
{
	struct vmt_data *data = level == 0 && pa != txn->tree->vmt->zero_pa ? data_of_frame(txn->port, pa) : NULL;

	// Relaxed: read and written under the lock of the one entry that holds the page.
	if (data && atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_LAZY)
		atomic_fetch_and_explicit(&data->flags, ~VMT_FRAME_LAZY, memory_order_relaxed);
}

// A page in device memory may have been used and written at any time; so may one that a secondary has for itself. What
// is parked for want of permissions says what its leaf said.
static unsigned harvest_hidden(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, unsigned what)
{
	uint64_t clear = MARKER_ACCESSED | (what & VMT_DIRTY ? MARKER_DIRTY : 0);

	if (device_frame_of(txn->tree->vmt, e))
		return VMT_ACCESSED | VMT_DIRTY;
	if (fmt_kind(e) != MARKER_PARKED)
		return 0;
	if (!attr_prot(attr_of(txn->tree->vmt, slot_id(node, slot)))) {
		if (e & MARKER_DIRTY && what & VMT_DIRTY)
			harvest_written(txn, fmt_parked_pa(e), node->level);
		if (e & clear)
			entry_publish(txn->tree, node, slot, e & ~clear);
	}
	return (e & MARKER_ACCESSED ? VMT_ACCESSED : 0) | (e & MARKER_DIRTY ? VMT_DIRTY : 0);
}

uint64_t vmt_test_and_clear(struct vmt_space *space, uint64_t addr, uint64_t length, unsigned what, uint64_t *bitmap)
{
	struct harvest harvest = {.addr = addr, .last = addr + length - 1, .what = what, .bitmap = bitmap};
	struct watch watch;
	struct txn txn;

	if (range_check(space, addr, length) != VMT_OK || !(what & (VMT_ACCESSED | VMT_DIRTY)))
		return 0;
	change_begin(&watch, &txn, space, addr, length, VMT_REASON_SOFT_DIRTY);
	harvest_run(&txn, &harvest);
	change_end(&watch, &txn, VMT_OK);
	return harvest.pages;
}

#endif
