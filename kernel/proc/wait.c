// SPDX-License-Identifier: MIT
/*
 * wait4(2) and waitid(2).
 *
 * Children change state under the tree lock and then wake parent->child_wait; a waiter is on that
 * queue before it looks, so it misses nothing.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define WNOHANG    1
#define WUNTRACED  2 /* WSTOPPED */
#define WEXITED    4
#define WCONTINUED 8
#define WNOWAIT    0x01000000
#define WNOTHREAD  0x20000000
#define WALL       0x40000000
#define WCLONE     0x80000000U

#define P_ALL  0
#define P_PID  1
#define P_PGID 2

struct wait_request {
	int type;
	pid_t id;
	unsigned int options;
	/* Found: */
	int code;      /* CLD_* */
	int status;    /* exit status or signal */
	int exit_code; /* as wait4 reports */
	uint64_t user_ns, system_ns;
};

static bool eligible(struct process *child, const struct wait_request *w)
{
	bool clone = child->exit_signal != SIGCHLD;

	if (w->type == P_PID && child->pid != w->id)
		return false;
	if (w->type == P_PGID && child->pgid != w->id)
		return false;
	return (w->options & WALL) || clone == !!(w->options & WCLONE);
}

static void take_zombie(struct process *self, struct process *child, struct wait_request *w)
{
	int sig = child->exit_code & 0x7f;

	w->exit_code = child->exit_code;
	w->code = !sig ? CLD_EXITED : (child->exit_code & EXIT_CODE_CORE) ? CLD_DUMPED : CLD_KILLED;
	w->status = sig ? sig : child->exit_code >> 8;
	w->user_ns = child->dead_user_ns + child->child_user_ns;
	w->system_ns = child->dead_system_ns + child->child_system_ns;
	if (w->options & WNOWAIT)
		return;
	self->child_user_ns += w->user_ns;
	self->child_system_ns += w->system_ns;
	tree_reap(child);
}

/* A stop or its end that was not reported yet. */
static bool take_change(struct process *child, struct wait_request *w)
{
	if (child->wait_code == CLD_STOPPED && (w->options & WUNTRACED))
		w->exit_code = child->wait_status << 8 | 0x7f;
	else if (child->wait_code == CLD_CONTINUED && (w->options & WCONTINUED))
		w->exit_code = 0xffff;
	else
		return false;
	w->code = child->wait_code;
	w->status = child->wait_status;
	if (!(w->options & WNOWAIT))
		child->wait_code = 0;
	return true;
}

/* A child's pid, 0 when none is ready, -ECHILD when there is none to wait for. */
static long scan(struct wait_request *w)
{
	struct process *self = current_process(), *child;
	long result = -ECHILD;
	pid_t pid;

	spin_lock(&tree_lock);
	list_for_each(child, &self->children, sibling)
	{
		if (!eligible(child, w))
			continue;
		result = 0;
		pid = child->pid;
		if (child->zombie && (w->options & WEXITED)) {
			take_zombie(self, child, w);
			result = pid;
			break;
		}
		if (!child->zombie && take_change(child, w)) {
			result = pid;
			break;
		}
	}
	spin_unlock(&tree_lock);
	return result;
}

static long do_wait(struct wait_request *w)
{
	struct waitqueue *q = &current_process()->child_wait;
	struct waiter waiter;
	long result;
	int err = 0;

	waiter_add(q, &waiter);
	for (;;) {
		wait_prepare(WAIT_INTERRUPTIBLE);
		result = scan(w);
		if (result || (w->options & WNOHANG))
			break;
		if (err) {
			result = err;
			break;
		}
		err = wait_sleep(WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	}
	wait_finish();
	waiter_remove(q, &waiter);
	return result;
}

static int rusage_to_user(uint64_t address, const struct wait_request *w)
{
	int64_t ru[18] = {0};

	if (!address)
		return 0;
	ru[0] = (int64_t)(w->user_ns / NSEC_PER_SEC);
	ru[1] = (int64_t)(w->user_ns % NSEC_PER_SEC / 1000);
	ru[2] = (int64_t)(w->system_ns / NSEC_PER_SEC);
	ru[3] = (int64_t)(w->system_ns % NSEC_PER_SEC / 1000);
	return copy_to_user(address, ru, sizeof(ru));
}

static pid_t own_pgid(void)
{
	pid_t pgid;

	spin_lock(&tree_lock);
	pgid = current_process()->pgid;
	spin_unlock(&tree_lock);
	return pgid;
}

long sys_wait4(long a_pid, long a_status, long a_options, long a_rusage)
{
	struct wait_request w = {.options = (unsigned int)a_options};
	pid_t pid = (pid_t)a_pid;
	long result;

	if (w.options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WCLONE | WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	w.options |= WEXITED;
	w.type = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	w.id = pid > 0 ? pid : pid ? -pid : own_pgid();
	result = do_wait(&w);
	if (result <= 0)
		return result;
	if (a_status && put_user_u32((uint64_t)a_status, (uint32_t)w.exit_code))
		return -EFAULT;
	return rusage_to_user((uint64_t)a_rusage, &w) ? -EFAULT : result;
}

long sys_waitid(long a_type, long a_id, long a_info, long a_options, long a_rusage)
{
	struct wait_request w = {
		.type = (int)a_type, .id = (pid_t)a_id, .options = (unsigned int)a_options};
	struct siginfo info = {0};
	long result;

	if ((w.options & ~(WNOHANG | WNOWAIT | WEXITED | WUNTRACED | WCONTINUED | WNOTHREAD |
				 WCLONE | WALL)) ||
		!(w.options & (WEXITED | WUNTRACED | WCONTINUED)))
		return -EINVAL;
	if (w.type < P_ALL || w.type > P_PGID || (w.type == P_PID && w.id <= 0) ||
		(w.type == P_PGID && w.id < 0))
		return -EINVAL;
	if (w.type == P_PGID && !w.id)
		w.id = own_pgid();
	result = do_wait(&w);
	if (result > 0) {
		info.si_signo = SIGCHLD;
		info.si_code = w.code;
		info.child.pid = (pid_t)result;
		info.child.status = w.status;
		if (rusage_to_user((uint64_t)a_rusage, &w))
			return -EFAULT;
	}
	/* Only the members that waitid is to set, as Linux, and zeroes where there is no child. */
	if (a_info && (copy_to_user((uint64_t)a_info, &info, 12) ||
			      copy_to_user((uint64_t)a_info + 16, &info.child, 12)))
		return -EFAULT;
	return result < 0 ? result : 0;
}
