// SPDX-License-Identifier: MIT
/*
 * Wait queues and mutexes (kernel/wait.h).
 */
#include <kernel/wait.h>

#include <kernel/printk.h>
#include <kernel/task.h>
#include <kernel/time.h>

struct sleep_timer {
	struct timer timer;
	struct task *task;
};

void waiter_add(struct waitqueue *q, struct waiter *w)
{
	uint64_t flags;

	w->task = current();
	flags = spin_lock_irqsave(&q->lock);
	list_add_tail(&q->waiters, &w->link);
	spin_unlock_irqrestore(&q->lock, flags);
}

void waiter_remove(struct waitqueue *q, struct waiter *w)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	list_del(&w->link);
	spin_unlock_irqrestore(&q->lock, flags);
}

void wake_some(struct waitqueue *q, unsigned int n)
{
	uint64_t flags;
	struct waiter *w;

	/*
	 * The condition was stored before; a waiter on the list stores its state before it looks at
	 * the condition. The fence pairs with the one in wait_prepare, also for the list's emptiness.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	flags = spin_lock_irqsave(&q->lock);
	list_for_each(w, &q->waiters, link) {
		if (!n)
			break;
		/* Who is awake already looks at the condition anyway and does not count. */
		if (task_wake(w->task))
			n--;
	}
	spin_unlock_irqrestore(&q->lock, flags);
}

void wake_all(struct waitqueue *q)
{
	wake_some(q, ~0u);
}

void wait_prepare(enum wait_mode mode)
{
	int state = mode == WAIT_INTERRUPTIBLE ? TASK_SLEEPING_INT : TASK_SLEEPING;

	assert(may_sleep());
	/* The fence: state before the look at the condition. Pairs with those in wakers. */
	atomic_store_explicit(&current()->state, state, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

void wait_finish(void)
{
	/* Relaxed: a waker that still sees the old state changes it to the same. */
	atomic_store_explicit(&current()->state, TASK_RUNNABLE, memory_order_relaxed);
}

static void sleep_timer_fn(struct timer *t)
{
	task_wake(container_of(t, struct sleep_timer, timer)->task);
}

int wait_sleep(enum wait_mode mode, uint64_t deadline_ns)
{
	struct sleep_timer st;
	bool timed = deadline_ns != WAIT_FOREVER;
	bool interruptible = mode == WAIT_INTERRUPTIBLE;

	if (interruptible && task_signal_pending(current()))
		return -ERESTARTSYS;
	if (timed && ktime_ns() >= deadline_ns)
		return -ETIMEDOUT;
	if (timed) {
		timer_init(&st.timer, sleep_timer_fn);
		st.task = current();
		timer_start(&st.timer, deadline_ns);
	}
	schedule();
	if (timed)
		timer_cancel(&st.timer);
	if (interruptible && task_signal_pending(current()))
		return -ERESTARTSYS;
	return timed && ktime_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

int task_sleep_until(uint64_t ktime, bool interruptible)
{
	enum wait_mode mode = interruptible ? WAIT_INTERRUPTIBLE : WAIT_UNINTERRUPTIBLE;
	int err;

	do {
		wait_prepare(mode);
		err = wait_sleep(mode, ktime);
	} while (!err);
	wait_finish();
	return err == -ETIMEDOUT ? 0 : err;
}

void mutex_init(struct mutex *m)
{
	/* Relaxed: published with the structure around it. */
	atomic_store_explicit(&m->state, 0, memory_order_relaxed);
	m->owner = NULL;
	waitqueue_init(&m->queue);
}

bool mutex_trylock(struct mutex *m)
{
	unsigned int free = 0;

	/* Acquire pairs with the release in mutex_unlock. */
	if (!atomic_compare_exchange_strong_explicit(&m->state, &free, 1, memory_order_acquire,
						     memory_order_relaxed))
		return false;
	m->owner = current();
	return true;
}

/* Whoever takes it here leaves 2, for it cannot know that nobody else waits. */
static int mutex_lock_slow(struct mutex *m, enum wait_mode mode)
{
	struct waiter w;
	int err = 0;

	waiter_add(&m->queue, &w);
	for (;;) {
		wait_prepare(mode);
		/* Acquire pairs with the release in mutex_unlock. */
		if (atomic_exchange_explicit(&m->state, 2, memory_order_acquire) == 0) {
			m->owner = current();
			err = 0;
			break;
		}
		if (err)
			break;
		err = wait_sleep(mode, WAIT_FOREVER);
	}
	wait_finish();
	waiter_remove(&m->queue, &w);
	return err;
}

void mutex_lock(struct mutex *m)
{
	assert(may_sleep());
	if (!mutex_trylock(m))
		mutex_lock_slow(m, WAIT_UNINTERRUPTIBLE);
}

int mutex_lock_interruptible(struct mutex *m)
{
	assert(may_sleep());
	return mutex_trylock(m) ? 0 : mutex_lock_slow(m, WAIT_INTERRUPTIBLE);
}

void mutex_unlock(struct mutex *m)
{
	assert(mutex_held(m));
	m->owner = NULL;
	/* Release pairs with the acquires above. */
	if (atomic_exchange_explicit(&m->state, 0, memory_order_release) == 2)
		wake_one(&m->queue);
}

bool mutex_held(struct mutex *m)
{
	/* Relaxed: if it is held by the caller, nobody else changes either field. */
	return atomic_load_explicit(&m->state, memory_order_relaxed) && m->owner == current();
}
