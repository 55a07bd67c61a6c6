// SPDX-License-Identifier: MIT
/*
 * Resource limits. They are stored for every process; the layers that they concern ask with
 * process_rlimit (NOFILE: descriptors; STACK, AS, DATA: memory; SIGPENDING: signals; FSIZE: files).
 */
#include <kernel/process.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define NOFILE_MOST 1048576

static long limit_change(
	struct process *p, unsigned int which, const struct rlimit *new, struct rlimit *old)
{
	uint64_t flags;

	if (new && (new->current > new->maximum ||
			   (which == RLIMIT_NOFILE && new->maximum > NOFILE_MOST)))
		return new->current > new->maximum ? -EINVAL : -EPERM;
	/* All programs are root and may raise the hard limit. */
	flags = spin_lock_irqsave(&p->lock);
	*old = process_limit_get(p, which);
	if (new) {
		/* Relaxed: pairs with nothing; a reader sees the old limit or the new one. */
		atomic_store_explicit(
			&p->rlimits[which].current, new->current, memory_order_relaxed);
		atomic_store_explicit(
			&p->rlimits[which].maximum, new->maximum, memory_order_relaxed);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

long sys_prlimit64(long a_pid, long a_which, long a_new, long a_old)
{
	unsigned int which = (unsigned int)a_which;
	struct process *p = NULL;
	struct rlimit new, old;
	long err;

	if (which >= RLIMIT_COUNT)
		return -EINVAL;
	if (a_new && copy_from_user(&new, (uint64_t)a_new, sizeof(new)))
		return -EFAULT;
	if (a_pid)
		p = process_find((pid_t)a_pid);
	if (a_pid && !p)
		return -ESRCH;
	err = limit_change(p ? p : current_process(), which, a_new ? &new : NULL, &old);
	if (p)
		process_put(p);
	if (!err && a_old && copy_to_user((uint64_t)a_old, &old, sizeof(old)))
		return -EFAULT;
	return err;
}

long sys_getrlimit(long a_which, long a_limit)
{
	if (!a_limit)
		return -EFAULT;
	return sys_prlimit64(0, a_which, 0, a_limit);
}

long sys_setrlimit(long a_which, long a_limit)
{
	if (!a_limit)
		return -EFAULT;
	return sys_prlimit64(0, a_which, a_limit, 0);
}
