// SPDX-License-Identifier: MIT
/*
 * What the files of kernel/proc share with each other. Locks and their order: kernel/process.h.
 */
#ifndef KERNEL_PROC_H
#define KERNEL_PROC_H

#include <kernel/file.h>
#include <kernel/mm.h>
#include <kernel/process.h>

/* ---- tree.c: pids, the tree, objects ---- */

extern struct spinlock tree_lock;

/*
 * The kernel's own process, pid 1: adopts orphans and lets them be reaped by themselves. No
 * threads.
 */
extern struct process init_process;

#define EXIT_CODE_STATUS(status) (((status)&0xff) << 8)
#define EXIT_CODE_CORE 0x80

/*
 * A new process that is not in the tree, one reference. limits and names are copied from `from`
 * (NULL: defaults); sighand is left to the caller. NULL: memory.
 */
struct process *process_alloc(struct process *from);
struct thread *thread_alloc(struct process *p); /* takes a reference of p; not linked */
void thread_free(struct thread *t); /* drops it again */
unsigned int thread_objects(void); /* how many there are, those of dead tasks included */

/*
 * Links a thread, and its process too when it is the first one: pid and tid are given here. Tree
 * lock and p->lock held. -EAGAIN: no number is free.
 */
int tree_add_thread(struct thread *t);
int tree_add_process(struct process *p, struct process *parent, struct thread *leader);

/* Makes it the last child of `parent`; it is nobody's before. Tree lock held. */
void tree_set_parent(struct process *p, struct process *parent);

/* The thread ends: off all lists. Tree lock and p->lock held. */
void tree_remove_thread(struct thread *t);

/*
 * A zombie leaves the tree, and the tree's reference goes. Tree lock held; p may be gone
 * afterwards.
 */
void tree_reap(struct process *p);

/* Gives the only thread left of a process the process's own number (execve). Tree lock held. */
void tree_become_leader(struct thread *t);

/* Tree lock held; no reference taken. */
struct process *tree_process(pid_t pid);
struct thread *tree_thread(pid_t tid);
extern struct list tree_all;
void tree_init(void); /* makes init_process; once, before everything else here */

#define tree_for_each(p) list_for_each(p, &tree_all, all_link)

/* Waits until only the first program's end is left; for init.c. */
bool tree_only_init(void);

/* ---- signal.c ---- */

struct sighand *sighand_alloc(void); /* all SIG_DFL, one reference; NULL: memory */
struct sighand *sighand_copy(struct sighand *from);
void sighand_get(struct sighand *s);
void sighand_put(struct sighand *s);
struct sigaction sighand_action(struct sighand *s, int sig);

void sigpending_init(struct sigpending *pending);
/* Drops what is pending of the signals in mask. p->lock held. */
void sigpending_drop(struct process *p, struct sigpending *pending, uint64_t mask);

/* As signal_send_*, p->lock held. t NULL: the process. */
int signal_send_locked(struct process *p, struct thread *t, int sig, const struct siginfo *info);

/*
 * Takes the first signal that is in `set`, the thread's own before the process's, faults before
 * others. p->lock held. 0: none.
 */
int signal_dequeue(struct thread *t, uint64_t set, struct siginfo *info);

/* Sets or clears WORK_SIGNAL of the calling thread. p->lock held. */
void signal_recalc(struct thread *t);

/* Changes the calling thread's mask and hands on what it now blocks. p->lock held. */
void signal_set_blocked(struct thread *t, uint64_t mask);

/* The calling thread ends: what it alone would have taken of the process's goes to another. */
void signal_hand_on(struct thread *t, uint64_t which);

/* Default actions. */
#define SIG_STOP_SET (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define SIG_IGNORE_SET \
	(SIG_BIT(SIGCHLD) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH) | SIG_BIT(SIGCONT))
#define SIG_UNBLOCKABLE (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))
#define SIG_FAULT_SET \
	(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | \
		SIG_BIT(SIGFPE) | SIG_BIT(SIGSYS))

static inline bool sig_valid(int sig)
{
	return sig >= 1 && sig <= SIG_COUNT;
}

/* ---- stop.c: group stop and continue ---- */

/* A default stop signal was taken by the calling thread. p->lock held. */
void group_stop_begin(struct process *p, int sig);
/* The calling thread sleeps as long as its process is stopped. No locks. */
void group_stop_obey(struct thread *t);
/* SIGCONT or SIGKILL. p->lock held. */
void group_stop_end(struct process *p, bool report);

/* ---- frame.c: handlers' frames ---- */

/* Builds the frame and points r at the handler. -EFAULT: the stack cannot be written. */
int signal_frame_push(struct regs *r, int sig, const struct sigaction *sa,
	const struct siginfo *info, uint64_t mask);

/* Most bytes that a frame takes (AT_MINSIGSTKSZ). */
size_t signal_frame_max(void);

/* ---- exit.c ---- */

/* Every thread of p is to end, unless that was so already. p->lock held. */
void group_exit_locked(struct process *p, int code);

/* Ends the calling thread; code as wait4 reports, for the case that it is the leader. */
_Noreturn void thread_exit(int code);

