// SPDX-License-Identifier: MIT
// Pages that move to device memory and back: vmtree/device.h says what that looks like from outside.
//
// There: the page is parked (clear, flush), its bytes are copied with nothing held, and then the marker is set in its
// place, if the entry still holds the parked page. Back: the device marker becomes a migration marker (clear, flush),
// the bytes are copied with nothing held, and then the leaf is set, if the entry still is that marker.
//
// "Still" cannot deceive. Whoever copies holds a reference on what he copies from, and only what has one reference is
// written: a page of system memory is copied on write then, a frame of device memory comes back first. So an entry that
// names the same frame names the same bytes, whatever it named in between.
#ifndef VMT_MIRROR_MIGRATE_H
#define VMT_MIRROR_MIGRATE_H

// ---- Copies ------------------------------------------------------------------------------------------------------

static void copy_start(struct vmt_copy *copy, const struct device_frame *frame, uint64_t pa, uint64_t bytes,
		       bool to_device)
{
	const struct vmt_device_memory_config *config = &frame->memory->config;

	*copy = (struct vmt_copy){.pa = pa, .device = device_address(frame), .bytes = bytes, .to_device = to_device};
	config->ops->copy(config->owner, copy);
}

static bool copy_has_ended(const struct vmt_copy *copy)
{
	// Acquire pairs with the release in vmt_copy_done.
	return atomic_load_explicit(&copy->state, memory_order_acquire) != VMT_COPY_UNDER_WAY;
}

// Was it good?
static bool copy_wait(void *port, struct vmt_copy *copy, struct vmt_device_memory *memory)
{
	while (!copy_has_ended(copy))
		vmt_port_relax(port, true);
	if (atomic_load_explicit(&copy->state, memory_order_relaxed) == VMT_COPY_GOOD || !HOLDS(COPY_JUDGED))
		return true;
	atomic_fetch_add_explicit(&memory->failed, 1, memory_order_relaxed);
	return false;
}

// Locks the lowest table for the page at `addr`, where no move is under way.
static struct vmt_node *migrate_lock(struct txn *txn, uint64_t addr)
{
	for (;;) {
		txn_lock(txn, addr, addr + VMT_PAGE_SIZE - 1);
		if (!range_meets_claim(txn))
			return txn_lowest(txn);
		txn_abort(txn);
		vmt_port_relax(txn->port, true);
	}
}

// ---- Back --------------------------------------------------------------------------------------------------------

// A page, or a huge one, on its way back from device memory.
struct coming {
	struct txn txn;
	uint64_t addr;
	struct device_frame *frame;
	unsigned level;
	bool no_huge;
	uint64_t marker;	// what the entry says meanwhile
};

static uint64_t coming_pages(const struct coming *coming)
{
	return level_pages(coming->level);
}

// Makes sure of a page for what was met under the lock, which is let go. A huge page comes back whole if there is
// memory for one.
static enum vmt_status coming_provide(struct coming *coming, unsigned level)
{
	struct txn *txn = &coming->txn;

	txn_abort(txn);
	if (level > 1)
		coming->no_huge = true;
	if (level > 0 && !coming->no_huge) {
		coming->no_huge = !pool_fill_huge(txn->tree, &txn->pool);
		return VMT_OK;
	}
	return level > 0 ? pool_fill(txn->tree, &txn->pool, level, 0) : pool_fill_page(txn->tree, &txn->pool, false);
}

// Is there memory for what the node at `level` holds?
static bool coming_is_provided(const struct coming *coming, unsigned level)
{
	const struct pool *pool = &coming->txn.pool;

	if (level == 0)
		return pool->page != VMT_NO_FRAME;
	return coming->no_huge || level > 1 ? coming->no_huge && pool->tables >= level : pool->huge != VMT_NO_FRAME;
}

// Under the lock: takes the page from the device. VMT_ERR_RETRY: a huge one was cut.
static enum vmt_status coming_begin(struct coming *coming, struct vmt_node *node)
{
	struct txn *txn = &coming->txn;
	unsigned slot = fmt_index(coming->addr, node->level);
	uint64_t e = entry_load(node, slot);

