// SPDX-License-Identifier: MIT
/*
 * Which tables each CPU has loaded, process-context identifiers, and flushing. The reasoning about
 * races 5 and 15 is in docs/kernel-mm.md ("Identifiers"); the rules in short:
 *
 *  - A CPU's struct tlb_cpu is written by that CPU alone, with interrupts off. `loaded` is read by
 *    others.
 *  - vmt_activate comes before CR3 is loaded, vmt_deactivate after another root was loaded.
 *  - slot.generation == g means: every flush of that space up to generation g has been done in this
 *    slot's identifier on this CPU, or is about entries that were changed before the identifier was
 *    emptied. So a flush moves it from g to g + 1 only.
 *  - A CPU that goes idle keeps the tables loaded (lazy) until a flush comes for them or the mm is
 *    gone.
 */
#include "mm_internal.h"
#include <kernel/cpu.h>
#include <kernel/hooks.h>
#include <kernel/ipi.h>
#include <kernel/task.h>
#include <vmtree/port.h>

#define PCID_SLOTS  6 /* identifiers 1 to 6; 0 is the kernel's own root */
#define CR3_NOFLUSH (1UL << 63)
/* Up to so many pages are flushed one by one; above, everything under the identifier. */
#define FLUSH_PAGES_MAX 32

struct tlb_slot {
	const struct mm *mm; /* a name, never followed: the mm may be gone */
	uint64_t generation; /* 0: keep nothing */
};

static struct tlb_cpu {
	_Atomic(struct mm *) loaded;
	bool lazy;           /* `loaded` is nobody's at the moment */
	unsigned int slot;   /* of loaded */
	unsigned int victim; /* slot to reuse next */
	struct tlb_slot slots[PCID_SLOTS];
	/* Figures, read by tlb_totals. */
	uint64_t flush_local, flush_ipi, flush_ipi_cpus, flush_pages, flush_full;
	uint64_t pcid_kept, pcid_flushed, switches_lazy;
} __cacheline tlb[MAX_CPUS];

static struct mm *loaded_here(const struct tlb_cpu *c)
{
	/* Relaxed: written by this CPU. */
	return atomic_load_explicit(&c->loaded, memory_order_relaxed);
}

static void set_loaded(struct tlb_cpu *c, struct mm *mm)
{
	/* Release: after vmt_deactivate of the old one; pairs with the acquire in tlb_drop. */
	atomic_store_explicit(&c->loaded, mm, memory_order_release);
}

/* ---- Loading ---- */

static struct tlb_slot *slot_find(struct tlb_cpu *c, const struct mm *mm)
{
	for (unsigned int i = 0; i < PCID_SLOTS; i++)
		if (c->slots[i].mm == mm)
			return &c->slots[i];
	return NULL;
}

static struct tlb_slot *slot_take(struct tlb_cpu *c, const struct mm *mm)
{
	struct tlb_slot *s = slot_find(c, mm);

	if (!s) {
		s = &c->slots[c->victim];
		c->victim = (c->victim + 1) % PCID_SLOTS;
		*s = (struct tlb_slot){mm, 0};
	}
	return s;
}

/* Loads the mm's root. vmt_activate has returned `generation` on this CPU just before. */
static void load_root(struct tlb_cpu *c, struct mm *mm, uint64_t generation)
{
	uint64_t cr3 = vmt_space_root(mm->space);

	if (cpu_features.pcid) {
		struct tlb_slot *s = slot_take(c, mm);

		c->slot = s - c->slots;
		cr3 |= c->slot + 1;
		if (s->generation && s->generation == generation) {
			cr3 |= CR3_NOFLUSH;
			c->pcid_kept++;
		} else {
			s->generation = generation;
			c->pcid_flushed++;
		}
	}
	write_cr3(cr3);
}

/* Puts the kernel's own root in place of what is loaded without being used. */
static __noinline void unload(struct tlb_cpu *c)
{
	struct mm *mm = loaded_here(c);

	write_cr3(kernel_root());
	vmt_deactivate(mm->space);
	c->lazy = false;
	set_loaded(c, NULL);
}

void mm_switch(struct mm *prev, struct mm *next)
{
	struct tlb_cpu *c = &tlb[cpu_id()];
	struct mm *old = loaded_here(c);

	(void)prev; /* what is loaded may be older: NULL leaves it in place */
	if (!next) {
		c->lazy = old != NULL;
		return;
	}
	c->lazy = false;
	if (old == next) {
		c->switches_lazy++;
		return;
	}
	load_root(c, next, vmt_activate(next->space));
	if (old)
		vmt_deactivate(old->space);
	set_loaded(c, next);
}

