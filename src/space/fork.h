// SPDX-License-Identifier: MIT
// Fork: a second tree with the same pages.
//
// The child has to be a state of the parent that existed (races.md E2, 25). Copying takes one node at a time, so:
//
//  - The gate is closed first. A transaction looks at it after it has locked its topmost node (tree/txn.h). If the copy
//    has been at that node, the lock's order makes it see the gate, and it waits; if not, the copy comes later and sees
//    all that it did. So nothing changes in nodes that were copied, and what the copy relies on, stands.
//  - What remains is programs writing through entries that are there. A page that both will share becomes read-only
//    before the copy leaves its node, with the flush. A write that comes later faults, and waits at the gate. So no
//    write to a copied page precedes a write to a page that is still to be copied: the cut is consistent.
//
// A pinned page stays with the parent; the child gets a copy at once (races.md 26). It becomes read-only before it is
// copied like any other, or the cut would not be consistent; the parent's next write gets the permission back in place.
//
// The child's nodes are known to nobody else, and are filled without their locks.
#ifndef VMT_SPACE_FORK_H
#define VMT_SPACE_FORK_H

struct fork {
	struct txn txn;		// the parent's; its pool serves both, its batch the parent's flushes
	struct vmt_tree *from, *to;
	bool hollow;		// an empty table was copied: the child has to fold it
	// What has come into the child's node and is not counted yet.
	int pages;		// anonymous ones
	int live;		// the rest of the entries
	int64_t resident, anon;	// of the rest
};

// One fork at a time, and none while entries are on their way from one place to another (space/move.h). A fork that
// waits keeps further moves from beginning.
static void fork_close_gate(struct vmt_tree *tree)
{
	for (;;) {
		uint32_t gate = tree_gate(tree);

		// Acquire pairs with the release of the moves that have ended. The node locks order the rest, see
		// txn.h.
		if (gate < GATE_MOVE && !(gate & GATE_FORK) &&
		    atomic_compare_exchange_strong_explicit(&tree->gate, &gate, GATE_FORK, memory_order_acquire,
							    memory_order_relaxed))
			return;
		if (!HOLDS(FORK_WAITS)) {
			atomic_fetch_or_explicit(&tree->gate, GATE_FORK, memory_order_acquire);
			return;
		}
		if (gate >= GATE_MOVE)
			atomic_fetch_or_explicit(&tree->gate, GATE_WAIT, memory_order_relaxed);
		vmt_port_relax(tree->port, true);
	}
}

static void fork_open_gate(struct vmt_tree *tree)
{
	// Release pairs with the acquire in txn_wait_gate and move_begin.
	atomic_fetch_and_explicit(&tree->gate, ~GATE_FORK, memory_order_release);
}

// One use for each counted id that the child's node names.
static void fork_use_ids(struct fork *fork, const struct vmt_node *node)
{
	if (!node->ids) {
		node_use_id(&fork->txn, node->id);
		return;
	}
	for (unsigned i = 0; i < FMT_SLOTS; i++) {
		bool known = false;

		if (!(node->ids[i] & ID_COUNTED) || (i && node->ids[i] == node->ids[i - 1]))
			continue;
		for (unsigned k = 0; k < i && !known; k++)
			known = node->ids[k] == node->ids[i];
		if (!known)
			id_use(fork->txn.tree->vmt, node->ids[i]);
	}
}

static void fork_copy_ids(struct fork *fork, const struct vmt_node *from, struct vmt_node *to)
{
	to->id = from->id;
	to->breaks = from->breaks;
	if (from->ids) {
		to->ids = fork->txn.pool.array[--fork->txn.pool.arrays];
		fork->txn.pool.uniform = false;
		__builtin_memcpy(to->ids, from->ids, ARRAY_BYTES);
		count(fork->to, array_bytes, (int64_t)ARRAY_BYTES);
		size_changed(fork->to, this_cpu(fork->to), SIZE_ARRAY_BYTES);
	}
	fork_use_ids(fork, to);
}

static inline void fork_put(struct fork *fork, struct vmt_node *to, unsigned slot, uint64_t e)
{
	// Relaxed: nobody reads the child yet.
	atomic_store_explicit(&to->table[slot], e, memory_order_relaxed);
	fork->live++;
}

// The same for an entry that holds a frame, whose metadata are `data` (NULL: it has none, or is the zero page).
static inline void fork_put_frame(struct fork *fork, struct vmt_node *to, unsigned slot, uint64_t e,
				  const struct vmt_data *data)
{
	int64_t pages = (int64_t)level_pages(to->level);

	fork_put(fork, to, slot, e);
	if (entry_frame(e) == fork->to->vmt->zero_pa)
		return;
	fork->resident += pages;
	if (data && !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT))
		fork->anon += pages;
}

