// SPDX-License-Identifier: MIT
/*
 * Making and ending tasks (kernel/task.h).
 */
#include <kernel/task.h>

#include <kernel/errno.h>
#include <kernel/grace.h>
#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/time.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

#define KSTACK_ORDER 2

static void task_free(void *unused, struct vmt_deferred *item)
{
	struct task *t = container_of(item, struct task, deferred);

	(void)unused;
	task_free_hook(t);
	kfree(t->fpu);
	frame_free(virt_to_phys(t->kstack), KSTACK_ORDER);
	kfree(t);
}

static struct task *task_alloc(const char *name)
{
	struct task *t = kzalloc(sizeof(*t));
	uint64_t stack = t ? frame_alloc(KSTACK_ORDER, 0) : FRAME_NONE;

	if (stack == FRAME_NONE) {
		kfree(t);
		return NULL;
	}
	t->kstack = phys_to_virt(stack);
	*(uint64_t *)t->kstack = KSTACK_MAGIC;
	spin_init(&t->lock);
	list_init(&t->rq_link);
	/* Relaxed: the task is published by task_start. */
	atomic_store_explicit(&t->affinity, cpu_all(), memory_order_relaxed);
	atomic_store_explicit(&t->cpu, cpu_id(), memory_order_relaxed);
	atomic_store_explicit(&t->refs, 2, memory_order_relaxed);
	t->deferred.run = task_free;
	strlcpy(t->name, name, sizeof(t->name));
	return t;
}

struct task *task_create(const char *name, int (*fn)(void *), void *arg)
{
	struct task *t = task_alloc(name);

	if (!t)
		return NULL;
	t->flags = TASK_KERNEL;
	t->entry = fn;
	t->entry_arg = arg;
	arch_task_init_stack(t, NULL);
	return t;
}

struct task *task_create_user(const char *name, const struct regs *regs, struct task *parent)
{
	struct task *t = task_alloc(name);

	if (!t)
		return NULL;
	if (arch_fpu_alloc(t, parent)) {
		frame_free(virt_to_phys(t->kstack), KSTACK_ORDER);
		kfree(t);
		return NULL;
	}
	if (parent) {
		t->fs_base = parent == current() ? user_fs_base() : parent->fs_base;
		t->gs_base = parent == current() ? user_gs_base() : parent->gs_base;
		/* Relaxed: a copy of what the parent has now. */
		atomic_store_explicit(&t->affinity,
				      atomic_load_explicit(&parent->affinity, memory_order_relaxed),
				      memory_order_relaxed);
	}
	arch_task_init_stack(t, regs);
	return t;
}

/* The context that a CPU started with, made a task. It runs on the stack of its CPU's start. */
struct task *task_create_idle(unsigned int cpu)
{
	struct task *t = task_alloc("idle");

	assert(t);
	t->flags = TASK_KERNEL;
	t->on_rq = true;
	/* Relaxed: only this CPU knows the task. */
	atomic_store_explicit(&t->on_cpu, true, memory_order_relaxed);
	atomic_store_explicit(&t->cpu, cpu, memory_order_relaxed);
	atomic_store_explicit(&t->affinity, CPU_BIT(cpu), memory_order_relaxed);
	return t;
}

/* From entry.S, interrupts off, after the first switch to the task. */
void task_first_kernel(struct task *prev)
{
	struct task *t = current();

	sched_first_switch(prev);
	irq_enable();
	t->entry(t->entry_arg);
	task_exit();
}

void task_first_user(struct task *prev)
{
	sched_first_switch(prev);
	exit_to_user(task_regs(current()));
}

int task_enter_user(const struct regs *regs)
{
	struct task *t = current();

	if (!t->fpu) {
		int err = arch_fpu_alloc(t, NULL);

		if (err)
			return err;
		/* From here on switches save and load it; what they saved so far was not ours. */
		fpu_reset_current();
		user_set_fs_base(0);
		user_set_gs_base(0);
	}
	t->flags &= ~TASK_KERNEL;
	*task_regs(t) = *regs;
	enter_user(task_regs(t));
}

void task_exit(void)
{
	struct task *t = current();

	assert(!t->mm && may_sleep());
	/* Relaxed: read by this CPU in schedule and, under t->lock, by wakers, who leave it alone. */
	atomic_store_explicit(&t->state, TASK_DEAD, memory_order_relaxed);
	schedule();
	panic("a dead task runs");
}

void task_get(struct task *t)
{
	/* Relaxed: the caller has a reference already. */
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

void task_put(struct task *t)
{
	/* Acq_rel: everybody's last use happens before the freeing. */
	if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
		grace_defer(&t->deferred);
}

uint64_t task_cpu_time(struct task *t)
{
	/* Relaxed: statistics; the sum may be off by the switch that is under way. */
	bool running = atomic_load_explicit(&t->on_cpu, memory_order_relaxed);

	return t->run_ns + (running ? ktime_ns() - t->run_since : 0);
}

void task_cpu_times(struct task *t, uint64_t *user_ns, uint64_t *system_ns)
{
	uint64_t all = task_cpu_time(t), ticks = t->ticks_user + t->ticks_kernel;

	/* Exact in total; divided as the ticks fell, all of it user time before the first. */
	*user_ns = ticks ? all / ticks * t->ticks_user : all;
	*system_ns = all - *user_ns;
}
