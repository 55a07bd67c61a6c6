// SPDX-License-Identifier: MIT
/*
 * Tasks as the scheduler sees them: one thread of a program, or one kernel thread.
 *
 * Life: task_create* makes it with two references (one for the caller, one for the scheduler);
 * task_start lets it run; it ends with task_exit. The scheduler then drops its own reference on
 * another stack. When the last reference is gone, task_free_hook and the freeing of stack and
 * structure run after a grace period, in a thread. So a reader with preemption off may look at a
 * task it found through a pointer that is cleared before task_put.
 *
 * State changes are made under task->lock (irqsave). Lock order: task->lock, then a run queue's
 * lock; both are taken after every other lock of the kernel except printing.
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include <kernel/cpu.h>
#include <kernel/list.h>
#include <kernel/regs.h>
#include <kernel/spinlock.h>
#include <vmtree/frame.h>

struct process; /* proc layer */
struct thread; /* proc layer: what it wants to know of one thread */
struct mm; /* mm layer */
struct task;

enum task_state {
	TASK_RUNNABLE, /* running or on a run queue */
	TASK_SLEEPING, /* until task_wake */
	TASK_SLEEPING_INT, /* also until WORK_SIGNAL is set */
	TASK_DEAD,
};

/* Bits of task->pending_work. */
#define WORK_SIGNAL (1u << 0) /* signals are pending: breaks interruptible sleep */
#define WORK_OTHER (1u << 1) /* something else to do on the way to user mode */

/* task->flags, fixed before task_start */
#define TASK_KERNEL (1u << 0) /* never in user mode (until task_enter_user) */
#define TASK_URGENT (1u << 1) /* runs before others once woken: the kernel's own helpers */

/*
 * How one task's traps are handled, instead of the global hooks of kernel/hooks.h: for tests of the
 * entry code that need no process. root is loaded instead of calling mm_switch.
 */
struct task_ops {
	void (*syscall)(struct regs *r);
	bool (*fault)(struct regs *r, uint64_t address, unsigned int error);
	void (*exception)(struct regs *r, int vector, uint64_t error);
	uint64_t root;
};

#define KSTACK_SIZE 16384UL
#define KSTACK_MAGIC 0x5afe57ac6b0770b5UL /* in the lowest word: checked at each switch */

struct task {
	/* Known to switch.S: the first fields. */
	uint64_t saved_rsp;
	void *kstack; /* lowest address; KSTACK_SIZE bytes */

	/* Guarded by lock. */
	struct spinlock lock;
	bool on_rq; /* running or queued, or a waker is about to queue it */
	atomic_int state; /* enum task_state; written by the task itself, or under lock */

	struct list rq_link; /* guarded by the run queue's lock */
	atomic_uint cpu; /* where it runs, or ran last */
	atomic_bool on_cpu; /* its stack is in use; cleared with release after a switch */
	_Atomic(cpumask_t) affinity; /* use task_set_affinity */
	uint32_t slice; /* ticks left */
	bool migrate; /* between two tasks on one CPU: must be queued elsewhere */

	atomic_uint pending_work; /* WORK_*; see task_notify */
	uint32_t flags;
	atomic_uint refs;
	char name[16]; /* written by the task itself */

	/* Owned by upper layers. */
	struct process *process; /* NULL for kernel threads */
	struct thread *thread;
	struct mm *mm; /* change the current task's with task_set_mm */
	bool notify_switch; /* WORK_OTHER is set whenever a CPU switches to it (rseq) */
	const struct task_ops *ops; /* NULL: the global hooks */

	/* The last user fault that was not resolved, for user_exception (mm_user_fault fills them). */
	uint64_t fault_address;
	int fault_signal; /* SIGSEGV or SIGBUS */
	int fault_code; /* si_code */

	/* User state that is not in struct regs. For the current task the CPU has the live one. */
	uint64_t fs_base, gs_base;
	void *fpu; /* NULL for kernel threads */

	/* CPU time. Exact at switches, split between user and kernel mode by the tick. */
	uint64_t run_ns, run_since;
	uint64_t ticks_user, ticks_kernel;
	uint64_t nr_switches;

	int (*entry)(void *); /* kernel threads */
	void *entry_arg;
	struct vmt_deferred deferred;
};

/* The calling task. Any context; in an interrupt handler the interrupted one. */
static inline struct task *current(void)
{
	return gs_read(current);
}

