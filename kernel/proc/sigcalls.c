// SPDX-License-Identifier: MIT
/*
 * The system calls on signals: actions, masks, waiting. Sending is in kill.c.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define SIGSET_SIZE 8

#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

long sys_rt_sigaction(long a_sig, long a_new, long a_old, long a_size)
{
	struct process *p = current_process();
	struct sigaction sa = {0}, old;
	int sig = (int)a_sig;
	uint64_t flags;
	struct thread *t;

	if (a_size != SIGSET_SIZE || !sig_valid(sig) || (a_new && (SIG_UNBLOCKABLE & SIG_BIT(sig))))
		return -EINVAL;
	if (a_new && copy_from_user(&sa, (uint64_t)a_new, sizeof(sa)))
		return -EFAULT;
	flags = spin_lock_irqsave(&p->lock);
	spin_lock(&p->sighand->lock);
	old = p->sighand->actions[sig - 1];
	if (a_new) {
		sa.mask &= ~SIG_UNBLOCKABLE;
		p->sighand->actions[sig - 1] = sa;
	}
	spin_unlock(&p->sighand->lock);
	/* What is ignored from now on is not pending any more (POSIX). */
	if (a_new && (sa.handler == SIG_IGN ||
			     (sa.handler == SIG_DFL && (SIG_IGNORE_SET & SIG_BIT(sig))))) {
		sigpending_drop(p, &p->pending, SIG_BIT(sig));
		list_for_each(t, &p->threads, process_link)
			sigpending_drop(p, &t->pending, SIG_BIT(sig));
	}
	spin_unlock_irqrestore(&p->lock, flags);
	if (a_old && copy_to_user((uint64_t)a_old, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}

long sys_rt_sigprocmask(long a_how, long a_set, long a_old, long a_size)
{
	struct thread *t = current_thread();
	uint64_t old = t->blocked, set, flags;
	int how = (int)a_how;

	if (a_size != SIGSET_SIZE)
		return -EINVAL;
	if (a_set) {
		if (get_user_u64(&set, (uint64_t)a_set))
			return -EFAULT;
		if (how == SIG_BLOCK)
			set |= old;
		else if (how == SIG_UNBLOCK)
			set = old & ~set;
		else if (how != SIG_SETMASK)
			return -EINVAL;
		flags = spin_lock_irqsave(&t->process->lock);
		signal_set_blocked(t, set);
		spin_unlock_irqrestore(&t->process->lock, flags);
	}
	if (a_old && put_user_u64((uint64_t)a_old, old))
		return -EFAULT;
	return 0;
}

long sys_rt_sigpending(long a_set, long a_size)
{
	struct thread *t = current_thread();
	uint64_t flags, set;

	if ((uint64_t)a_size > SIGSET_SIZE)
		return -EINVAL;
	flags = spin_lock_irqsave(&t->process->lock);
	set = (t->pending.set | t->process->pending.set) & t->blocked;
	spin_unlock_irqrestore(&t->process->lock, flags);
	return copy_to_user((uint64_t)a_set, &set, (size_t)a_size);
}

/* ---- Masks for the length of one call ---- */

int signal_mask_from_user(uint64_t *mask, uint64_t address, uint64_t size)
{
	if (size != SIGSET_SIZE)
		return -EINVAL;
	return get_user_u64(mask, address);
}

void signal_mask_begin(uint64_t mask)
{
	struct thread *t = current_thread();
	uint64_t flags = spin_lock_irqsave(&t->process->lock);

	t->saved_mask = t->blocked;
	signal_set_blocked(t, mask);
	spin_unlock_irqrestore(&t->process->lock, flags);
}

void signal_mask_end(bool interrupted)
{
	struct thread *t = current_thread();
	uint64_t flags = spin_lock_irqsave(&t->process->lock);

	if (interrupted) {
		t->restore_mask = true;
		signal_recalc(t);
	} else {
		signal_set_blocked(t, t->saved_mask);
	}
	spin_unlock_irqrestore(&t->process->lock, flags);
}

/* Never woken but by a signal. */
static long wait_for_signal(void)
{
	struct waitqueue nobody;
	int err;

	waitqueue_init(&nobody);
	err = wait_event_interruptible(&nobody, task_signal_pending(current()));
	(void)err; /* either way there is a signal */
	return -ERESTARTNOHAND;
}

long sys_rt_sigsuspend(long a_mask, long a_size)
{
	uint64_t mask;
	int err = signal_mask_from_user(&mask, (uint64_t)a_mask, (uint64_t)a_size);

	if (err)
		return err;
	signal_mask_begin(mask);
	wait_for_signal();
	signal_mask_end(true);
	return -ERESTARTNOHAND;
}

long sys_pause(void)
{
	return wait_for_signal();
}

/* ---- rt_sigtimedwait ---- */

/* Takes one of `set`; while none is there, asks senders to wake this thread for them. */
static int take_or_ask(struct thread *t, uint64_t set, struct siginfo *info)
{
	uint64_t flags = spin_lock_irqsave(&t->process->lock);
	int sig = signal_dequeue(t, set, info);

	t->wait_set = sig ? 0 : set;
	signal_recalc(t);
	spin_unlock_irqrestore(&t->process->lock, flags);
	return sig;
}

static void stop_asking(struct thread *t)
{
	uint64_t flags = spin_lock_irqsave(&t->process->lock);

	t->wait_set = 0;
	signal_recalc(t);
	spin_unlock_irqrestore(&t->process->lock, flags);
}

long sys_rt_sigtimedwait(long a_set, long a_info, long a_timeout, long a_size)
{
	struct thread *t = current_thread();
	uint64_t set, ns, deadline = WAIT_FOREVER;
	struct siginfo info;
	int sig, err = signal_mask_from_user(&set, (uint64_t)a_set, (uint64_t)a_size);

	if (!err && a_timeout) {
		err = timespec_from_user(&ns, (uint64_t)a_timeout);
		if (!err)
			deadline = deadline_after(ns);
	}
	if (err)
		return err;
	set &= ~SIG_UNBLOCKABLE;
	for (;;) {
		wait_prepare(WAIT_INTERRUPTIBLE);
		sig = take_or_ask(t, set, &info);
		if (sig || err)
			break;
		err = wait_sleep(WAIT_INTERRUPTIBLE, deadline);
	}
	wait_finish();
	stop_asking(t);
	if (!sig)
		return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
	if (a_info && copy_to_user((uint64_t)a_info, &info, sizeof(info)))
		return -EFAULT;
	return sig;
}

long sys_restart_syscall(void)
{
	struct restart_block *b = &current_thread()->restart;
	long (*fn)(struct restart_block *) = b->fn;

	b->fn = NULL;
	return fn ? fn(b) : -EINTR;
}
