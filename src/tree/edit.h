// SPDX-License-Identifier: MIT
// The page-table layer on its own, continued (vmtree/tree.h): replace, split, collapse, markers, accessed and dirty.
#ifndef VMT_TREE_EDIT_H
#define VMT_TREE_EDIT_H

// ---- Replace: clear, flush, set, under one hold of the locks -----------------------------------------------------

// Locks the run up to `last` with all that is there and makes sure of the memory for it. VMT_ERR_RETRY: only a part
// could be locked at once; that part was emptied.
static enum vmt_status replace_lock(struct install *install, struct txn *txn, unsigned level, uint64_t last)
{
	for (;;) {
		enum vmt_status status = range_lock(txn, install->addr, last, &remove_op, NULL);
		struct vmt_node *node;
		unsigned tables = 0;

		if (status != VMT_OK)
			return status;
		if (txn->last < last) {
			range_apply(txn, txn->node[0], install->addr, txn->last, &remove_op, NULL);
			txn_commit(txn);
			return VMT_ERR_RETRY;
		}
		node = txn_lock_path(txn, install->addr, 0);
		// Where a leaf or a marker is in the way, cutting it brings the tables.
		if (node->level > level && !entry_load(node, fmt_index(install->addr, node->level)))
			tables = node->level - level;
		if (install_provided(txn, tables, false))
			return VMT_OK;
		txn_abort(txn);
		status = install_provide(install, txn, tables, false);
		if (status != VMT_OK)
			return status;
	}
}

// One run of leaves in one table, as install_step, but never a whole table at once: what removing leaves behind is then
// what was planned with. A table that the run covers in part stays, and what is in the way is cut down to its level.
static enum vmt_status replace_step(struct install *install, struct txn *txn)
{
	unsigned level = install_level(install), first = fmt_index(install->addr, level);
	uint64_t last = install_last(install, level);
	unsigned n = fmt_index(last, level) - first + 1;
	enum vmt_status status;
	struct vmt_node *node;

	if (n == FMT_SLOTS) {
		n /= 2;
		last = install->addr + n * fmt_span(level) - 1;
	}
	status = replace_lock(install, txn, level, last);
	if (status != VMT_OK)
		return status == VMT_ERR_RETRY ? VMT_OK : status;
	range_apply(txn, txn->node[0], install->addr, last, &remove_op, NULL);
	if (HOLDS(FLUSH_REPLACE))
		batch_flush(&txn->batch);
	node = txn_lock_path(txn, install->addr, 0);
	if (node->level > level)
		install_chain(install, txn, node, level, first, n);
	else
		install_fill(install, node, first, n);
	txn_commit(txn);
	install->addr += (uint64_t)n << fmt_shift(level);
	install->pa += (uint64_t)n << fmt_shift(level);
	return VMT_OK;
}

enum vmt_status vmt_tree_replace(struct vmt_tree *tree, const struct vmt_tree_map *map, uint64_t *done)
{
	struct install install;
	enum vmt_status status = install_begin(&install, tree, map);
	struct txn txn;

	if (done)
		*done = 0;
	if (status != VMT_OK)
		return status;
	txn_init(&txn, tree);
	while (status == VMT_OK && install.addr <= install.last)
		status = replace_step(&install, &txn);
	status = alone_end(&txn, status);
	if (done)
		*done = install.addr - map->addr;
	return status;
}

// ---- Split -------------------------------------------------------------------------------------------------------

static void split_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	(void)txn, (void)node, (void)first, (void)last, (void)arg;
}

static bool split_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	uint64_t e = entry_load(node, slot);

	(void)txn;
	return e && leaf_size(e, node->level) > *(const uint64_t *)arg;
}

static const struct range_op split_op = {
	.slots = split_slots,
	.splits = split_splits,
};

// The largest leaf that the tree may have then.
static uint64_t split_piece(const struct vmt_tree *tree, uint64_t leaf_max)
{
	uint64_t piece = VMT_PAGE_SIZE;

	for (uint64_t size = piece; size && size <= leaf_max; size <<= 1)
		if (tree->leaf_sizes & size)
			piece = size;
	return piece;
}

