// SPDX-License-Identifier: MIT
// Transactions: how everything that changes a tree locks it.
//
//  1. Descend without locks, in a read-side section, while one entry covers the range and points to a table.
//  2. Lock that node. Detached, or no longer the node of this tree and address: start again. From here on the lock
//     keeps it attached, for detaching needs its lock.
//  3. The gate (fork): closed, let go, wait, start again.
//  4. Lock the existing nodes below that overlap the range, parents first, addresses ascending. At most TXN_HELD: a
//     larger range is cut to a window, and the caller comes back for the rest.
//  5. The caller plans; short of memory, it aborts, fills the pool and starts again. Then it changes entries.
//  6. txn_commit folds what became empty, flushes, unlocks. txn_finish, with nothing held, does what was left for
//     later: folds whose parent was busy, objects whose last mapping went, unused memory.
//
// Preemption is off from txn_lock to txn_commit or txn_abort.
#ifndef VMT_TREE_TXN_H
#define VMT_TREE_TXN_H

// The gate of a tree keeps forks and moves apart, and everything else out of a fork (space/fork.h, space/move.h):
//
//	GATE_FORK	a fork copies the tree: who would change something waits. Set before the fork locks its first
//			node, cleared after it has released the last
//	GATE_WAIT	a fork waits for the moves under way; no further move begins
//	GATE_MOVE	counts moves under way: ids may be ID_CLAIM
//
// Read relaxed under a node's lock, which orders it: a fork that has already visited this node, and a move that has
// claimed something in it, set their part before they locked it.
#define GATE_FORK UINT32_C(1)
#define GATE_WAIT UINT32_C(2)
#define GATE_MOVE UINT32_C(4)

#define TXN_HELD  64
#define TXN_SPLIT (2 * (FMT_TOP + 1))
#define TXN_LATER 4

struct txn {
	struct vmt_tree *tree;
	void *port;
	uint64_t start, last;		// the window, inclusive
	// Of the arrays below. (What begins as zero lies together.)
	unsigned held, parents;
	unsigned later;			// ranges to fold when nothing is held
	uint32_t dead;			// descriptors that lost their last use; space/attr.h
	struct vmt_node *node[TXN_HELD + TXN_SPLIT];
	struct vmt_node *parent[FMT_TOP + 1]; // locked upwards by folds
	bool keep;			// an emptied lowest table may be kept for this CPU's next use
	bool fold;			// empty tables are folded at all
	uint8_t noted;			// the peaks that were looked at, 1 << size; see txn_note_peak
	bool owns_claims;		// the claims that it meets are its own, or do not matter to it
	bool above;			// step 1 stops above a table that the range covers whole
	uint64_t run_max;		// the largest run that a cut leaf may be made of, in bytes
	struct { uint64_t start, last; } fold_later[TXN_LATER];
	struct pool pool;
	struct batch batch;
};

static void txn_init(struct txn *txn, struct vmt_tree *tree)
{
	txn->tree = tree;
	txn->port = tree->port;
	txn->held = txn->parents = 0;
	txn->later = txn->dead = 0;
	txn->keep = txn->fold = true;
	txn->above = txn->owns_claims = false;
	txn->noted = 0;
	txn->run_max = UINT64_MAX;
	pool_init(&txn->pool);
	batch_init(&txn->batch, tree);
}

// Before the transaction makes less what has a peak: there it is. Once is enough: what it makes more later was less
// before.
static inline void txn_note_peak(struct txn *txn, enum size size)
{
	struct vmt_cpu *cpu;

	if (txn->noted >> size & 1)
		return;
	txn->noted |= (uint8_t)(1u << size);
	cpu = this_cpu(txn->tree);
	cpu_note_peak(cpu, size, size_known(txn->tree, cpu, size));
}

// Goes on from the table of `level` at `*pa` to the next that covers all of the range; false: there is none.
static inline bool walk_step(struct vmt_tree *tree, uint64_t start, uint64_t differ, unsigned level, uint64_t *pa)
{
	_Atomic(uint64_t) *table = vmt_port_frame_ptr(tree->port, *pa);
	uint64_t e;

	if (differ >> fmt_shift(level))
		return false;
	// Acquire as in entry_load_acquire.
	e = atomic_load_explicit(&table[fmt_index(start, level)], memory_order_acquire);
	if (!fmt_is_table(e, level))
		return false;
	*pa = fmt_pa(e);
	return true;
}