static void unload_if(void *arg)
{
	struct tlb_cpu *c = &tlb[cpu_id()];

	if (c->lazy && (!arg || loaded_here(c) == arg))
		unload(c);
}

void tlb_drop(struct mm *mm)
{
	cpumask_t mask = 0;

	/*
	 * Acquire pairs with set_loaded: who is not seen to have it loaded has deactivated it.
	 * Nobody loads it anew, since there is no reference left that a task could have it from.
	 */
	for (unsigned int i = 0; i < cpu_count(); i++)
		if (atomic_load_explicit(&tlb[i].loaded, memory_order_acquire) == mm)
			mask |= CPU_BIT(i);
	if (mask)
		ipi_call(mask, unload_if, mm);
}

void tlb_drop_lazy(void)
{
	ipi_call(cpu_all(), unload_if, NULL);
}

/* ---- Flushing ---- */

/* What is asked of each CPU: reckoned once, by the one who asks. */
struct tlb_request {
	const struct vmt_flush *flush;
	uint64_t pages; /* how many to flush one by one; 0: everything under the identifier */
};

static uint64_t flush_pages(const struct vmt_flush *flush)
{
	uint64_t pages = 0;

	if (flush->all)
		return 0;
	for (unsigned int i = 0; i < flush->count; i++)
		pages += (flush->ranges[i].end - flush->ranges[i].start) >> PAGE_SHIFT;
	return pages <= FLUSH_PAGES_MAX ? pages : 0;
}

/*
 * Drops the loaded identifier's translations. One INVLPG drops all its paging-structure entries
 * too, so flush->tables asks for nothing more (Intel SDM vol. 3, 4.10.4.1); a request that names no
 * page drops everything.
 */
static void invalidate(struct tlb_cpu *c, const struct tlb_request *request)
{
	const struct vmt_flush_range *range = request->flush->ranges;

	if (!request->pages) {
		/* CR3 reads back without NOFLUSH: writing it drops the whole identifier. */
		write_cr3(read_cr3());
		c->flush_full++;
		return;
	}
	c->flush_pages += request->pages;
	for (uint64_t left = request->pages; left; range++)
		for (uint64_t a = range->start; a < range->end; a += PAGE_SIZE, left--)
			invlpg(a);
}

/* On each CPU that the flush names. Interrupts are off: one sees all of an access or nothing of it. */
static inline void flush_on(struct tlb_cpu *c, const struct tlb_request *request)
{
	const struct vmt_flush *flush = request->flush;
	struct tlb_slot *s = &c->slots[c->slot];

	if (unlikely(loaded_here(c) != flush->space_owner))
		return; /* named before we switched away: the generation tells the next activation */
	if (unlikely(c->lazy)) {
		unload(c); /* so as not to be asked again */
		return;
	}
	invalidate(c, request);
	/* Not over a gap: an earlier flush may still come, or may not have named us. */
	if (s->mm == flush->space_owner && s->generation && s->generation + 1 == flush->generation)
		s->generation = flush->generation;
}

static void flush_here(void *arg)
{
	flush_on(&tlb[cpu_id()], arg);
}

/* Interrupts are on, as wherever the library is called: while it waits, this CPU serves others. */
void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	struct tlb_request request = {flush, flush_pages(flush)};
	struct tlb_cpu *c = &tlb[cpu_id()];
	cpumask_t others = flush->cpus[0] & ~CPU_BIT(cpu_id());

	(void)port;
	if (!others) {
		irq_disable();
		c->flush_local++;
		flush_on(c, &request);
		irq_enable();
		return;
	}
	c->flush_ipi++;
	for (cpumask_t rest = others; rest; rest &= rest - 1)
		c->flush_ipi_cpus++;
	ipi_call(flush->cpus[0], flush_here, &request);
}

void tlb_totals(struct mm_totals *t)
{
	for (unsigned int i = 0; i < cpu_count(); i++) {
		const struct tlb_cpu *c = &tlb[i];

		t->flush_local += c->flush_local;
		t->flush_ipi += c->flush_ipi;
		t->flush_ipi_cpus += c->flush_ipi_cpus;
		t->flush_pages += c->flush_pages;
		t->flush_full += c->flush_full;
		t->pcid_kept += c->pcid_kept;
		t->pcid_flushed += c->pcid_flushed;
		t->switches_lazy += c->switches_lazy;
	}
}
