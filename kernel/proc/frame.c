// SPDX-License-Identifier: MIT
/*
 * The stack frame of a signal handler on x86-64: struct rt_sigframe with ucontext and siginfo, and
 * above it the FPU state in XSAVE format, as the C libraries and unwinders expect it
 * (sigaction(2), the layout of asm/sigcontext.h and asm/ucontext.h).
 */
#include "proc.h"
#include <kernel/errno.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

#define UC_FP_XSTATE         1
#define UC_SIGCONTEXT_SS     2
#define UC_STRICT_RESTORE_SS 4

#define FP_XSTATE_MAGIC1 0x46505853U
#define FP_XSTATE_MAGIC2 0x46505845U
#define FP_SW_OFFSET     464 /* of struct fp_sw in the legacy area */
#define RED_ZONE         128

/* The bytes of the FXSAVE area that are left to software. */
struct fp_sw {
	uint32_t magic1;
	uint32_t extended_size; /* with magic2 behind it */
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};

struct user_stack {
	uint64_t sp;
	int32_t flags;
	int32_t pad;
	uint64_t size;
};

struct sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
};

struct rt_sigframe {
	uint64_t restorer; /* the handler's return address */
	uint64_t uc_flags;
	uint64_t uc_link;
	struct user_stack stack;
	struct sigcontext regs;
	uint64_t mask;
	struct siginfo info;
};
_Static_assert(sizeof(struct sigcontext) == 256, "struct sigcontext");
_Static_assert(offsetof(struct rt_sigframe, info) == 312, "struct rt_sigframe");

static bool on_altstack(const struct sigaltstack *a, uint64_t sp)
{
	return a->size && !(a->flags & SS_AUTODISARM) && sp > a->sp && sp - a->sp <= a->size;
}

/* SS_DISABLE, SS_ONSTACK or 0, as sigaltstack(2) reports. */
static int altstack_flags(const struct sigaltstack *a, uint64_t sp)
{
	if (!a->size)
		return SS_DISABLE;
	return on_altstack(a, sp) ? SS_ONSTACK : 0;
}

static void save_context(struct sigcontext *c, const struct regs *r, const struct thread *t,
	uint64_t mask, uint64_t fpstate)
{
	*c = (struct sigcontext){
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rdi = r->rdi,
		.rsi = r->rsi,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.rdx = r->rdx,
		.rax = r->rax,
		.rcx = r->rcx,
		.rsp = r->rsp,
		.rip = r->rip,
		.rflags = r->rflags,
		.cs = (uint16_t)r->cs,
		.ss = (uint16_t)r->ss,
		.error = t->trap_error,
		.trapno = t->trap_vector,
		.cr2 = t->trap_address,
		.oldmask = mask,
		.fpstate = fpstate,
	};
}

static int push_fpu(uint64_t address)
{
	struct fp_sw sw = {0};

	if (fpu_copy_to_user(address))
		return -EFAULT;
	if (cpu_features.xcr0) {
		sw.magic1 = FP_XSTATE_MAGIC1;
		sw.extended_size = cpu_features.fpu_size + sizeof(uint32_t);
		sw.xfeatures = cpu_features.xcr0;
		sw.xstate_size = cpu_features.fpu_size;
		if (put_user_u32(address + cpu_features.fpu_size, FP_XSTATE_MAGIC2))
			return -EFAULT;
	}
	return copy_to_user(address + FP_SW_OFFSET, &sw, sizeof(sw));
}

/* Where the frame goes: *fpstate and the frame's address, 0 when it does not fit. */
static uint64_t frame_place(
	const struct regs *r, const struct thread *t, const struct sigaction *sa, uint64_t *fpstate)
{
	const struct sigaltstack *alt = &t->altstack;
	bool nested = on_altstack(alt, r->rsp);
	uint64_t sp = r->rsp - RED_ZONE, frame;

	if ((sa->flags & SA_ONSTACK) && alt->size && !nested) {
		sp = alt->sp + alt->size;
		nested = true;
	}
	*fpstate = ALIGN_DOWN(sp - cpu_features.fpu_size - sizeof(uint32_t), 64UL);
	frame = ALIGN_DOWN(*fpstate - sizeof(struct rt_sigframe), 16UL) - 8;
	if (nested && (frame < alt->sp || frame - alt->sp >= alt->size))
		return 0;
	return user_range_ok(frame, sizeof(struct rt_sigframe)) ? frame : 0;
}

size_t signal_frame_max(void)
{
	return sizeof(struct rt_sigframe) + cpu_features.fpu_size + sizeof(uint32_t) + RED_ZONE +
	       96;
}

