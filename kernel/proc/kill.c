// SPDX-License-Identifier: MIT
/*
 * The system calls that send signals. All programs here run as one user, so permission is never
 * refused; pid 1 (the kernel's own) takes no signals.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

static void info_from_self(struct siginfo *info, int sig, int code)
{
	*info = (struct siginfo){
		.si_signo = sig, .si_code = code, .rt.pid = current_process()->pid};
}

static long send_to_pid(pid_t pid, int sig, const struct siginfo *info)
{
	struct process *p = process_find(pid);
	long err = 0;

	if (!p)
		return -ESRCH;
	if (sig && p != &init_process)
		err = signal_send_process(p, sig, info);
	process_put(p);
	return err;
}

/* kill(-1): everything but the caller and pid 1. */
static long send_to_all(int sig, const struct siginfo *info)
{
	struct process *p, *self = current_process();
	unsigned int n = 0;

	spin_lock(&tree_lock);
	tree_for_each(p)
	{
		if (p == self || p == &init_process)
			continue;
		n++;
		if (sig)
			signal_send_process(p, sig, info);
	}
	spin_unlock(&tree_lock);
	return n ? 0 : -ESRCH;
}

static pid_t own_group(void)
{
	pid_t pgid;

	spin_lock(&tree_lock);
	pgid = current_process()->pgid;
	spin_unlock(&tree_lock);
	return pgid;
}

long sys_kill(long a_pid, long a_sig)
{
	pid_t pid = (pid_t)a_pid;
	int sig = (int)a_sig;
	struct siginfo info;

	if (sig != 0 && !sig_valid(sig))
		return -EINVAL;
	info_from_self(&info, sig, SI_USER);
	if (pid > 0)
		return send_to_pid(pid, sig, &info);
	if (pid == -1)
		return send_to_all(sig, &info);
	if (pid == INT32_MIN)
		return -ESRCH;
	return signal_send_group(pid ? -pid : own_group(), sig, &info) ? 0 : -ESRCH;
}

/* tgid 0: any. */
static long send_to_tid(pid_t tgid, pid_t tid, int sig, const struct siginfo *info)
{
	struct thread *t;
	long err = -ESRCH;

	spin_lock(&tree_lock);
	t = tree_thread(tid);
	if (t && (!tgid || t->process->pid == tgid))
		err = sig ? signal_send_thread(t, sig, info) : 0;
	spin_unlock(&tree_lock);
	return err;
}

long sys_tgkill(long a_tgid, long a_tid, long a_sig)
{
	pid_t tgid = (pid_t)a_tgid, tid = (pid_t)a_tid;
	int sig = (int)a_sig;
	struct siginfo info;

	if (tgid <= 0 || tid <= 0 || (sig != 0 && !sig_valid(sig)))
		return -EINVAL;
	info_from_self(&info, sig, SI_TKILL);
	return send_to_tid(tgid, tid, sig, &info);
}

long sys_tkill(long a_tid, long a_sig)
{
	pid_t tid = (pid_t)a_tid;
	int sig = (int)a_sig;
	struct siginfo info;

	if (tid <= 0 || (sig != 0 && !sig_valid(sig)))
		return -EINVAL;
	info_from_self(&info, sig, SI_TKILL);
	return send_to_tid(0, tid, sig, &info);
}

/* The caller's own siginfo: it may not pretend to be the kernel or kill(2) towards others. */
static int queueinfo_from_user(struct siginfo *info, uint64_t address, pid_t pid, int sig)
{
	if (copy_from_user(info, address, sizeof(*info)))
		return -EFAULT;
	if (sig != 0 && !sig_valid(sig))
		return -EINVAL;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && pid != current_process()->pid)
		return -EPERM;
	info->si_signo = sig;
	return 0;
}

long sys_rt_sigqueueinfo(long a_pid, long a_sig, long a_info)
{
	struct siginfo info;
	int err = queueinfo_from_user(&info, (uint64_t)a_info, (pid_t)a_pid, (int)a_sig);

	if (err)
		return err;
	return (pid_t)a_pid > 0 ? send_to_pid((pid_t)a_pid, (int)a_sig, &info) : -ESRCH;
}

long sys_rt_tgsigqueueinfo(long a_tgid, long a_tid, long a_sig, long a_info)
{
	struct siginfo info;
	int err = queueinfo_from_user(&info, (uint64_t)a_info, (pid_t)a_tgid, (int)a_sig);

	if (err)
		return err;
	if ((pid_t)a_tgid <= 0 || (pid_t)a_tid <= 0)
		return -EINVAL;
	return send_to_tid((pid_t)a_tgid, (pid_t)a_tid, (int)a_sig, &info);
}
