// SPDX-License-Identifier: MIT
/*
 * The library's port: memory, waiting, grace periods, log. What is hot is inline in
 * kernel/vmt_port.h, the flush is in tlb.c.
 */
#include "mm_internal.h"
#include <kernel/cpu.h>
#include <kernel/device.h>
#include <kernel/grace.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/vmt_port.h>
#include <vmtree/port.h>

_Static_assert(VMT_PORT_DIRECT_BASE == DIRECT_BASE && VMT_PORT_META_BASE == META_BASE,
	"vmt_port.h repeats kernel/memory.h");
_Static_assert(VMT_PORT_GS_PREEMPT == offsetof(struct percpu, preempt_count) &&
		       VMT_PORT_GS_RESCHED == offsetof(struct percpu, need_resched) &&
		       VMT_PORT_GS_CPU == offsetof(struct percpu, id),
	"vmt_port.h repeats kernel/cpu.h");
_Static_assert(MAX_CPUS <= VMT_MAX_CPUS && MAX_CPUS <= 64, "one word of a flush's CPU mask");

/*
 * Programs may not have the last frames: the kernel needs some to let a program end, to write a
 * file's page or a message, and its own small memory has no other source.
 */
#define RESERVE_MAX 1024
/* How many frames one CPU takes between two looks at how many are free. */
#define LOOK_EVERY 16
/* A huge page: what the library asks for beside single frames. */
#define HUGE_ORDER 9
_Static_assert(HUGE_SIZE == PAGE_SIZE << HUGE_ORDER, "the order of a huge page");

/* Written by its CPU with preemption off; `used_peak` is read by port_totals. */
static struct port_cpu {
	uint64_t until_look; /* frames */
	bool low;
	_Atomic uint64_t used_peak;
} __cacheline port_cpus[MAX_CPUS];

/* Relaxed: statistics. */
static _Atomic uint64_t huge_allocated, huge_refused;

static uint64_t frames_reserved(void)
{
	return MIN((uint64_t)RESERVE_MAX, frame_count_total() / 32);
}

/*
 * Is memory so low that only the kernel may have `frames` more? Counting the free frames looks at
 * all CPUs, so it is done now and then only, and at each allocation once memory is low.
 */
static inline bool memory_low(uint64_t frames)
{
	struct port_cpu *c;
	uint64_t available, used;
	bool low;

	preempt_disable();
	c = &port_cpus[cpu_id()];
	if (c->until_look < frames || c->low) {
		available = frame_count_free();
		used = frame_count_total() - available;
		c->until_look = MAX((uint64_t)LOOK_EVERY, frames);
		c->low = available < frames_reserved() + frames;
		/* Relaxed: a statistic with one writer. */
		if (used > atomic_load_explicit(&c->used_peak, memory_order_relaxed))
			atomic_store_explicit(&c->used_peak, used, memory_order_relaxed);
	}
	c->until_look -= frames;
	low = c->low;
	preempt_enable();
	return low;
}

/*
 * A block for a huge page, which the library gives back frame by frame. Where there is none small
 * pages do, so nothing is waited for, and no cache emptied.
 */
static uint64_t alloc_huge(bool zero)
{
	uint64_t pa = FRAME_NONE;

	if (!memory_low(1UL << HUGE_ORDER))
		pa = frame_alloc(HUGE_ORDER, FRAME_TRY | (zero ? FRAME_ZERO : 0));
	if (pa == FRAME_NONE) {
		atomic_fetch_add_explicit(&huge_refused, 1, memory_order_relaxed);
		return VMT_NO_FRAME;
	}
	atomic_fetch_add_explicit(&huge_allocated, 1, memory_order_relaxed);
	frame_split(pa, HUGE_ORDER);
	return pa;
}

/*
 * Does not reclaim by itself: the library lets go of its locks and reports VMT_ERR_NO_MEMORY, and
 * mm_again reclaims where nothing at all is held. Waiting for frames on their way through a grace
 * period is cheap and is done here.
 */
uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	uint64_t pa = FRAME_NONE;

	if (bytes == HUGE_SIZE)
		return alloc_huge(zero);
	if (!memory_low(1))
		pa = frame_alloc(0, zero ? FRAME_ZERO : 0);
	if (pa == FRAME_NONE && may_sleep() && grace_pending()) {
		grace_barrier();
		if (!memory_low(1))
			pa = frame_alloc(0, zero ? FRAME_ZERO : 0);
	}
	if (pa == FRAME_NONE)
		return VMT_NO_FRAME;
	if (port == DEVICE_PORT)
		device_publish(phys_to_virt(pa), PAGE_SIZE);
	return pa;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	(void)port, (void)bytes;
	frame_free(pa, 0);
}

/* Sizes from 64 on are aligned to 64. */
void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	(void)port;
	return kmalloc(MAX(bytes, (size_t)64));
}

void vmt_port_mem_free(void *port, void *memory, size_t bytes)
{
	(void)port;
	(void)bytes;
	kfree(memory);
}

/*
 * Flush requests arrive by an interrupt, and interrupts are on wherever the library waits: nothing
 * is to be served here. A waiter that holds nothing lets the one run that it waits for.
 */
void vmt_port_relax(void *port, bool preemptible)
{
	(void)port;
	if (preemptible && may_sleep())
		task_yield();
	else
		cpu_relax();
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	(void)port;
	grace_defer(item);
}

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	klog("vmtree: %s", line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	(void)port;
	panic("vmtree: %s", what);
}

void port_totals(struct mm_totals *totals)
{
	totals->huge_allocated = atomic_load_explicit(&huge_allocated, memory_order_relaxed);
	totals->huge_refused = atomic_load_explicit(&huge_refused, memory_order_relaxed);
	totals->frames_used_peak = frame_count_total() - frame_count_free();
	for (unsigned int i = 0; i < cpu_count(); i++) {
		uint64_t peak = atomic_load_explicit(&port_cpus[i].used_peak, memory_order_relaxed);

		totals->frames_used_peak = MAX(totals->frames_used_peak, peak);
	}
}
