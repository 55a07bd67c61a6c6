// SPDX-License-Identifier: MIT
/*
 * The library's port: memory, waiting, grace periods, log. What is hot is inline in
 * kernel/vmt_port.h, the flush is in tlb.c.
 */
#include "mm_internal.h"
#include <kernel/cpu.h>
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
/* How many allocations of one CPU pass between two looks at how many frames are free. */
#define LOOK_EVERY 16

/* Written by its CPU with preemption off; `used_peak` is read by port_totals. */
static struct port_cpu {
	unsigned int until_look;
	bool low;
	_Atomic uint64_t used_peak;
} __cacheline port_cpus[MAX_CPUS];

static uint64_t frames_reserved(void)
{
	return MIN((uint64_t)RESERVE_MAX, frame_count_total() / 32);
}

/*
 * Is memory so low that only the kernel may have more? Counting the free frames looks at all CPUs,
 * so it is done now and then only, and at each allocation once memory is low.
 */
static bool memory_low(void)
{
	struct port_cpu *c;
	uint64_t available, used;
	bool low;

	preempt_disable();
	c = &port_cpus[cpu_id()];
	if (c->until_look == 0 || c->low) {
		available = frame_count_free();
		used = frame_count_total() - available;
		c->until_look = LOOK_EVERY;
		c->low = available < frames_reserved();
		/* Relaxed: a statistic with one writer. */
		if (used > atomic_load_explicit(&c->used_peak, memory_order_relaxed))
			atomic_store_explicit(&c->used_peak, used, memory_order_relaxed);
	}
	c->until_look--;
	low = c->low;
	preempt_enable();
	return low;
}

/*
 * Does not reclaim by itself: the library lets go of its locks and reports VMT_ERR_NO_MEMORY, and
 * mm_again reclaims where nothing at all is held. Waiting for frames on their way through a grace
 * period is cheap and is done here.
 */
uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	uint64_t pa = FRAME_NONE;

	(void)port, (void)bytes; /* one page: x86-64 has no tables of another size */
	if (!memory_low())
		pa = frame_alloc(0, zero ? FRAME_ZERO : 0);
	if (pa == FRAME_NONE && may_sleep() && grace_pending()) {
		grace_barrier();
		if (!memory_low())
			pa = frame_alloc(0, zero ? FRAME_ZERO : 0);
	}
	return pa == FRAME_NONE ? VMT_NO_FRAME : pa;
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
	totals->frames_used_peak = frame_count_total() - frame_count_free();
	for (unsigned int i = 0; i < cpu_count(); i++) {
		uint64_t peak = atomic_load_explicit(&port_cpus[i].used_peak, memory_order_relaxed);

		totals->frames_used_peak = MAX(totals->frames_used_peak, peak);
	}
}
