// SPDX-License-Identifier: MIT
/*
 * The scheduler: a queue for each CPU, round robin with slices of two ticks, idle CPUs steal.
 *
 * Locks: task->lock, then run queue lock; never two run queues. A task is on a queue (linked), or
 * runs, or is on its way from a waker to a queue, or sleeps; on_rq is true for the first three.
 *
 * A sleeper sets its state, checks its condition, calls schedule(). schedule() looks at the state
 * under task->lock, and so does a waker: it finds the sleeper either still on_rq, and changing the
 * state is enough, or off it, and then queues it as soon as it has left its stack (on_cpu).
 * A preempted task stays on the queue whatever its state.
 */
#include <kernel/errno.h>
#include <kernel/hooks.h>
#include <kernel/ipi.h>
#include <kernel/printk.h>
#include <kernel/task.h>
#include <kernel/time.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

#define SLICE_TICKS 2

struct run_queue {
	struct spinlock lock; /* irqsave: queue */
	struct list queue;
	atomic_uint nr_queued; /* written under lock, read by everybody as a hint */
	atomic_bool idle; /* this CPU sleeps or is about to; who clears it sends an IPI */
} __cacheline;

static struct run_queue run_queues[MAX_CPUS];

static bool allowed(struct task *t, unsigned int cpu)
{
	/* Relaxed: a change is followed by a look at where the task is (task_set_affinity). */
	return atomic_load_explicit(&t->affinity, memory_order_relaxed) & CPU_BIT(cpu);
}

static unsigned int queued_on(unsigned int cpu)
{
	/* Relaxed: a hint, except in idle_sleep, which has a fence. */
	return atomic_load_explicit(&run_queues[cpu].nr_queued, memory_order_relaxed);
}

/* True for the one caller that ends the CPU's idle state; it has to send the IPI. */
static bool claim_idle(unsigned int cpu)
{
	struct run_queue *rq = &run_queues[cpu];

	/* Relaxed look; acq_rel pairs with idle_sleep's stores. */
	return atomic_load_explicit(&rq->idle, memory_order_relaxed) &&
	       atomic_exchange_explicit(&rq->idle, false, memory_order_acq_rel);
}

/* Under rq->lock. */
static void queue_put(struct run_queue *rq, struct task *t)
{
	if (t->flags & TASK_URGENT)
		list_add(&rq->queue, &t->rq_link);
	else
		list_add_tail(&rq->queue, &t->rq_link);
	/* Relaxed: only written under the lock. */
	atomic_store_explicit(&rq->nr_queued, queued_on((unsigned int)(rq - run_queues)) + 1,
			      memory_order_relaxed);
}

static void queue_remove(struct run_queue *rq, struct task *t)
{
	list_del(&t->rq_link);
	/* Relaxed: only written under the lock. */
	atomic_store_explicit(&rq->nr_queued, queued_on((unsigned int)(rq - run_queues)) - 1,
			      memory_order_relaxed);
}

/* Where a task that became runnable goes: its last CPU if idle, any idle one, the shortest queue. */
static unsigned int choose_cpu(struct task *t, bool *claimed)
{
	/* Relaxed: a hint. */
	unsigned int last = atomic_load_explicit(&t->cpu, memory_order_relaxed), best = MAX_CPUS;

	*claimed = true;
	if (allowed(t, last) && claim_idle(last))
		return last;
	for (unsigned int i = 0; i < cpu_count(); i++)
		if (allowed(t, i) && claim_idle(i))
			return i;
	*claimed = false;
	for (unsigned int n = 0; n < cpu_count(); n++) {
		unsigned int i = (last + n) % cpu_count();

		if (allowed(t, i) && (best == MAX_CPUS || queued_on(i) < queued_on(best)))
			best = i;
	}
	assert(best != MAX_CPUS);
	return best;
}

static void kick(unsigned int cpu)
{
	uint64_t flags = irq_save();

	if (cpu == cpu_id())
		this_cpu()->need_resched = 1;
	else
		ipi_reschedule(cpu);
	irq_restore(flags);
}

