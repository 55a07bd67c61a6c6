// SPDX-License-Identifier: MIT
/*
 * Signals on the way to user mode: dying, stopping, handlers, restarting system calls; and the
 * exceptions that become signals.
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/hooks.h>
#include <kernel/printk.h>
#include <kernel/uaccess.h>

#define NR_restart_syscall 219
#define SYSCALL_INSN_SIZE  2

/* Is r a system call that asks to be restarted? Its code, else 0. */
static int restart_code(const struct regs *r)
{
	if (r->vector != REGS_VECTOR_SYSCALL || (int64_t)r->error < 0)
		return 0;
	switch (-(int64_t)r->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
	case ERESTART_RESTARTBLOCK:
		return (int)-(int64_t)r->rax;
	default:
		return 0;
	}
}

static void restart(struct regs *r, uint64_t number)
{
	r->rax = number;
	r->rip -= SYSCALL_INSN_SIZE;
}

/* A handler will run: the interrupted call is either done again after it or ends with EINTR. */
static void restart_before_handler(struct regs *r, const struct sigaction *sa)
{
	int code = restart_code(r);

	if (!code)
		return;
	if (code == ERESTARTNOINTR || (code == ERESTARTSYS && (sa->flags & SA_RESTART)))
		restart(r, r->error);
	else
		r->rax = (uint64_t)-EINTR;
	r->error = (uint64_t)-1;
}

static void restart_without_handler(struct regs *r)
{
	int code = restart_code(r);

	if (!code)
		return;
	restart(r, code == ERESTART_RESTARTBLOCK ? NR_restart_syscall : r->error);
	r->error = (uint64_t)-1;
}

/* Enters the handler; the frame cannot be written: the program gets SIGSEGV in its place. */
static void enter_handler(struct thread *t, struct regs *r, int sig, const struct sigaction *sa,
	const struct siginfo *info)
{
	struct process *p = t->process;
	uint64_t flags, mask = t->restore_mask ? t->saved_mask : t->blocked;

	restart_before_handler(r, sa);
	rseq_before_handler(t, r);
	if (signal_frame_push(r, sig, sa, info, mask)) {
		flags = spin_lock_irqsave(&p->lock);
		if (sig == SIGSEGV)
			group_exit_locked(p, SIGSEGV);
		spin_unlock_irqrestore(&p->lock, flags);
		if (sig != SIGSEGV)
			signal_fault(SIGSEGV, SI_KERNEL, 0);
		return;
	}
	flags = spin_lock_irqsave(&p->lock);
	t->restore_mask = false;
	mask = t->blocked | sa->mask;
	if (!(sa->flags & SA_NODEFER))
		mask |= SIG_BIT(sig);
	signal_set_blocked(t, mask);
	spin_unlock_irqrestore(&p->lock, flags);
}

/* p->lock held. True: *sa is a handler to enter; false: it was dealt with. */
static bool act(struct thread *t, int sig, struct sigaction *sa)
{
	struct process *p = t->process;
	struct sighand *s = p->sighand;

	spin_lock(&s->lock);
	*sa = s->actions[sig - 1];
	if (sa->handler > SIG_IGN && (sa->flags & SA_RESETHAND))
		s->actions[sig - 1].handler = SIG_DFL;
	spin_unlock(&s->lock);
	if (sig == SIGKILL)
		group_exit_locked(p, sig);
	else if (sa->handler > SIG_IGN)
		return true;
	else if (sa->handler == SIG_IGN || (SIG_IGNORE_SET & SIG_BIT(sig)))
		return false;
	else if (SIG_STOP_SET & SIG_BIT(sig))
		group_stop_begin(p, sig);
	else
		group_exit_locked(p, sig);
	return false;
}

/*
 * Nothing to deliver: restart the call, and take back the mask that sigsuspend or ppoll replaced.
 */
