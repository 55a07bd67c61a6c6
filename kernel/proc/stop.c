// SPDX-License-Identifier: MIT
/*
 * Stopped processes. A default stop signal sets p->stop_signal and calls every thread; each sleeps
 * in group_stop_obey on its way to user mode, and the last one reports to the parent. SIGCONT
 * clears it; the first thread that wakes reports that. Ending (SIGKILL, execve of another thread)
 * goes before stopping.
 *
 * Reports need the parent and so the tree lock, which is outside p->lock: they are noted in p and
 * made by a thread that holds nothing.
 */
#include "proc.h"
#include <kernel/printk.h>

static bool must_stop(struct thread *t)
{
	struct process *p = t->process;

	return p->stop_signal && !p->group_exit && !(p->exec_thread && p->exec_thread != t);
}

void group_stop_begin(struct process *p, int sig)
{
	struct thread *t;

	if (p->stop_signal || p->group_exit)
		return;
	p->stop_signal = sig;
	p->report_stop = true;
	list_for_each(t, &p->threads, process_link) task_notify(t->task, WORK_SIGNAL);
}

void group_stop_end(struct process *p, bool report)
{
	if (!p->stop_signal)
		return;
	p->stop_signal = 0;
	p->report_stop = false;
	p->report_continue = report;
	wake_all(&p->stop_wait);
}

/* p->lock held: do all threads that live sleep? */
static bool all_stopped(struct process *p)
{
	struct thread *t;

	list_for_each(t, &p->threads, process_link)
	{
		if (!t->exiting && !t->stopped)
			return false;
	}
	return true;
}

/* Tells the parent what changed, if this thread is the one to do it. */
static void report(struct process *p)
{
	struct siginfo info = {.si_signo = SIGCHLD, .child.pid = p->pid};
	struct process *parent;
	uint64_t flags;
	int code = 0, status = 0;

	spin_lock(&tree_lock);
	flags = spin_lock_irqsave(&p->lock);
	if (p->report_stop && p->stop_signal && all_stopped(p)) {
		p->report_stop = false;
		code = CLD_STOPPED;
		status = p->stop_signal;
	} else if (p->report_continue) {
		p->report_continue = false;
		code = CLD_CONTINUED;
		status = SIGCONT;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	parent = p->parent;
	if (code && parent && parent != &init_process) {
		p->wait_code = code;
		p->wait_status = status;
		info.si_code = code;
		info.child.status = status;
		if (!(sighand_action(parent->sighand, SIGCHLD).flags & SA_NOCLDSTOP))
			signal_send_process(parent, SIGCHLD, &info);
		wake_all(&parent->child_wait);
	}
	spin_unlock(&tree_lock);
}

static bool still_stopped(struct thread *t)
{
	struct process *p = t->process;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	bool stop = must_stop(t);

	t->stopped = stop;
	spin_unlock_irqrestore(&p->lock, flags);
	return stop;
}

void group_stop_obey(struct thread *t)
{
	struct process *p = t->process;

	if (still_stopped(t)) {
		report(p);
		wait_event(&p->stop_wait, !still_stopped(t));
	}
	report(p);
}