	if (node->level > 0 && coming->no_huge) {
		range_split(txn, node, slot, coming->addr, coming->addr + VMT_PAGE_SIZE - 1);
		return VMT_ERR_RETRY;
	}
	coming->frame = device_frame_of(txn->tree->vmt, e);
	coming->level = node->level;
	coming->marker = device_marker(MARKER_MIGRATION, coming->frame);
	if (e != coming->marker) {
		entry_publish(txn->tree, node, slot, coming->marker);
		if (HOLDS(FLUSH_RETURN))
			entry_flush(txn, node, slot, e);
		batch_flush(&txn->batch);
	}
	if (secondaries_lost_memory(txn->tree, coming->frame->memory)) { // the device may still write there
		entry_publish(txn->tree, node, slot, e);
		return VMT_ERR_DEVICE;
	}
	for (uint64_t i = 0; i < coming_pages(coming); i++)
		device_ref(coming->frame + i);
	return VMT_OK;
}

// Locks and begins. VMT_ERR_NOT_PRESENT: nothing is there that could come back.
static enum vmt_status coming_take(struct coming *coming)
{
	enum vmt_status status = VMT_OK;

	do {
		struct vmt_node *node = migrate_lock(&coming->txn, coming->addr);
		uint64_t e = entry_load(node, fmt_index(coming->addr, node->level));

		if (fmt_is_table(e, node->level) || !device_frame_of(coming->txn.tree->vmt, e)) {
			txn_abort(&coming->txn);
			return VMT_ERR_NOT_PRESENT;
		}
		if (!coming_is_provided(coming, node->level)) {
			status = coming_provide(coming, node->level);
			if (status == VMT_OK)
				status = VMT_ERR_RETRY;
		} else {
			status = coming_begin(coming, node);
			txn_commit(&coming->txn);
		}
	} while (status == VMT_ERR_RETRY);
	return status;
}

// Enters the page, or after a bad copy leaves it to the device. False: somebody else has been faster, and it is his.
static bool coming_enter(struct coming *coming, bool good)
{
	struct txn *txn = &coming->txn;
	struct vmt_node *node = migrate_lock(txn, coming->addr);
	unsigned slot = fmt_index(coming->addr, node->level);
	uint64_t pages = coming_pages(coming), pa, leaf;
	uint32_t attr = attr_of(txn->tree->vmt, slot_id(node, slot));
	bool still = node->level == coming->level && entry_load(node, slot) == coming->marker;

	if (still && !good) {
		entry_publish(txn->tree, node, slot, device_marker(MARKER_DEVICE, coming->frame));
	} else if (still || !HOLDS(RETURN_RECHECKS)) {
		pa = coming->level ? pool_take_huge(txn->tree, &txn->pool) : pool_take_page(txn->tree, &txn->pool, 0);
		count_resident(txn->tree, pa, (int64_t)pages);
		// The device may have written it.
		leaf = leaf_make(txn->tree, pa, coming->level, attr, attr_prot(attr) & VMT_WRITE);
		entry_publish(txn->tree, node, slot,
			      attr_prot(attr) ? fmt_set_dirty(leaf) : fmt_make_parked(pa, true, true));
		batch_add_device(&txn->batch, coming->frame, pages);
		atomic_fetch_add_explicit(&coming->frame->memory->moved_out, pages, memory_order_relaxed);
	}
	txn_commit(txn);
	return still;
}

// `*bytes`: of the page that came, 0 if there was none to come.
static enum vmt_status device_return(struct vmt_tree *tree, uint64_t addr, uint64_t *bytes)
{
	struct coming coming = {.addr = addr};
	enum vmt_status status;
	struct vmt_copy copy;
	bool good;

	*bytes = 0;
	txn_init(&coming.txn, tree);
	coming.txn.batch.reason = VMT_REASON_MIGRATE;
	status = coming_take(&coming);
	if (status == VMT_OK) {
		*bytes = fmt_span(coming.level);
		copy_start(&copy, coming.frame, coming.level ? coming.txn.pool.huge : coming.txn.pool.page, *bytes,
			   false);
		good = copy_wait(tree->port, &copy, coming.frame->memory);
		if (!coming_enter(&coming, good))
			good = true; // whatever became of our copy
		for (uint64_t i = 0; i < coming_pages(&coming); i++)
			device_unref(coming.frame + i);
		status = good ? VMT_OK : VMT_ERR_DEVICE;
	}
	txn_finish(&coming.txn);
	secondaries_filled(tree->space, addr, addr + VMT_PAGE_SIZE, VMT_SECONDARIES, &coming.txn.batch);
	return status == VMT_ERR_NOT_PRESENT ? VMT_OK : status;
}