enum vmt_status vmt_tree_split(struct vmt_tree *tree, uint64_t addr, uint64_t length, uint64_t leaf_max, uint64_t *done)
{
	enum vmt_status status = alone_check(tree, addr, length);
	uint64_t at = addr, piece = split_piece(tree, leaf_max);
	struct txn txn;

	if (status == VMT_OK && leaf_max < VMT_PAGE_SIZE)
		status = VMT_ERR_SIZE;
	if (done)
		*done = 0;
	if (status != VMT_OK)
		return status;
	txn_init(&txn, tree);
	txn.run_max = leaf_max;
	while (status == VMT_OK && at < addr + length) {
		struct vmt_run run;

		look_piece(tree, at, addr + length, &run);
		// One piece of it is asked for: the range engine cuts until nothing on the way is too large.
		if (run.state != VMT_STATE_NONE && run.size > leaf_max)
			status = range_run(&txn, at & ~(piece - 1), at | (piece - 1), &split_op, &leaf_max, NULL);
		else
			at = run.end;
	}
	status = alone_end(&txn, status);
	if (done)
		*done = at - addr;
	return status;
}

// ---- Collapse ----------------------------------------------------------------------------------------------------

// Do `n` entries from `first` on say what one larger leaf would?
static bool collapse_fits(const struct vmt_node *node, unsigned first, unsigned n)
{
	uint64_t e = entry_load(node, first), pa = fmt_leaf_pa(e, first), span = fmt_span(node->level);

	if (!fmt_is_leaf(e, node->level) || pa & (n * span - 1))
		return false;
	for (unsigned i = 1; i < n; i++) {
		uint64_t next = entry_load(node, first + i);

		if (!fmt_is_leaf(next, node->level) || fmt_leaf_pa(next, first + i) != pa + i * span ||
		    fmt_prot_memory(next) != fmt_prot_memory(e))
			return false;
	}
	return true;
}

// The leaf that takes the place of a table which no CPU can reach any more: with what hardware last wrote there.
static uint64_t collapse_leaf(const struct vmt_node *node, bool user)
{
	uint64_t first = entry_load(node, 0);
	uint64_t leaf = fmt_make_leaf(fmt_leaf_pa(first, 0), node->level + 1u, fmt_prot_memory(first), user);

	leaf = fmt_clean(leaf);
	for (unsigned slot = 0; slot < FMT_SLOTS; slot++)
		leaf = leaf_marks(leaf, entry_load(node, slot));
	return leaf;
}

// Locks the node of `level` on the way to `addr`, or the lowest one above it.
static struct vmt_node *collapse_lock(struct txn *txn, uint64_t addr, unsigned level)
{
	struct vmt_node *node;

	// One address more than the table has: the node above it is locked (txn::above).
	txn->above = level > 0;
	txn_lock_gated(txn, addr, addr + fmt_span(level) - 1);
	node = txn->node[0];
	while (node->level > level && slot_is_table(node, fmt_index(addr, node->level))) {
		node = node_of_table(txn->port, fmt_pa(entry_load(node, fmt_index(addr, node->level))));
		lock_exclusive(txn->port, node);
		txn->node[txn->held++] = node;
	}
	return node;
}

static struct vmt_node *collapse_below(const struct txn *txn, const struct vmt_node *node, unsigned slot)
{
	return node_of_table(txn->port, fmt_pa(entry_load(node, slot)));
}

// Locks the table that hangs in a slot of a node that is held, too. It is looked at after that, and stays locked until
// it is gone: nobody enters anything there that would go with it (races.md D3).
static struct vmt_node *collapse_lock_below(struct txn *txn, const struct vmt_node *node, unsigned slot)
{
	struct vmt_node *child = collapse_below(txn, node, slot);

	lock_exclusive(txn->port, child);
	txn->node[txn->held++] = child;
	return child;
}

