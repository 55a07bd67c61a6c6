// SPDX-License-Identifier: MIT
// Operations over a range of addresses: the part that they share.
//
// An operation says what it does to a run of slots that the range covers whole and that hold no table (one call for a
// run in one node, not one for an entry), and whether a slot that the range covers in part has to be split for it.
// Splitting puts a table under the slot, with the slot's id and marker repeated; it changes nothing that can be seen. A
// run that the range covers in part is broken first.
#ifndef VMT_TREE_RANGE_H
#define VMT_TREE_RANGE_H

struct range_op {
	// Slots [first, last] of `node` lie in the range as a whole. Those that hold tables are visited by themselves:
	// their entries must be left alone; ids may be set for all.
	void (*slots)(struct txn *txn, struct vmt_node *node, unsigned first, unsigned last, void *arg);
	// The slot has no table and the range covers a part of it: does that part change?
	bool (*splits)(struct txn *txn, const struct vmt_node *node, unsigned slot, void *arg);
	// Looks at the locked window before anything is changed; NULL: nothing to look at. May lower txn->last.
	// Any status but VMT_OK ends the operation; VMT_ERR_RETRY: after `prepare`, lock again.
	enum vmt_status (*inspect)(struct txn *txn, void *arg);
	// With nothing held: provides what `inspect` missed.
	enum vmt_status (*prepare)(struct txn *txn, void *arg);
	// Would setting the slots of a node that has one id change it? NULL: ids do not change, and no arrays are
	// needed.
	bool (*sets)(const struct vmt_node *node, void *arg);
	bool above;	// an entry may take the place of a table that the range covers whole: lock the one above it
};

// Part of [start, last] that `node` covers.
static void range_clamp(const struct vmt_node *node, uint64_t *start, uint64_t *last)
{
	uint64_t end = node_end(node) - 1;

	*start = *start > node->base ? *start : node->base;
	*last = *last < end ? *last : end;
}

static bool slot_is_partial(const struct vmt_node *node, unsigned slot, uint64_t start, uint64_t last)
{
	uint64_t base = slot_base(node, slot);

	return start > base || last < base + fmt_span(node->level) - 1;
}

// Tables that it takes to bring the edges of [start, last], which lie in one slot of `level`, to the slots of levels
// below.
static unsigned range_split_cost(unsigned level, uint64_t start, uint64_t last)
{
	uint64_t span = fmt_span(level - 1);
	bool low = start % span, high = (last + 1) % span;
	unsigned cost = 1;

	if (level == 1)
		return 1;
	if (start / span == last / span)
		return cost + (low || high ? range_split_cost(level - 1, start, last) : 0);
	if (low)
		cost += range_split_cost(level - 1, start, start | (span - 1));
	if (high)
		cost += range_split_cost(level - 1, last & ~(span - 1), last);
	return cost;
}

// Does giving the slots that [start, last] covers whole another id take an array?
static bool range_takes_array(const struct vmt_node *node, uint64_t start, uint64_t last, const struct range_op *op,
			      void *arg)
{
	unsigned first = fmt_index(start, node->level), end = fmt_index(last, node->level);
	bool low = slot_is_partial(node, first, start, last);
	bool high = first != end && slot_is_partial(node, end, start, last);

	return op->sets && !node->ids && first + low + high <= end && op->sets(node, arg);
}

static unsigned range_edge_cost(struct txn *txn, struct vmt_node *node, unsigned slot, uint64_t start, uint64_t last,
				const struct range_op *op, void *arg)
{
	uint64_t base = slot_base(node, slot), end = base + fmt_span(node->level) - 1;

	if (!slot_is_partial(node, slot, start, last) || fmt_is_table(entry_load(node, slot), node->level) ||
	    !op->splits(txn, node, slot, arg))
		return 0;
	return range_split_cost(node->level, start > base ? start : base, last < end ? last : end);
}

// What a look at the locked window found missing.
struct range_wanted {
	bool claim;	// a move that it met is to end
	bool prepare;	// the operation knows
	unsigned tables, arrays;
};

// Is the locked window one slot, the whole of it, with nothing below? Then there is nothing to
// split and nowhere to go.
static inline bool range_is_slot(const struct txn *txn)
{
	const struct vmt_node *top = txn->node[0];
	uint64_t rest = fmt_span(top->level) - 1;

	return !(txn->start & rest) && txn->last == (txn->start | rest) &&
	       !fmt_run_bits(top->level) && !slot_is_table(top, fmt_index(txn->start, top->level));
}