// ---- There -------------------------------------------------------------------------------------------------------

#define MIGRATION_PAGES 32

// A page, or a huge one, on its way to device memory.
struct going {
	struct vmt_copy copy;
	uint64_t addr, leaf;		// what was parked
	struct device_frame *frame;
	unsigned level;
};

// Some pages on their way, and the next ones.
struct vmt_migration {
	struct vmt_space *space;
	struct vmt_device_memory *memory;
	struct vmt_migration *next;
	enum vmt_status status;		// of the first block: what went wrong so far
	unsigned count;
	struct going going[MIGRATION_PAGES];
};

// Nobody but the entry has any of its pages.
static bool going_is_alone(struct vmt_tree *tree, uint64_t pa, unsigned level)
{
	for (uint64_t i = 0; i < level_pages(level); i++) {
		struct vmt_data *data = data_of_frame(tree->port, pa + i * VMT_PAGE_SIZE);

		// A lazily freed page is not worth the way.
		if (!grant_is_alone(data) || atomic_load_explicit(&data->flags, memory_order_relaxed))
			return false;
	}
	return pa != tree->vmt->zero_pa;
}

static void going_unref(struct vmt_tree *tree, const struct going *going)
{
	for (uint64_t i = 0; i < level_pages(going->level); i++)
		frame_unref(tree->port, going->copy.pa + i * VMT_PAGE_SIZE);
}

static void going_free(const struct going *going)
{
	for (uint64_t i = 0; i < level_pages(going->level); i++)
		device_unref(going->frame + i);
}

// Parks the leaf in `slot` if it can go and there is room. False: there is no room.
static bool going_park(struct vmt_migration *migration, struct txn *txn, struct vmt_node *node, unsigned slot)
{
	struct going *going = &migration->going[migration->count];
	uint64_t e = entry_load(node, slot), pa = fmt_pa(e);

	if (!fmt_is_leaf(e, node->level) || !id_is_private_anon(slot_id(node, slot)) ||
	    slot_id(node, slot) & ATTR_SHARED || !going_is_alone(txn->tree, pa, node->level))
		return true;
	going->frame = device_alloc(migration->memory, node->level > 0);
	if (!going->frame)
		return false;
	going->addr = slot_base(node, slot);
	going->level = node->level;
	going->leaf = fmt_set_dirty(e);
	going->copy.pa = pa;
	// Sequentially consistent: before the counts are read again in going_settle. It is marked as written, which
	// nobody is wronged by.
	atomic_exchange_explicit(&node->table[slot], fmt_make_parked(pa, true, true), memory_order_seq_cst);
	vmt_port_publish(txn->port, &node->table[slot], 1);
	if (HOLDS(FLUSH_GOING))
		entry_flush(txn, node, slot, e);
	migration->count++;
	return true;
}

// The leaf comes back to where it was parked.
static void going_unpark(struct txn *txn, struct vmt_node *node, unsigned slot)
{
	uint32_t attr = attr_of(txn->tree->vmt, slot_id(node, slot));
	uint64_t e = entry_load(node, slot);
	bool write = attr_prot(attr) & VMT_WRITE && leaf_is_exclusive(txn->tree, fmt_parked_pa(e), node->level);

	if (write && node->level == 0) // nobody leads to it since the page was parked
		leaf_drop_copy(txn->tree, data_of_frame(txn->port, fmt_parked_pa(e)));
	if (attr_prot(attr))
		entry_publish(txn->tree, node, slot, leaf_unparked(txn->tree, e, node->level, attr, write));
}

// After the flush, under the same lock: takes a reference on what was parked from `first` on; what somebody got a
// reference on meanwhile stays (a lock-free reader takes it before he reads the path again, see space/page.h).
static void going_settle(struct vmt_migration *migration, struct txn *txn, struct vmt_node *node, unsigned first)
{
	unsigned kept = first;

	for (unsigned i = first; i < migration->count; i++) {
		struct going *going = &migration->going[i];

		bool alone = going_is_alone(txn->tree, going->copy.pa, going->level) || !HOLDS(MOVE_RECHECKS);

		if (secondaries_lost(txn->tree) || !alone) {
			// As it was: who has it for writing writes to this page.
			entry_publish(txn->tree, node, fmt_index(going->addr, node->level), going->leaf);
			going_free(going);
			continue;
		}
		for (uint64_t n = 0; n < level_pages(going->level); n++) {
			struct vmt_data *data = data_of_frame(txn->port, going->copy.pa + n * VMT_PAGE_SIZE);

			// Relaxed: the entry's own reference keeps the page while its lock is held.
			atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
		}
		migration->going[kept++] = *going;
	}
	migration->count = kept;
}

