// SPDX-License-Identifier: MIT
/*
 * Pending signals: sending, taking, and who is woken.
 *
 * Everything here is done under process->lock (irqsave: timers send from interrupt handlers); the
 * table of actions has its own lock inside. A sender makes the signal pending and sets WORK_SIGNAL
 * of a thread that takes it, under the lock; the thread clears WORK_SIGNAL under the same lock when
 * nothing is left, so no signal is lost between the two.
 */
#include "proc.h"
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>

struct sigqueue {
	struct list link;
	struct siginfo info;
};

#define SIG_CORE_SET                                                                     \
	(SIG_BIT(SIGQUIT) | SIG_BIT(SIGILL) | SIG_BIT(SIGTRAP) | SIG_BIT(SIGABRT) |      \
		SIG_BIT(SIGBUS) | SIG_BIT(SIGFPE) | SIG_BIT(SIGSEGV) | SIG_BIT(SIGSYS) | \
		SIG_BIT(SIGXCPU) | SIG_BIT(SIGXFSZ))

bool signal_dumps_core(int sig)
{
	return sig_valid(sig) && (SIG_CORE_SET & SIG_BIT(sig));
}

/* ---- Tables of actions ---- */

struct sighand *sighand_alloc(void)
{
	struct sighand *s = kzalloc(sizeof(*s));

	if (!s)
		return NULL;
	spin_init(&s->lock);
	/* Relaxed: not published yet. */
	atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

struct sighand *sighand_copy(struct sighand *from)
{
	struct sighand *s = sighand_alloc();
	uint64_t flags;

