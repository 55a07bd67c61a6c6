// SPDX-License-Identifier: MIT
/*
 * Processes and threads: what a program's tasks share, the process tree, and what other layers ask.
 *
 * A struct process is one thread group. It is created by clone, ends when its last thread has ended
 * (zombie), and leaves the tree when it is reaped; the structure is freed with its last reference.
 * A struct thread belongs to one task and is freed with it (task_free_hook).
 *
 * Locks, outermost first (docs/kernel-proc.md):
 *   tree lock (global spinlock in kernel/proc/tree.c): pid and tid tables, parent, children,
 *     groups, sessions, the transition to zombie;
 *   process->lock (irqsave: timers send signals): list of threads, everything about signals,
 *     rlimits, files and fs pointers of its threads, names;
 *   sighand->lock (irqsave): the table of actions, which CLONE_SIGHAND shares;
 *   then task->lock and the run queues.
 * None of them is held over an allocation that may sleep, user memory, or another layer's functions
 * except files_get/fs_get/mm_get, which must be plain reference counts.
 */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H

#include <kernel/list.h>
#include <kernel/signal.h>
#include <kernel/spinlock.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

struct files; /* fs layer: table of file descriptors */
struct fs_state; /* fs layer: current directory, umask */
struct file;
struct mm;
struct vfork_wait;

/* ---- Resource limits ---- */

enum {
	RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC,
	RLIMIT_NOFILE, RLIMIT_MEMLOCK, RLIMIT_AS, RLIMIT_LOCKS, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE,
	RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_COUNT,
};

#define RLIM_INFINITY UINT64_MAX

struct rlimit {
	uint64_t current, maximum;
};

/* One that is set under process->lock and read without: each half is read by itself. */
struct process_limit {
	_Atomic uint64_t current, maximum;
};

/*
 * The soft limit of the current process (kernel threads: no limit). No lock. Any context of a task.
 */
uint64_t process_rlimit(unsigned int which);

/* ---- Structures ---- */

#define PROCESS_ARGS_MAX 4096

/* The first program. (1 is the kernel's own process, which reaps orphans.) */
#define PROGRAM_PID 2

/* Print the first program's address space when it ends (docs/guest.md, `dump`). */
extern bool dump_at_exit;

struct process {
	atomic_uint refs;
	pid_t pid;
	uint64_t start_ns; /* ktime of its creation */

	/* Guarded by the tree lock. */
	struct process *parent; /* never NULL but for init and after reaping; tree_set_parent */
	_Atomic pid_t ppid; /* its pid, read without the lock */
	struct list children, sibling;
	struct list all_link; /* all processes, by creation */
	struct list pid_link;
	pid_t pgid, sid;
	bool zombie; /* no threads left, to be reaped */
	bool reaped; /* off the tree */
	bool did_exec;
	int exit_signal; /* to the parent; 0: none */
	int wait_code; /* CLD_STOPPED or CLD_CONTINUED not yet reported to the parent, else 0 */
	int wait_status; /* its signal */
	uint64_t child_user_ns, child_system_ns; /* of children that were waited for */

	struct waitqueue child_wait; /* wait4 sleeps here */

	struct spinlock lock; /* irqsave; guards what follows */
	struct list threads; /* of struct thread, process_link; the leader is first while it lives */
	unsigned int nr_threads;
	unsigned int nr_live; /* of these, not yet in thread_exit */
	bool group_exit; /* every thread is to end, with exit_code */
	int exit_code; /* as wait4 reports: status << 8, or signal (| 0x80: core) */
	struct thread *exec_thread; /* the one that execve lets live, NULL otherwise */
	int stop_signal; /* group stop asked for or in force; 0: none */
	bool report_stop, report_continue; /* the parent is to be told */
	uint64_t dead_user_ns, dead_system_ns; /* of threads that have ended */
	struct sigpending pending; /* for the process as a whole */
	unsigned int nr_queued; /* siginfo objects of process and threads */
	struct sighand *sighand; /* reference owned; changed by execve only */
	struct process_limit rlimits[RLIMIT_COUNT];
	struct file *exe; /* what execve opened, a reference; NULL before the first */
	char name[16]; /* of the leader, kept for the zombie */
	char *args; /* its arguments, each with NUL; may be NULL */
	size_t args_size;

	struct waitqueue stop_wait; /* stopped threads sleep here */
	struct waitqueue exec_wait; /* execve waits for the others to end */

	/* setitimer(ITIMER_REAL), alarm: kernel/proc/itimer.c */
	struct mutex itimer_mutex;
	struct timer itimer;
	uint64_t itimer_expires, itimer_interval; /* guarded by lock */

