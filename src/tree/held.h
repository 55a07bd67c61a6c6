// SPDX-License-Identifier: MIT
// A tree on its own, changed by one who holds locks of another tree: a mirror (mirror/target.h; docs/design.md).
//
// The other tree's nodes come before this one's in the order of locks, and nobody goes the other way. So nothing here
// allocates, sleeps, flushes or folds: frames come along in a reserve, one node is locked at a time, and tables that
// become empty stay where they are. The leaves' translations are flushed by the caller, who has these addresses to
// himself until that is done, by the other tree's locks; this tree's are only about its structure.
//
// What that leaves to do is done with nothing held: held_release after entering, held_settle after removing. A FOLD
// mark on a lock that is given up here stays on it, for whoever takes the lock next, and those two do.
//
// Looking for something to remove takes no locks. What was entered at an address was entered by somebody who held the
// other tree's lock, so who holds it now sees the entry, and every table on the way to it, or what came later. That
// nothing is there now cannot be wrong.
#ifndef VMT_TREE_HELD_H
#define VMT_TREE_HELD_H

// Steps 1 and 2 of a transaction (txn.h), for the table in whose slot of `addr` a leaf is or would be.
static struct vmt_node *held_lock(struct vmt_tree *tree, uint64_t addr)
{
	vmt_port_preempt_off(tree->port);
	for (;;) {
		struct vmt_node *node;
		bool right;

		vmt_port_read_enter(tree->port);
		node = tree_descend(tree, addr, addr);
		lock_exclusive(tree->port, node);
		right = node_covers(node, tree, addr) &&
			!(slot_is_table(node, fmt_index(addr, node->level)) && HOLDS(HELD_LOWEST));
		if (!right)
			// Release pairs with the acquire in lock_try_exclusive; so does the one below.
			atomic_fetch_and_explicit(&node->lock, ~LOCK_EXCL, memory_order_release);
		vmt_port_read_exit(tree->port);
		if (right)
			return node;
	}
}

// Returns whether a fold below the node was left to us. The mark stays.
static bool held_unlock(struct vmt_tree *tree, struct vmt_node *node)
{
	bool marked = atomic_fetch_and_explicit(&node->lock, ~LOCK_EXCL, memory_order_release) & LOCK_FOLD;

	vmt_port_preempt_on(tree->port);
	return marked && HOLDS(HELD_MARK);
}

// ---- Removing ----------------------------------------------------------------------------------------------------

// Looks from `at` on, in the lowest table there: where something is entered (*found), or where to look next.
static uint64_t held_find(struct vmt_tree *tree, uint64_t at, uint64_t last, bool *found)
{
	struct vmt_node *node;
	unsigned slot, level;
	uint64_t e = 0;

	vmt_port_read_enter(tree->port);
	node = tree_walk_down(tree, at, at);
	level = node->level;
	for (slot = fmt_index(at, level); slot < FMT_SLOTS && at <= last; slot++) {
		e = entry_load_acquire(node, slot);
		if (e)
			break;
		at = (at | (fmt_span(level) - 1)) + 1;
	}
	vmt_port_read_exit(tree->port);
	*found = e && !fmt_is_table(e, level);
	return at;
}

// Clears what is entered from `at` on in the lowest table there. Returns where to look next.
static uint64_t held_clear(struct vmt_tree *tree, uint64_t at, uint64_t last)
{
	struct vmt_node *node = held_lock(tree, at);
	unsigned first = fmt_index(at, node->level), slot = first;
	uint64_t next;
	int gone = 0;

	for (; slot < FMT_SLOTS && slot_base(node, slot) <= last && !slot_is_table(node, slot); slot++) {
		if (!entry_load(node, slot))
			continue;
		if (slot_is_partial(node, slot, at, last))
			vmt_port_fatal(tree->port, "vmtree: a change takes away a part of a mirror's leaf");
		// Release: who sees the slot empty sees as well what was written before, see mirror_issue. Plain:
		// accessed and dirty go with the leaf, nobody asks for them.
		atomic_store_explicit(&node->table[slot], 0, memory_order_release);
		gone++;
	}
	next = node->base + ((uint64_t)slot << fmt_shift(node->level));
	vmt_port_publish(tree->port, &node->table[first], slot - first);
	node_add_live(node, -gone);
	// Relaxed: see vmt_tree::owed. Who settles the range folds the table; nobody has to.
	if (node_is_empty(node) && !atomic_load_explicit(&tree->owed, memory_order_relaxed))
		atomic_store_explicit(&tree->owed, true, memory_order_relaxed);
	held_unlock(tree, node);
	return next;
}

// Takes everything in [start, last] out. Held, or with nothing held. Returns whether there was anything.
static bool held_remove(struct vmt_tree *tree, uint64_t start, uint64_t last)
{
	bool any = false;

	while (start <= last) {
		bool found;

		start = held_find(tree, start, last, &found);
		if (found)
			start = held_clear(tree, start, last);
		any |= found;
	}
	return any;
}

