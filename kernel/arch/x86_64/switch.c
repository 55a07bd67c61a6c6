// SPDX-License-Identifier: MIT
/*
 * What a context switch changes on the CPU: address space, kernel stack, segment bases, FPU state.
 * Kernel code never touches the FPU, so its registers always hold the current user task's state.
 */
#include "arch.h"

#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>

#define XCR0_WANTED 0x7UL /* x87, SSE, AVX */
#define FXSAVE_SIZE 512
#define MXCSR_OFFSET 24
#define MXCSR_DEFAULT 0x1f80

static uint32_t mxcsr_mask = 0xffbf;
static uint8_t fpu_initial[FXSAVE_SIZE + 64] __attribute__((aligned(64)));

void fpu_detect(void)
{
	uint32_t r[4];

	cpu_features.fpu_size = FXSAVE_SIZE;
	if (!cpu_features.xsave)
		return;
	cpuid(0xd, 0, r);
	cpu_features.xcr0 = r[0] & (cpu_features.avx ? XCR0_WANTED : 0x3);
	cpu_features.fpu_size = FXSAVE_SIZE + 64;
	if (cpu_features.xcr0 & 4) {
		cpuid(0xd, 2, r); /* AVX: size in eax, offset in ebx */
		cpu_features.fpu_size = r[1] + r[0];
	}
}

/* On each CPU; CR4.OSXSAVE is set. Every CPU starts with the initial state. */
void fpu_setup_cpu(void)
{
	uint8_t area[FXSAVE_SIZE] __attribute__((aligned(16)));
	uint32_t mask;

	if (cpu_features.xsave)
		__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)cpu_features.xcr0), "d"(0));
	__asm__ volatile("fninit");
	memset(area, 0, sizeof(area));
	__asm__ volatile("fxsave %0" : "=m"(area));
	memcpy(&mask, area + 28, sizeof(mask));
	if (mask)
		mxcsr_mask = mask;
	/* The state of a fresh program: control word 0x37f, default MXCSR, nothing in use. */
	fpu_initial[0] = 0x7f;
	fpu_initial[1] = 0x03;
	mask = MXCSR_DEFAULT;
	memcpy(fpu_initial + MXCSR_OFFSET, &mask, sizeof(mask));
}

static void fpu_save(void *area)
{
	if (cpu_features.xsave)
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)cpu_features.xcr0), "d"(0)
				 : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

static void fpu_load(const void *area)
{
	if (cpu_features.xsave)
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)cpu_features.xcr0), "d"(0)
				 : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

static void fpu_fresh(void *area)
{
	memset(area, 0, cpu_features.fpu_size);
	memcpy(area, fpu_initial, FXSAVE_SIZE);
}

int arch_fpu_alloc(struct task *t, struct task *parent)
{
	if (!t->fpu)
		t->fpu = kmalloc(cpu_features.fpu_size);
	if (!t->fpu)
		return -ENOMEM;
	if (parent && parent->fpu) {
		preempt_disable();
		if (parent == current())
			fpu_save(parent->fpu);
		memcpy(t->fpu, parent->fpu, cpu_features.fpu_size);
		preempt_enable();
	} else {
		fpu_fresh(t->fpu);
	}
	return 0;
}

void fpu_save_current(void)
{
	fpu_save(current()->fpu);
}

/* What would make XRSTOR fault is cleared: reserved MXCSR bits, unknown components, compaction. */
static void fpu_sanitize(uint8_t *area)
{
	uint32_t mxcsr;
	uint64_t header[8];

	memcpy(&mxcsr, area + MXCSR_OFFSET, sizeof(mxcsr));
	mxcsr &= mxcsr_mask;
	memcpy(area + MXCSR_OFFSET, &mxcsr, sizeof(mxcsr));
	if (!cpu_features.xsave)
		return;
	memcpy(header, area + FXSAVE_SIZE, sizeof(header));
	header[0] &= cpu_features.xcr0;
	memset(header + 1, 0, sizeof(header) - sizeof(header[0]));
	memcpy(area + FXSAVE_SIZE, header, sizeof(header));
}

void fpu_load_current(void)
{
	fpu_sanitize(current()->fpu);
	fpu_load(current()->fpu);
}