// Parks what can go of [addr, end) that one table holds, as far as there is room in the migration; `*addr` moves on. A
// huge page for which the device has no room as a whole is cut. VMT_ERR_RETRY: memory for that was provided, or it was
// done, and the same address comes again.
static enum vmt_status going_window(struct vmt_migration *migration, struct txn *txn, uint64_t *addr, uint64_t end)
{
	struct vmt_node *node = migrate_lock(txn, *addr);
	unsigned slot = fmt_index(*addr, node->level), first = migration->count;
	enum vmt_status status = VMT_OK;
	unsigned tables = node->level;
	uint64_t at = *addr;

	for (; status == VMT_OK && slot < FMT_SLOTS && at < end && migration->count < MIGRATION_PAGES; slot++) {
		uint64_t span = fmt_span(node->level), base = slot_base(node, slot);
		bool whole = at == base && end - at >= span;

		if (fmt_is_table(entry_load(node, slot), node->level))
			break;
		if (!whole && fmt_is_leaf(entry_load(node, slot), node->level))
			status = VMT_ERR_RETRY;
		else if (whole && !going_park(migration, txn, node, slot))
			status = node->level ? VMT_ERR_RETRY : VMT_ERR_NO_MEMORY;
		if (status == VMT_OK)
			at = base + span;
	}
	if (migration->count > first)
		batch_flush(&txn->batch);
	going_settle(migration, txn, node, first);
	if (status == VMT_ERR_RETRY && txn->pool.tables)
		range_split(txn, node, fmt_index(at, node->level), at, at + VMT_PAGE_SIZE - 1);
	else if (status == VMT_ERR_RETRY)
		status = VMT_ERR_BUSY; // a table is wanted
	*addr = at;
	txn_commit(txn);
	if (status == VMT_ERR_BUSY) {
		status = pool_fill(txn->tree, &txn->pool, tables, 0);
		return status == VMT_OK ? VMT_ERR_RETRY : status;
	}
	return secondaries_lost(txn->tree) ? VMT_ERR_DEVICE : status;
}

// Parks as many pages from *addr on as the migration has room for, and starts their copies.
static enum vmt_status going_start(struct vmt_migration *migration, struct txn *txn, uint64_t *addr, uint64_t end)
{
	enum vmt_status status = VMT_OK;

	while ((status == VMT_OK || status == VMT_ERR_RETRY) && *addr < end && migration->count < MIGRATION_PAGES) {
		struct vmt_run run;

		look_piece(&migration->space->tree, *addr, end, &run);
		if (run.state == VMT_STATE_PRESENT)
			status = going_window(migration, txn, addr, end);
		else
			*addr = run.end;
	}
	for (unsigned i = 0; i < migration->count; i++)
		copy_start(&migration->going[i].copy, migration->going[i].frame, migration->going[i].copy.pa,
			   fmt_span(migration->going[i].level), true);
	return status == VMT_ERR_RETRY ? VMT_OK : status;
}

// The copy has ended: the marker takes the parked page's place, if it is still there; or the page comes back. Returns
// whether it has gone.
static bool going_enter(struct vmt_migration *migration, struct txn *txn, struct going *going, bool good)
{
	struct vmt_node *node = migrate_lock(txn, going->addr);
	unsigned slot = fmt_index(going->addr, node->level);
	uint64_t e = entry_load(node, slot), pages = level_pages(going->level);
	bool still = node->level == going->level && e && !fmt_is_present(e) && fmt_kind(e) == MARKER_PARKED &&
		     fmt_parked_pa(e) == going->copy.pa;

	going_unref(txn->tree, going);
	if (still && !good)
		going_unpark(txn, node, slot);
	if ((still || !HOLDS(MOVE_STILL)) && good) {
		entry_publish(txn->tree, node, slot, device_marker(MARKER_DEVICE, going->frame));
		count_resident(txn->tree, going->copy.pa, -(int64_t)pages);
		for (uint64_t i = 0; i < pages; i++)
			batch_add_frame(&txn->batch, going->copy.pa + i * VMT_PAGE_SIZE);
		atomic_fetch_add_explicit(&migration->memory->moved_in, pages, memory_order_relaxed);
	} else {
		going_free(going);
	}
	txn_commit(txn);
	return still && good;
}

