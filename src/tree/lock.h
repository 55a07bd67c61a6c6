// SPDX-License-Identifier: MIT
// The lock of a node: one word, two modes.
//
//	31    30    29                       15           0
//	+----+----+----+---------------------+-------------+
//	|EXCL|FOLD|WAIT|                     | pins        |
//	+----+----+----+---------------------+-------------+
//
// *exclusive*: one holder, who may change the node's entries, ids and counts.
// *pin*: any number of holders; tables stay tables and leaves stay leaves in this node's slots, since only an exclusive
// holder changes them. Entries further down change under their own locks.
// FOLD: somebody emptied a table below and could not get this lock. Whoever gives the lock up takes the mark with it
// and must look. It is set only while the word is held, so it cannot be missed. It carries no data and needs no order:
// the one who set it held the lock of the emptied node, and the one who looks locks that node. Were his turn there
// before the other's, he would have read the mark before it was set.
// WAIT: a writer waits; new pins stand back for a while, so that readers cannot keep it out for ever, nor two writers
// who take turns the readers.
//
// Order: parents before children, addresses ascending. Upwards only by trying. A waiter holds preemption off (or a
// read-side section) and calls vmt_port_relax, which serves flush requests: the holder may be waiting for this CPU's
// answer (races.md 23).
#ifndef VMT_TREE_LOCK_H
#define VMT_TREE_LOCK_H

#define LOCK_EXCL (UINT32_C(1) << 31)
#define LOCK_FOLD (UINT32_C(1) << 30)
#define LOCK_WAIT (UINT32_C(1) << 29)
#define LOCK_PINS UINT32_C(0xffff)

// How often a reader stands back.
#define LOCK_PATIENCE 64

static inline bool lock_try_exclusive(struct vmt_node *node)
{
	uint32_t word = atomic_load_explicit(&node->lock, memory_order_relaxed);

	// Acquire pairs with the release in lock_release and lock_unpin.
	return !(word & (LOCK_EXCL | LOCK_PINS)) &&
	       atomic_compare_exchange_strong_explicit(&node->lock, &word, (word | LOCK_EXCL) & ~LOCK_WAIT,
						       memory_order_acquire, memory_order_relaxed);
}

SELDOM static void lock_wait_exclusive(void *port, struct vmt_node *node)
{
	do {
		uint32_t word = atomic_load_explicit(&node->lock, memory_order_relaxed);

		// Relaxed: the mark carries no data.
		if (word & (LOCK_EXCL | LOCK_PINS) && !(word & LOCK_WAIT))
			atomic_compare_exchange_strong_explicit(&node->lock, &word, word | LOCK_WAIT,
								memory_order_relaxed, memory_order_relaxed);
		vmt_port_relax(port, false);
	} while (!lock_try_exclusive(node));
}

static inline void lock_exclusive(void *port, struct vmt_node *node)
{
	if (!lock_try_exclusive(node))
		lock_wait_exclusive(port, node);
}

// Gives the exclusive lock up where nobody has marked it. False: somebody has, and it is still held.
static inline bool lock_release_unmarked(struct vmt_node *node)
{
	uint32_t word = LOCK_EXCL;

	// Release pairs with the acquire of the next holder.
	return atomic_compare_exchange_strong_explicit(&node->lock, &word, 0, memory_order_release,
						       memory_order_relaxed);
}

// Gives the exclusive lock up. True: a fold below this node was left to us.
static bool lock_release(struct vmt_node *node)
{
	// Release pairs with the acquire in lock_try_exclusive and lock_pin.
	return atomic_fetch_and_explicit(&node->lock, ~(LOCK_EXCL | LOCK_FOLD), memory_order_release) & LOCK_FOLD &&
	       HOLDS(FOLD_MARK);
}

static void lock_pin(void *port, struct vmt_node *node)
{
	for (unsigned round = 0;; round++) {
		uint32_t back = round < LOCK_PATIENCE ? LOCK_EXCL | LOCK_WAIT : LOCK_EXCL;
		uint32_t word = atomic_load_explicit(&node->lock, memory_order_relaxed);

		// Acquire pairs with the release in lock_release.
		if (!(word & back) &&
		    atomic_compare_exchange_weak_explicit(&node->lock, &word, word + 1, memory_order_acquire,
							  memory_order_relaxed))
			return;
		vmt_port_relax(port, false);
	}
}

// Drops a pin. True: it was the last one and a fold was left to us.
static bool lock_unpin(struct vmt_node *node)
{
	uint32_t word = atomic_load_explicit(&node->lock, memory_order_relaxed);
	uint32_t next;

	do {
		next = word - 1;
		if (!(next & LOCK_PINS))
			next &= ~LOCK_FOLD;
		// Release pairs with the acquire in lock_try_exclusive: our reads come before the writer's writes.
	} while (!atomic_compare_exchange_weak_explicit(&node->lock, &word, next, memory_order_release,
							memory_order_relaxed));
	return word & LOCK_FOLD && !(next & LOCK_PINS) && HOLDS(FOLD_MARK_PIN);
}

// Tries to lock a parent from below. False: its holder has the FOLD mark and will look.
static bool lock_try_or_mark(struct vmt_node *node)
{
	for (;;) {
		uint32_t word = atomic_load_explicit(&node->lock, memory_order_relaxed);

		if (!(word & (LOCK_EXCL | LOCK_PINS))) {
			if (lock_try_exclusive(node))
				return true;
			continue;
		}
		// Relaxed: see FOLD above.
		if (atomic_compare_exchange_weak_explicit(&node->lock, &word, word | LOCK_FOLD, memory_order_relaxed,
							  memory_order_relaxed))
			return false;
	}
}

// ---- A lock for a few instructions -------------------------------------------------------------------------------

static void spin_lock(void *port, struct spin *spin)
{
	vmt_port_preempt_off(port);
	// Acquire pairs with the release in spin_unlock.
	while (atomic_exchange_explicit(&spin->word, 1, memory_order_acquire))
		vmt_port_relax(port, false);
}

static void spin_unlock(void *port, struct spin *spin)
{
	atomic_store_explicit(&spin->word, 0, memory_order_release);
	vmt_port_preempt_on(port);
}

#endif
