// SPDX-License-Identifier: MIT
/*
 * From the SYSCALL instruction to the function, and the count of what is missing.
 *
 * Calls are counted per CPU; the sum is for the report. Calls that are missing are counted in one
 * table for all: nobody asks for them often.
 */
#include "table.h"
#include <kernel/hooks.h>
#include <kernel/printk.h>
#include <kernel/task.h>

static _Atomic uint64_t missing[SYSCALL_MAX];
/* Numbers that Linux has not either: how often, and one of them. */
static _Atomic uint64_t missing_other, other_number;

static void count_missing(uint64_t number)
{
	/* Relaxed: statistics. */
	if (number < SYSCALL_MAX) {
		atomic_fetch_add_explicit(&missing[number], 1, memory_order_relaxed);
	} else {
		atomic_fetch_add_explicit(&missing_other, 1, memory_order_relaxed);
		atomic_store_explicit(&other_number, number, memory_order_relaxed);
	}
}

/* One of four near to each other, so that most results need one comparison. */
static inline bool is_restart(long result)
{
	return unlikely(result >= -ERESTART_RESTARTBLOCK && result <= -ERESTARTSYS) &&
	       (result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
		       result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK);
}

void syscall_dispatch(struct regs *r)
{
	uint64_t number = r->error;
	long result;

	gs_count(nr_syscalls);
	if (unlikely(number >= SYSCALL_MAX || !syscall_table[number])) {
		count_missing(number);
		return; /* rax is -ENOSYS */
	}
	result = syscall_table[number](r);
	r->rax = (uint64_t)result;
	/*
	 * The way to user mode is what restarts a call. The signal that broke the wait may have
	 * gone to another thread since, so pass there in any case.
	 */
	if (is_restart(result) && r->vector == REGS_VECTOR_SYSCALL)
		task_notify(current(), WORK_SIGNAL);
}

uint64_t syscall_count(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < cpu_count(); i++)
		n += percpus[i].nr_syscalls;
	return n;
}

void syscall_report(void)
{
	for (unsigned int i = 0; i < SYSCALL_MAX; i++) {
		/* Relaxed: nobody counts any more. */
		uint64_t n = atomic_load_explicit(&missing[i], memory_order_relaxed);
		const char *name = syscall_name(i);

		if (n)
			control_line("syscall %u %s %lu", i, name ? name : "unknown", n);
	}
	/* Relaxed: as above. */
	uint64_t n = atomic_load_explicit(&missing_other, memory_order_relaxed);

	if (n)
		control_line("syscall %lu unknown %lu",
			     atomic_load_explicit(&other_number, memory_order_relaxed), n);
}