// The lowest node whose table covers [start, last], as it looks now. In a read-side section. Tables are reached through
// their frames' addresses, one dependent load for a level; the node is looked for at the end.
static inline struct vmt_node *tree_walk_down(struct vmt_tree *tree, uint64_t start, uint64_t last)
{
	uint64_t pa = tree->root_pa, differ = start ^ last;

	_Static_assert(FMT_TOP <= 4, "the levels are written out");
	// Written out, so that each level's shift is a constant.
	(void)((FMT_TOP < 4 || walk_step(tree, start, differ, 4, &pa)) &&
	       (FMT_TOP < 3 || walk_step(tree, start, differ, 3, &pa)) &&
	       (FMT_TOP < 2 || walk_step(tree, start, differ, 2, &pa)) && walk_step(tree, start, differ, 1, &pa));
	return node_of_table(tree->port, pa);
}

// The same, as a function of its own for those who do more than look.
static struct vmt_node *tree_descend(struct vmt_tree *tree, uint64_t start, uint64_t last)
{
	return tree_walk_down(tree, start, last);
}

// Under the node's lock or a pin: is it (still) the node that covers `addr` in this tree? Relaxed: the lock orders it.
// A frame that was reused as another table meanwhile cannot be here: the read-side section keeps it; but a table may
// have been relinked (races.md 21), so tree and base are compared as well.
static bool node_covers(const struct vmt_node *node, const struct vmt_tree *tree, uint64_t addr)
{
	return (atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_ATTACHED || !HOLDS(LINKED)) &&
	       node->tree == tree &&
	       ((addr ^ node->base) >> fmt_shift(node->level) >> FMT_INDEX_BITS == 0 || !HOLDS(MOVED_PLACE));
}

// Remembers a range to look for empty tables in, once nothing is held. When the list is full the last entry grows.
static void txn_fold_later(struct txn *txn, uint64_t start, uint64_t last)
{
	if (txn->later == TXN_LATER) {
		unsigned i = TXN_LATER - 1;

		if (start < txn->fold_later[i].start)
			txn->fold_later[i].start = start;
		if (last > txn->fold_later[i].last)
			txn->fold_later[i].last = last;
		return;
	}
	txn->fold_later[txn->later].start = start;
	txn->fold_later[txn->later++].last = last;
}

// Gives up a lock that somebody has marked.
SELDOM static void txn_release_marked(struct txn *txn, struct vmt_node *node)
{
	bool attached = atomic_load_explicit(&node->state, memory_order_relaxed) == NODE_ATTACHED;
	uint64_t base = node->base;
	unsigned level = node->level;

	if (lock_release(node) && attached)
		txn_fold_later(txn, base, base + fmt_table_span(level) - 1);
}

static inline void txn_release(struct txn *txn, struct vmt_node *node)
{
	if (!lock_release_unmarked(node))
		txn_release_marked(txn, node);
}

// Steps 1 and 2, once. Preemption is off. NULL: it was not the right node any more.
static inline struct vmt_node *txn_lock_top(struct txn *txn, uint64_t start, uint64_t last)
{
	struct vmt_node *node;
	bool right;

	vmt_port_read_enter(txn->port);
	node = tree_walk_down(txn->tree, start, last + txn->above);
	lock_exclusive(txn->port, node);
	right = node_covers(node, txn->tree, start);
	if (!right)
		lock_release(node);
	vmt_port_read_exit(txn->port);
	return right ? node : NULL;
}

// The same until it is.
SELDOM static struct vmt_node *txn_lock_top_again(struct txn *txn, uint64_t start, uint64_t last)
{
	struct vmt_node *node;

	do
		count(txn->tree, retries, 1);
	while (!(node = txn_lock_top(txn, start, last)));
	return node;
}

// Step 4, below `node`, which is held. False: the window ends at txn->last, which was lowered.
static bool txn_lock_below(struct txn *txn, struct vmt_node *node, uint64_t start, uint64_t last)
{
	unsigned end = fmt_index(last, node->level);
	struct tables at = tables_begin(node, fmt_index(start, node->level), end);

	for (; at.slot <= end; tables_next(&at)) {
		uint64_t base = slot_base(node, at.slot), slot_last = base + fmt_span(node->level) - 1;
		struct vmt_node *child;

		// One path down always fits: a window is never empty.
		if (txn->held >= TXN_HELD - FMT_TOP && base > txn->start) {
			txn->last = base - 1;
			return false;
		}
		child = node_of_table(txn->port, fmt_pa(entry_load(node, at.slot)));
		lock_exclusive(txn->port, child);
		txn->node[txn->held++] = child;
		if (!txn_lock_below(txn, child, start > base ? start : base, last < slot_last ? last : slot_last))
			return false;
	}
	return true;
}