static void range_need_below(struct txn *txn, const struct range_op *op, void *arg, unsigned *tables, unsigned *arrays)
{
	for (unsigned i = 0; i < txn->held; i++) {
		struct vmt_node *node = txn->node[i];
		uint64_t start = txn->start, last = txn->last;
		unsigned first, end;

		range_clamp(node, &start, &last);
		if (start > last) // the window was cut after this node was locked
			continue;
		if (start == node->base && last == node_end(node) - 1)
			continue;
		first = fmt_index(start, node->level);
		end = fmt_index(last, node->level);
		*arrays += range_takes_array(node, start, last, op, arg);
		*tables += range_edge_cost(txn, node, first, start, last, op, arg);
		if (end != first)
			*tables += range_edge_cost(txn, node, end, start, last, op, arg);
	}
	if (op->sets)
		*arrays += *tables;
}

// What the locked window needs from the pool.
static inline void range_need(struct txn *txn, const struct range_op *op, void *arg, unsigned *tables, unsigned *arrays)
{
	struct vmt_node *top = txn->node[0];

	*tables = *arrays = 0;
	if (top->level > 0 && !range_is_slot(txn))
		range_need_below(txn, op, arg, tables, arrays);
	else if (op->sets && !top->ids) // nothing is split
		*arrays = (txn->last - txn->start != fmt_table_span(0) - 1 || top->level > 0) && op->sets(top, arg);
}

static void node_init(struct vmt_tree *tree, struct vmt_node *node, uint64_t pa, unsigned level, uint64_t base)
{
	node->level = (uint8_t)level;
	node->id = 0;
	node->ids = NULL;
	node->breaks = 0;
	node->table = vmt_port_frame_ptr(tree->port, pa);
	node->tree = tree;
	node->base = base;
	node->parent = NULL;
	// Relaxed: nobody can reach the node before its table is published.
	atomic_store_explicit(&node->live, 0, memory_order_relaxed);
	atomic_store_explicit(&node->gap, GAP_UNKNOWN, memory_order_relaxed);
	atomic_store_explicit(&node->state, NODE_ATTACHED, memory_order_relaxed);
	atomic_store_explicit(&node->lock, 0, memory_order_relaxed);
	count(tree, tables_allocated, 1);
	size_changed(tree, this_cpu(tree), SIZE_TABLES);
}

// The frame at `pa` becomes a table for `slot` of `parent`, with the slot's id, not yet linked.
static struct vmt_node *node_new_at(struct txn *txn, struct vmt_node *parent, unsigned slot, uint64_t pa)
{
	struct vmt_node *node = node_of_table(txn->port, pa);

	node_init(txn->tree, node, pa, parent->level - 1u, slot_base(parent, slot));
	node->parent = parent;
	node->id = slot_id(parent, slot);
	node_use_id(txn, node->id);
	return node;
}

// The same with a frame of zeroes from the pool.
static struct vmt_node *node_new_below(struct txn *txn, struct vmt_node *parent, unsigned slot, uint64_t *pa)
{
	*pa = txn->pool.table[--txn->pool.tables];
	return node_new_at(txn, parent, slot, *pa);
}

// Takes a leaf out of its slot so that a table can take its place: no CPU may have both cached (break before make), and
// the hardware writes nothing into it any more.
static uint64_t range_break_leaf(struct txn *txn, struct vmt_node *parent, unsigned slot)
{
	uint64_t base = slot_base(parent, slot);
	uint64_t e = entry_displace(txn->tree, parent, slot, fmt_make_marker(MARKER_BUSY, 0));

	flush_add(&txn->batch.flush, base, base + fmt_span(parent->level));
	if (HOLDS(FLUSH_SPLIT))
		batch_flush(&txn->batch);
	return e;
}

// May the leaves of a cut become runs in the table `node`?
static bool range_makes_runs(const struct txn *txn, const struct vmt_node *node)
{
	uint64_t size = fmt_span(node->level) << fmt_run_bits(node->level);

	return fmt_run_bits(node->level) && txn->tree->leaf_sizes & size && size <= txn->run_max;
}

// Does the marker name a page of device memory? Then a part of it names the page that much further on.
static bool marker_counts(struct vmt *vmt, uint64_t e);