// Counts what was put, once for many. Preemption is off.
static void fork_count(struct fork *fork, struct vmt_node *to)
{
	struct vmt_cpu *cpu = this_cpu(fork->to);

	node_add_live(to, fork->live + fork->pages);
	count_add(&cpu->count.resident, fork->resident + fork->pages);
	count_add(&cpu->count.anon, fork->anon + fork->pages);
	size_changed(fork->to, cpu, SIZE_RESIDENT);
	fork->live = fork->pages = 0;
	fork->resident = fork->anon = 0;
}

// Before a range joins the request. A request that grew to its hull would tell secondaries of tables between huge
// leaves as well, whose locks are not held; so with secondaries it is flushed before.
static void fork_make_room(struct fork *fork)
{
	if (fork->txn.batch.flush.count == VMT_FLUSH_RANGES && secondaries_of(fork->from) && HOLDS(HULL_IS_HELD))
		batch_flush(&fork->txn.batch);
}

// Takes write permission from the parent's entry; what the entry is then.
static uint64_t fork_protect(struct fork *fork, struct vmt_node *from, unsigned slot, uint64_t e)
{
	uint64_t next, addr = slot_base(from, slot);

	do {
		next = fmt_read_only(e);
		if (!HOLDS(SWAP_FORK))
			e = entry_load(from, slot);
		// Acquire-release as in entry_exchange.
	} while (!atomic_compare_exchange_weak_explicit(&from->table[slot], &e, next, memory_order_acq_rel,
							memory_order_relaxed));
	vmt_port_publish(fork->txn.port, &from->table[slot], 1);
	fork_make_room(fork);
	if (HOLDS(FLUSH_FORK))
		flush_add(&fork->txn.batch.flush, addr, addr + fmt_span(from->level));
	return next;
}

// The pinned page at `pa`: the child gets a copy. False: there is no page for it at hand.
static bool fork_pinned(struct fork *fork, struct vmt_node *from, struct vmt_node *to, unsigned slot, uint64_t e)
{
	uint32_t attr = attr_of(fork->from->vmt, slot_id(from, slot));
	uint64_t copy;

	if (fork->txn.pool.page == VMT_NO_FRAME)
		return false;
	if (fmt_is_present(e) && fmt_prot(e) & VMT_WRITE) {
		fork_protect(fork, from, slot, e);
		if (HOLDS(FLUSH_PINNED))
			batch_flush(&fork->txn.batch);
	}
	__builtin_memcpy(vmt_port_frame_ptr(fork->from->port, fork->txn.pool.page),
			 vmt_port_frame_ptr(fork->from->port, entry_frame(e)), VMT_PAGE_SIZE);
	copy = pool_take_page(fork->from, &fork->txn.pool, 0);
	fork_put_frame(fork, to, slot,
		       fmt_is_present(e) ? leaf_make(fork->to, copy, 0, attr, attr_prot(attr) & VMT_WRITE) :
					   fmt_make_parked(copy, true, true),
		       data_of_frame(fork->from->port, copy));
	return true;
}

// Is the private page pinned? Pins are taken under this node's lock. Acquire pairs with the release in vmt_page_unpin:
// what a device wrote is there for the copy. (An object's page is pinned through a shared mapping, and a private one
// has no copy to lose.)
static bool fork_is_pinned(const struct vmt_data *data)
{
	return atomic_load_explicit(&data->pins, memory_order_acquire) && HOLDS(PINS_COPIED) &&
	       !(atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT);
}

static bool fork_meets_pin(const struct fork *fork, uint64_t pa, unsigned level)
{
	for (uint64_t i = 0; i < level_pages(level); i++)
		if (fork_is_pinned(data_of_frame(fork->from->port, pa + i * VMT_PAGE_SIZE)))
			return true;
	return false;
}

// Huge pages with a pinned page in them are cut, before anything of the node is copied; their tables are then copied
// like any others. `*slot`: where it begins, and where it stopped. False: a table is needed.
static bool fork_split(struct fork *fork, struct vmt_node *from, unsigned *slot, unsigned last)
{
	struct txn *txn = &fork->txn;

	for (unsigned left = node_live(from); from->level > 0 && left && *slot <= last; ++*slot) {
		uint64_t e = entry_load(from, *slot), base = slot_base(from, *slot);

		left -= e != 0;
		if (!e || !fmt_holds_frame(e, from->level) || !fork_meets_pin(fork, entry_frame(e), from->level))
			continue;
		if (!txn->pool.tables)
			return false;
		range_split(txn, from, *slot, base, base + VMT_PAGE_SIZE - 1);
		txn_release(txn, txn->node[--txn->held]);
	}
	return true;
}

