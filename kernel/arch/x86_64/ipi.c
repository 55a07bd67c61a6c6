// SPDX-License-Identifier: MIT
/*
 * Calls on other CPUs (kernel/ipi.h).
 *
 * Each CPU has one request, used by it alone while preemption is off, and an inbox: a mask of CPUs
 * whose requests it has to serve. A caller fills its request, sets its bit in each target's inbox
 * and sends the IPI; a target takes the whole inbox, runs the requests, and counts itself off each
 * one's `todo`. The caller waits for todo == 0 with interrupts on, so it serves others meanwhile.
 *
 * On a host with fewer processors than this machine has CPUs, a caller that only spins may keep the
 * very CPU that it waits for from running. So after a while it halts, and who finishes last wakes it.
 */
#include <kernel/ipi.h>

#include "arch.h"

#include <kernel/printk.h>
#include <kernel/time.h>

#define SPIN_NS 10000UL

struct call_request {
	void (*fn)(void *arg);
	void *arg;
	_Atomic(unsigned int) todo; /* how many targets have not finished */
	atomic_bool halted; /* the caller sleeps: the last target sends it an IPI */
} __cacheline;

struct call_inbox {
	_Atomic(cpumask_t) from;
} __cacheline;

static struct call_request requests[MAX_CPUS];
static struct call_inbox inboxes[MAX_CPUS];

void ipi_serve(void)
{
	unsigned int self = cpu_id();
	/* Acquire pairs with the release in ipi_call: fn and arg of each sender are visible. */
	cpumask_t from = atomic_exchange_explicit(&inboxes[self].from, 0, memory_order_acquire);

	while (from) {
		unsigned int caller = (unsigned int)__builtin_ctzl(from);
		struct call_request *q = &requests[caller];

		from &= from - 1;
		gs_count(nr_ipi_calls);
		q->fn(q->arg);
		/* Release: what fn did is seen by the caller, who loads todo with acquire. */
		if (atomic_fetch_sub_explicit(&q->todo, 1, memory_order_release) != 1)
			continue;
		/* Pairs with the fence in halt_until_done: we see halted, or it sees todo == 0. */
		atomic_thread_fence(memory_order_seq_cst);
		/* Relaxed: if the request is in use again already, one IPI too many does no harm. */
		if (atomic_load_explicit(&q->halted, memory_order_relaxed))
			apic_send(percpus[caller].apic_id, VECTOR_CALL);
	}
}

void ipi_call_interrupt(void)
{
	ipi_serve();
}

static unsigned int mask_count(cpumask_t mask)
{
	unsigned int count = 0;

	for (; mask; mask &= mask - 1)
		count++;
	return count;
}

static void send_calls(cpumask_t others, unsigned int self)
{
	for (cpumask_t m = others; m; m &= m - 1) {
		unsigned int cpu = __builtin_ctzl(m);

		/*
		 * Release: request and everything before it become visible with the bit (acquire in
		 * ipi_serve). When a bit was there already its sender's IPI is on the way, and the
		 * target empties the inbox when it comes. Our own is not there, for our last request
		 * is done; so to add is to set it, in one instruction that tells what was there.
		 */
		if (atomic_fetch_add_explicit(&inboxes[cpu].from, CPU_BIT(self), memory_order_release) == 0)
			apic_send(percpus[cpu].apic_id, VECTOR_CALL);
	}
}

static void halt_until_done(struct call_request *q)
{
	irq_disable();
	/* Relaxed, then the fence: pairs with the one in ipi_serve. */
	atomic_store_explicit(&q->halted, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&q->todo, memory_order_relaxed))
		__asm__ volatile("sti; hlt" ::: "memory"); /* nothing comes between the two */
	atomic_store_explicit(&q->halted, false, memory_order_relaxed);
	irq_enable();
}

static void wait_done(struct call_request *q)
{
	uint64_t spin_until = 0;

	/* Acquire pairs with the release in ipi_serve. */
	while (atomic_load_explicit(&q->todo, memory_order_acquire)) {
		if (!spin_until)
			spin_until = ktime_ns() + SPIN_NS;
		if (ktime_ns() < spin_until)
			cpu_relax();
		else
			halt_until_done(q);
	}
}

void ipi_call(cpumask_t mask, void (*fn)(void *arg), void *arg)
{
	struct call_request *q;
	cpumask_t others;
	unsigned int self;

	preempt_disable();
	assert(irq_enabled() && !in_interrupt());
	self = cpu_id();
	others = mask & cpu_all() & ~CPU_BIT(self);
	q = &requests[self];
	if (others) {
		q->fn = fn;
		q->arg = arg;
		/* Relaxed: published by the release in send_calls. */
		atomic_store_explicit(&q->todo, mask_count(others), memory_order_relaxed);
		send_calls(others, self);
	}
	if (mask & CPU_BIT(self)) {
		irq_disable();
		fn(arg);
		irq_enable();
	}
	if (others)
		wait_done(q);
	preempt_enable();
}

void ipi_reschedule(unsigned int cpu)
{
	apic_send(percpus[cpu].apic_id, VECTOR_RESCHEDULE);
}
