// SPDX-License-Identifier: MIT
/*
 * Starts the other CPUs, one after the other: INIT, two start-up IPIs, and a wait until the new one
 * reports (Intel SDM vol. 3, 9.4.4). How many there are is asked of QEMU's fw_cfg (key 5).
 */
#include "arch.h"
#include "asm.h"

#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/time.h>

#include "../../core/core.h"

#define FW_CFG_SELECT 0x510
#define FW_CFG_DATA 0x511
#define FW_CFG_NB_CPUS 5

#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u

extern char trampoline_start[], trampoline_end[];
extern uint64_t ap_stack; /* read by trampoline.S */

static atomic_uint started; /* CPUs that run, as the last of them says */

unsigned int smp_cpus(void)
{
	unsigned int n;

	outw(FW_CFG_SELECT, FW_CFG_NB_CPUS);
	n = inb(FW_CFG_DATA);
	n |= inb(FW_CFG_DATA) << 8;
	return n ? n : 1;
}

static void wait_ns(uint64_t ns)
{
	for (uint64_t end = ktime_ns() + ns; ktime_ns() < end;)
		cpu_relax();
}

static bool wait_started(unsigned int n, uint64_t ns)
{
	/* Acquire pairs with the release in ap_main. */
	for (uint64_t end = ktime_ns() + ns; ktime_ns() < end; cpu_relax())
		if (atomic_load_explicit(&started, memory_order_acquire) == n)
			return true;
	return false;
}

static void start_one(unsigned int id)
{
	uint64_t stack = frame_alloc(2, FRAME_ZERO);
	bool ok = false;

	assert(stack != FRAME_NONE);
	ap_stack = (uint64_t)phys_to_virt(stack) + 16384 - 16;
	apic_send(id, ICR_INIT);
	wait_ns(10000000);
	for (int i = 0; i < 2 && !ok; i++) {
		apic_send(id, ICR_STARTUP | TRAMPOLINE_PHYS >> PAGE_SHIFT);
		ok = wait_started(id + 1, i ? 10 * NSEC_PER_SEC : NSEC_PER_SEC);
	}
	if (!ok)
		panic("CPU %u does not start", id);
}

void smp_start_all(void)
{
	unsigned int n = smp_cpus();

	if (n > MAX_CPUS)
		panic("%u CPUs: at most %u are served", n, MAX_CPUS);
	memcpy(phys_to_virt(TRAMPOLINE_PHYS), trampoline_start, trampoline_end - trampoline_start);
	/* Relaxed: the CPUs that read it are started afterwards. */
	atomic_store_explicit(&started, 1, memory_order_relaxed);
	for (unsigned int id = 1; id < n; id++)
		start_one(id);
	cpu_count_set(n);
}

/* A new CPU, on the stack that start_one gave it, with the boot tables. */
void ap_main(void)
{
	/* Relaxed: only this CPU is being started, so nobody else changes it. */
	unsigned int id = atomic_load_explicit(&started, memory_order_relaxed);

	cpu_set_early(id);
	cpu_setup();
	paging_load();
	cpu_setup_tables();
	idt_load();
	apic_setup_cpu();
	sched_setup_cpu();
	/* Release pairs with the acquire in wait_started. */
	atomic_store_explicit(&started, id + 1, memory_order_release);
	sched_idle();
}
