// SPDX-License-Identifier: MIT
/*
 * Grace periods: freeing what readers without locks may still look at.
 *
 * A read-side section is any stretch with preemption off (preempt_disable, a spinlock, interrupts
 * off, an interrupt handler). A grace period is over when every CPU has, since it began, switched
 * tasks, been idle, been in user mode, or been interrupted while preemption was on. CPUs count these
 * quiescent states in a word of their own; nobody writes another's.
 *
 * Deferred functions run in a thread of the CPU that deferred them, preemption and interrupts on.
 * They may take spinlocks and mutexes; they should not sleep long. Normally within a few ticks
 * (a CPU that does not pass by itself is sent a reschedule IPI after the second tick).
 */
#ifndef KERNEL_GRACE_H
#define KERNEL_GRACE_H

#include <kernel/types.h>
#include <vmtree/frame.h>

/*
 * Calls item->run(NULL, item) after a grace period. Any context but NMI; never fails. The item is
 * the core's until run is called, which may free it.
 */
void grace_defer(struct vmt_deferred *item);

/* Waits for a full grace period, expedited: lagging CPUs are interrupted at once. May sleep. */
void grace_synchronize(void);

/*
 * Waits until every function that was deferred before the call, on any CPU, has returned. Expedites.
 * For memory pressure and shutdown. May sleep; not from a deferred function.
 */
void grace_barrier(void);

/* Items deferred and not yet run, summed over CPUs. */
uint64_t grace_pending(void);

#endif