// Is it worth to lock the table? Most are not full. A hint: its entries may change until it is locked.
static bool collapse_may_fit(const struct vmt_node *child)
{
	return node_live(child) == FMT_SLOTS && (HOLDS(COLLAPSE_LOCKED) || collapse_fits(child, 0, FMT_SLOTS));
}

// Collapses the table below the entry of `level` for `addr`, if there is one and it can be.
static bool collapse_one(struct vmt_tree *tree, struct txn *txn, uint64_t addr, unsigned level)
{
	struct vmt_node *node = collapse_lock(txn, addr, level), *child;
	unsigned slot = fmt_index(addr, node->level);
	bool fits = false;

	if (node->level == level && slot_is_table(node, slot) && collapse_may_fit(collapse_below(txn, node, slot))) {
		child = collapse_lock_below(txn, node, slot);
		fits = (node_live(child) == FMT_SLOTS && collapse_fits(child, 0, FMT_SLOTS)) ||
		       !HOLDS(COLLAPSE_LOCKED);
	}
	if (fits) {
		uint64_t e = entry_exchange(tree, node, slot, fmt_make_marker(MARKER_BUSY, 0));

		// Relaxed: read under the node's lock.
		atomic_store_explicit(&child->state, NODE_DETACHED, memory_order_relaxed);
		batch_add_table(&txn->batch, child, fmt_pa(e));
		if (HOLDS(FLUSH_COLLAPSE))
			batch_flush(&txn->batch);
		entry_publish(tree, node, slot, collapse_leaf(child, tree->user));
	}
	txn_commit(txn);
	return fits;
}

// Tables whose addresses the range holds whole become leaves of `level`.
static uint64_t collapse_tables(struct vmt_tree *tree, struct txn *txn, uint64_t addr, uint64_t end, unsigned level)
{
	uint64_t span = fmt_span(level), at = (addr + span - 1) & ~(span - 1), collapsed = 0;

	while (at >= addr && at < end && end - at >= span) {
		struct vmt_run run;

		look_piece(tree, at, end, &run);
		if (run.state == VMT_STATE_PRESENT && run.size < span)
			collapsed += collapse_one(tree, txn, at, level);
		else if (run.end - at > span) // nothing to collapse as far as this run goes
			at = (run.end - 1) & ~(span - 1);
		at += span;
	}
	return collapsed;
}

// Leaves of `level` that lie in one table, from `addr` up to `end` at most, become runs. Returns how many.
static uint64_t collapse_to_runs(struct txn *txn, uint64_t addr, uint64_t end, unsigned level)
{
	struct vmt_node *node = collapse_lock(txn, addr, level);
	unsigned n = run_slots(level), slot = fmt_index(addr, level);
	uint64_t made = 0;

	end = end < node_end(node) ? end : node_end(node);
	for (; node->level == level && end - addr >= n * fmt_span(level); slot += n, addr += n * fmt_span(level)) {
		if (!collapse_fits(node, slot, n) || run_is(entry_load(node, slot), level))
			continue;
		run_rewrite(txn, node, slot, true);
		made++;
	}
	txn_commit(txn);
	return made;
}

static uint64_t collapse_runs(struct vmt_tree *tree, struct txn *txn, uint64_t addr, uint64_t end, unsigned level)
{
	uint64_t size = fmt_span(level) << fmt_run_bits(level), at = (addr + size - 1) & ~(size - 1), made = 0;

	while (at >= addr && at < end && end - at >= size) {
		uint64_t table_end = (at | (fmt_table_span(level) - 1)) + 1;
		struct vmt_run run;

		look_piece(tree, at, end, &run);
		if (run.state == VMT_STATE_PRESENT && run.size == fmt_span(level)) {
			made += collapse_to_runs(txn, at, end, level);
			at = table_end;
		} else {
			at = ((run.end - 1) & ~(size - 1)) + size;
		}
	}
	return made;
}