static enum vmt_status going_finish(struct vmt_migration *migration, struct txn *txn, uint64_t *pages)
{
	enum vmt_status status = VMT_OK;

	for (unsigned i = 0; i < migration->count; i++) {
		struct going *going = &migration->going[i];
		bool good = copy_wait(txn->port, &going->copy, migration->memory);

		if (going_enter(migration, txn, going, good))
			*pages += level_pages(going->level);
		if (!good)
			status = VMT_ERR_DEVICE;
		// Whatever is there now: it was taken from all secondaries.
		secondaries_filled(migration->space, going->addr, going->addr + fmt_span(going->level), VMT_SECONDARIES,
				   &txn->batch);
	}
	migration->count = 0;
	return status;
}

// ---- A copy beside the page --------------------------------------------------------------------------------------

// Takes the permission to write from the entry, if it has it; nobody else has the page then, nor gets it from here on.
static bool copied_begin(struct txn *txn, struct vmt_node *node, unsigned slot, struct vmt_data *data)
{
	uint64_t e = entry_load(node, slot);
	bool write = fmt_prot(e) & VMT_WRITE;

	if (write) {
		// Sequentially consistent: before the count is read again, as in grant_exclusive. A loop, for hardware
		// may set bits meanwhile.
		while (!atomic_compare_exchange_weak_explicit(&node->table[slot], &e, fmt_read_only(e),
							      memory_order_seq_cst, memory_order_relaxed))
			;
		vmt_port_publish(txn->port, &node->table[slot], 1);
		if (HOLDS(FLUSH_COPIED))
			entry_flush(txn, node, slot, e);
		batch_flush(&txn->batch);
	}
	if (secondaries_lost(txn->tree) || !grant_is_alone(data)) {
		if (write) // as it was: who has it for writing writes to this page
			entry_publish(txn->tree, node, slot, fmt_set_dirty(e));
		return false;
	}
	// Relaxed: the entry's own reference keeps the page while its lock is held.
	atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
	return true;
}

// May the page that the entry holds be copied? Or, `is`: is there a copy of it, for nobody but this entry?
static struct vmt_data *copied_data(const struct txn *txn, const struct vmt_node *node, unsigned slot, bool is)
{
	uint64_t e = entry_load(node, slot);
	struct vmt_data *data = NULL;

	if (node->level == 0 && fmt_is_leaf(e, 0) && fmt_pa(e) != txn->tree->vmt->zero_pa &&
	    id_is_private_anon(slot_id(node, slot)) && !(slot_id(node, slot) & ATTR_SHARED))
		data = data_of_frame(txn->port, fmt_pa(e));
	return data && grant_is_alone(data) && is == (atomic_load_explicit(&data->copy, memory_order_relaxed) != NULL) ?
		       data : NULL;
}

// The copy is entered if the entry still holds the page and does not let it be written. (It did not in between: whoever
// wanted to write found our reference, and copied the page.)
static void copied_enter(struct txn *txn, uint64_t addr, uint64_t pa, struct device_frame *frame)
{
	struct vmt_node *node = migrate_lock(txn, addr);
	uint64_t e = entry_load(node, fmt_index(addr, node->level));
	struct vmt_data *data = data_of_frame(txn->port, pa);
	struct device_frame *none = NULL;

	if (node->level == 0 && fmt_is_leaf(e, 0) && fmt_pa(e) == pa && !(fmt_prot(e) & VMT_WRITE) &&
	    // Release pairs with the acquire in grant_copy. Another entry may have been faster: after a fork.
	    atomic_compare_exchange_strong_explicit(&data->copy, &none, frame, memory_order_release,
						    memory_order_relaxed))
		atomic_fetch_add_explicit(&frame->memory->copies, 1, memory_order_relaxed);
	else
		device_unref(frame);
	txn_commit(txn);
}