/* Lets go of what refers to the memory of the calling thread (robust futexes, vfork parent). */
void thread_release_mm(struct thread *t);

/* ---- clone.c ---- */

struct clone_request {
	uint64_t flags;
	int exit_signal;
	uint64_t stack; /* new stack pointer, 0: the same */
	uint64_t parent_tid, child_tid, tls;
};

long clone_run(const struct clone_request *c);

struct vfork_wait; /* shared by parent and child */
void vfork_done(struct thread *t);

#define CLONE_VM 0x100UL
#define CLONE_FS 0x200UL
#define CLONE_FILES 0x400UL
#define CLONE_SIGHAND 0x800UL
#define CLONE_PIDFD 0x1000UL
#define CLONE_PTRACE 0x2000UL
#define CLONE_VFORK 0x4000UL
#define CLONE_PARENT 0x8000UL
#define CLONE_THREAD 0x10000UL
#define CLONE_SYSVSEM 0x40000UL
#define CLONE_SETTLS 0x80000UL
#define CLONE_PARENT_SETTID 0x100000UL
#define CLONE_CHILD_CLEARTID 0x200000UL
#define CLONE_DETACHED 0x400000UL
#define CLONE_UNTRACED 0x800000UL
#define CLONE_CHILD_SETTID 0x1000000UL
#define CLONE_IO 0x80000000UL
#define CLONE_CLEAR_SIGHAND 0x100000000UL

/* ---- exec.c, elf.c, args.c ---- */

#define EXEC_HEAD 256 /* bytes of the file that decide what it is */

/* One argument or environment vector in kernel memory. */
struct exec_strings {
	char **chunks; /* of EXEC_CHUNK bytes */
	size_t bytes; /* used, NULs included */
	size_t count; /* of strings */
	size_t limit; /* bytes that strings and pointers may take */
};

#define EXEC_CHUNK 65536UL

int exec_strings_init(struct exec_strings *s, size_t limit);
void exec_strings_free(struct exec_strings *s);
int exec_strings_add(struct exec_strings *s, const char *text); /* kernel memory */
/* All strings of a NULL-terminated user vector, the first `skip` ones left out. */
int exec_strings_add_user(struct exec_strings *s, uint64_t vector, size_t skip);
/* Copies bytes [from, from + n) to kernel memory. */
void exec_strings_read(const struct exec_strings *s, size_t from, void *buf, size_t n);
/* Copies all strings to a program's memory, and the NULL-terminated pointers to them. */
int exec_strings_to_mm(const struct exec_strings *s, struct mm *mm, uint64_t address);
int exec_pointers_to_mm(const struct exec_strings *s, struct mm *mm, uint64_t vector,
	uint64_t strings);

struct elf_image {
	uint64_t entry, phdr;
	unsigned int phnum;
	bool exec_stack;
};

/* Do these first bytes of a file begin an ELF file? */
bool elf_is(const void *head, size_t n);
/*
 * Maps the program into a new mm and sets its break. -ENOEXEC: it cannot run here; a log line with
 * the name says why.
 */
int elf_map(struct file *f, const char *name, struct mm *mm, struct elf_image *image);

/* ---- stack.c: what a program finds on its stack ---- */

/* Builds the initial stack below *sp in mm and stores the stack pointer in *sp. */
int exec_build_stack(struct mm *mm, const struct elf_image *image, const struct exec_strings *argv,
	const struct exec_strings *envp, const char *path, uint64_t *sp);

struct exec_request {
	int dirfd;
	const char *path; /* kernel memory */
	unsigned int lookup_flags;
	uint64_t argv, envp; /* user vectors, or */
	const char *kernel_argv, *kernel_envp; /* packed strings, each with its NUL */
	size_t kernel_argv_size, kernel_envp_size;
};

/*
 * Replaces the program of the calling thread, which may be a kernel thread that has a process;
 * *regs are to enter user mode with. An error: nothing has changed, except that other threads may be
 * gone.
 */
int exec_run(const struct exec_request *request, struct regs *regs);

/* ---- futex.c, robust.c ---- */

/* Wakes up to n waiters of the word at this address of the current memory. */
long futex_wake_address(uint64_t address, bool shared, unsigned int n);
/* The calling thread ends: its robust futexes are marked. */
void robust_list_exit(struct thread *t);

/* ---- rseq.c; all for the calling thread but rseq_inherit ---- */

#define RSEQ_AREA_SIZE 32
#define RSEQ_FEATURE_SIZE 28 /* bytes of the area that this kernel fills */

/* On the way to user mode after a switch: the area says the CPU, and a sequence is aborted. */
void rseq_update(struct thread *t, struct regs *r);
/* A handler is about to be entered: a sequence is aborted before the registers are saved. */
void rseq_before_handler(struct thread *t, struct regs *r);
/* No registration any more (execve). */
void rseq_clear(struct thread *t);
/* The child of a fork has the parent's; task is its own and not started. */
void rseq_inherit(struct thread *t, const struct thread *from, struct task *task);

/* ---- itimer.c ---- */

void itimer_init(struct process *p);
void itimer_stop(struct process *p);

#endif