static void finish(struct thread *t, struct regs *r)
{
	restart_without_handler(r);
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_set_blocked(t, t->saved_mask);
	} else {
		signal_recalc(t);
	}
}

/* One round. True: look again. */
static bool deliver_one(struct thread *t, struct regs *r)
{
	struct process *p = t->process;
	struct siginfo info;
	struct sigaction sa;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	bool dying = p->group_exit || (p->exec_thread && p->exec_thread != t);
	int sig, code = p->exit_code;

	if (dying) {
		spin_unlock_irqrestore(&p->lock, flags);
		thread_exit(code);
	}
	if (p->stop_signal) {
		spin_unlock_irqrestore(&p->lock, flags);
		group_stop_obey(t);
		return true;
	}
	sig = signal_dequeue(t, ~t->blocked, &info);
	if (!sig) {
		finish(t, r);
		spin_unlock_irqrestore(&p->lock, flags);
		return false;
	}
	if (!act(t, sig, &sa)) {
		spin_unlock_irqrestore(&p->lock, flags);
		return true;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	enter_handler(t, r, sig, &sa, &info);
	return false;
}

void signal_deliver_on_return(struct regs *r)
{
	struct thread *t = current_thread();

	task_clear_work(WORK_OTHER);
	if (t->set_child_tid) {
		put_user_u32(t->set_child_tid, (uint32_t)t->tid);
		t->set_child_tid = 0;
	}
	rseq_update(t, r);
	while (deliver_one(t, r))
		;
}

/* ---- Exceptions ---- */

static int fpe_code(bool simd)
{
	uint32_t mxcsr, cause;
	uint16_t cw, sw;

	if (simd) {
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		cause = ~(mxcsr >> 7) & mxcsr;
	} else {
		__asm__ volatile("fnstcw %0" : "=m"(cw));
		__asm__ volatile("fnstsw %0" : "=m"(sw));
		cause = sw & ~cw;
	}
	if (cause & 0x01)
		return FPE_FLTINV;
	if (cause & 0x04)
		return FPE_FLTDIV;
	if (cause & 0x08)
		return FPE_FLTOVF;
	if (cause & 0x12) /* denormal, underflow */
		return FPE_FLTUND;
	return FPE_FLTRES;
}

/*
 * What Linux sends for each exception (arch/x86 behaviour as programs see it). #GP, #SS and #NP
 * have no address of their own; #UD and #DE report the instruction.
 */
static void send_exception(struct regs *r, struct thread *t, int vector)
{
	struct task *task = current();

	switch (vector) {
	case TRAP_PF:
		t->trap_address = task->fault_address;
		signal_fault(task->fault_signal, task->fault_code, task->fault_address);
		break;
	case TRAP_DE:
		signal_fault(SIGFPE, FPE_INTDIV, r->rip);
		break;
	case TRAP_MF:
	case TRAP_XM:
		signal_fault(SIGFPE, fpe_code(vector == TRAP_XM), r->rip);
		break;
	case TRAP_DB:
		signal_fault(SIGTRAP, TRAP_TRACE, r->rip);
		break;
	case TRAP_BP:
		signal_fault(SIGTRAP, SI_KERNEL, 0);
		break;
	case TRAP_UD:
		signal_fault(SIGILL, ILL_ILLOPN, r->rip);
		break;
	case TRAP_AC:
		signal_fault(SIGBUS, BUS_ADRALN, 0);
		break;
	case TRAP_SS:
	case TRAP_NP:
		signal_fault(SIGBUS, SI_KERNEL, 0);
		break;
	default: /* #GP, #OF, #BR, #NM */
		signal_fault(SIGSEGV, SI_KERNEL, 0);
		break;
	}
}

void user_exception(struct regs *r, int vector, uint64_t error)
{
	struct thread *t = current_thread();

	t->trap_vector = (uint64_t)vector;
	t->trap_error = error;
	send_exception(r, t, vector);
}