uint64_t vmt_tree_collapse(struct vmt_tree *tree, uint64_t addr, uint64_t length)
{
	uint64_t collapsed = 0;
	struct txn txn;

	if (alone_check(tree, addr, length) != VMT_OK)
		return 0;
	txn_init(&txn, tree);
	for (unsigned level = 1; level < FMT_LEAF_LEVELS && level <= FMT_TOP; level++)
		if (tree->leaf_sizes & fmt_span(level))
			collapsed += collapse_tables(tree, &txn, addr, addr + length, level);
	for (unsigned level = 0; FMT_RUN_SIZES && level < FMT_LEAF_LEVELS; level++)
		if (fmt_run_bits(level) && tree->leaf_sizes & fmt_span(level) << fmt_run_bits(level))
			collapsed += collapse_runs(tree, &txn, addr, addr + length, level);
	txn_finish(&txn);
	return collapsed;
}

// ---- Accessed and dirty ------------------------------------------------------------------------------------------

struct harvest {
	uint64_t addr, last;
	unsigned what;
	uint64_t *bitmap, pages;
};

// One leaf had a bit set: all pages of the range that it covers.
static void harvest_pages(struct harvest *harvest, uint64_t start, uint64_t last)
{
	start = start > harvest->addr ? start : harvest->addr;
	last = last < harvest->last ? last : harvest->last;
	harvest->pages += (last - start + 1) >> VMT_PAGE_SHIFT;
	if (!harvest->bitmap)
		return;
	start = (start - harvest->addr) >> VMT_PAGE_SHIFT; // from here on pages
	last = (last - harvest->addr) >> VMT_PAGE_SHIFT;
	for (uint64_t word = start / 64; word <= last / 64; word++) {
		uint64_t bits = UINT64_MAX;

		if (word == start / 64)
			bits &= UINT64_MAX << start % 64;
		if (word == last / 64)
			bits &= UINT64_MAX >> (63 - last % 64);
		harvest->bitmap[word] |= bits;
	}
}

// Clears one entry's bits. `*e`: what it was. False: it had none of them.
static bool harvest_entry(struct txn *txn, struct vmt_node *node, unsigned slot, const struct harvest *harvest,
			  uint64_t *e)
{
	uint64_t next;

	*e = entry_load(node, slot);
	do {
		next = harvest->what & VMT_DIRTY ? fmt_clean(*e) : *e & ~fmt_set_accessed(0); // see fmt_with_marks
		// Acquire-release as in entry_exchange; a loop, for the hardware may set bits meanwhile (races.md 19).
	} while (next != *e && !atomic_compare_exchange_weak_explicit(&node->table[slot], e, next, memory_order_acq_rel,
								      memory_order_relaxed));
	if (next != *e)
		vmt_port_publish(txn->port, &node->table[slot], 1);
	return next != *e;
}

// Of a space; above (space/harvest.h). A page was written, which the entry will not say any more.
static void harvest_written(struct txn *txn, uint64_t pa, unsigned level);
// What the hardware cannot see: the bits of those marks, VMT_ACCESSED and VMT_DIRTY, which are cleared as `what` says.
static unsigned harvest_hidden(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t e, unsigned what);

// A leaf, or a whole run, from `first` on.
static void harvest_leaf(struct txn *txn, struct vmt_node *node, unsigned first, unsigned n, struct harvest *harvest)
{
	uint64_t base = slot_base(node, first), end = base + n * fmt_span(node->level);
	bool accessed = false, dirty = false, changed = false;

	for (unsigned slot = first; slot < first + n; slot++) {
		uint64_t e;

		changed |= harvest_entry(txn, node, slot, harvest, &e);
		accessed |= fmt_accessed(e);
		dirty |= fmt_dirty(e);
	}
	if ((harvest->what & VMT_ACCESSED && accessed) || (harvest->what & VMT_DIRTY && dirty))
		harvest_pages(harvest, base, end - 1);
	if (dirty && harvest->what & VMT_DIRTY && txn->tree->space)
		harvest_written(txn, fmt_leaf_pa(entry_load(node, first), first), node->level);
	// A CPU that has the old entry cached would use and write the page without saying so.
	if (changed && HOLDS(FLUSH_HARVEST))
		flush_add(&txn->batch.flush, base, end);
}