int signal_frame_push(struct regs *r, int sig, const struct sigaction *sa,
	const struct siginfo *info, uint64_t mask)
{
	struct thread *t = current_thread();
	struct rt_sigframe f = {0};
	uint64_t fpstate, frame = frame_place(r, t, sa, &fpstate);

	if (!frame || !(sa->flags & SA_RESTORER) || push_fpu(fpstate))
		return -EFAULT;
	f.restorer = sa->restorer;
	f.uc_flags =
		(cpu_features.xcr0 ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f.stack = (struct user_stack){
		.sp = t->altstack.sp,
		.size = t->altstack.size,
		.flags = (t->altstack.flags & (int)SS_AUTODISARM) |
			 altstack_flags(&t->altstack, r->rsp),
	};
	save_context(&f.regs, r, t, mask, fpstate);
	f.mask = mask;
	f.info = *info;
	if (copy_to_user(frame, &f, sizeof(f)))
		return -EFAULT;
	if (t->altstack.flags & (int)SS_AUTODISARM)
		t->altstack = (struct sigaltstack){.flags = SS_DISABLE};
	r->rip = sa->handler;
	r->rsp = frame;
	r->rdi = (uint64_t)sig;
	r->rsi = frame + offsetof(struct rt_sigframe, info);
	r->rdx = frame + offsetof(struct rt_sigframe, uc_flags);
	r->rax = 0;
	r->rflags &= ~(X86_FLAGS_DF | X86_FLAGS_RF | X86_FLAGS_TF);
	r->vector = 0; /* not a system call's return any more: all registers count */
	return 0;
}

static void load_context(struct regs *r, const struct sigcontext *c)
{
	regs_init_user(r, c->rip, c->rsp);
	r->r8 = c->r8;
	r->r9 = c->r9;
	r->r10 = c->r10;
	r->r11 = c->r11;
	r->r12 = c->r12;
	r->r13 = c->r13;
	r->r14 = c->r14;
	r->r15 = c->r15;
	r->rdi = c->rdi;
	r->rsi = c->rsi;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->rdx = c->rdx;
	r->rax = c->rax;
	r->rcx = c->rcx;
	r->rflags |= c->rflags & X86_FLAGS_USER;
	r->error = (uint64_t)-1;
}

/*
 * The FPU state of a frame: NULL means fresh state. Where the CPU has XSAVE, a frame without the
 * magic words around it (only the legacy area is there) is refused.
 */
static int load_fpu(uint64_t address)
{
	struct fp_sw sw;
	uint32_t magic2;

	if (!address) {
		fpu_reset_current();
		return 0;
	}
	if (!IS_ALIGNED(address, 64UL))
		return -EINVAL;
	if (cpu_features.xcr0) {
		if (copy_from_user(&sw, address + FP_SW_OFFSET, sizeof(sw)) ||
			sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size != cpu_features.fpu_size ||
			get_user_u32(&magic2, address + sw.xstate_size) ||
			magic2 != FP_XSTATE_MAGIC2)
			return -EINVAL;
	}
	return fpu_copy_from_user(address);
}

static void load_altstack(struct thread *t, const struct user_stack *s)
{
	if (s->flags & SS_DISABLE)
		t->altstack = (struct sigaltstack){.flags = SS_DISABLE};
	else if (s->size >= MINSIGSTKSZ)
		t->altstack = (struct sigaltstack){
			.sp = s->sp, .size = s->size, .flags = s->flags & (int)SS_AUTODISARM};
}

long sys_rt_sigreturn(void)
{
	struct regs *r = task_regs(current());
	struct thread *t = current_thread();
	struct process *p = t->process;
	struct rt_sigframe f;
	uint64_t flags;

	if (copy_from_user(&f, r->rsp - 8, sizeof(f)) || load_fpu(f.regs.fpstate)) {
		signal_fault(SIGSEGV, SI_KERNEL, 0);
		return 0;
	}
	load_context(r, &f.regs);
	load_altstack(t, &f.stack);
	flags = spin_lock_irqsave(&p->lock);
	signal_set_blocked(t, f.mask);
	spin_unlock_irqrestore(&p->lock, flags);
	return (long)r->rax;
}

long sys_sigaltstack(long a_new, long a_old)
{
	struct thread *t = current_thread();
	struct user_stack s, old = {0};
	uint64_t rsp = task_regs(current())->rsp;
	int mode;

	old.sp = t->altstack.sp;
	old.size = t->altstack.size;
	old.flags = (t->altstack.flags & (int)SS_AUTODISARM) | altstack_flags(&t->altstack, rsp);
	if (a_new) {
		if (copy_from_user(&s, (uint64_t)a_new, sizeof(s)))
			return -EFAULT;
		if (on_altstack(&t->altstack, rsp))
			return -EPERM;
		mode = s.flags & ~(int)SS_AUTODISARM;
		if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
			return -EINVAL;
		if (mode == SS_DISABLE)
			t->altstack = (struct sigaltstack){.flags = SS_DISABLE};
		else if (s.size < MINSIGSTKSZ)
			return -ENOMEM;
		else
			t->altstack = (struct sigaltstack){
				.sp = s.sp, .size = s.size, .flags = s.flags & (int)SS_AUTODISARM};
	}
	if (a_old && copy_to_user((uint64_t)a_old, &old, sizeof(old)))
		return -EFAULT;
	return 0;
}
