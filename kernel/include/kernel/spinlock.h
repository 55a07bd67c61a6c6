// SPDX-License-Identifier: MIT
/*
 * Spinlocks.
 *
 * spin_lock: preemption off, interrupts stay on, so IPIs (shootdowns of others) are served while
 * one spins and while one holds. For data that no interrupt handler touches.
 *
 * spin_lock_irqsave: interrupts off as well, for data shared with interrupt handlers. While it
 * spins it lets interrupts in when they were on before. A holder must not wait for another CPU.
 *
 * Lock order: docs/kernel.md. Acquire pairs with the release of the previous holder.
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <kernel/cpu.h>

struct spinlock {
	atomic_uint locked;
};

#define SPINLOCK_INIT { 0 }

static inline void spin_init(struct spinlock *l)
{
	/* Relaxed: the lock is published together with the structure that holds it. */
	atomic_store_explicit(&l->locked, 0, memory_order_relaxed);
}

static inline bool spin_try_raw(struct spinlock *l)
{
	/* Relaxed look first, so that waiters share the line; acquire pairs with spin_unlock. */
	return atomic_load_explicit(&l->locked, memory_order_relaxed) == 0 &&
	       atomic_exchange_explicit(&l->locked, 1, memory_order_acquire) == 0;
}

static inline bool spin_trylock(struct spinlock *l)
{
	preempt_disable();
	if (spin_try_raw(l))
		return true;
	preempt_enable();
	return false;
}

/* Between two attempts preemption is on, so that a waiter does not keep its CPU from the holder. */
static inline void spin_lock(struct spinlock *l)
{
	while (!spin_trylock(l))
		cpu_relax();
}

static inline void spin_unlock(struct spinlock *l)
{
	/* Release pairs with the acquire in spin_try_raw. */
	atomic_store_explicit(&l->locked, 0, memory_order_release);
	preempt_enable();
}

static inline bool spin_is_locked(struct spinlock *l)
{
	/* Relaxed: for assertions only. */
	return atomic_load_explicit(&l->locked, memory_order_relaxed) != 0;
}

/* Returns the flags for spin_unlock_irqrestore. */
static inline uint64_t spin_lock_irqsave(struct spinlock *l)
{
	uint64_t flags = irq_save();

	while (!spin_try_raw(l)) {
		irq_restore(flags);
		cpu_relax();
		irq_disable();
	}
	preempt_disable();
	return flags;
}

static inline void spin_unlock_irqrestore(struct spinlock *l, uint64_t flags)
{
	/* Release pairs with the acquire in spin_try_raw. */
	atomic_store_explicit(&l->locked, 0, memory_order_release);
	irq_restore(flags);
	preempt_enable();
}

/*
 * For who has turned interrupts off himself, for data that spin_lock_irqsave guards. It spins with
 * them off, so that the lock may be one only that is held for a short while.
 */
static inline void spin_lock_irqs_off(struct spinlock *l)
{
	while (!spin_try_raw(l))
		cpu_relax();
}

static inline void spin_unlock_irqs_off(struct spinlock *l)
{
	/* Release pairs with the acquire in spin_try_raw. */
	atomic_store_explicit(&l->locked, 0, memory_order_release);
}

#endif
