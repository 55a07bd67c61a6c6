// SPDX-License-Identifier: MIT
/*
 * Grace periods (kernel/grace.h).
 *
 * Each CPU has a counter that only it writes, with interrupts off: odd while the CPU is idle, raised
 * by 2 at every other quiescent state. A waiter takes a copy of all counters; a CPU has passed when
 * its copy was odd or its counter has changed.
 *
 * Why that is right: the waiter's removal of an item comes before its fence and the copy. A CPU's
 * raise of the counter is a release store followed by a fence. If the copy has the old value, the
 * CPU's fence comes after the waiter's, and sections that begin after it see the removal; sections
 * before it ended before the release store that the waiter waits to see (acquire).
 *
 * Deferred items are queued on the CPU that defers them, with interrupts off, and taken by a thread
 * that is bound to that CPU: no lock, and no word that two CPUs write.
 */
#include <kernel/grace.h>

#include <kernel/ipi.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

#include "core.h"

#define PATIENCE 2 /* ticks before a CPU that does not pass is interrupted */
#define BACKLOG 4096 /* items on one CPU from which on grace periods are expedited */
#define EXPEDITED_WAIT_NS 100000UL

struct grace_cpu {
	_Atomic uint64_t counter;
	_Atomic(struct vmt_deferred *) first; /* read by the thread's wait outside of irq_save */
	struct vmt_deferred *last;
	_Atomic uint64_t queued, done; /* written by this CPU only; statistics and backlog */
	struct task *thread;
	struct waitqueue wait;
} __cacheline;

struct barrier_item {
	struct vmt_deferred deferred;
	struct grace_barrier_state *state;
};

struct grace_barrier_state {
	struct barrier_item items[MAX_CPUS];
	atomic_uint left;
	struct waitqueue wait;
};

static struct grace_cpu cpus[MAX_CPUS];
static atomic_uint hurried; /* barriers under way: threads do not sit out ticks */

