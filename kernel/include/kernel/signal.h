// SPDX-License-Identifier: MIT
/*
 * Signals: numbers and structures as Linux x86-64 programs see them (man 7 signal, sigaction(2)),
 * and how other layers send them.
 *
 * All signal state is guarded by process->lock, the table of actions by sighand->lock (both
 * irqsave). A thread has WORK_SIGNAL set whenever it has something to deliver; it is set under
 * process->lock by whoever makes it so and cleared under the same lock by the thread itself.
 */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include <kernel/list.h>
#include <kernel/spinlock.h>

struct process;
struct thread;
struct task;

enum {
	SIGHUP = 1, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1,
	SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
	SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR,
	SIGSYS, SIGRTMIN, SIG_COUNT = 64, /* 1 to 64 */
};

#define SIG_BIT(n) (1UL << ((n)-1))

/* si_code */
#define SI_USER 0
#define SI_KERNEL 0x80
#define SI_QUEUE (-1)
#define SI_TIMER (-2)
#define SI_TKILL (-6)
#define ILL_ILLOPN 2
#define FPE_INTDIV 1
#define FPE_FLTDIV 3
#define FPE_FLTOVF 4
#define FPE_FLTUND 5
#define FPE_FLTRES 6
#define FPE_FLTINV 7
#define SEGV_MAPERR 1
#define SEGV_ACCERR 2
#define BUS_ADRALN 1
#define BUS_ADRERR 2
#define BUS_MCEERR_AR 4
#define TRAP_BRKPT 1
#define TRAP_TRACE 2
#define CLD_EXITED 1
#define CLD_KILLED 2
#define CLD_DUMPED 3
#define CLD_STOPPED 5
#define CLD_CONTINUED 6

struct siginfo {
	int32_t si_signo, si_errno, si_code, pad;
	union {
		struct {
			pid_t pid;
			uint32_t uid;
			uint64_t value; /* sigqueue */
		} rt;
		struct {
			pid_t pid;
			uint32_t uid;
			int32_t status;
			int32_t pad;
			int64_t utime, stime; /* clock ticks */
		} child;
		struct {
			uint64_t addr;
		} fault;
		uint8_t bytes[112];
	};
};
_Static_assert(sizeof(struct siginfo) == 128, "siginfo_t is 128 bytes");

#define SIG_DFL 0UL
#define SIG_IGN 1UL
#define SA_NOCLDSTOP 0x1UL
#define SA_NOCLDWAIT 0x2UL
#define SA_SIGINFO 0x4UL
#define SA_RESTORER 0x04000000UL
#define SA_ONSTACK 0x08000000UL
#define SA_RESTART 0x10000000UL
#define SA_NODEFER 0x40000000UL
#define SA_RESETHAND 0x80000000UL

/* As rt_sigaction passes it. */
struct sigaction {
	uint64_t handler;
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct sighand {
	struct spinlock lock; /* irqsave; guards actions */
	atomic_uint refs;
	struct sigaction actions[SIG_COUNT]; /* [n - 1] */
};

struct sigpending {
	uint64_t set;
	struct list queue; /* of struct sigqueue (kernel/proc/signal.c) */
};

#define SS_ONSTACK 1
#define SS_DISABLE 2
#define SS_AUTODISARM (1U << 31)
#define MINSIGSTKSZ 2048

struct sigaltstack {
	uint64_t sp;
	int32_t flags;
	uint64_t size;
};

/*
 * For a call that ends with -ERESTART_RESTARTBLOCK: fn continues it when no handler ran. Set by the
 * call just before it returns that.
 */
struct restart_block {
	long (*fn)(struct restart_block *b);
	uint64_t arg[6];
};

/* ---- Sending. Any context, process->lock not held; they copy info. ---- */

/*
 * Sends to a process as a whole, or to one thread. info NULL: SI_KERNEL. What nobody would notice
 * (ignored and not blocked) is dropped. 0; -EAGAIN: sig is a real-time signal, was sent with
 * SI_QUEUE, and RLIMIT_SIGPENDING or memory is used up.
 */
int signal_send_process(struct process *p, int sig, const struct siginfo *info);
int signal_send_thread(struct thread *t, int sig, const struct siginfo *info);

/*
 * To every process of a group, as the kernel (a terminal does that). Number of processes reached.
 */
unsigned int signal_send_group(pid_t pgid, int sig, const struct siginfo *info);

/* To the calling thread, as the kernel: SIGPIPE from write(2), SIGXFSZ. */
void signal_send_self(int sig);

/*
 * A fault of the calling thread: cannot be ignored or blocked (that ends the program). addr goes to
 * si_addr.
 */
void signal_fault(int sig, int code, uint64_t addr);

/* ---- Masks for pselect6, ppoll and the like ---- */

/*
 * Replaces the calling thread's mask until the call is over (SIGKILL and SIGSTOP stay open).
 * signal_mask_end must follow: with interrupted (the call returns -EINTR or -ERESTARTNOHAND because
 * of a signal) the old mask comes back after the handler's frame was built with it, otherwise at
 * once.
 */
void signal_mask_begin(uint64_t mask);
void signal_mask_end(bool interrupted);

/* Reads a sigset_t from user memory for the above; size must be 8: 0, -EINVAL, -EFAULT. */
int signal_mask_from_user(uint64_t *mask, uint64_t address, uint64_t size);

/* The table of default actions, e.g. for the core flag of `signal N CORE`. */
bool signal_dumps_core(int sig);

#endif
