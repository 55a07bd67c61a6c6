// SPDX-License-Identifier: MIT
/*
 * What the upper layers define and the core calls.
 */
#ifndef KERNEL_HOOKS_H
#define KERNEL_HOOKS_H

#include <kernel/regs.h>

struct task;
struct mm;

/*
 * The first thread after boot: all CPUs run, memory, time, grace periods and interrupts work; may
 * sleep. Sets up the upper layers, runs the first program and ends in machine_exit(). (boot layer
 * above the core; kernel/proc)
 */
void kernel_main(void);

/*
 * A SYSCALL instruction: number in r->error, arguments rdi rsi rdx r10 r8 r9, result to r->rax.
 * Interrupts and preemption on; may sleep. (kernel/sys)
 */
void syscall_dispatch(struct regs *r);

/*
 * Called on the way to user mode while the task's pending_work is not zero, again and again until
 * it is. Interrupts and preemption on; may sleep and may task_exit. Clears WORK_SIGNAL with
 * task_clear_work when nothing is left to deliver; may change *r to enter a handler, and is the
 * place that restarts system calls (r->vector is REGS_VECTOR_SYSCALL and r->rax a restart code).
 * (kernel/proc)
 */
void signal_deliver_on_return(struct regs *r);

/*
 * A program's exception other than a resolved page fault: #DE #DB #BP #OF #BR #UD #NM #NP #SS #GP
 * #PF #MF #AC #XM by vector, with the hardware's error code. For #PF the current task's
 * fault_address, fault_signal and fault_code say more. For #BP rip is behind the int3. Interrupts
 * and preemption on; may sleep. Queues a signal (task_notify) or ends the program. (kernel/proc)
 */
void user_exception(struct regs *r, int vector, uint64_t error);

/*
 * A page fault on a user address, error as the hardware's (PF_*).
 * From user mode, or from the kernel inside a user access (kernel/uaccess.h) with preemption on:
 * then regs_user_mode(r) is false. Interrupts and preemption on; may sleep. Returns true when the
 * access may be tried again. False: sets fault_address, fault_signal and fault_code of the current
 * task; then the core calls user_exception for user mode, or makes the accessor return -EFAULT.
 * Called on every kind of fault in a user address, reserved-bit and protection ones included.
 * (kernel/mm)
 */
bool mm_user_fault(struct regs *r, uint64_t address, unsigned int error);

/*
 * This CPU stops using prev and starts using next; NULL: none, load kernel_root() (idle and kernel
 * threads). Never called with prev == next. Interrupts and preemption off: must not sleep and not
 * take locks that are held with interrupts on. Writes CR3 (and chooses the PCID when
 * cpu_features.pcid). (kernel/mm)
 */
void mm_switch(struct mm *prev, struct mm *next);

/* A device's message has come (VECTOR_DEVICE). Interrupt context. (kernel/dev) */
void device_interrupt(void);

/* The last reference of a task is gone: free what hangs on t->process and t->thread. In a thread,
 * after a grace period. (kernel/proc) */
void task_free_hook(struct task *t);

#endif
