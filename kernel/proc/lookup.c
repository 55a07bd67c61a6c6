// SPDX-License-Identifier: MIT
/*
 * What other layers ask about processes: /proc, limits, the caller's own objects.
 *
 * Another process's objects are reached under its lock, by way of a thread that has not begun to
 * exit: such a thread holds its references until it has set `exiting` under the same lock.
 */
#include "proc.h"
#include <kernel/printk.h>
#include <kernel/string.h>

struct files *current_files(void)
{
	return current_thread()->files;
}

struct fs_state *current_fs(void)
{
	return current_thread()->fs;
}

uint64_t process_rlimit(unsigned int which)
{
	struct process *p = current_process();

	/* Relaxed: a number by itself. No lock, since every mmap of every thread asks. */
	return p ? atomic_load_explicit(&p->rlimits[which].current, memory_order_relaxed)
		 : RLIM_INFINITY;
}

struct process *process_find(pid_t pid)
{
	struct process *p;

	spin_lock(&tree_lock);
	p = tree_process(pid);
	if (p)
		process_get(p);
	spin_unlock(&tree_lock);
	return p;
}

pid_t process_next(pid_t after)
{
	struct process *p;
	pid_t best = 0;

	spin_lock(&tree_lock);
	tree_for_each(p)
	{
		if (p->pid > after && (!best || p->pid < best))
			best = p->pid;
	}
	spin_unlock(&tree_lock);
	return best;
}

pid_t process_next_thread(struct process *p, pid_t after)
{
	struct thread *t;
	pid_t best = 0;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	list_for_each(t, &p->threads, process_link)
	{
		if (t->tid > after && (!best || t->tid < best))
			best = t->tid;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return best;
}

/* A thread whose references can be copied, p->lock held. NULL: the process lets go of them. */
static struct thread *live_thread(struct process *p)
{
	struct thread *t;

	if (p->exec_thread)
		return NULL;
	list_for_each(t, &p->threads, process_link)
	{
		if (!t->exiting)
			return t;
	}
	return NULL;
}

struct mm *process_mm_get(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	struct thread *t = live_thread(p);
	struct mm *mm = t ? t->task->mm : NULL;

	if (mm)
		mm_get(mm);
	spin_unlock_irqrestore(&p->lock, flags);
	return mm;
}

struct files *process_files_get(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	struct thread *t = live_thread(p);
	struct files *files = t && t->files ? files_get(t->files) : NULL;

	spin_unlock_irqrestore(&p->lock, flags);
	return files;
}

struct fs_state *process_fs_get(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	struct thread *t = live_thread(p);
	struct fs_state *fs = t && t->fs ? fs_get(t->fs) : NULL;

	spin_unlock_irqrestore(&p->lock, flags);
	return fs;
}

struct file *process_exe_get(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	struct file *exe = p->exe;

	if (exe)
		file_get(exe);
	spin_unlock_irqrestore(&p->lock, flags);
	return exe;
}

ssize_t process_args(struct process *p, char *buf, size_t size, size_t offset)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	size_t n = 0;

	if (p->args && !p->zombie && offset < p->args_size) {
		n = MIN(size, p->args_size - offset);
		memcpy(buf, p->args + offset, n);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return n;
}

static char thread_state(struct thread *t)
{
	/* Relaxed: a momentary picture. */
	int state = atomic_load_explicit(&t->task->state, memory_order_relaxed);

	if (t->stopped)
		return 'T';
	return state == TASK_RUNNABLE ? 'R' : state == TASK_SLEEPING_INT ? 'S' : 'D';
}

/* p->lock held. */
static void info_signals(struct process *p, struct thread *t, struct process_info *info)
{
	info->sig_pending = p->pending.set | (t ? t->pending.set : 0);
	info->sig_blocked = t ? t->blocked : 0;
	for (int sig = 1; p->sighand && sig <= SIG_COUNT; sig++) {
		struct sigaction sa = sighand_action(p->sighand, sig);

		if (sa.handler == SIG_IGN)
			info->sig_ignored |= SIG_BIT(sig);
		else if (sa.handler != SIG_DFL)
			info->sig_caught |= SIG_BIT(sig);
	}
}

void process_info(struct process *p, struct process_info *info)
{
	struct thread *t, *first = NULL;
	uint64_t flags, user, system;

	*info = (struct process_info){.pid = p->pid, .state = 'Z'};
	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	info->ppid = p->parent ? p->parent->pid : 0;
	info->pgid = p->pgid;
	info->sid = p->sid;
	info->threads = p->nr_threads;
	info->nice = p->nice;
	info->start_ns = p->start_ns;
	info->user_ns = p->dead_user_ns;
	info->system_ns = p->dead_system_ns;
	info->child_user_ns = p->child_user_ns;
	info->child_system_ns = p->child_system_ns;
	strlcpy(info->name, p->name, sizeof(info->name));
	list_for_each(t, &p->threads, process_link)
	{
		if (!first) {
			first = t;
			info->state = thread_state(t);
			memcpy(info->name, t->task->name, sizeof(info->name) - 1);
		}
		task_cpu_times(t->task, &user, &system);
		info->user_ns += user;
		info->system_ns += system;
	}
	if (p == &init_process)
		info->state = 'S';
	info_signals(p, first, info);
	spin_unlock_irqrestore(&p->lock, flags);
	spin_unlock(&tree_lock);
}

struct task *process_task(pid_t tid)
{
	struct task *task = NULL;
	struct thread *t;

	if (!tid) {
		task_get(current());
		return current();
	}
	spin_lock(&tree_lock);
	t = tree_thread(tid);
	if (t) {
		task = t->task;
		task_get(task);
	}
	spin_unlock(&tree_lock);
	return task;
}

bool process_group_in_session(pid_t pgid, pid_t sid)
{
	struct process *p;
	bool found = false;

	spin_lock(&tree_lock);
	tree_for_each(p) found = found || (p->pgid == pgid && p->sid == sid);
	spin_unlock(&tree_lock);
	return found;
}

bool process_fatal_pending(void)
{
	struct thread *t = current_thread();
	struct process *p;
	uint64_t flags;
	bool fatal;

	if (!t)
		return false;
	p = t->process;
	flags = spin_lock_irqsave(&p->lock);
	fatal = p->group_exit || (p->exec_thread && p->exec_thread != t);
	spin_unlock_irqrestore(&p->lock, flags);
	return fatal;
}