// Repeats a marker, or cuts a leaf into the largest leaves of the level below, in a table that nobody sees yet. Where
// an edge of [start, last] lies inside of a run there is none: it would be broken next.
static void range_repeat(struct txn *txn, struct vmt_node *node, uint64_t e, uint64_t start, uint64_t last)
{
	bool leaf = fmt_is_present(e), runs = leaf && range_makes_runs(txn, node);
	bool parked = !leaf && fmt_kind(e) == MARKER_PARKED, device = !leaf && marker_counts(node->tree->vmt, e);
	uint64_t size = fmt_span(node->level) << fmt_run_bits(node->level);

	for (unsigned i = 0; i < FMT_SLOTS; i++) {
		uint64_t addr = slot_base(node, i) & ~(size - 1), part = e;
		uint64_t offset = (uint64_t)i << fmt_shift(node->level);

		if (leaf)
			part = fmt_leaf_like(e, fmt_pa(e) + offset, node->level, txn->tree->user);
		if (parked)
			part = fmt_make_parked(fmt_parked_pa(e) + offset, e & MARKER_ACCESSED, e & MARKER_DIRTY);
		if (device)
			part = e + (offset >> VMT_PAGE_SHIFT << MARKER_PAYLOAD_SHIFT);
		if (runs && !(start > addr && start < addr + size) && !(last >= addr && last < addr + size - 1))
			part = fmt_make_run(part, node->level);
		atomic_store_explicit(&node->table[i], part, memory_order_relaxed);
	}
	vmt_port_publish(node->tree->port, node->table, FMT_SLOTS);
	node_add_live(node, FMT_SLOTS);
}

// Puts a table under a slot that has none, for an operation on [start, last], and locks it before anybody can see it.
static void range_split(struct txn *txn, struct vmt_node *parent, unsigned slot, uint64_t start, uint64_t last)
{
	uint64_t pa, e = entry_load(parent, slot);
	struct vmt_node *node = node_new_below(txn, parent, slot, &pa);

	if (entry_is_used(txn->tree, e) && !fmt_is_table(e, parent->level))
		e = HOLDS(SWAP_SPLIT) ? range_break_leaf(txn, parent, slot) : (range_break_leaf(txn, parent, slot), e);
	if (e)
		range_repeat(txn, node, e, start, last);
	else
		node_add_live(parent, 1);
	atomic_store_explicit(&node->lock, LOCK_EXCL, memory_order_relaxed);
	txn->node[txn->held++] = node;
	entry_publish(txn->tree, parent, slot, fmt_make_table(pa, parent->level));
	ids_unname(txn, parent, slot);
}

SELDOM static bool range_finds_claim(struct txn *txn)
{
	for (unsigned n = 0; n < txn->held; n++) {
		struct vmt_node *node = txn->node[n];
		uint64_t start = txn->start, last = txn->last;

		range_clamp(node, &start, &last);
		if (start > last)
			continue;
		for (unsigned slot = fmt_index(start, node->level); slot <= fmt_index(last, node->level); slot++)
			if (slot_id(node, slot) == ID_CLAIM && !slot_is_table(node, slot))
				return true;
	}
	return false;
}

// Does the window hold addresses that a move has claimed? Only while moves are under way: the count in the gate was
// raised before anything was claimed.
static inline bool range_meets_claim(struct txn *txn)
{
	return !txn->owns_claims && tree_gate(txn->tree) >= GATE_MOVE && HOLDS(CLAIM_WAITS) && range_finds_claim(txn);
}