// An entry that holds a frame. False: a page is needed.
static inline bool fork_frame(struct fork *fork, struct vmt_node *from, struct vmt_node *to, unsigned slot, uint64_t e)
{
	uint32_t attr = attr_of(fork->from->vmt, slot_id(from, slot));
	uint64_t pa = entry_frame(e), pages = level_pages(from->level);
	struct vmt_data *data = pa == fork->from->vmt->zero_pa ? NULL : data_of_frame(fork->from->port, pa);
	bool own = data && !(attr & ATTR_SHARED);

	if (own && pages == 1 && fork_is_pinned(data))
		return fork_pinned(fork, from, to, slot, e);
	if (data)
		// Relaxed: the parent's entry keeps the frame while its lock is held.
		atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
	for (uint64_t i = 1; i < pages; i++)
		atomic_fetch_add_explicit(&data_of_frame(fork->from->port, pa + i * VMT_PAGE_SIZE)->refs, 1,
					  memory_order_relaxed);
	if (own && fmt_is_present(e) && fmt_prot(e) & VMT_WRITE)
		e = fork_protect(fork, from, slot, e);
	fork_put_frame(fork, to, slot, e, data);
	return true;
}

// A page of private memory in a lowest table, with nothing special about it: nearly all of what is copied. False: it is
// something else, and nothing was done.
static inline bool fork_page(struct fork *fork, struct vmt_node *from, struct vmt_node *to, unsigned slot, uint64_t e)
{
	struct vmt_tree *tree = fork->from;
	uint64_t pa = fmt_pa(e);
	struct vmt_data *data;

	// What is not present names no frame.
	if (!fmt_is_present(e) || slot_id(from, slot) & ID_COUNTED || pa == tree->vmt->zero_pa)
		return false;
	data = data_of_frame(tree->port, pa);
	if (!data || (atomic_load_explicit(&data->flags, memory_order_relaxed) & VMT_FRAME_OBJECT) || fork_is_pinned(data))
		return false;
	// Relaxed: the parent's entry keeps the frame while its lock is held.
	atomic_fetch_add_explicit(&data->refs, 1, memory_order_relaxed);
	if (fmt_prot(e) & VMT_WRITE)
		e = fork_protect(fork, from, slot, e);
	atomic_store_explicit(&to->table[slot], e, memory_order_relaxed); // nobody reads the child yet
	fork->pages++;
	return true;
}

// Copies entries from `slot` on; where it stopped for want of a page.
static unsigned fork_entries(struct fork *fork, struct vmt_node *from, struct vmt_node *to, unsigned slot,
			     unsigned last)
{
	unsigned left = node_live(from);
	bool lowest = from->level == 0;

	for (; left && slot <= last; slot++) {
		uint64_t e = entry_load(from, slot);

		if (!e)
			continue;
		left--;
		if (lowest ? fork_page(fork, from, to, slot, e) : fmt_is_table(e, from->level))
			continue;
		if (!fmt_is_present(e)) { // a secondary that writes to what CPUs do not see may not go on
			fork_make_room(fork);
			entry_flush(&fork->txn, from, slot, e);
		}
		if (!fmt_holds_frame(e, from->level)) {
			fork_put(fork, to, slot, e);
			marker_copied(fork->to, e, to->level);
		} else if (!fork_frame(fork, from, to, slot, e)) {
			fork_count(fork, to);
			return slot;
		}
	}
	fork_count(fork, to);
	return last + 1;
}

static bool fork_outside(const struct fork *fork, const struct vmt_node *node, unsigned slot)
{
	uint64_t base = slot_base(node, slot);

	return base >= fork->from->end || base + fmt_span(node->level) <= fork->from->start;
}

// The ids and entries of one node, under its lock; more than once where it runs out of something.
static enum vmt_status fork_node(struct fork *fork, struct vmt_node *from, struct vmt_node *to, unsigned first,
				 unsigned last)
{
	struct vmt_tree *tree = fork->from;
	unsigned split = first;
	bool ids = false;

	for (;;) {
		enum vmt_status status;
		bool array, table;

		vmt_port_preempt_off(tree->port);
		lock_exclusive(tree->port, from);
		table = !ids && !fork_split(fork, from, &split, last);
		array = !ids && from->ids && fork->txn.pool.arrays == 0;
		if (!array && !table) {
			if (!ids)
				fork_copy_ids(fork, from, to);
			ids = true;
			first = fork_entries(fork, from, to, first, last);
		}
		batch_flush(&fork->txn.batch);
		txn_release(&fork->txn, from);
		vmt_port_preempt_on(tree->port);
		if (secondaries_lost(tree)) // it may write to what the child would have
			return VMT_ERR_DEVICE;
		if (!array && !table && first > last)
			return VMT_OK;
		// An array is the child's, and counts towards the child's limit.
		status = array || table ? pool_fill(fork->to, &fork->txn.pool, table, array) :
					  pool_fill_page(tree, &fork->txn.pool, false);
		if (status != VMT_OK)
			return status;
	}
}