/* The task is runnable, not queued, off its stack, and nobody else will queue it. Any context. */
static void enqueue(struct task *t)
{
	bool claimed;
	unsigned int cpu = choose_cpu(t, &claimed);
	struct run_queue *rq = &run_queues[cpu];
	uint64_t flags = spin_lock_irqsave(&rq->lock);

	/* Relaxed: read under this lock, or as a hint. */
	atomic_store_explicit(&t->cpu, cpu, memory_order_relaxed);
	queue_put(rq, t);
	spin_unlock_irqrestore(&rq->lock, flags);
	/* Pairs with the fence in idle_sleep: it sees the task, or we see that it went idle. */
	atomic_thread_fence(memory_order_seq_cst);
	if (claimed || claim_idle(cpu) || (t->flags & TASK_URGENT))
		kick(cpu);
}

/* A queued task of another CPU that may run here and has left its stack. */
static struct task *steal_from(struct run_queue *rq, unsigned int self)
{
	struct task *t, *found = NULL;
	uint64_t flags = spin_lock_irqsave(&rq->lock);

	list_for_each(t, &rq->queue, rq_link) {
		/* Acquire pairs with the release in finish_switch: its saved state is complete. */
		if (allowed(t, self) && !atomic_load_explicit(&t->on_cpu, memory_order_acquire)) {
			found = t;
			queue_remove(rq, t);
			break;
		}
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	return found;
}

static struct task *steal(unsigned int self)
{
	for (unsigned int n = 1; n < cpu_count(); n++) {
		unsigned int i = (self + n) % cpu_count();
		struct task *t = queued_on(i) ? steal_from(&run_queues[i], self) : NULL;

		if (t)
			return t;
	}
	return NULL;
}

/*
 * Interrupts off. Puts prev back if it stays runnable, takes the next one. `stays` and not on_rq: if
 * prev left, a waker may set on_rq at any time and queues it itself.
 */
static struct task *pick_next(struct percpu *c, struct task *prev, bool stays)
{
	struct run_queue *rq = &run_queues[c->id];
	uint64_t flags = spin_lock_irqsave(&rq->lock);
	struct task *next = NULL;