static void device_copy_page(struct vmt_tree *tree, uint64_t addr, struct vmt_device_memory *memory)
{
	struct device_frame *frame = device_alloc(memory, false);
	struct vmt_data *data = NULL;
	struct vmt_node *node;
	struct vmt_copy copy;
	struct txn txn;
	uint64_t pa;

	if (!frame)
		return;
	txn_init(&txn, tree);
	txn.batch.reason = VMT_REASON_PROTECT;
	node = migrate_lock(&txn, addr);
	pa = fmt_pa(entry_load(node, fmt_index(addr, node->level)));
	data = copied_data(&txn, node, fmt_index(addr, node->level), false);
	if (data && !copied_begin(&txn, node, fmt_index(addr, node->level), data))
		data = NULL;
	txn_commit(&txn);
	if (data) {
		copy_start(&copy, frame, pa, VMT_PAGE_SIZE, true);
		if (copy_wait(tree->port, &copy, memory))
			copied_enter(&txn, addr, pa, frame);
		else
			device_unref(frame);
		frame_unref(tree->port, pa);
	} else {
		device_unref(frame);
	}
	txn_finish(&txn);
	secondaries_filled(tree->space, addr, addr, VMT_SECONDARIES, &txn.batch); // whom the flush took it from
}

static void device_fetch(struct vmt_tree *tree, uint64_t addr, struct vmt_device_memory *memory, bool copied)
{
	struct vmt_run run;
	uint64_t ignored;

	if (copied) {
		device_copy_page(tree, addr, memory);
		return;
	}
	look_piece(tree, addr, addr + VMT_PAGE_SIZE, &run);
	if (run.size > VMT_PAGE_SIZE && run.state == VMT_STATE_PRESENT)
		addr &= ~(run.size - 1);
	else
		run.size = VMT_PAGE_SIZE;
	if (addr >= tree->start && addr + run.size <= tree->end)
		vmt_migrate(tree->space, addr, run.size, memory, &ignored);
}

// ---- Requests ----------------------------------------------------------------------------------------------------

static struct vmt_migration *migration_new(struct vmt_space *space, struct vmt_device_memory *memory)
{
	struct vmt_migration *migration = vmt_port_mem_alloc(space->tree.port, sizeof(*migration));

	if (!migration)
		return NULL;
	migration->space = space;
	migration->memory = memory;
	migration->next = NULL;
	migration->status = VMT_OK;
	migration->count = 0;
	return migration;
}

// Is all of it mapped?
static enum vmt_status migrate_sees(struct vmt_space *space, uint64_t addr, uint64_t end)
{
	struct vmt_area area;

	while (addr < end) {
		if (vmt_area_within(space, addr, end, &area) != VMT_OK || area.start > addr)
			return VMT_ERR_UNMAPPED;
		addr = area.end;
	}
	return VMT_OK;
}

// Takes away the read-only copies of pages that one lowest table holds.
static void copies_drop(struct vmt_space *space, uint64_t addr, uint64_t end)
{
	struct vmt_node *node;
	struct txn txn;

	txn_init(&txn, &space->tree);
	txn.batch.reason = VMT_REASON_MIGRATE;
	node = migrate_lock(&txn, addr);
	for (; node->level == 0 && addr < end && addr < node_end(node); addr += VMT_PAGE_SIZE) {
		struct vmt_data *data = copied_data(&txn, node, fmt_index(addr, 0), true);

		if (data)
			leaf_before_more(&txn, node, fmt_index(addr, 0), entry_load(node, fmt_index(addr, 0)), true);
	}
	txn_commit(&txn);
	txn_finish(&txn);
	secondaries_filled(space, addr, addr, VMT_SECONDARIES, &txn.batch);
}

// Brings back what lies in device memory, but for `memory`, and with NULL takes away copies that lie there.
static enum vmt_status migrate_back(struct vmt_space *space, uint64_t addr, uint64_t end,
				    struct vmt_device_memory *memory, uint64_t *pages)
{
	enum vmt_status status = VMT_OK;

	while (status == VMT_OK && addr < end) {
		struct vmt_run run;
		uint64_t marker, bytes;

		look_piece(&space->tree, addr, end, &run);
		if (run.state == VMT_STATE_PRESENT && run.size == VMT_PAGE_SIZE && !memory)
			copies_drop(space, addr, run.end);
		marker = run.state == VMT_STATE_MARKER ? fmt_make_marker((enum marker_kind)run.marker, run.payload) : 0;
		if (!marker || !device_frame_of(space->tree.vmt, marker) ||
		    device_frame_of(space->tree.vmt, marker)->memory == memory) {
			addr = run.end;
			continue;
		}
		status = device_return(&space->tree, addr, &bytes);
		if (status == VMT_OK && !memory)
			*pages += bytes >> VMT_PAGE_SHIFT;
		addr += VMT_PAGE_SIZE;
	}
	return status;
}

