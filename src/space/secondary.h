// SPDX-License-Identifier: MIT
// Secondaries of a space: vmtree/secondary.h has the two rules.
//
// A space has a table of slots, made when the first secondary attaches and freed with the space. A slot counts who is
// inside of its secondary's ops, so that detaching can wait for them: whoever calls counts himself in and then reads
// the slot; detaching empties the slot and then reads the count; both sequentially consistent, so one of them sees the
// other.
//
// A flush that reads the table before a secondary has attached does not concern it: the translations that it has later
// it got under the lock of a table, after that flush was done there (rule 1), and from the entry as it was then.
#ifndef VMT_SPACE_SECONDARY_H
#define VMT_SPACE_SECONDARY_H

struct secondary {
	_Atomic uint32_t inside;	// calls of its ops under way
	_Atomic uint32_t state;		// SECONDARY_*
	struct vmt_secondary_config config; // written while the state is SECONDARY_CHANGING
};

enum {
	SECONDARY_NONE,
	SECONDARY_CHANGING,
	SECONDARY_ATTACHED,
};

struct vmt_secondaries {
	struct secondary slot[VMT_SECONDARIES];
};

static inline struct vmt_secondaries *secondaries_of(struct vmt_tree *tree)
{
	// Acquire pairs with the release in secondaries_make.
	return atomic_load_explicit(&tree->secondaries, memory_order_acquire);
}

// Counts the caller in, if there is a secondary. Left by secondary_leave.
static bool secondary_enter(struct secondary *slot)
{
	if (atomic_load_explicit(&slot->state, memory_order_relaxed) != SECONDARY_ATTACHED)
		return false;
	// Sequentially consistent, both: see above.
	atomic_fetch_add_explicit(&slot->inside, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&slot->state, memory_order_seq_cst) == SECONDARY_ATTACHED)
		return true;
	atomic_fetch_sub_explicit(&slot->inside, 1, memory_order_release);
	return false;
}

// What of the change concerns the secondary, whose slot was entered. False: nothing.
static bool secondary_clip(const struct secondary *slot, struct vmt_change *change)
{
	if (change->start < slot->config.start)
		change->start = slot->config.start;
	if (change->end > slot->config.end)
		change->end = slot->config.end;
	return change->start < change->end;
}

static void secondary_leave(struct secondary *slot)
{
	// Release pairs with the acquire in vmt_secondary_detach: our use of the config comes before its end.
	atomic_fetch_sub_explicit(&slot->inside, 1, memory_order_release);
}

// ---- The flush, under the lock -----------------------------------------------------------------------------------

// Range `n` of a request, or the whole space.
static struct vmt_change secondary_change(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned n,
					  unsigned reason)
{
	return (struct vmt_change){
		.space = tree->space,
		.start = flush->all ? tree->start : flush->ranges[n].start,
		.end = flush->all ? tree->end : flush->ranges[n].end,
		.reason = (enum vmt_reason)reason,
	};
}

// Every secondary's `issue`. Those that were called stay entered, a bit each.
static uint32_t secondaries_issue(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason)
{
	struct vmt_secondaries *all = secondaries_of(tree);
	uint32_t asked = 0;

	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct secondary *slot = &all->slot[i];
		bool concerned = false;

		if (!secondary_enter(slot))
			continue;
		for (unsigned n = 0; n < (flush->all ? 1 : flush->count); n++) {
			struct vmt_change change = secondary_change(tree, flush, n, reason);

			if (!secondary_clip(slot, &change))
				continue;
			concerned = true;
			if (slot->config.ops->issue)
				slot->config.ops->issue(slot->config.owner, &change);
		}
		if (concerned)
			asked |= UINT32_C(1) << i;
		else
			secondary_leave(slot);
	}
	return asked;
}

// `wait` of those that were asked.
static void secondaries_wait(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason, uint32_t asked)
{
	struct vmt_secondaries *all = secondaries_of(tree);

	for (unsigned i = 0; asked >> i; i++) {
		struct secondary *slot = &all->slot[i];

		if (!(asked >> i & 1))
			continue;
		for (unsigned n = 0; n < (flush->all ? 1 : flush->count); n++) {
			struct vmt_change change = secondary_change(tree, flush, n, reason);

			if (secondary_clip(slot, &change) && slot->config.ops->wait)
				slot->config.ops->wait(slot->config.owner, &change);
		}
		secondary_leave(slot);
	}
}

// ---- Around an operation -----------------------------------------------------------------------------------------

struct watch {
	struct vmt_change change;
	uint32_t entered;
};

static void watch_enter(struct watch *watch, struct vmt_secondaries *all)
{
	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct vmt_change change = watch->change;
		struct secondary *slot = &all->slot[i];

		if (!secondary_enter(slot))
			continue;
		if (!secondary_clip(slot, &change)) {
			secondary_leave(slot);
			continue;
		}
		watch->entered |= UINT32_C(1) << i;
		if (slot->config.ops->begin)
			slot->config.ops->begin(slot->config.owner, &change);
	}
}

static inline void watch_begin(struct watch *watch, struct vmt_space *space, uint64_t addr, uint64_t length,
			       enum vmt_reason reason)
{
	struct vmt_secondaries *all = secondaries_of(&space->tree);