	if (stays && prev != c->idle) {
		if (allowed(prev, c->id))
			queue_put(rq, prev);
		else
			prev->migrate = true; /* finish_switch queues it elsewhere */
	}
	if (!list_empty(&rq->queue)) {
		next = list_first(&rq->queue, struct task, rq_link);
		queue_remove(rq, next);
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	if (!next)
		next = steal(c->id);
	return next ? next : c->idle;
}

/* On the new task's stack, interrupts off. */
static void finish_switch(struct task *prev)
{
	bool migrate = prev->migrate;
	/* Relaxed: TASK_DEAD is final and was set by prev itself on this CPU. */
	bool dead = atomic_load_explicit(&prev->state, memory_order_relaxed) == TASK_DEAD && !prev->on_rq;

	prev->migrate = false;
	/* Release pairs with the acquire in steal_from and task_wake: prev's stack is free to use. */
	atomic_store_explicit(&prev->on_cpu, false, memory_order_release);
	if (migrate)
		enqueue(prev);
	if (dead)
		task_put(prev);
}

static void account_switch(struct percpu *c, struct task *prev, struct task *next)
{
	uint64_t now = ktime_ns();

	prev->run_ns += now - prev->run_since;
	next->run_since = now;
	next->slice = SLICE_TICKS;
	next->nr_switches++;
	c->nr_switches++;
}

/* Decides under the lock that wakers take whether the task goes to sleep; true: it does. */
static bool leave_queue(struct task *t)
{
	bool leaves = false;
	uint64_t flags = spin_lock_irqsave(&t->lock);
	/* Relaxed: changed under the lock that is held, or by this task itself. */
	int state = atomic_load_explicit(&t->state, memory_order_relaxed);

	if (state == TASK_SLEEPING_INT && task_signal_pending(t))
		atomic_store_explicit(&t->state, TASK_RUNNABLE, memory_order_relaxed);
	else if (state != TASK_RUNNABLE)
		leaves = true;
	if (leaves)
		t->on_rq = false;
	spin_unlock_irqrestore(&t->lock, flags);
	return leaves;
}

/* Interrupts off, preempt_count 1. */
static void switch_task(bool preempted)
{
	struct percpu *c = this_cpu();
	struct task *prev = c->current, *next;
	bool stays = true;

	assert(c->preempt_count == 1);
	grace_quiescent();
	c->need_resched = 0;
	/* Relaxed: the task's own store, or a waker's, which leave_queue looks at under the lock. */
	if (!preempted && atomic_load_explicit(&prev->state, memory_order_relaxed) != TASK_RUNNABLE)
		stays = !leave_queue(prev);
	next = pick_next(c, prev, stays);
	if (next == prev) {
		prev->slice = SLICE_TICKS;
		return;
	}
	assert(*(uint64_t *)prev->kstack == KSTACK_MAGIC);
	/* Relaxed: next is known to this CPU alone until it is queued again. */
	atomic_store_explicit(&next->on_cpu, true, memory_order_relaxed);
	atomic_store_explicit(&next->cpu, c->id, memory_order_relaxed);
	account_switch(c, prev, next);
	if (next->notify_switch)
		/* Relaxed: read by the task itself on its way to user mode. */
		atomic_fetch_or_explicit(&next->pending_work, WORK_OTHER, memory_order_relaxed);
	if (prev == c->idle)
		timer_busy();
	else if (next == c->idle)
		timer_idle();
	arch_switch_in(prev, next);
	finish_switch(task_switch(prev, next));
}

void schedule(void)
{
	uint64_t flags = irq_save();

	preempt_disable();
	switch_task(false);
	preempt_enable_no_resched();
	irq_restore(flags);
}

void schedule_from_irq(void)
{
	preempt_disable();
	switch_task(true);
	preempt_enable_no_resched();
}

void preempt_schedule(void)
{
	if (!irq_enabled())
		return; /* on the way out of the interrupt, or at the next preempt_enable */
	irq_disable();
	if (this_cpu()->need_resched && this_cpu()->preempt_count == 0)
		schedule_from_irq();
	irq_enable();
}

/* First on a new task's own stack; interrupts stay off. */
void sched_first_switch(struct task *prev)
{
	finish_switch(prev);
	preempt_enable_no_resched();
}

bool task_wake(struct task *t)
{
	uint64_t flags;
	bool woken = false, queue = false;

	/* Full fence: the waker's condition before the look at the state; pairs with wait_prepare. */
	atomic_thread_fence(memory_order_seq_cst);
	flags = spin_lock_irqsave(&t->lock);
	/* Relaxed: under the lock. */
	switch (atomic_load_explicit(&t->state, memory_order_relaxed)) {
	case TASK_SLEEPING:
	case TASK_SLEEPING_INT:
		atomic_store_explicit(&t->state, TASK_RUNNABLE, memory_order_relaxed);
		woken = true;
		queue = !t->on_rq;
		t->on_rq = true;
		break;
	default:
		break;
	}
	spin_unlock_irqrestore(&t->lock, flags);
	if (queue) {
		/* Acquire pairs with the release in finish_switch, which is a few instructions away. */
		while (atomic_load_explicit(&t->on_cpu, memory_order_acquire))
			cpu_relax();
		enqueue(t);
	}
	return woken;
}

void task_start(struct task *t)
{
	t->on_rq = true;
	enqueue(t);
}

void task_notify(struct task *t, unsigned int work)
{
	/* Release pairs with the acquire in task_signal_pending and exit_to_user. */
	atomic_fetch_or_explicit(&t->pending_work, work, memory_order_release);
	/* Pairs with the fence in wait_prepare: the sleeper sees the bit, or we see it asleep. */
	atomic_thread_fence(memory_order_seq_cst);
	/* Relaxed: a task that changes state from here on looks at pending_work itself. */
	if ((work & WORK_SIGNAL) &&
	    atomic_load_explicit(&t->state, memory_order_relaxed) == TASK_SLEEPING_INT)
		task_wake(t);
	/* Relaxed: if it moves meanwhile, it passes through the kernel and looks. */
	if (t != current() && atomic_load_explicit(&t->on_cpu, memory_order_relaxed))
		ipi_reschedule(atomic_load_explicit(&t->cpu, memory_order_relaxed));
}

void task_clear_work(unsigned int work)
{
	/* Acq_rel: what the notifier wrote before is seen after; pairs with task_notify. */
	atomic_fetch_and_explicit(&current()->pending_work, ~work, memory_order_acq_rel);
}

void task_yield(void)
{
	schedule();
}

/* Takes the task off a queue if it is on one. */
static bool unqueue(struct task *t)
{
	for (;;) {
		/* Relaxed: looked at again under the lock. */
		unsigned int cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed);
		struct run_queue *rq = &run_queues[cpu];
		uint64_t flags = spin_lock_irqsave(&rq->lock);
		bool same = atomic_load_explicit(&t->cpu, memory_order_relaxed) == cpu;
		/* Still on its stack, it belongs to that CPU until it has switched away. */
		bool take = same && !list_empty(&t->rq_link) &&
			    !atomic_load_explicit(&t->on_cpu, memory_order_acquire);

		if (take)
			queue_remove(rq, t);
		spin_unlock_irqrestore(&rq->lock, flags);
		if (same)
			return take;
	}
}

int task_set_affinity(struct task *t, cpumask_t mask)
{
	uint64_t flags;

	mask &= cpu_all();
	if (!mask)
		return -EINVAL;
	/* Relaxed: whoever queues or runs the task from now on sees it; the rest is done below. */
	atomic_store_explicit(&t->affinity, mask, memory_order_relaxed);
	if (t == current()) {
		while (!allowed(t, cpu_id()))
			schedule();
		return 0;
	}
	flags = irq_save();
	preempt_disable();
	if (unqueue(t))
		enqueue(t);
	else if (atomic_load_explicit(&t->on_cpu, memory_order_relaxed))
		kick(atomic_load_explicit(&t->cpu, memory_order_relaxed));
	irq_restore(flags);
	preempt_enable();
	return 0;
}

void task_set_mm(struct mm *mm)
{
	struct task *t = current();
	uint64_t flags = irq_save();

	if (t->mm != mm) {
		struct mm *old = t->mm;

		t->mm = mm;
		mm_switch(old, mm);
	}
	irq_restore(flags);
}

unsigned int sched_runnable(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < cpu_count(); i++)
		/* Relaxed: statistics. */
		n += queued_on(i) + !atomic_load_explicit(&run_queues[i].idle, memory_order_relaxed);
	return n;
}

