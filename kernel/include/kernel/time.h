// SPDX-License-Identifier: MIT
/*
 * Clocks and timers.
 */
#ifndef KERNEL_TIME_H
#define KERNEL_TIME_H

#include <kernel/list.h>
#include <kernel/spinlock.h>

#define NSEC_PER_SEC 1000000000UL
#define TICK_NS 4000000UL /* 250 Hz, while a CPU is not idle */

/* Nanoseconds since boot, monotonic, the same on all CPUs. Any context. */
uint64_t ktime_ns(void);

/* Wall clock: `epoch` of the configuration plus ktime_ns(); 0-based when there is none. */
uint64_t wall_ns(void);

/*
 * Timers call fn(timer) once at or shortly after their time, in interrupt context (interrupts off,
 * on the CPU that armed them). fn may arm the timer again and may wake tasks.
 */
struct timer {
	struct list link; /* guarded by the lock of the base */
	uint64_t expires;
	void (*fn)(struct timer *t);
	_Atomic(struct timer_base *) base; /* of the CPU that holds it, NULL: not armed */
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));

/* Arms an idle timer for ktime `expires`; panics if it is armed. Any context. */
void timer_start(struct timer *t, uint64_t expires);

/*
 * Disarms. True: it was armed and will not run. False: it was not, or has run; in any case fn is not
 * running any more when this returns. Any context but fn of the same timer; do not hold a lock that
 * fn takes.
 */
bool timer_cancel(struct timer *t);

#endif