static uint32_t tree_gate(const struct vmt_tree *tree)
{
	return atomic_load_explicit(&tree->gate, memory_order_relaxed);
}

static void txn_wait_gate(struct txn *txn)
{
	// Acquire pairs with the release that opens the gate in space/fork.h.
	while (atomic_load_explicit(&txn->tree->gate, memory_order_acquire) & GATE_FORK)
		vmt_port_relax(txn->port, true);
}

static inline bool txn_may_pass(const struct txn *txn)
{
	return !(tree_gate(txn->tree) & GATE_FORK) || !HOLDS(GATE);
}

// Step 3 where the gate is closed, and steps 1 and 2 again.
SELDOM static struct vmt_node *txn_lock_after_gate(struct txn *txn, struct vmt_node *node, uint64_t start,
						   uint64_t last)
{
	do {
		txn_release(txn, node);
		vmt_port_preempt_on(txn->port);
		txn_wait_gate(txn);
		vmt_port_preempt_off(txn->port);
		node = txn_lock_top(txn, start, last);
		if (!node)
			node = txn_lock_top_again(txn, start, last);
	} while (!txn_may_pass(txn));
	return node;
}

// Steps 1 to 3.
INLINED void txn_lock_gated(struct txn *txn, uint64_t start, uint64_t last)
{
	struct vmt_node *node;

	vmt_port_preempt_off(txn->port);
	node = txn_lock_top(txn, start, last);
	if (!node)
		node = txn_lock_top_again(txn, start, last);
	if (!txn_may_pass(txn))
		node = txn_lock_after_gate(txn, node, start, last);
	txn->node[0] = node;
	txn->held = 1;
	txn->start = start;
	txn->last = last;
	count(txn->tree, transactions, 1);
}

// Can any table below the topmost node overlap the range? Most ranges of upper nodes are one slot that holds none.
static inline bool txn_has_below(const struct vmt_node *top, uint64_t start, uint64_t last)
{
	unsigned slot;

	if (top->level == 0)
		return false;
	slot = fmt_index(start, top->level);
	return slot != fmt_index(last, top->level) || fmt_is_table(entry_load(top, slot), top->level);
}

// Locks [start, last], or a window that begins at start and ends at txn->last.
INLINED void txn_lock(struct txn *txn, uint64_t start, uint64_t last)
{
	txn_lock_gated(txn, start, last);
	if (txn_has_below(txn->node[0], start, last))
		txn_lock_below(txn, txn->node[0], start, last);
}

static struct vmt_node *txn_lock_path_below(struct txn *txn, struct vmt_node *node, uint64_t addr, unsigned level)
{
	while (node->level > level) {
		uint64_t e = entry_load(node, fmt_index(addr, node->level));
		unsigned i = 0;

		if (!fmt_is_table(e, node->level))
			break;
		node = node_of_table(txn->port, fmt_pa(e));
		while (i < txn->held && txn->node[i] != node)
			i++;
		if (i < txn->held)
			continue;
		lock_exclusive(txn->port, node);
		txn->node[txn->held++] = node;
	}
	return node;
}

// Locks the nodes on the way to `addr` that are not held yet, down to `level`, and returns the lowest.
static inline struct vmt_node *txn_lock_path(struct txn *txn, uint64_t addr, unsigned level)
{
	struct vmt_node *top = txn->node[0];

	return top->level > level ? txn_lock_path_below(txn, top, addr, level) : top;
}

// Lets go of everything without having changed anything.
static void txn_abort(struct txn *txn)
{
	while (txn->held)
		txn_release(txn, txn->node[--txn->held]);
	vmt_port_preempt_on(txn->port);
}

// The node furthest down: for a window of one page, the one that holds its entry.
static struct vmt_node *txn_lowest(const struct txn *txn)
{
	return txn->node[txn->held - 1];
}

#endif