	if (!s)
		return NULL;
	flags = spin_lock_irqsave(&from->lock);
	memcpy(s->actions, from->actions, sizeof(s->actions));
	spin_unlock_irqrestore(&from->lock, flags);
	return s;
}

void sighand_get(struct sighand *s)
{
	/* Relaxed: the caller's process holds one. */
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void sighand_put(struct sighand *s)
{
	/* Release our accesses to the one who frees; acquire those of all others before us. */
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		kfree(s);
}

struct sigaction sighand_action(struct sighand *s, int sig)
{
	uint64_t flags = spin_lock_irqsave(&s->lock);
	struct sigaction sa = s->actions[sig - 1];

	spin_unlock_irqrestore(&s->lock, flags);
	return sa;
}

/* ---- Pending sets ---- */

void sigpending_init(struct sigpending *pending)
{
	pending->set = 0;
	list_init(&pending->queue);
}

void sigpending_drop(struct process *p, struct sigpending *pending, uint64_t mask)
{
	struct sigqueue *q, *next;

	if (!(pending->set & mask))
		return;
	pending->set &= ~mask;
	list_for_each_safe(q, next, &pending->queue, link)
	{
		if (mask & SIG_BIT(q->info.si_signo)) {
			list_del(&q->link);
			p->nr_queued--;
			kfree(q);
		}
	}
}

static void drop_everywhere(struct process *p, uint64_t mask)
{
	struct thread *t;

	sigpending_drop(p, &p->pending, mask);
	list_for_each(t, &p->threads, process_link) sigpending_drop(p, &t->pending, mask);
}

static int enqueue(
	struct process *p, struct sigpending *pending, int sig, const struct siginfo *info)
{
	struct sigqueue *q = NULL;

	if (sig < SIGRTMIN && (pending->set & SIG_BIT(sig)))
		return 0;
	if (p->nr_queued < process_limit_get(p, RLIMIT_SIGPENDING).current)
		q = kmalloc(sizeof(*q));
	if (!q && sig >= SIGRTMIN && info && info->si_code != SI_USER)
		return -EAGAIN;
	if (q) {
		if (info)
			q->info = *info;
		else
			q->info = (struct siginfo){.si_code = SI_KERNEL};
		q->info.si_signo = sig;
		list_add_tail(&pending->queue, &q->link);
		p->nr_queued++;
	}
	pending->set |= SIG_BIT(sig);
	return 1;
}

static bool take(struct process *p, struct sigpending *pending, uint64_t set, struct siginfo *info)
{
	uint64_t mask = pending->set & set;
	struct sigqueue *q, *found = NULL;
	bool more = false;
	int sig;

	if (!mask)
		return false;
	if (mask & SIG_FAULT_SET)
		mask &= SIG_FAULT_SET;
	sig = __builtin_ctzl(mask) + 1;
	list_for_each(q, &pending->queue, link)
	{
		if (q->info.si_signo != sig)
			continue;
		if (found)
			more = true;
		else
			found = q;
	}
	*info = (struct siginfo){.si_signo = sig, .si_code = SI_USER};
	if (found) {
		*info = found->info;
		list_del(&found->link);
		p->nr_queued--;
		kfree(found);
	}
	if (!more)
		pending->set &= ~SIG_BIT(sig);
	return true;
}

int signal_dequeue(struct thread *t, uint64_t set, struct siginfo *info)
{
	struct process *p = t->process;

	if (take(p, &t->pending, set, info) || take(p, &p->pending, set, info))
		return info->si_signo;
	return 0;
}

/* ---- Work for the way to user mode ---- */

static bool has_work(struct thread *t)
{
	struct process *p = t->process;

	if (p->group_exit || (p->exec_thread && p->exec_thread != t))
		return true;
	if (p->stop_signal || t->restore_mask)
		return true;
	return ((t->pending.set | p->pending.set) & ~t->blocked) != 0;
}

void signal_recalc(struct thread *t)
{
	if (has_work(t))
		task_notify(t->task, WORK_SIGNAL);
	else
		task_clear_work(WORK_SIGNAL);
}

void signal_hand_on(struct thread *t, uint64_t which)
{
	struct process *p = t->process;
	struct thread *other;

	which &= p->pending.set;
	if (!which)
		return;
	list_for_each(other, &p->threads, process_link)
	{
		if (other != t && !other->exiting && (which & ~other->blocked))
			task_notify(other->task, WORK_SIGNAL);
	}
}

void signal_set_blocked(struct thread *t, uint64_t mask)
{
	uint64_t newly;

	mask &= ~SIG_UNBLOCKABLE;
	newly = mask & ~t->blocked;
	t->blocked = mask;
	signal_hand_on(t, newly);
	signal_recalc(t);
}

/* ---- Sending ---- */

/* A stopped thread looks at what is pending when it goes on; only SIGKILL reaches it before. */
static bool wants(struct thread *t, int sig)
{
	if (t->stopped && sig != SIGKILL)
		return false;
	return !t->exiting && (!(t->blocked & SIG_BIT(sig)) || (t->wait_set & SIG_BIT(sig)));
}

static struct thread *choose(struct process *p, int sig)
{
	struct thread *t;

	list_for_each(t, &p->threads, process_link)
	{
		if (wants(t, sig))
			return t;
	}
	return NULL;
}

static bool is_ignored(struct process *p, struct thread *t, int sig)
{
	uint64_t handler = sighand_action(p->sighand, sig).handler;
	struct thread *other;

	if (handler != SIG_IGN && !(handler == SIG_DFL && (SIG_IGNORE_SET & SIG_BIT(sig))))
		return false;
	if (t)
		return !(t->blocked & SIG_BIT(sig));
	list_for_each(other, &p->threads, process_link)
	{
		if (other->blocked & SIG_BIT(sig))
			return false;
	}
	return true;
}

/* The default action, not blocked, ends the program: do it now, whatever the thread is doing. */
static bool is_fatal(struct process *p, struct thread *who, int sig)
{
	if (sig == SIGKILL)
		return true;
	return who && !(who->blocked & SIG_BIT(sig)) &&
	       sighand_action(p->sighand, sig).handler == SIG_DFL &&
	       !((SIG_IGNORE_SET | SIG_STOP_SET) & SIG_BIT(sig));
}

int signal_send_locked(struct process *p, struct thread *t, int sig, const struct siginfo *info)
{
	struct thread *who;
	int n;

	if (!p->nr_live || (t && t->exiting))
		return 0;
	if (SIG_STOP_SET & SIG_BIT(sig)) {
		drop_everywhere(p, SIG_BIT(SIGCONT));
	} else if (sig == SIGCONT) {
		drop_everywhere(p, SIG_STOP_SET);
		group_stop_end(p, true);
	}
	if (is_ignored(p, t, sig))
		return 0;
	n = enqueue(p, t ? &t->pending : &p->pending, sig, info);
	if (n <= 0)
		return n;
	who = t ? (wants(t, sig) ? t : NULL) : choose(p, sig);
	if (is_fatal(p, who, sig))
		group_exit_locked(p, sig);
	else if (who)
		task_notify(who->task, WORK_SIGNAL);
	return 0;
}

int signal_send_process(struct process *p, int sig, const struct siginfo *info)
{
	uint64_t flags = spin_lock_irqsave(&p->lock);
	int err = signal_send_locked(p, NULL, sig, info);

	spin_unlock_irqrestore(&p->lock, flags);
	return err;
}

int signal_send_thread(struct thread *t, int sig, const struct siginfo *info)
{
	struct process *p = t->process;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	int err = signal_send_locked(p, t, sig, info);

	spin_unlock_irqrestore(&p->lock, flags);
	return err;
}

unsigned int signal_send_group(pid_t pgid, int sig, const struct siginfo *info)
{
	struct process *p;
	unsigned int n = 0;

	spin_lock(&tree_lock);
	tree_for_each(p)
	{
		if (p->pgid != pgid || p == &init_process)
			continue;
		n++;
		if (sig)
			signal_send_process(p, sig, info);
	}
	spin_unlock(&tree_lock);
	return n;
}

void signal_send_self(int sig)
{
	signal_send_thread(current_thread(), sig, NULL);
}

void signal_fault(int sig, int code, uint64_t addr)
{
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct siginfo info = {.si_code = code, .fault.addr = addr};
	uint64_t flags = spin_lock_irqsave(&p->lock);
	struct sigaction *sa = &p->sighand->actions[sig - 1];
	bool blocked = t->blocked & SIG_BIT(sig);

	spin_lock(&p->sighand->lock);
	if (blocked || sa->handler == SIG_IGN)
		sa->handler = SIG_DFL;
	spin_unlock(&p->sighand->lock);
	t->blocked &= ~SIG_BIT(sig);
	signal_send_locked(p, t, sig, &info);
	spin_unlock_irqrestore(&p->lock, flags);
}
