// SPDX-License-Identifier: MIT
/*
 * Sleeping: wait queues and mutexes.
 *
 * A waiter puts itself on the queue, then checks its condition, then sleeps; a waker makes the
 * condition true, then wakes. wake_* may be called from any context, interrupt handlers included.
 * Waiting needs a context that may sleep (thread, preemption on, interrupts on).
 *
 * The queue's lock is innermost but for the run queue's; the condition is evaluated without it.
 */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include <kernel/errno.h>
#include <kernel/list.h>
#include <kernel/spinlock.h>

struct task;

struct waitqueue {
	struct spinlock lock; /* irqsave; guards waiters */
	struct list waiters;
};

#define WAITQUEUE_INIT(name) { SPINLOCK_INIT, LIST_INIT((name).waiters) }

struct waiter {
	struct list link;
	struct task *task;
};

static inline void waitqueue_init(struct waitqueue *q)
{
	spin_init(&q->lock);
	list_init(&q->waiters);
}

/* Wakes all, or the first n waiters. */
void wake_all(struct waitqueue *q);
void wake_some(struct waitqueue *q, unsigned int n);
static inline void wake_one(struct waitqueue *q)
{
	wake_some(q, 1);
}

enum wait_mode {
	WAIT_UNINTERRUPTIBLE,
	WAIT_INTERRUPTIBLE, /* a pending signal ends it */
};

#define WAIT_FOREVER UINT64_MAX

/*
 * The three steps of every wait; use the macros below unless several queues are waited on (poll):
 *   waiter_add for each queue, then loop { wait_prepare(mode); if (condition) break;
 *   if ((err = wait_sleep(mode, deadline))) break; } then wait_finish(), waiter_remove for each.
 */
void waiter_add(struct waitqueue *q, struct waiter *w);
void waiter_remove(struct waitqueue *q, struct waiter *w);
void wait_prepare(enum wait_mode mode);
void wait_finish(void);

/*
 * Sleeps until woken, until a signal (-ERESTARTSYS; interruptible only), or until ktime_ns()
 * reaches the deadline (-ETIMEDOUT). 0: woken, look at the condition again.
 */
int wait_sleep(enum wait_mode mode, uint64_t deadline_ns);

/* 0 when the condition held, else -ERESTARTSYS or -ETIMEDOUT (the condition had the last word). */
#define wait_event_full(q, cond, mode, deadline_ns) \
	({ \
		int we_err = 0; \
		struct waiter we_w; \
		if (!(cond)) { \
			waiter_add((q), &we_w); \
			for (;;) { \
				wait_prepare(mode); \
				if (cond) { \
					we_err = 0; \
					break; \
				} \
				if (we_err) \
					break; \
				we_err = wait_sleep((mode), (deadline_ns)); \
			} \
			wait_finish(); \
			waiter_remove((q), &we_w); \
		} \
		we_err; \
	})

#define wait_event(q, cond) \
	((void)wait_event_full(q, cond, WAIT_UNINTERRUPTIBLE, WAIT_FOREVER))
#define wait_event_interruptible(q, cond) \
	wait_event_full(q, cond, WAIT_INTERRUPTIBLE, WAIT_FOREVER)
#define wait_event_timeout(q, cond, deadline_ns) \
	wait_event_full(q, cond, WAIT_UNINTERRUPTIBLE, deadline_ns)
#define wait_event_interruptible_timeout(q, cond, deadline_ns) \
	wait_event_full(q, cond, WAIT_INTERRUPTIBLE, deadline_ns)

/*
 * Sleeping mutex; not recursive. Held over sleeps and user memory accesses. Taken before any
 * spinlock. The thread that locks unlocks.
 */
struct mutex {
	atomic_uint state; /* 0 free, 1 held, 2 held and somebody may wait */
	struct task *owner; /* for assertions */
	struct waitqueue queue;
};

#define MUTEX_INIT(name) { 0, NULL, WAITQUEUE_INIT((name).queue) }

void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
/* -ERESTARTSYS when a signal came first; then the mutex is not held. */
int mutex_lock_interruptible(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(struct mutex *m); /* by the caller */

#endif
