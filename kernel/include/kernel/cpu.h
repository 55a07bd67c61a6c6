// SPDX-License-Identifier: MIT
/*
 * CPUs: how many, which features, per-CPU data, preemption.
 *
 * GS points to this CPU's struct percpu while in the kernel. Data of other subsystems is an array
 * `static struct foo foo[MAX_CPUS]` of cache-line aligned elements indexed by cpu_id().
 *
 * Preemption is off while preempt_count is not zero or interrupts are off. With preemption off a
 * thread stays on its CPU, must not sleep, must not touch user memory (the accessors then fail
 * with -EFAULT rather than sleep), and is inside a read-side section for grace periods.
 */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <kernel/types.h>
#include <kernel/x86.h>

struct task;

typedef uint64_t cpumask_t; /* bit n: CPU n */

#define CPU_BIT(n) ((cpumask_t)1 << (n))

struct percpu {
	struct percpu *self; /* gs:0 */
	struct task *current; /* gs:8 */
	uint64_t kernel_rsp; /* gs:16, top of the current task's kernel stack */
	uint64_t user_rsp; /* gs:24, scratch of the system-call entry */
	int32_t preempt_count; /* gs:32, written by this CPU only */
	uint32_t need_resched; /* gs:36, written by this CPU only (reschedule IPI sets it) */
	uint32_t id; /* gs:40 */
	uint32_t apic_id;
	uint32_t irq_depth; /* > 0 in an interrupt handler */
	struct task *idle;
	void *tss;
	/* Statistics, written by this CPU only; sum them for a report. */
	uint64_t nr_switches;
	uint64_t nr_interrupts;
	uint64_t nr_ipi_calls;
	uint64_t nr_faults;
	uint64_t nr_syscalls;
	uint64_t nr_user_faults; /* page faults of programs, and of the kernel in their memory */
} __cacheline;

extern struct percpu percpus[MAX_CPUS];

struct cpu_features {
	bool pcid, invpcid, smep, smap, fsgsbase, nx, rdrand, umip, xsave, avx, x2apic, gbpages;
	bool tcg; /* QEMU's emulator: string instructions are slow there */
	uint64_t xcr0; /* state components enabled, 0 without XSAVE */
	uint32_t fpu_size; /* bytes of one task's FPU state (XSAVE standard format, or 512) */
};

extern struct cpu_features cpu_features;

/* CPUs that run, fixed before kernel_main: ids 0 to cpu_count() - 1, all online. */
extern unsigned int cpus_online;

static inline unsigned int cpu_count(void)
{
	return cpus_online;
}

static inline cpumask_t cpu_all(void)
{
	return cpu_count() == 64 ? ~(cpumask_t)0 : CPU_BIT(cpu_count()) - 1;
}

#define gs_read(field) \
	({ \
		__typeof__(((struct percpu *)0)->field) gs_v; \
		__asm__ volatile("mov %%gs:%c1, %0" \
				 : "=r"(gs_v) \
				 : "i"(offsetof(struct percpu, field))); \
		gs_v; \
	})

/* Is preemption on, and no other task to run? Both words at once, for the way to user mode. */
static inline bool cpu_is_quiet(void)
{
	uint64_t both;

	_Static_assert(offsetof(struct percpu, preempt_count) % 8 == 0 &&
			       offsetof(struct percpu, need_resched) ==
				       offsetof(struct percpu, preempt_count) + 4,
		"one word");
	__asm__ volatile("mov %%gs:%c1, %0"
			 : "=r"(both)
			 : "i"(offsetof(struct percpu, preempt_count)));
	return both == 0;
}

/* One more in a statistic of whatever CPU this is: one instruction, so preemption may be on. */
#define gs_count(field) \
	__asm__ volatile("incq %%gs:%c0" ::"i"(offsetof(struct percpu, field)) : "memory", "cc")

/* This CPU's block; meaningful only while preemption is off. */
static inline struct percpu *this_cpu(void)
{
	return gs_read(self);
}

/* This CPU's number; a hint unless preemption is off. */
static inline unsigned int cpu_id(void)
{
	return gs_read(id);
}

static inline void preempt_disable(void)
{
	__asm__ volatile("incl %%gs:%c0" ::"i"(offsetof(struct percpu, preempt_count))
			 : "memory", "cc");
}

/* The slow half of preempt_enable: gives the CPU away when somebody waits and interrupts are on. */
void preempt_schedule(void);

static inline void preempt_enable_no_resched(void)
{
	__asm__ volatile("decl %%gs:%c0" ::"i"(offsetof(struct percpu, preempt_count))
			 : "memory", "cc");
}

static inline void preempt_enable(void)
{
	preempt_enable_no_resched();
	if (unlikely(gs_read(need_resched)) && gs_read(preempt_count) == 0)
		preempt_schedule();
}

/* May this context sleep: a thread, preemption on, interrupts on? For assertions. */
static inline bool may_sleep(void)
{
	return gs_read(preempt_count) == 0 && irq_enabled();
}

/* In an interrupt handler? */
static inline bool in_interrupt(void)
{
	return gs_read(irq_depth) != 0;
}

/* A random number from RDRAND, or from TSC and counters mixed when the CPU has none. Any context. */
uint64_t random_u64(void);

#endif