/* The user frame at the top of the task's kernel stack. Valid for tasks that have been in user mode. */
static inline struct regs *task_regs(struct task *t)
{
	return (struct regs *)((char *)t->kstack + KSTACK_SIZE - 16) - 1;
}

/*
 * A kernel thread that will call fn(arg); returning from fn is task_exit. NULL when memory is out.
 * Context: may be called where kmalloc may, not in an interrupt handler.
 */
struct task *task_create(const char *name, int (*fn)(void *), void *arg);

/*
 * A task that starts in user mode with these registers. FPU state, fs_base and gs_base are copied
 * from `parent` (the current task, or NULL for fresh ones). mm, process and thread are NULL: the
 * caller fills them (and fs_base for CLONE_SETTLS) before task_start.
 */
struct task *task_create_user(const char *name, const struct regs *regs, struct task *parent);

/* Puts a new task on a run queue. Once. */
void task_start(struct task *t);

/*
 * Turns the calling kernel thread into a user task: fills the frame from *regs, gives it fresh FPU
 * state if it has none, and enters user mode. Preemption on, no locks. Memory out: -ENOMEM.
 */
int task_enter_user(const struct regs *regs);

/* Ends the calling task. The caller has let go of mm (task_set_mm(NULL)) and all locks. */
_Noreturn void task_exit(void);

void task_get(struct task *t);
void task_put(struct task *t); /* any context */

/*
 * Makes a sleeping task runnable. Returns false when it was not asleep. Any context. Full ordering:
 * what the waker wrote before is seen by the woken task.
 */
bool task_wake(struct task *t);

/*
 * Sets bits of pending_work, wakes the task if WORK_SIGNAL is among them and it sleeps
 * interruptibly, and interrupts it if it is in user mode on another CPU, so that it soon comes by
 * signal_deliver_on_return. Any context.
 */
void task_notify(struct task *t, unsigned int work);

/* The current task clears bits (it looked, under its own lock, and there is nothing left to do). */
void task_clear_work(unsigned int work);

static inline bool task_signal_pending(struct task *t)
{
	/* Acquire pairs with the release in task_notify. */
	return atomic_load_explicit(&t->pending_work, memory_order_acquire) & WORK_SIGNAL;
}

/*
 * Gives the CPU away: if state is not TASK_RUNNABLE, until task_wake. Interrupts may be on or off
 * and come back the same. Preemption must be on (count 0). Prefer wait.h.
 */
void schedule(void);

/* Lets others run; stays runnable. Preemption on. */
void task_yield(void);

/* Sleeps; 0 when the time is over, -ERESTARTSYS when interruptible and a signal came. */
int task_sleep_until(uint64_t ktime, bool interruptible);

/* Moves the task to allowed CPUs; waits for that if it is the current one. 0 or -EINVAL. */
int task_set_affinity(struct task *t, cpumask_t mask);

/*
 * Changes the current task's address space and loads it (mm_switch). The caller owns both
 * references. Preemption on or off.
 */
void task_set_mm(struct mm *mm);

/* CPU time used, in ns, up to now. */
uint64_t task_cpu_time(struct task *t);
void task_cpu_times(struct task *t, uint64_t *user_ns, uint64_t *system_ns);

/* Runnable tasks, running ones included, idle ones not; approximate. */
unsigned int sched_runnable(void);

/* ---- FPU. Kernel code never uses the FPU itself. ---- */

/* Saves the live state of the current task to its task->fpu (and keeps it live). Preemption off. */
void fpu_save_current(void);
/* Loads task->fpu of the current task into the CPU. Preemption off. Bad contents are sanitised. */
void fpu_load_current(void);
/* Sets the current task's state to that of a fresh program (execve). */
void fpu_reset_current(void);
/*
 * For signal frames: the state is in XSAVE standard format (or FXSAVE), cpu_features.fpu_size
 * bytes; copies out to / in from user memory at a 64-byte aligned address. -EFAULT. May sleep.
 */
int fpu_copy_to_user(uint64_t user_address);
int fpu_copy_from_user(uint64_t user_address);

/* fs and gs base of the current task, read from and written to the CPU as well. Preemption any. */
uint64_t user_fs_base(void);
void user_set_fs_base(uint64_t base);
uint64_t user_gs_base(void);
void user_set_gs_base(uint64_t base);

#endif