// Is there nothing to copy below `slot`? The parent's CPUs may keep empty tables; the child has no use for them.
static bool fork_skips(struct fork *fork, struct vmt_node *child, const struct vmt_node *to, unsigned slot)
{
	void *port = fork->from->port;
	bool hollow, skip;

	vmt_port_preempt_off(port);
	lock_exclusive(port, child);
	hollow = node_is_empty(child);
	skip = hollow && child->id == slot_id(to, slot);
	fork->hollow |= hollow && !skip;
	txn_release(&fork->txn, child);
	vmt_port_preempt_on(port);
	return skip;
}

static enum vmt_status fork_tree(struct fork *fork, struct vmt_node *from, struct vmt_node *to)
{
	unsigned first = 0, last = FMT_SLOTS - 1;
	enum vmt_status status;

	while (fork_outside(fork, from, first))
		first++;
	while (fork_outside(fork, from, last))
		last--;
	status = fork_node(fork, from, to, first, last);
	if (from->level == 0)
		return status;
	// The gate holds the parent's slots still.
	for (unsigned slot = first, left = node_live(from); status == VMT_OK && left && slot <= last; slot++) {
		uint64_t e = entry_load_acquire(from, slot), pa;
		struct vmt_node *child;

		left -= e != 0;
		if (!fmt_is_table(e, from->level) ||
		    fork_skips(fork, node_of_table(fork->from->port, fmt_pa(e)), to, slot))
			continue;
		status = pool_fill(fork->to, &fork->txn.pool, 1, 0);
		if (status != VMT_OK)
			break;
		pa = fork->txn.pool.table[--fork->txn.pool.tables];
		child = node_of_table(fork->to->port, pa);
		vmt_port_preempt_off(fork->to->port);
		node_init(fork->to, child, pa, from->level - 1u, slot_base(from, slot));
		child->parent = to;
		fork_put(fork, to, slot, fmt_make_table(pa, to->level));
		fork_count(fork, to);
		vmt_port_preempt_on(fork->to->port);
		status = fork_tree(fork, node_of_table(fork->from->port, fmt_pa(e)), child);
	}
	fork->hollow |= to->parent && node_is_empty(to); // all that it led to was skipped
	return status;
}

static enum vmt_status fork_try(struct vmt_space *parent, struct vmt_space *child)
{
	enum vmt_status status;
	struct watch watch;
	struct fork fork;

	fork.from = &parent->tree;
	fork.to = &child->tree;
	fork.hollow = false;
	fork.live = fork.pages = 0;
	fork.resident = fork.anon = 0;
	change_begin(&watch, &fork.txn, parent, fork.from->start, fork.from->end - fork.from->start,
		     VMT_REASON_PROTECT);
	// Reclaiming runs transactions, and they wait at the gate.
	fork.txn.pool.reclaim = false;
	fork_close_gate(fork.from);
	status = fork_tree(&fork, fork.from->root, fork.to->root);
	vmt_port_preempt_off(fork.to->port);
	count(fork.to, mapped, counted(fork.from, mapped));
	vmt_port_preempt_on(fork.to->port);
	fork_open_gate(fork.from);
	status = change_end(&watch, &fork.txn, status);
	if (status == VMT_OK && fork.hollow)
		tree_fold(fork.to, fork.to->start, fork.to->end - 1);
	return status;
}

enum vmt_status vmt_space_fork(struct vmt_space *parent, void *owner, struct vmt_space **child)
{
	struct vmt_space_config config = parent->config;

	config.owner = owner;
	for (unsigned attempt = 0;; attempt++) {
		struct vmt_space *space;
		enum vmt_status status = space_new(parent->tree.vmt, &config, &space);

		if (status == VMT_OK) {
			status = fork_try(parent, space);
			if (status == VMT_OK) {
				*child = space;
				return VMT_OK;
			}
			space_free(space);
		}
		if (attempt > 0 || status != VMT_ERR_NO_MEMORY || !tree_reclaim(&parent->tree, 64))
			return status;
	}
}

#endif