/* Interrupts off. */
static void counter_raise(struct grace_cpu *g, uint64_t by)
{
	/* Relaxed load: nobody else writes. Release and fence: see the head of the file. */
	uint64_t v = atomic_load_explicit(&g->counter, memory_order_relaxed);

	atomic_store_explicit(&g->counter, v + by, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

static bool is_idle(struct grace_cpu *g)
{
	/* Relaxed: written by this CPU. */
	return atomic_load_explicit(&g->counter, memory_order_relaxed) & 1;
}

void grace_quiescent(void)
{
	counter_raise(&cpus[cpu_id()], 2);
}

void grace_idle_enter(void)
{
	counter_raise(&cpus[cpu_id()], 1);
}

void grace_idle_exit(void)
{
	struct grace_cpu *g = &cpus[cpu_id()];

	if (is_idle(g))
		counter_raise(g, 1);
}

void grace_irq_enter(void)
{
	struct grace_cpu *g = &cpus[cpu_id()];

	if (is_idle(g))
		counter_raise(g, 1);
	else if (this_cpu()->preempt_count == 0)
		counter_raise(g, 2);
}

/* CPUs of `waiting` that have not passed since the copy was taken. */
static cpumask_t still_waiting(cpumask_t waiting, const uint64_t *copy)
{
	for (cpumask_t m = waiting; m; m &= m - 1) {
		unsigned int i = (unsigned int)__builtin_ctzl(m);

		/* Acquire pairs with the release in counter_raise. */
		if (atomic_load_explicit(&cpus[i].counter, memory_order_acquire) != copy[i])
			waiting &= ~CPU_BIT(i);
	}
	return waiting;
}

static bool in_a_hurry(struct grace_cpu *g)
{
	/* Relaxed: a hint that is looked at every tick. */
	return atomic_load_explicit(&hurried, memory_order_relaxed) ||
	       (g && atomic_load_explicit(&g->queued, memory_order_relaxed) -
				       atomic_load_explicit(&g->done, memory_order_relaxed) >
			       BACKLOG);
}

/* Preemption on. g: the CPU whose backlog decides about the hurry, NULL: hurry. */
static void wait_period(struct grace_cpu *g)
{
	uint64_t copy[MAX_CPUS];
	cpumask_t waiting = 0;

	/* Full fence: removal before copy; pairs with counter_raise. */
	atomic_thread_fence(memory_order_seq_cst);
	preempt_disable();
	for (unsigned int i = 0; i < cpu_count(); i++) {
		/* Acquire pairs with counter_raise: an idle CPU's last section is over. */
		copy[i] = atomic_load_explicit(&cpus[i].counter, memory_order_acquire);
		/* This thread runs with preemption on, so nobody reads on its own CPU. */
		if (!(copy[i] & 1) && i != cpu_id())
			waiting |= CPU_BIT(i);
	}
	preempt_enable();
	for (unsigned int round = 0; (waiting = still_waiting(waiting, copy)) != 0; round++) {
		bool hurry = !g || in_a_hurry(g);

		if (hurry || round >= PATIENCE)
			for (cpumask_t m = waiting; m; m &= m - 1)
				ipi_reschedule((unsigned int)__builtin_ctzl(m));
		/* One sleep; woken early when a barrier begins. */
		wait_prepare(WAIT_UNINTERRUPTIBLE);
		wait_sleep(WAIT_UNINTERRUPTIBLE, ktime_ns() + (hurry ? EXPEDITED_WAIT_NS : TICK_NS));
		wait_finish();
	}
}

void grace_synchronize(void)
{
	assert(may_sleep());
	wait_period(NULL);
}

static void queue_here(struct vmt_deferred *item)
{
	struct grace_cpu *g = &cpus[cpu_id()];
	/* Relaxed, here and below: only this CPU writes, interrupts are off. */
	bool empty = !atomic_load_explicit(&g->first, memory_order_relaxed);

	item->next = NULL;
	if (empty)
		atomic_store_explicit(&g->first, item, memory_order_relaxed);
	else
		g->last->next = item;
	g->last = item;
	atomic_store_explicit(&g->queued, atomic_load_explicit(&g->queued, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (empty && g->thread)
		wake_all(&g->wait);
}

void grace_defer(struct vmt_deferred *item)
{
	uint64_t flags = irq_save();

	queue_here(item);
	irq_restore(flags);
}

static struct vmt_deferred *take_all(struct grace_cpu *g)
{
	uint64_t flags = irq_save();
	struct vmt_deferred *first = atomic_load_explicit(&g->first, memory_order_relaxed);

	/* Relaxed: the thread is bound to the CPU that writes it. */
	atomic_store_explicit(&g->first, NULL, memory_order_relaxed);
	irq_restore(flags);
	return first;
}

static _Noreturn int grace_thread(void *arg)
{
	struct grace_cpu *g = arg;

	for (;;) {
		struct vmt_deferred *item, *next;

		/* Relaxed: same CPU. */
		wait_event(&g->wait, atomic_load_explicit(&g->first, memory_order_relaxed) != NULL);
		item = take_all(g);
		wait_period(g);
		for (; item; item = next) {
			next = item->next;
			item->run(NULL, item);
			/* Relaxed: only this thread writes. */
			atomic_store_explicit(&g->done,
					      atomic_load_explicit(&g->done, memory_order_relaxed) + 1,
					      memory_order_relaxed);
		}
	}
}

static void barrier_run(void *unused, struct vmt_deferred *item)
{
	struct grace_barrier_state *s = container_of(item, struct barrier_item, deferred)->state;
	uint64_t flags;

	(void)unused;
	/*
	 * Under the queue's lock: the waiter's last act is to take it (waiter_remove), so it does not
	 * leave, and its stack with the state on it, before we have finished here.
	 * Acq_rel: what the items before did is seen by the waiter, who loads with acquire.
	 */
	flags = spin_lock_irqsave(&s->wait.lock);
	if (atomic_fetch_sub_explicit(&s->left, 1, memory_order_acq_rel) == 1)
		task_wake(list_first(&s->wait.waiters, struct waiter, link)->task);
	spin_unlock_irqrestore(&s->wait.lock, flags);
}

static void barrier_queue(void *arg)
{
	struct grace_barrier_state *s = arg;
	struct barrier_item *item = &s->items[cpu_id()];

	item->state = s;
	item->deferred.run = barrier_run;
	grace_defer(&item->deferred);
}

void grace_barrier(void)
{
	struct grace_barrier_state s;
	struct waiter w;

	assert(may_sleep());
	waitqueue_init(&s.wait);
	/* Relaxed: published by ipi_call. */
	atomic_store_explicit(&s.left, cpu_count(), memory_order_relaxed);
	waiter_add(&s.wait, &w);
	/* Relaxed: a hint. */
	atomic_fetch_add_explicit(&hurried, 1, memory_order_relaxed);
	ipi_call(cpu_all(), barrier_queue, &s);
	for (unsigned int i = 0; i < cpu_count(); i++)
		task_wake(cpus[i].thread);
	for (;;) {
		wait_prepare(WAIT_UNINTERRUPTIBLE);
		/* Acquire pairs with barrier_run. */
		if (!atomic_load_explicit(&s.left, memory_order_acquire))
			break;
		wait_sleep(WAIT_UNINTERRUPTIBLE, WAIT_FOREVER);
	}
	wait_finish();
	waiter_remove(&s.wait, &w);
	atomic_fetch_sub_explicit(&hurried, 1, memory_order_relaxed);
}

uint64_t grace_pending(void)
{
	uint64_t n = 0;

	/* Relaxed: statistics. done before queued, so that the difference is never negative. */
	for (unsigned int i = 0; i < cpu_count(); i++) {
		uint64_t done = atomic_load_explicit(&cpus[i].done, memory_order_relaxed);

		n += atomic_load_explicit(&cpus[i].queued, memory_order_relaxed) - done;
	}
	return n;
}

void grace_setup(void)
{
	for (unsigned int i = 0; i < cpu_count(); i++) {
		char name[16];
		struct task *t;

		snprintf(name, sizeof(name), "grace/%u", i);
		waitqueue_init(&cpus[i].wait);
		t = task_create(name, grace_thread, &cpus[i]);
		assert(t);
		t->flags |= TASK_URGENT;
		task_set_affinity(t, CPU_BIT(i));
		cpus[i].thread = t;
		task_start(t);
	}
}
