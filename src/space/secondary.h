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
//
// A secondary that has not answered once is lost: it is asked no more, and every flush that would concern it says so,
// whereupon the batch gives what it took out to the quarantine (tree/quarantine.h).
#ifndef VMT_SPACE_SECONDARY_H
#define VMT_SPACE_SECONDARY_H

struct secondary {
	_Atomic uint32_t inside;	// calls of its ops under way
	_Atomic uint32_t state;		// SECONDARY_*
	_Atomic bool lost;		// has not answered
	struct vmt_secondary_config config; // written while the state is SECONDARY_CHANGING
};

enum {
	SECONDARY_NONE,
	SECONDARY_CHANGING,
	SECONDARY_ATTACHED,
};

struct vmt_secondaries {
	// Where subscriptions are, all of them: the look that spares everybody else the rest. Widened before a slot is
	// attached; so who finds it too narrow has looked before that, like who finds the slot empty.
	_Atomic uint64_t low, high;
	struct spin lock;		// of writing low and high
	_Atomic uint32_t lost;		// how many are
	struct secondary slot[VMT_SECONDARIES];
};

static inline struct vmt_secondaries *secondaries_of(struct vmt_tree *tree)
{
	// Acquire pairs with the release in secondaries_make.
	return atomic_load_explicit(&tree->secondaries, memory_order_acquire);
}

// Acquire pairs with the release in secondary_lose: the quarantine is open. With LOST_IS_HELD off nobody ever is.
static bool secondaries_lost(const struct vmt_tree *tree)
{
	struct vmt_secondaries *all = atomic_load_explicit(&tree->secondaries, memory_order_acquire);

	return all && atomic_load_explicit(&all->lost, memory_order_acquire) && HOLDS(LOST_IS_HELD);
}

// Can any subscription be concerned?
static inline bool secondaries_meet(const struct vmt_secondaries *all, uint64_t start, uint64_t end)
{
	// Relaxed: see above.
	return all && start < atomic_load_explicit(&all->high, memory_order_relaxed) &&
	       end > atomic_load_explicit(&all->low, memory_order_relaxed);
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

// Range `n` of a request, or where all that it is about lies: under the caller's locks.
static struct vmt_change secondary_change(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned n,
					  unsigned reason)
{
	return (struct vmt_change){
		.space = tree->space,
		.start = flush->all ? flush->start : flush->ranges[n].start,
		.end = flush->all ? flush->end : flush->ranges[n].end,
		.reason = (enum vmt_reason)reason,
		.tables = flush->tables,
	};
}

static bool secondary_is_lost(struct secondary *slot)
{
	// Acquire pairs with the release in secondary_lose: the quarantine knows of it.
	return atomic_load_explicit(&slot->lost, memory_order_acquire);
}

static void secondary_lose(struct vmt_tree *tree, struct secondary *slot)
{
	struct vmt *vmt = tree->vmt;

	// The first to find out counts it; before anybody can take it for lost.
	spin_lock(vmt->port, &vmt->quarantine.lock);
	if (!atomic_load_explicit(&slot->lost, memory_order_relaxed)) {
		vmt->quarantine.lost++;
		atomic_fetch_add_explicit(&secondaries_of(tree)->lost, 1, memory_order_release);
		atomic_store_explicit(&slot->lost, true, memory_order_release);
	}
	spin_unlock(vmt->port, &vmt->quarantine.lock);
}

// Nobody looks at the entry to find out whether a secondary has to be told (races.md C4): what is there by now may not
// be what was there in between.
static bool secondary_needs_not(struct vmt_tree *tree, uint64_t addr)
{
	struct vmt_translation now;

	return !HOLDS(FLUSH_BLIND) && look_translate(tree, addr, &now) == VMT_OK;
}

// Every secondary's `issue`. Those that were called stay entered, a bit each.
static uint32_t secondaries_issue(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason)
{
	struct vmt_secondaries *all = secondaries_of(tree);
	bool meet = flush->all && secondaries_meet(all, flush->start, flush->end);
	uint32_t asked = 0;

	for (unsigned n = 0; n < flush->count && !meet; n++)
		meet = secondaries_meet(all, flush->ranges[n].start, flush->ranges[n].end);
	if (!meet)
		return 0;
	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct secondary *slot = &all->slot[i];
		bool concerned = false;

		if (!secondary_enter(slot))
			continue;
		for (unsigned n = 0; n < (flush->all ? 1 : flush->count); n++) {
			struct vmt_change change = secondary_change(tree, flush, n, reason);

			if (!secondary_clip(slot, &change) || secondary_needs_not(tree, change.start))
				continue;
			concerned = true;
			if (slot->config.ops->issue && !secondary_is_lost(slot))
				slot->config.ops->issue(slot->config.owner, &change);
		}
		if (concerned)
			asked |= UINT32_C(1) << i;
		else
			secondary_leave(slot);
	}
	return asked;
}

