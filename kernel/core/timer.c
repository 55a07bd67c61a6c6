// SPDX-License-Identifier: MIT
/*
 * Timers and the tick. Each CPU has a list of its timers, ordered by time, under an irqsave lock, and
 * programs its own local APIC for the next event, one shot at a time. An idle CPU has no tick.
 */
#include <kernel/time.h>

#include <kernel/printk.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

struct timer_base {
	struct spinlock lock; /* irqsave: everything below but programmed */
	struct list timers; /* earliest first */
	struct timer *running; /* its fn is being called */
	uint64_t next_tick; /* 0: idle; written by this CPU only */
	uint64_t programmed; /* when the APIC will fire, 0: not; used by this CPU only, interrupts off */
} __cacheline;

static struct timer_base bases[MAX_CPUS];

static struct timer_base *base_here(void)
{
	struct timer_base *b = &bases[cpu_id()];

	if (!b->timers.next)
		list_init(&b->timers); /* first use, by the CPU itself, before others can know it */
	return b;
}

/* Interrupts off, b is this CPU's, under its lock. An earlier interrupt than needed does no harm. */
static void program(struct timer_base *b, uint64_t now)
{
	uint64_t next = b->next_tick ? b->next_tick : UINT64_MAX;

	if (!list_empty(&b->timers))
		next = MIN(next, list_first(&b->timers, struct timer, link)->expires);
	if (next == UINT64_MAX || (b->programmed && b->programmed <= next))
		return;
	b->programmed = next;
	apic_timer_arm(next > now ? next - now : 0);
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	list_init(&t->link);
	t->expires = 0;
	t->fn = fn;
	/* Relaxed: the caller owns it. */
	atomic_store_explicit(&t->base, NULL, memory_order_relaxed);
}

void timer_start(struct timer *t, uint64_t expires)
{
	uint64_t flags = irq_save(), lock_flags;
	struct timer_base *b = base_here();
	struct list *at;

	assert(list_empty(&t->link));
	lock_flags = spin_lock_irqsave(&b->lock);
	t->expires = expires;
	/* Release pairs with the acquire in timer_cancel. */
	atomic_store_explicit(&t->base, b, memory_order_release);
	/* From the end: most new timers are later than those that wait. */
	for (at = b->timers.prev; at != &b->timers; at = at->prev)
		if (list_entry(at, struct timer, link)->expires <= expires)
			break;
	list_add(at, &t->link);
	program(b, ktime_ns());
	spin_unlock_irqrestore(&b->lock, lock_flags);
	irq_restore(flags);
}

bool timer_cancel(struct timer *t)
{
	for (;;) {
		/* Acquire pairs with timer_start. */
		struct timer_base *b = atomic_load_explicit(&t->base, memory_order_acquire);
		bool armed, running;
		uint64_t flags;

		if (!b)
			return false;
		flags = spin_lock_irqsave(&b->lock);
		/* Relaxed: base changes only while not armed, by who arms it. */
		if (atomic_load_explicit(&t->base, memory_order_relaxed) != b) {
			spin_unlock_irqrestore(&b->lock, flags);
			continue;
		}
		armed = !list_empty(&t->link);
		if (armed)
			list_del(&t->link);
		running = b->running == t;
		spin_unlock_irqrestore(&b->lock, flags);
		if (!running)
			return armed;
		cpu_relax(); /* fn may arm it again: look once more when it is through */
	}
}

static void run_expired(struct timer_base *b, uint64_t now, uint64_t *flags)
{
	while (!list_empty(&b->timers)) {
		struct timer *t = list_first(&b->timers, struct timer, link);

		if (t->expires > now)
			break;
		list_del(&t->link);
		b->running = t;
		spin_unlock_irqrestore(&b->lock, *flags);
		t->fn(t);
		*flags = spin_lock_irqsave(&b->lock);
		b->running = NULL;
	}
}

void timer_interrupt(bool user_mode)
{
	struct timer_base *b = base_here();
	uint64_t now = ktime_ns(), flags = spin_lock_irqsave(&b->lock);
	bool tick;

	b->programmed = 0;
	run_expired(b, now, &flags);
	tick = b->next_tick && now >= b->next_tick;
	if (tick)
		b->next_tick = now + TICK_NS;
	program(b, ktime_ns());
	spin_unlock_irqrestore(&b->lock, flags);
	if (tick)
		sched_tick(user_mode);
}

/* Both from the context switch, interrupts off. */
void timer_busy(void)
{
	struct timer_base *b = base_here();
	uint64_t now = ktime_ns(), flags = spin_lock_irqsave(&b->lock);

	b->next_tick = now + TICK_NS;
	program(b, now);
	spin_unlock_irqrestore(&b->lock, flags);
}

void timer_idle(void)
{
	struct timer_base *b = base_here();
	uint64_t flags = spin_lock_irqsave(&b->lock);

	b->next_tick = 0;
	spin_unlock_irqrestore(&b->lock, flags);
}