	watch->entered = 0;
	if (!all)
		return;
	watch->change = (struct vmt_change){.space = space, .start = addr, .end = addr + length, .reason = reason};
	watch_enter(watch, all);
}

static void watch_leave(struct watch *watch)
{
	struct vmt_secondaries *all = secondaries_of(&watch->change.space->tree);

	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct vmt_change change = watch->change;
		struct secondary *slot = &all->slot[i];

		if (!(watch->entered >> i & 1))
			continue;
		if (secondary_clip(slot, &change) && slot->config.ops->end)
			slot->config.ops->end(slot->config.owner, &change);
		secondary_leave(slot);
	}
}

static inline void watch_end(struct watch *watch)
{
	if (watch->entered)
		watch_leave(watch);
}

// A transaction that may change something in [addr, addr + length), with the secondaries told. Nothing is held.
static inline void change_begin(struct watch *watch, struct txn *txn, struct vmt_space *space, uint64_t addr,
				uint64_t length, enum vmt_reason reason)
{
	txn_init(txn, &space->tree);
	txn->batch.reason = reason;
	watch_begin(watch, space, addr, length, reason);
}

static inline void change_end(struct watch *watch, struct txn *txn)
{
	txn_finish(txn);
	watch_end(watch);
}

// ---- Subscriptions -----------------------------------------------------------------------------------------------

static enum vmt_status secondaries_make(struct vmt_space *space)
{
	struct vmt_secondaries *fresh, *none = NULL;
	void *port = space->tree.port;

	if (secondaries_of(&space->tree))
		return VMT_OK;
	fresh = vmt_port_mem_alloc(port, sizeof(*fresh));
	if (!fresh)
		return VMT_ERR_NO_MEMORY;
	memset(fresh, 0, sizeof(*fresh));
	// Release pairs with the acquire in secondaries_of.
	if (!atomic_compare_exchange_strong_explicit(&space->tree.secondaries, &none, fresh, memory_order_acq_rel,
						     memory_order_acquire))
		vmt_port_mem_free(port, fresh, sizeof(*fresh));
	return VMT_OK;
}

enum vmt_status vmt_secondary_attach(struct vmt_space *space, const struct vmt_secondary_config *config, unsigned *id)
{
	struct vmt_secondary_config own = *config;
	enum vmt_status status;
	struct vmt_secondaries *all;

	if (!own.start && !own.end) {
		own.start = space->tree.start;
		own.end = space->tree.end;
	}
	status = range_check(space, own.start, own.end - own.start);
	if (status == VMT_OK)
		status = secondaries_make(space);
	if (status != VMT_OK)
		return status;
	all = secondaries_of(&space->tree);
	for (*id = 0; *id < VMT_SECONDARIES; ++*id) {
		uint32_t none = SECONDARY_NONE;

		// Acquire pairs with the release in vmt_secondary_detach: the last one's use of the slot is over.
		if (!atomic_compare_exchange_strong_explicit(&all->slot[*id].state, &none, SECONDARY_CHANGING,
							     memory_order_acquire, memory_order_relaxed))
			continue;
		all->slot[*id].config = own;
		// Release: who finds it attached sees the config.
		atomic_store_explicit(&all->slot[*id].state, SECONDARY_ATTACHED, memory_order_seq_cst);
		return VMT_OK;
	}
	return VMT_ERR_LIMIT;
}

void vmt_secondary_detach(struct vmt_space *space, unsigned id)
{
	struct secondary *slot = &secondaries_of(&space->tree)->slot[id];

	atomic_store_explicit(&slot->state, SECONDARY_CHANGING, memory_order_seq_cst);
	// Acquire pairs with the release in secondary_leave; sequentially consistent with secondary_enter.
	while (HOLDS(DETACH_WAITS) && atomic_load_explicit(&slot->inside, memory_order_seq_cst))
		vmt_port_relax(space->tree.port, true);
	atomic_store_explicit(&slot->state, SECONDARY_NONE, memory_order_release);
}

// Would the secondary be told if the page at `addr` went? Its own faults are over before it detaches.
static bool secondary_hears(struct vmt_space *space, unsigned id, uint64_t addr)
{
	struct vmt_secondaries *all = secondaries_of(&space->tree);

	return all && id < VMT_SECONDARIES &&
	       atomic_load_explicit(&all->slot[id].state, memory_order_acquire) == SECONDARY_ATTACHED &&
	       addr >= all->slot[id].config.start && addr < all->slot[id].config.end;
}

// The end of the space, which nobody else knows any more.
static void secondaries_end(struct vmt_space *space)
{
	struct vmt_tree *tree = &space->tree;
	struct vmt_secondaries *all = secondaries_of(tree);
	struct vmt_flush flush = {.space = space, .space_owner = tree->owner, .all = true};
	struct watch watch;

	if (!all)
		return;
	watch_begin(&watch, space, tree->start, tree->end - tree->start, VMT_REASON_EXIT);
	vmt_port_preempt_off(tree->port);
	secondaries_wait(tree, &flush, VMT_REASON_EXIT, secondaries_issue(tree, &flush, VMT_REASON_EXIT));
	vmt_port_preempt_on(tree->port);
	watch_end(&watch);
	atomic_store_explicit(&tree->secondaries, NULL, memory_order_relaxed);
	vmt_port_mem_free(tree->port, all, sizeof(*all));
}

#endif