// Waits for one secondary, about all ranges. False: it does not answer.
static bool secondary_wait(struct vmt_tree *tree, struct secondary *slot, const struct vmt_flush *flush,
			   unsigned reason)
{
	for (unsigned n = 0; n < (flush->all ? 1 : flush->count); n++) {
		struct vmt_change change = secondary_change(tree, flush, n, reason);

		if (secondary_is_lost(slot))
			return false;
		if (secondary_clip(slot, &change) && slot->config.ops->wait &&
		    !slot->config.ops->wait(slot->config.owner, &change))
			secondary_lose(tree, slot);
	}
	return !secondary_is_lost(slot) || !HOLDS(LOST_IS_HELD);
}

// `wait` of those that were asked. False: one of them is lost.
static bool secondaries_wait(struct vmt_tree *tree, const struct vmt_flush *flush, unsigned reason, uint32_t asked)
{
	struct vmt_secondaries *all = secondaries_of(tree);
	bool done = true;

	for (unsigned i = 0; i < VMT_SECONDARIES && asked >> i; i++) {
		struct secondary *slot = &all->slot[i];

		if (!(asked >> i & 1))
			continue;
		done &= secondary_wait(tree, slot, flush, reason);
		secondary_leave(slot);
	}
	return done;
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
	watch->change = (struct vmt_change){.space = space, .start = addr, .end = addr + length, .reason = reason};
	if (secondaries_meet(all, addr, addr + length))
		watch_enter(watch, all);
}

// Tells a secondary, whose slot is entered, that there may be more in [start, end) than it knows.
static void secondary_fill(struct vmt_space *space, struct secondary *slot, uint64_t start, uint64_t end)
{
	struct vmt_change change = {space, start, end, VMT_REASON_FILL, false};

	if (slot->config.ops->filled && HOLDS(FILLED_TOLD) && !secondary_is_lost(slot) && secondary_clip(slot, &change))
		slot->config.ops->filled(slot->config.owner, &change);
}

// Entries in [start, end) allow more than they did: tells all secondaries but `except` (VMT_SECONDARIES: all).
static void secondaries_tell_filled(struct vmt_space *space, uint64_t start, uint64_t end, unsigned except)
{
	struct vmt_secondaries *all = secondaries_of(&space->tree);

	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct secondary *slot = &all->slot[i];

		if (i == except || !secondary_enter(slot))
			continue;
		secondary_fill(space, slot, start, end);
		secondary_leave(slot);
	}
}

// The same, and wherever they were told by the batch to forget something (NULL: none was). Nothing is held.
static inline void secondaries_filled(struct vmt_space *space, uint64_t start, uint64_t end, unsigned except,
				      const struct batch *batch)
{
	const struct vmt_secondaries *all = secondaries_of(&space->tree);

	if (all && batch && batch->told_end) {
		start = start < batch->told_start ? start : batch->told_start;
		end = end > batch->told_end ? end : batch->told_end;
	}
	if (start < end && secondaries_meet(all, start, end))
		secondaries_tell_filled(space, start, end, except);
}