/* From the timer interrupt of a CPU that is not idle. */
void sched_tick(bool user_mode)
{
	struct percpu *c = this_cpu();
	struct task *t = c->current;

	if (user_mode)
		t->ticks_user++;
	else
		t->ticks_kernel++;
	if (t->slice)
		t->slice--;
	if (!queued_on(c->id))
		return;
	if (!t->slice)
		c->need_resched = 1;
	for (unsigned int i = 0; i < cpu_count(); i++) {
		if (claim_idle(i)) {
			ipi_reschedule(i); /* it will find nothing of its own and steal */
			break;
		}
	}
}

void sched_reschedule_ipi(void)
{
	this_cpu()->need_resched = 1;
}

/* Interrupts off; returns with interrupts on. */
static void idle_sleep(void)
{
	struct percpu *c = this_cpu();
	struct run_queue *rq = &run_queues[c->id];

	/* Relaxed, then the fence: pairs with the one in enqueue. */
	atomic_store_explicit(&rq->idle, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!queued_on(c->id) && !c->need_resched) {
		grace_idle_enter();
		__asm__ volatile("sti; hlt; cli" ::: "memory");
		grace_idle_exit();
	}
	/* Relaxed: who had claimed it has sent an IPI that finds us awake. */
	atomic_store_explicit(&rq->idle, false, memory_order_relaxed);
	irq_enable();
}

void sched_idle(void)
{
	this_cpu()->preempt_count = 0;
	for (;;) {
		irq_disable();
		if (queued_on(cpu_id()) || this_cpu()->need_resched)
			schedule();
		idle_sleep();
	}
}

void sched_setup_cpu(void)
{
	struct percpu *c = this_cpu();
	struct task *t = task_create_idle(c->id);

	list_init(&run_queues[c->id].queue);
	c->idle = t;
	c->current = t;
	cpu_set_kernel_stack((char *)t->kstack + KSTACK_SIZE - 16);
}