	int nice; /* recorded; the scheduler has one class */
	int pdeath_signal; /* prctl(PR_SET_PDEATHSIG); 0: none */
};

struct thread {
	struct task *task; /* no reference: the task owns the thread */
	struct process *process; /* reference owned */
	pid_t tid;
	struct list process_link; /* process->lock */
	struct list tid_link; /* tree lock */

	/*
	 * References owned. Changed by the thread itself under process->lock; others read under it.
	 */
	struct files *files;
	struct fs_state *fs;

	/* Signals: written by the thread itself under process->lock, read by senders under it. */
	struct sigpending pending;
	uint64_t blocked;
	uint64_t saved_mask; /* to go back to after sigsuspend, ppoll, ...; valid with restore_mask */
	bool restore_mask;
	bool stopped; /* sleeps in group_stop_obey */
	bool exiting; /* takes no more signals */
	uint64_t wait_set; /* rt_sigtimedwait wants these */

	/* Private to the thread. */
	uint64_t trap_vector, trap_error, trap_address; /* the last exception, for sigcontext */
	struct sigaltstack altstack;
	struct restart_block restart;
	uint64_t set_child_tid; /* to be written on the first way to user mode */
	uint64_t clear_child_tid;
	uint64_t robust_list;
	uint64_t rseq; /* registered area, 0: none */
	uint32_t rseq_size, rseq_signature;
	struct vfork_wait *vfork; /* the parent waits until we let go of its memory */
};

/* The calling thread's. NULL in kernel threads. */
static inline struct process *current_process(void)
{
	return current()->process;
}

static inline struct thread *current_thread(void)
{
	return current()->thread;
}

/* Both limits of a process, p->lock held. */
static inline struct rlimit process_limit_get(struct process *p, unsigned int which)
{
	/* Relaxed: they change under the lock that is held. */
	return (struct rlimit){
		atomic_load_explicit(&p->rlimits[which].current, memory_order_relaxed),
		atomic_load_explicit(&p->rlimits[which].maximum, memory_order_relaxed),
	};
}

/*
 * ---- References and looking around (for /proc and others). May be called wherever spinlocks may.
 * ----
 */

/* A process by its pid with a reference, zombies included; NULL. */
struct process *process_find(pid_t pid);
void process_get(struct process *p);
void process_put(struct process *p); /* any context where kfree may be called */

/* The smallest pid > after in use by a process, 0 when there is none: for listing /proc. */
pid_t process_next(pid_t after);

/* The smallest tid > after of the process, 0 when there is none: for /proc/PID/task. */
pid_t process_next_thread(struct process *p, pid_t after);

struct process_info {
	pid_t pid, ppid, pgid, sid;
	char name[16];
	char state; /* R S T Z */
	unsigned int threads;
	int nice;
	uint64_t start_ns, user_ns, system_ns, child_user_ns, child_system_ns;
	uint64_t sig_pending, sig_blocked, sig_ignored, sig_caught; /* bit n-1: signal n */
};

void process_info(struct process *p, struct process_info *info);

/*
 * The memory of a process with a reference, NULL for zombies and kernel processes. Its descriptors,
 * directory and program likewise: process_files_get, process_fs_get, process_exe_get, and those of
 * the calling thread: current_files, current_fs (all declared in kernel/file.h).
 */
struct mm *process_mm_get(struct process *p);

/* Copies up to size bytes of the arguments from offset on (as /proc/PID/cmdline); bytes copied. */
ssize_t process_args(struct process *p, char *buf, size_t size, size_t offset);

/* The task of a thread by its tid (0: the calling one), with a reference (task_put); NULL. */
struct task *process_task(pid_t tid);

/* Numbers for /proc/loadavg and sysinfo. */
unsigned int process_count(void); /* processes, zombies included */
unsigned int thread_count(void);

/* Does a process of this group exist in session sid? For tcsetpgrp. */
bool process_group_in_session(pid_t pgid, pid_t sid);

/* ---- Ending ---- */

/*
 * Memory ran out: ends the program of this task with SIGKILL and writes `killed PID NAME` once.
 * May be called on the current task from mm_user_fault (preemption on): then return true for an
 * access from user mode (the task ends before it runs again), false with fault_signal SIGBUS for one
 * in the kernel.
 */
void process_kill_oom(struct task *t);

/* Ends the whole program of the calling thread; code as wait4 reports. Preemption on, no locks. */
_Noreturn void process_exit_group(int code);

/*
 * Is the calling thread to end, so that a long loop in the kernel should stop early? Any context.
 */
bool process_fatal_pending(void);

#endif