enum vmt_status vmt_migration_start(struct vmt_space *space, uint64_t addr, uint64_t length,
				    struct vmt_device_memory *memory, struct vmt_migration **result)
{
	enum vmt_status status = range_check(space, addr, length);
	struct vmt_migration *first, *last;
	uint64_t end = addr + length;
	struct watch watch;
	struct txn txn;

	if (status == VMT_OK && !memory)
		status = VMT_ERR_ARGUMENT;
	if (status != VMT_OK)
		return status;
	first = last = migration_new(space, memory);
	if (!first)
		return VMT_ERR_NO_MEMORY;
	tree_note_peaks(&space->tree);
	change_begin(&watch, &txn, space, addr, length, VMT_REASON_MIGRATE);
	first->status = migrate_sees(space, addr, end);
	for (;;) {
		status = going_start(last, &txn, &addr, end);
		if (status != VMT_OK || addr >= end)
			break;
		last->next = migration_new(space, memory);
		if (!last->next)
			status = VMT_ERR_NO_MEMORY;
		if (status != VMT_OK)
			break;
		last = last->next;
	}
	status = change_end(&watch, &txn, status);
	if (status != VMT_OK)
		first->status = status;
	*result = first;
	return VMT_OK;
}

bool vmt_migration_poll(const struct vmt_migration *migration)
{
	bool ended = true;

	for (; migration; migration = migration->next)
		for (unsigned i = 0; i < migration->count; i++)
			ended &= copy_has_ended(&migration->going[i].copy);
	return ended;
}

enum vmt_status vmt_migration_finish(struct vmt_migration *migration, uint64_t *pages)
{
	struct vmt_space *space = migration->space;
	enum vmt_status status = migration->status;
	uint64_t gone = 0;
	struct txn txn;

	txn_init(&txn, &space->tree);
	txn.batch.reason = VMT_REASON_MIGRATE;
	while (migration) {
		struct vmt_migration *next = migration->next;
		enum vmt_status copied = going_finish(migration, &txn, &gone);

		status = status == VMT_OK ? copied : status;
		vmt_port_mem_free(space->tree.port, migration, sizeof(*migration));
		migration = next;
	}
	txn_finish(&txn);
	if (pages)
		*pages = gone;
	return status;
}

enum vmt_status vmt_migrate(struct vmt_space *space, uint64_t addr, uint64_t length, struct vmt_device_memory *memory,
			    uint64_t *pages)
{
	enum vmt_status status = range_check(space, addr, length), back;
	struct vmt_migration *migration;
	uint64_t moved = 0;

	if (pages)
		*pages = 0;
	if (status != VMT_OK)
		return status;
	back = migrate_back(space, addr, addr + length, memory, &moved);
	if (!memory) {
		status = back == VMT_OK ? migrate_sees(space, addr, addr + length) : back;
	} else {
		status = vmt_migration_start(space, addr, length, memory, &migration);
		if (status == VMT_OK)
			status = vmt_migration_finish(migration, &moved);
		status = status == VMT_OK ? back : status;
	}
	if (pages)
		*pages = moved;
	return status;
}

// ---- Hints -------------------------------------------------------------------------------------------------------

enum vmt_status vmt_advise_device(struct vmt_space *space, uint64_t addr, uint64_t length,
				  struct vmt_device_memory *memory, bool read_mostly)
{
	enum vmt_status status = range_check(space, addr, length);
	uint32_t set = memory ? (memory->id + 1) << ATTR_DEVICE_SHIFT : 0;
	struct vmt_area area = {.end = addr};

	while (status == VMT_OK && area.end < addr + length) {
		uint64_t at = area.end;

		if (vmt_area_within(space, at, addr + length, &area) != VMT_OK)
			break;
		if (area.object || area.flags & VMT_MAP_SHARED)
			status = VMT_ERR_ARGUMENT;
	}
	return status == VMT_OK ? protect_range(space, addr, length, ATTR_DEVICE | ATTR_READ_MOSTLY,
						set | (read_mostly ? ATTR_READ_MOSTLY : 0)) :
				  status;
}

#endif
