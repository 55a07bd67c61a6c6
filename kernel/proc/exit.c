// SPDX-License-Identifier: MIT
/*
 * The end of threads and processes.
 *
 * A thread lets go of its memory, then of its files, then leaves the lists; the last one turns the
 * process into a zombie, so that whoever waits for it sees its files closed and its memory given
 * back. Nothing of a thread but its task (freed after a grace period) is left after that.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

void group_exit_locked(struct process *p, int code)
{
	struct thread *t;

	if (p->group_exit)
		return;
	p->group_exit = true;
	p->exit_code = code;
	list_for_each(t, &p->threads, process_link) task_notify(t->task, WORK_SIGNAL);
	wake_all(&p->stop_wait);
}

/* As Linux, tells of the end only where somebody else uses the memory. */
void thread_release_mm(struct thread *t)
{
	robust_list_exit(t);
	if (t->clear_child_tid) {
		/* Relaxed: who shares the memory got it from us or before us. */
		if (atomic_load_explicit(&current()->mm->refs, memory_order_relaxed) > 1 &&
			!put_user_u32(t->clear_child_tid, 0))
			futex_wake_address(t->clear_child_tid, true, 1);
		t->clear_child_tid = 0;
	}
}

/*
 * No more signals, no more looks from /proc. True: the process has no other thread left that lives.
 */
static bool begin_exit(struct thread *t, int code)
{
	struct process *p = t->process;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	bool last;

	t->exiting = true;
	last = --p->nr_live == 0;
	if (!p->group_exit && t->tid == p->pid)
		p->exit_code = code;
	signal_hand_on(t, ~t->blocked);
	spin_unlock_irqrestore(&p->lock, flags);
	return last;
}

bool dump_at_exit; /* written once, before the first program */

/* What belongs to the process and needs a context that may sleep. */
static void release_process(struct process *p)
{
	struct file *exe;
	uint64_t flags;

	itimer_stop(p);
	flags = spin_lock_irqsave(&p->lock);
	exe = p->exe;
	p->exe = NULL;
	spin_unlock_irqrestore(&p->lock, flags);
	if (exe)
		file_put(exe);
}

static void release_thread(struct thread *t)
{
	struct mm *mm = current()->mm;
	struct files *files = t->files;
	struct fs_state *fs = t->fs;

	if (mm) {
		thread_release_mm(t);
		task_set_mm(NULL);
		vfork_done(t);
		mm_put(mm);
	}
	vfork_done(t);
	/* t->exiting keeps others away from these. */
	t->files = NULL;
	t->fs = NULL;
	if (files)
		files_put(files);
	if (fs)
		fs_put(fs);
}

/* ---- Zombies ---- */

/* Tree lock held. The parent does not want to wait: Linux's rule for SIGCHLD. */
static bool parent_ignores(struct process *p)
{
	struct sigaction sa;

	if (p->parent == &init_process)
		return true;
	if (p->exit_signal != SIGCHLD)
		return false;
	sa = sighand_action(p->parent->sighand, SIGCHLD);
	return sa.handler == SIG_IGN || (sa.flags & SA_NOCLDWAIT);
}

static void notify_parent(struct process *p)
{
	int core = p->exit_code & EXIT_CODE_CORE, sig = p->exit_code & 0x7f;
	struct siginfo info = {.si_signo = p->exit_signal};

	if (!p->exit_signal || p->parent == &init_process)
		return;
	info.si_code = !sig ? CLD_EXITED : core ? CLD_DUMPED : CLD_KILLED;
	info.child.pid = p->pid;
	info.child.status = sig ? sig : p->exit_code >> 8;
	info.child.utime = (int64_t)(p->dead_user_ns / (NSEC_PER_SEC / 100));
	info.child.stime = (int64_t)(p->dead_system_ns / (NSEC_PER_SEC / 100));
	signal_send_process(p->parent, p->exit_signal, &info);
}

/* The children go to pid 1, which does not wait for them. Tree lock held. */
static void orphan_children(struct process *p)
{
	struct process *child, *next;

	list_for_each_safe(child, next, &p->children, sibling)
	{
		list_del(&child->sibling);
		tree_set_parent(child, &init_process);
		if (child->pdeath_signal)
			signal_send_process(child, child->pdeath_signal, NULL);
		if (child->zombie)
			tree_reap(child);
	}
}

/* Tree lock held; the tree's reference may be the last. */
static void become_zombie(struct process *p)
{
	struct process *parent = p->parent;
	bool forget = parent_ignores(p);

	orphan_children(p);
	p->zombie = true;
	notify_parent(p);
	if (forget)
		tree_reap(p);
	wake_all(&parent->child_wait);
}

static void leave(struct thread *t)
{
	struct process *p = t->process;
	uint64_t flags, user, system;
	bool last;

	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	task_cpu_times(current(), &user, &system);
	p->dead_user_ns += user;
	p->dead_system_ns += system;
	memcpy(p->name, current()->name, sizeof(p->name));
	sigpending_drop(p, &t->pending, ~0UL);
	tree_remove_thread(t);
	last = p->nr_threads == 0;
	if (last)
		sigpending_drop(p, &p->pending, ~0UL);
	wake_all(&p->exec_wait);
	spin_unlock_irqrestore(&p->lock, flags);
	if (last)
		become_zombie(p);
	spin_unlock(&tree_lock);
}

void thread_exit(int code)
{
	struct thread *t = current_thread();

	if (begin_exit(t, code)) {
		if (t->process->pid == PROGRAM_PID && current()->mm) {
			mm_totals_note_last();
			if (dump_at_exit)
				mm_dump(current()->mm);
		}
		release_process(t->process);
	}
	release_thread(t);
	leave(t);
	task_exit();
}

void process_exit_group(int code)
{
	struct process *p = current_process();
	uint64_t flags = spin_lock_irqsave(&p->lock);

	group_exit_locked(p, code);
	spin_unlock_irqrestore(&p->lock, flags);
	thread_exit(code);
}

void process_kill_oom(struct task *t)
{
	struct process *p = t->process;
	uint64_t flags;
	bool first;

	if (!p)
		return;
	flags = spin_lock_irqsave(&p->lock);
	first = !p->group_exit;
	group_exit_locked(p, SIGKILL);
	spin_unlock_irqrestore(&p->lock, flags);
	if (first)
		control_line("killed %d %s", p->pid, t->name);
}

long sys_exit(long status)
{
	thread_exit(EXIT_CODE_STATUS(status));
}

long sys_exit_group(long status)
{
	process_exit_group(EXIT_CODE_STATUS(status));
}

long sys_set_tid_address(long address)
{
	struct thread *t = current_thread();

	t->clear_child_tid = (uint64_t)address;
	return t->tid;
}