static void range_apply(struct txn *txn, struct vmt_node *node, uint64_t start, uint64_t last,
			const struct range_op *op, void *arg)
{
	unsigned level = node->level, first = fmt_index(start, level), end = fmt_index(last, level);
	bool low = slot_is_partial(node, first, start, last);
	bool high = first != end && slot_is_partial(node, end, start, last);
	if (run_is_partial(node, first, start, last) && op->splits(txn, node, first, arg))
		run_rewrite(txn, node, leaf_slot(entry_load(node, first), level, first), false);
	if (run_is_partial(node, end, start, last) && op->splits(txn, node, end, arg))
		run_rewrite(txn, node, leaf_slot(entry_load(node, end), level, end), false);
	if (low && !fmt_is_table(entry_load(node, first), level) && op->splits(txn, node, first, arg))
		range_split(txn, node, first, start, last);
	if (high && !fmt_is_table(entry_load(node, end), level) && op->splits(txn, node, end, arg))
		range_split(txn, node, end, start, last);
	if (first + low + high <= end)
		op->slots(txn, node, first + low, end - high, arg);
	for (struct tables at = tables_begin(node, first, end); at.slot <= end; tables_next(&at)) {
		uint64_t base = slot_base(node, at.slot), slot_last = base + fmt_span(level) - 1;
		struct vmt_node *child = node_of_table(txn->port, fmt_pa(entry_load(node, at.slot)));

		range_apply(txn, child, start > base ? start : base, last < slot_last ? last : slot_last, op, arg);
	}
}

// Does it to the locked window.
static inline void range_change(struct txn *txn, uint64_t start, uint64_t last, const struct range_op *op, void *arg)
{
	struct vmt_node *node = txn->node[0];

	if (node->level == 0 && !fmt_run_bits(0)) // pages are covered whole, and nothing hangs below
		op->slots(txn, node, fmt_index(start, 0), fmt_index(last, 0), arg);
	else if (range_is_slot(txn))
		op->slots(txn, node, fmt_index(start, node->level), fmt_index(start, node->level), arg);
	else
		range_apply(txn, node, start, last, op, arg);
}

// Looks at the locked window. VMT_OK: the operation can go ahead. VMT_ERR_RETRY with `*wanted`: after
// range_provide; everything else ends it.
static inline enum vmt_status range_look(struct txn *txn, const struct range_op *op, void *arg,
					 struct range_wanted *wanted)
{
	enum vmt_status status;
	unsigned tables, arrays;

	if (range_meets_claim(txn)) {
		*wanted = (struct range_wanted){.claim = true};
		return VMT_ERR_RETRY;
	}
	status = op->inspect ? op->inspect(txn, arg) : VMT_OK;
	if (status != VMT_OK) {
		*wanted = (struct range_wanted){.prepare = status == VMT_ERR_RETRY};
		return status;
	}
	range_need(txn, op, arg, &tables, &arrays);
	if (arrays > txn->pool.arrays)
		pool_take_spare(txn->tree, &txn->pool);
	if (tables <= txn->pool.tables && arrays <= txn->pool.arrays)
		return VMT_OK;
	*wanted = (struct range_wanted){.tables = tables, .arrays = arrays};
	return VMT_ERR_RETRY;
}

// With nothing held: waits for what it met, or gets what it was short of.
SELDOM static enum vmt_status range_provide(struct txn *txn, const struct range_op *op, void *arg,
				     struct range_wanted wanted)
{
	if (wanted.prepare)
		return op->prepare(txn, arg);
	if (!wanted.claim)
		return pool_fill(txn->tree, &txn->pool, wanted.tables, wanted.arrays);
	vmt_port_relax(txn->port, true);
	return VMT_OK;
}

// One window: locks it, makes sure of what it needs, leaves it locked for the operation. Not locked on an error.
INLINED enum vmt_status range_lock(struct txn *txn, uint64_t start, uint64_t last, const struct range_op *op,
					 void *arg)
{
	struct range_wanted wanted;
	enum vmt_status status;

	txn->above = op->above && !((start | (last + 1)) & (fmt_table_span(0) - 1));
	for (;;) {
		txn_lock(txn, start, last);
		status = range_look(txn, op, arg, &wanted);
		if (status == VMT_OK)
			return VMT_OK;
		txn_abort(txn);
		if (status == VMT_ERR_RETRY)
			status = range_provide(txn, op, arg, wanted);
		if (status != VMT_OK)
			return status;
	}
}

// The operation over [start, last], window by window. `*done` (may be NULL) is the first address not yet worked on.
static enum vmt_status range_run(struct txn *txn, uint64_t start, uint64_t last, const struct range_op *op, void *arg,
				 uint64_t *done)
{
	enum vmt_status status;

	for (;;) {
		uint64_t end;

		status = range_lock(txn, start, last, op, arg);
		if (status != VMT_OK)
			break;
		end = txn->last;
		range_change(txn, start, end, op, arg);
		txn_commit(txn);
		start = end + 1;
		if (end >= last)
			break;
	}
	if (done)
		*done = start;
	return status;
}

#endif