void fpu_reset_current(void)
{
	preempt_disable();
	fpu_fresh(current()->fpu);
	fpu_load(current()->fpu);
	preempt_enable();
}

int fpu_copy_to_user(uint64_t user_address)
{
	/* What is in task->fpu may be saved over by a switch, with the same contents: harmless. */
	preempt_disable();
	fpu_save_current();
	preempt_enable();
	return copy_to_user(user_address, current()->fpu, cpu_features.fpu_size);
}

int fpu_copy_from_user(uint64_t user_address)
{
	/* Not straight into task->fpu: a switch in the middle would save the live state over it. */
	void *copy = kmalloc(cpu_features.fpu_size);
	int err;

	if (!copy)
		return -ENOMEM;
	err = copy_from_user(copy, user_address, cpu_features.fpu_size);
	if (!err) {
		preempt_disable();
		memcpy(current()->fpu, copy, cpu_features.fpu_size);
		fpu_load_current();
		preempt_enable();
	}
	kfree(copy);
	return err;
}

static uint64_t live_fs_base(void)
{
	uint64_t v;

	if (!cpu_features.fsgsbase)
		return rdmsr(MSR_FS_BASE);
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static void set_live_fs_base(uint64_t v)
{
	if (cpu_features.fsgsbase)
		__asm__ volatile("wrfsbase %0" ::"r"(v));
	else
		wrmsr(MSR_FS_BASE, v);
}

uint64_t user_fs_base(void)
{
	return live_fs_base();
}

void user_set_fs_base(uint64_t base)
{
	preempt_disable();
	current()->fs_base = base;
	set_live_fs_base(base);
	preempt_enable();
}

uint64_t user_gs_base(void)
{
	return rdmsr(MSR_KERNEL_GS_BASE);
}

void user_set_gs_base(uint64_t base)
{
	preempt_disable();
	current()->gs_base = base;
	wrmsr(MSR_KERNEL_GS_BASE, base);
	preempt_enable();
}

/*
 * A program may load null or data selectors into segment registers; they are not part of a task here
 * and are set to null, so that none is seen by the next. Loading GS clears its base: put back.
 */
static void reset_selectors(void)
{
	uint16_t ds, es, fs, gs;

	__asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	if (likely(!(ds | es | fs | gs)))
		return;
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%fs" ::"r"(0));
	if (gs) {
		uint64_t base = rdmsr(MSR_GS_BASE);

		__asm__ volatile("mov %0, %%gs" ::"r"(0));
		wrmsr(MSR_GS_BASE, base);
	}
}

static void switch_bases(struct task *prev, struct task *next)
{
	if (prev->fpu) {
		prev->fs_base = live_fs_base();
		prev->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
		reset_selectors();
	}
	if (next->fpu) {
		set_live_fs_base(next->fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, next->gs_base);
	}
}

static void switch_space(struct task *prev, struct task *next)
{
	if (likely(!prev->ops && !next->ops)) {
		if (prev->mm != next->mm)
			mm_switch(prev->mm, next->mm);
		return;
	}
	if (prev->mm)
		mm_switch(prev->mm, NULL);
	write_cr3(next->ops ? next->ops->root : kernel_root());
	if (next->mm)
		mm_switch(NULL, next->mm);
}

/* Interrupts off; the CPU still runs on prev's stack. */
void arch_switch_in(struct task *prev, struct task *next)
{
	if (prev->fpu)
		fpu_save(prev->fpu);
	switch_space(prev, next);
	switch_bases(prev, next);
	if (next->fpu)
		fpu_load(next->fpu);
	cpu_set_kernel_stack((char *)next->kstack + KSTACK_SIZE - 16);
	this_cpu()->current = next;
}

/* The first stack contents of a task: for task_switch to pop, below a user frame or nothing. */
void arch_task_init_stack(struct task *t, const struct regs *user)
{
	uint64_t *sp = (uint64_t *)task_regs(t);

	if (user)
		*task_regs(t) = *user;
	*--sp = user ? (uint64_t)task_start_user : (uint64_t)task_start_kernel;
	for (int i = 0; i < 6; i++)
		*--sp = 0;
	t->saved_rsp = (uint64_t)sp;
}