// ---- With nothing held -------------------------------------------------------------------------------------------

// Where the next slot after `at` begins that holds a table, or the next table.
static uint64_t held_skip(const struct vmt_node *node, uint64_t at)
{
	uint64_t rest = fmt_table_span(node->level) - 1;

	if (node->level == 0 || node_live(node) == 0)
		return (at | rest) + 1;
	do
		at = (at | (fmt_span(node->level) - 1)) + 1;
	while (at & rest && !slot_is_table(node, fmt_index(at, node->level)));
	return at;
}

// Folds what was left empty in [start, last], and what others left to those who were at work there. So that nobody is
// disturbed who is, it looks without locks for the first and the last such table. Relaxed: of what this CPU did itself,
// and of what it waited for, the hints are right.
static void held_settle(struct vmt_tree *tree, uint64_t start, uint64_t last)
{
	uint64_t low = UINT64_MAX, high = 0;

	while (start <= last) {
		struct vmt_node *node;
		uint64_t rest;

		vmt_port_read_enter(tree->port);
		node = tree_walk_down(tree, start, start);
		rest = fmt_table_span(node->level) - 1;
		if ((node->level < FMT_TOP && node_live(node) == 0) ||
		    atomic_load_explicit(&node->lock, memory_order_relaxed) & LOCK_FOLD) {
			low = low < start ? low : start & ~rest;
			high = start | rest;
		}
		start = held_skip(node, start);
		vmt_port_read_exit(tree->port);
	}
	if (low <= high)
		tree_fold(tree, low, high);
}

// ---- Entering ----------------------------------------------------------------------------------------------------

// What is to be entered, as much of it as one table can hold.
struct held_grant {
	struct vmt_tree *tree;
	uint64_t start, last, pa;
	vmt_prot prot;
};

// The level of the largest leaf around `addr` that lies in the grant, with its memory aligned like its addresses. There
// are no runs: one that is to allow more could not be changed without a flush.
static unsigned held_level(const struct held_grant *grant, uint64_t addr)
{
	unsigned level = install_level_max(grant->tree->leaf_sizes);

	for (; level > 0; level--) {
		uint64_t rest = fmt_span(level) - 1;

		if ((grant->pa - grant->start) & rest)
			continue;
		if ((addr & ~rest) >= grant->start && (addr | rest) <= grant->last)
			break;
	}
	return level;
}

// The slots [*first, *end) of the table of `level` around `addr` that lie in the grant as a whole.
static void held_slots(const struct held_grant *grant, unsigned level, uint64_t addr, unsigned *first, unsigned *end)
{
	uint64_t span = fmt_span(level), rest = fmt_table_span(level) - 1, base = addr & ~rest;
	uint64_t start = grant->start > base ? grant->start - base : 0;
	uint64_t stop = grant->last < (addr | rest) ? grant->last - base + 1 : rest + 1;

	*first = (unsigned)((start + span - 1) / span);
	*end = (unsigned)(stop / span);
}

// Enters one leaf, or makes the one that is there allow more. What allows as much is left as it is: it was handed out,
// and has not been taken away since. False: something else is there.
static bool held_enter(const struct held_grant *grant, struct vmt_node *node, unsigned slot)
{
	uint64_t pa = grant->pa + (slot_base(node, slot) - grant->start), e = entry_load(node, slot), leaf;

	if (e && !fmt_is_leaf(e, node->level))
		return false;
	leaf = fmt_make_leaf(pa, node->level, e ? grant->prot | fmt_prot(e) : grant->prot, grant->tree->user);
	if (!e) {
		// Release as in install_fill.
		atomic_store_explicit(&node->table[slot], leaf, memory_order_release);
		node_add_live(node, 1);
		return true;
	}
	if (!(fmt_prot(leaf) & ~fmt_prot(e)))
		return true;
	if (fmt_pa(e) != pa)
		return false;
	// More permissions of the same memory: nothing to flush. Exchange, acquire-release: as in entry_exchange.
	atomic_exchange_explicit(&node->table[slot], leaf, memory_order_acq_rel);
	return true;
}

// Into a table that is there: around `addr`, as far as nothing is in the way. Returns where that ends.
static uint64_t held_fill(const struct held_grant *grant, struct vmt_node *node, uint64_t addr)
{
	unsigned at = fmt_index(addr, node->level), first, end, low = at, high = at;

	held_slots(grant, node->level, addr, &first, &end);
	while (high < end && held_enter(grant, node, high))
		high++;
	while (high > at && low > first && held_enter(grant, node, low - 1))
		low--;
	if (high > low)
		vmt_port_publish(grant->tree->port, &node->table[low], high - low);
	return node->base + ((uint64_t)high << fmt_shift(node->level));
}

