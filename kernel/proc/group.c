// SPDX-License-Identifier: MIT
/*
 * Who am I, whose child, in which group and session: the system calls. Guarded by the tree lock.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>

long sys_getpid(void)
{
	return current_process()->pid;
}

long sys_gettid(void)
{
	return current_thread()->tid;
}

long sys_getppid(void)
{
	/* Relaxed: a number; which parent had it is not asked. */
	return atomic_load_explicit(&current_process()->ppid, memory_order_relaxed);
}

static struct process *process_or_self(pid_t pid)
{
	return pid ? tree_process(pid) : current_process();
}

long sys_getpgid(long a_pid)
{
	struct process *p;
	long result = -ESRCH;

	spin_lock(&tree_lock);
	p = process_or_self((pid_t)a_pid);
	if (p)
		result = p->pgid;
	spin_unlock(&tree_lock);
	return result;
}

long sys_getpgrp(void)
{
	return sys_getpgid(0);
}

long sys_getsid(long a_pid)
{
	struct process *p;
	long result = -ESRCH;

	spin_lock(&tree_lock);
	p = process_or_self((pid_t)a_pid);
	if (p)
		result = p->sid;
	spin_unlock(&tree_lock);
	return result;
}

/* Tree lock held: setpgid(2)'s conditions in the order of its errors. */
static long set_group(struct process *p, pid_t pgid)
{
	struct process *self = current_process(), *other;

	if (!p || (p != self && p->parent != self))
		return -ESRCH;
	if (p != self && p->did_exec)
		return -EACCES;
	if (p->sid == p->pid || p->sid != self->sid)
		return -EPERM;
	if (pgid == p->pid) {
		p->pgid = pgid;
		return 0;
	}
	tree_for_each(other)
	{
		if (other->pgid == pgid && other->sid == self->sid) {
			p->pgid = pgid;
			return 0;
		}
	}
	return -EPERM;
}

long sys_setpgid(long a_pid, long a_pgid)
{
	pid_t pid = (pid_t)a_pid, pgid = (pid_t)a_pgid;
	struct process *p;
	long err;

	if (pgid < 0)
		return -EINVAL;
	spin_lock(&tree_lock);
	p = process_or_self(pid);
	err = set_group(p, pgid ? pgid : p ? p->pid : 0);
	spin_unlock(&tree_lock);
	return err;
}

long sys_setsid(void)
{
	struct process *self = current_process(), *other;
	long result = self->pid;

	spin_lock(&tree_lock);
	tree_for_each(other)
	{
		if (other->pgid == self->pid)
			result = -EPERM;
	}
	if (result > 0)
		self->sid = self->pgid = self->pid;
	spin_unlock(&tree_lock);
	return result;
}