// The leaves of the locked window, those that it covers in part too. (A run that lies across the border of two windows
// is none: a window ends where a table begins.)
static void harvest_window(struct txn *txn, struct harvest *harvest)
{
	for (unsigned i = 0; i < txn->held; i++) {
		struct vmt_node *node = txn->node[i];
		uint64_t start = txn->start, last = txn->last;
		unsigned n;

		range_clamp(node, &start, &last);
		if (start > last || node_live(node) == 0)
			continue;
		for (unsigned slot = fmt_index(start, node->level); slot <= fmt_index(last, node->level); slot += n) {
			uint64_t e = entry_load(node, slot);

			slot = leaf_slot(e, node->level, slot);
			n = leaf_slots(e, node->level);
			if (fmt_is_leaf(e, node->level))
				harvest_leaf(txn, node, slot, n, harvest);
			else if (txn->tree->space && e && !fmt_is_table(e, node->level) &&
				 harvest_hidden(txn, node, slot, e, harvest->what) & harvest->what)
				harvest_pages(harvest, slot_base(node, slot),
					      slot_base(node, slot) + fmt_span(node->level) - 1);
		}
	}
}

// The whole range, window by window.
static void harvest_run(struct txn *txn, struct harvest *harvest)
{
	uint64_t addr = harvest->addr;

	do {
		txn_lock(txn, addr, harvest->last);
		if (range_meets_claim(txn)) {
			txn_abort(txn);
			vmt_port_relax(txn->port, true);
			continue;
		}
		// A leaf that lies across the windows' border is taken by the first; it is cut nowhere else.
		harvest_window(txn, harvest);
		txn_commit(txn);
		addr = txn->last + 1;
	} while (addr <= harvest->last && addr);
}

uint64_t vmt_tree_test_and_clear(struct vmt_tree *tree, uint64_t addr, uint64_t length, unsigned what, uint64_t *bitmap)
{
	struct harvest harvest = {.addr = addr, .last = addr + length - 1, .what = what, .bitmap = bitmap};
	struct txn txn;

	if (alone_check(tree, addr, length) != VMT_OK || !(what & (VMT_ACCESSED | VMT_DIRTY)))
		return 0;
	txn_init(&txn, tree);
	harvest_run(&txn, &harvest);
	txn_finish(&txn);
	return harvest.pages;
}

// ---- Markers -----------------------------------------------------------------------------------------------------

static void mark_slots(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg)
{
	remove_slots(txn, node, first, last, NULL);
	batch_flush(&txn->batch);
	for (unsigned slot = first; slot <= last; slot++)
		entry_publish(txn->tree, node, slot, *(const uint64_t *)arg);
	node_add_live(node, (int)(last - first + 1));
}

static bool mark_splits(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg)
{
	(void)txn;
	return entry_load(node, slot) != *(const uint64_t *)arg;
}

static const struct range_op mark_op = {
	.slots = mark_slots,
	.splits = mark_splits,
	.above = true,
};

enum vmt_status vmt_tree_mark(struct vmt_tree *tree, uint64_t addr, uint64_t length, enum vmt_marker kind,
			      uint64_t payload, uint64_t *done)
{
	// First the tables go, however many windows that takes: a marker then covers the most that it can.
	enum vmt_status status = alone_check(tree, addr, length);
	uint64_t marker, end = addr;
	struct txn txn;

	if (status == VMT_OK && (kind < VMT_MARKER_GUARD || (kind > VMT_MARKER_POISON && kind < VMT_MARKER_OWN) ||
				  kind > VMT_MARKER_OWN_LAST || payload > VMT_MARKER_PAYLOAD))
		status = VMT_ERR_ARGUMENT;
	if (status == VMT_OK)
		status = vmt_tree_unmap(tree, addr, length, NULL);
	if (status == VMT_OK) {
		marker = fmt_make_marker((enum marker_kind)kind, payload);
		txn_init(&txn, tree);
		status = range_run(&txn, addr, addr + length - 1, &mark_op, &marker, &end);
		status = alone_end(&txn, status);
	}
	if (done)
		*done = end - addr;
	return status;
}

#endif