// Below `node`, whose slot is empty: with new tables from the reserve, down to `level`. Linked by one store.
static uint64_t held_chain(const struct held_grant *grant, struct vmt_node *node, unsigned level, uint64_t addr,
			   struct vmt_reserve *reserve)
{
	struct vmt_tree *tree = grant->tree;
	struct vmt_node *at = node;
	uint64_t first = 0, end;

	while (at->level > level) {
		uint64_t pa = reserve->frame[--reserve->count];
		struct vmt_node *below = node_of_table(tree->port, pa);
		unsigned slot = fmt_index(addr, at->level);

		node_init(tree, below, pa, at->level - 1u, slot_base(at, slot));
		below->parent = at;
		if (at == node) {
			first = fmt_make_table(pa, at->level);
		} else {
			atomic_store_explicit(&at->table[slot], fmt_make_table(pa, at->level), memory_order_relaxed);
			vmt_port_publish(tree->port, &at->table[slot], 1);
			node_add_live(at, 1);
		}
		at = below;
	}
	end = held_fill(grant, at, addr);
	node_add_live(node, 1);
	entry_publish(tree, node, fmt_index(addr, node->level), first);
	return end;
}

// Remembers a range to fold when nothing is held.
static void held_leave(struct vmt_reserve *reserve, uint64_t start, uint64_t last)
{
	reserve->left_start = reserve->left_last && reserve->left_start < start ? reserve->left_start : start;
	reserve->left_last = reserve->left_last > last ? reserve->left_last : last;
}

// Enters as much of the grant around `addr` as one table holds; `*end` is where that ends. VMT_ERR_NO_MEMORY: come back
// after held_prepare, with reserve->wanted frames. VMT_ERR_EXISTS: something else is there.
static enum vmt_status held_map(const struct held_grant *grant, uint64_t addr, struct vmt_reserve *reserve,
				uint64_t *end)
{
	struct vmt_node *node = held_lock(grant->tree, addr);
	unsigned level = held_level(grant, addr), slot = fmt_index(addr, node->level);
	uint64_t base = node->base, last = node_end(node) - 1;
	enum vmt_status status = VMT_OK;

	if (node->level < level && node_live(node) == 0 && !reserve->folded) {
		held_leave(reserve, base, last); // an empty table, where a larger leaf fits
		reserve->folded = true;
		status = VMT_ERR_NO_MEMORY;
	} else if (node->level <= level) {
		*end = held_fill(grant, node, addr);
		status = *end > addr ? VMT_OK : VMT_ERR_EXISTS;
	} else if (entry_load(node, slot)) {
		status = VMT_ERR_EXISTS; // a larger leaf
	} else if (reserve->count < node->level - level) {
		reserve->wanted = node->level - level;
		status = VMT_ERR_NO_MEMORY;
	} else {
		*end = held_chain(grant, node, level, addr, reserve);
	}
	if (held_unlock(grant->tree, node))
		held_leave(reserve, base, last);
	if (status == VMT_OK) {
		reserve->folded = false;
		reserve->wanted = 0;
	}
	return status;
}

// ---- The reserve, with nothing held ------------------------------------------------------------------------------

static void held_fold_left(struct vmt_tree *tree, struct vmt_reserve *reserve)
{
	if (reserve->left_last)
		tree_fold(tree, reserve->left_start, reserve->left_last);
	reserve->left_last = 0;
}

// As many frames as entering something at `addr` will probably take, by a look without locks; `wanted` at least.
static enum vmt_status held_prepare(struct vmt_tree *tree, uint64_t addr, struct vmt_reserve *reserve)
{
	unsigned wanted;

	held_fold_left(tree, reserve);
	vmt_port_read_enter(tree->port);
	wanted = tree_walk_down(tree, addr, addr)->level;
	vmt_port_read_exit(tree->port);
	wanted = wanted > reserve->wanted ? wanted : reserve->wanted;
	while (reserve->count < wanted) {
		uint64_t pa = vmt_port_frame_alloc(tree->port, VMT_PAGE_SIZE, true);

		if (pa == VMT_NO_FRAME && tree_reclaim(tree, 0))
			pa = vmt_port_frame_alloc(tree->port, VMT_PAGE_SIZE, true);
		if (pa == VMT_NO_FRAME)
			return VMT_ERR_NO_MEMORY;
		reserve->frame[reserve->count++] = pa;
	}
	return VMT_OK;
}

static void held_release(struct vmt_tree *tree, struct vmt_reserve *reserve)
{
	while (reserve->count)
		vmt_port_frame_free(tree->port, reserve->frame[--reserve->count], VMT_PAGE_SIZE);
	held_fold_left(tree, reserve);
}

#endif