// The end of the operation, and of what flushes for it have covered beside its range (a huge page that it cut). Who was
// not told of its beginning, having come later or because of its own range, is told of that.
static void watch_leave(struct watch *watch)
{
	struct vmt_secondaries *all = secondaries_of(&watch->change.space->tree);

	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		struct vmt_change change = watch->change;
		struct secondary *slot = &all->slot[i];
		bool entered = watch->entered >> i & 1;

		if (!entered && !secondary_enter(slot))
			continue;
		if (!entered)
			secondary_fill(change.space, slot, change.start, change.end);
		else if (secondary_clip(slot, &change) && slot->config.ops->end)
			slot->config.ops->end(slot->config.owner, &change);
		secondary_leave(slot);
	}
}

static inline void watch_end(struct watch *watch, const struct batch *batch)
{
	struct vmt_change *change = &watch->change;

	if (!change->space)
		return;
	if (batch->told_end) {
		change->start = change->start < batch->told_start ? change->start : batch->told_start;
		change->end = change->end > batch->told_end ? change->end : batch->told_end;
	}
	if (watch->entered || secondaries_meet(secondaries_of(&change->space->tree), change->start, change->end))
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

// What the operation says in the end: VMT_ERR_DEVICE if it was done and a secondary has not answered.
static inline enum vmt_status change_end(struct watch *watch, struct txn *txn, enum vmt_status status)
{
	txn_finish(txn);
	watch_end(watch, &txn->batch);
	return status == VMT_OK && txn->batch.unanswered ? VMT_ERR_DEVICE : status;
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
	atomic_store_explicit(&fresh->low, UINT64_MAX, memory_order_relaxed);
	// Release pairs with the acquire in secondaries_of.
	if (!atomic_compare_exchange_strong_explicit(&space->tree.secondaries, &none, fresh, memory_order_acq_rel,
						     memory_order_acquire))
		vmt_port_mem_free(port, fresh, sizeof(*fresh));
	return VMT_OK;
}

// Makes low and high what the subscriptions need that are there. The lock is held.
static void secondaries_measure(struct vmt_secondaries *all)
{
	uint64_t low = UINT64_MAX, high = 0;

	for (unsigned i = 0; i < VMT_SECONDARIES; i++) {
		const struct vmt_secondary_config *config = &all->slot[i].config;

		// Relaxed: written under this lock, but where a slot is on its way out.
		if (atomic_load_explicit(&all->slot[i].state, memory_order_relaxed) == SECONDARY_NONE)
			continue;
		low = config->start < low ? config->start : low;
		high = config->end > high ? config->end : high;
	}
	atomic_store_explicit(&all->low, low, memory_order_relaxed);
	atomic_store_explicit(&all->high, high, memory_order_relaxed);
}

// Takes a slot. False: there is none.
static bool secondary_take_slot(struct vmt_secondaries *all, const struct vmt_secondary_config *config, unsigned *id)
{
	for (*id = 0; *id < VMT_SECONDARIES; ++*id) {
		struct secondary *slot = &all->slot[*id];

		if (atomic_load_explicit(&slot->state, memory_order_relaxed) != SECONDARY_NONE)
			continue;
		slot->config = *config;
		atomic_store_explicit(&slot->state, SECONDARY_CHANGING, memory_order_relaxed);
		secondaries_measure(all);
		// Release: who finds it attached sees the config, and low and high.
		atomic_store_explicit(&slot->state, SECONDARY_ATTACHED, memory_order_seq_cst);
		return true;
	}
	return false;
}

enum vmt_status vmt_secondary_attach(struct vmt_space *space, const struct vmt_secondary_config *config, unsigned *id)
{
	struct vmt_secondary_config own = *config;
	enum vmt_status status;
	struct vmt_secondaries *all;
	bool taken;

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
	spin_lock(space->tree.port, &all->lock);
	taken = secondary_take_slot(all, &own, id);
	spin_unlock(space->tree.port, &all->lock);
	return taken ? VMT_OK : VMT_ERR_LIMIT;
}

void vmt_secondary_detach(struct vmt_space *space, unsigned id)
{
	struct vmt_secondaries *all = secondaries_of(&space->tree);
	struct secondary *slot = &all->slot[id];

	atomic_store_explicit(&slot->state, SECONDARY_CHANGING, memory_order_seq_cst);
	// Acquire pairs with the release in secondary_leave; sequentially consistent with secondary_enter.
	while (HOLDS(DETACH_WAITS) && atomic_load_explicit(&slot->inside, memory_order_seq_cst))
		vmt_port_relax(space->tree.port, true);
	if (secondary_is_lost(slot)) {
		// Relaxed: nobody looks before the slot is attached again.
		atomic_store_explicit(&slot->lost, false, memory_order_relaxed);
		atomic_fetch_sub_explicit(&all->lost, 1, memory_order_release);
		quarantine_end(space->tree.vmt);
	}
	spin_lock(space->tree.port, &all->lock);
	atomic_store_explicit(&slot->state, SECONDARY_NONE, memory_order_relaxed);
	secondaries_measure(all);
	spin_unlock(space->tree.port, &all->lock);
}

// Is it the memory of a lost one, which may still write there?
static bool secondaries_lost_memory(struct vmt_tree *tree, const struct vmt_device_memory *memory)
{
	struct vmt_secondaries *all = secondaries_of(tree);
	bool lost = false;

	for (unsigned i = 0; secondaries_lost(tree) && i < VMT_SECONDARIES; i++)
		if (secondary_is_lost(&all->slot[i]))
			lost |= all->slot[i].config.memory == memory;
	return lost;
}

// The subscription, if the secondary would be told if something in [addr, last] went. Its own faults are over before it
// detaches.
static enum vmt_status secondary_find(struct vmt_space *space, unsigned id, uint64_t addr, uint64_t last,
				      struct secondary **slot)
{
	struct vmt_secondaries *all = secondaries_of(&space->tree);

	if (!all || id >= VMT_SECONDARIES)
		return VMT_ERR_OUTSIDE;
	*slot = &all->slot[id];
	if (atomic_load_explicit(&(*slot)->state, memory_order_acquire) != SECONDARY_ATTACHED ||
	    addr < (*slot)->config.start || last >= (*slot)->config.end)
		return VMT_ERR_OUTSIDE;
	return secondary_is_lost(*slot) ? VMT_ERR_DEVICE : VMT_OK;
}

// The end of the space, which nobody else knows any more, is the end of all subscriptions but those of lost
// secondaries: VMT_ERR_DEVICE, since these may still reach what is there.
static enum vmt_status secondaries_end(struct vmt_space *space)
{
	struct vmt_tree *tree = &space->tree;
	struct vmt_secondaries *all = secondaries_of(tree);
	struct vmt_flush flush = {.space = space, .space_owner = tree->owner, .all = true, .start = tree->start,
				  .end = tree->end, .tables = true};
	struct batch none = {.told_end = 0};
	struct watch watch;
	bool done;

	if (!all || !HOLDS(EXIT_TOLD))
		return VMT_OK;
	watch_begin(&watch, space, tree->start, tree->end - tree->start, VMT_REASON_EXIT);
	vmt_port_preempt_off(tree->port);
	done = secondaries_wait(tree, &flush, VMT_REASON_EXIT, secondaries_issue(tree, &flush, VMT_REASON_EXIT));
	vmt_port_preempt_on(tree->port);
	watch_end(&watch, &none);
	for (unsigned i = 0; i < VMT_SECONDARIES; i++)
		if (!secondary_is_lost(&all->slot[i]))
			// Relaxed: the space is the caller's alone.
			atomic_store_explicit(&all->slot[i].state, SECONDARY_NONE, memory_order_relaxed);
	secondaries_measure(all);
	if (!done)
		return VMT_ERR_DEVICE;
	atomic_store_explicit(&tree->secondaries, NULL, memory_order_relaxed);
	vmt_port_mem_free(tree->port, all, sizeof(*all));
	return VMT_OK;
}

#endif
