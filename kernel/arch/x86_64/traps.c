// SPDX-License-Identifier: MIT
/*
 * Exceptions, interrupts and system calls behind entry.S, and the way back to user mode.
 */
#include "arch.h"
#include "asm.h"

#include <kernel/hooks.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/task.h>

#include "../../core/core.h"

_Static_assert(sizeof(struct regs) == REGS_SIZE, "asm.h");
_Static_assert(offsetof(struct regs, cs) == REGS_CS, "asm.h");
_Static_assert(offsetof(struct regs, r11) == REGS_R11, "asm.h");
_Static_assert(offsetof(struct task, saved_rsp) == TASK_SAVED_RSP, "asm.h");

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, reserved;
};

struct extable_entry {
	uint64_t fault, fixup;
};

extern const struct extable_entry _extable_start[], _extable_end[];

static struct idt_gate idt[256] __attribute__((aligned(16)));

static void gate_set(unsigned int vector, unsigned int ist, unsigned int dpl)
{
	uint64_t a = (uint64_t)trap_stubs + 16 * vector;

	idt[vector] = (struct idt_gate){
		.offset_low = a, .selector = KERNEL_CS, .ist = ist, .type = 0x8e | dpl << 5,
		.offset_mid = a >> 16, .offset_high = a >> 32,
	};
}

void idt_setup(void)
{
	for (unsigned int v = 0; v < 256; v++)
		gate_set(v, 0, v == TRAP_BP || v == TRAP_OF ? 3 : 0);
}

/* The gates with stacks of their own work only once the CPU has its TSS; so does every idt_load. */
void idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __packed idtr = { sizeof(idt) - 1, (uint64_t)idt };

	if (this_cpu()->tss && idt[TRAP_DF].ist == 0) {
		gate_set(TRAP_DB, 1, 0);
		gate_set(TRAP_NMI, 2, 0);
		gate_set(TRAP_DF, 3, 0);
		gate_set(TRAP_MC, 4, 0);
	}
	__asm__ volatile("lidt %0" ::"m"(idtr));
}

void show_regs(const struct regs *r)
{
	klog("rip %016lx rsp %016lx rflags %lx cs %lx vector %ld error %lx cr2 %lx", r->rip, r->rsp,
	     r->rflags, r->cs, r->vector, r->error, read_cr2());
	klog("rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax, r->rbx, r->rcx, r->rdx);
	klog("rsi %016lx rdi %016lx rbp %016lx r8  %016lx", r->rsi, r->rdi, r->rbp, r->r8);
	klog("r9  %016lx r10 %016lx r11 %016lx r12 %016lx", r->r9, r->r10, r->r11, r->r12);
	klog("r13 %016lx r14 %016lx r15 %016lx", r->r13, r->r14, r->r15);
}

static uint64_t extable_find(uint64_t rip)
{
	for (const struct extable_entry *e = _extable_start; e < _extable_end; e++)
		if (e->fault == rip)
			return e->fixup;
	return 0;
}

static bool call_fault_hook(struct regs *r, uint64_t address, unsigned int error)
{
	const struct task_ops *ops = current()->ops;

	this_cpu()->nr_faults++;
	irq_enable();
	return ops ? ops->fault(r, address, error) : mm_user_fault(r, address, error);
}

static void call_exception_hook(struct regs *r, int vector, uint64_t error)
{
	const struct task_ops *ops = current()->ops;

	irq_enable();
	if (ops)
		ops->exception(r, vector, error);
	else
		user_exception(r, vector, error);
}

/* A fault of kernel code is fine only at an instruction that the exception table names. */
static void kernel_page_fault(struct regs *r, uint64_t address)
{
	uint64_t fixup = extable_find(r->rip);

	if (!fixup || address >= USER_END)
		panic_regs(r, "page fault in the kernel at %lx, address %lx, error %lx", r->rip, address,
			   r->error);
	if (this_cpu()->preempt_count == 0 && (r->rflags & X86_FLAGS_IF)) {
		bool ok = call_fault_hook(r, address, r->error);

		irq_disable();
		if (ok)
			return;
	}
	r->rip = fixup;
}

static void page_fault(struct regs *r)
{
	uint64_t address = read_cr2();

	if (!regs_user_mode(r))
		kernel_page_fault(r, address);
	else if (!call_fault_hook(r, address, r->error))
		call_exception_hook(r, TRAP_PF, r->error);
}

static void exception(struct regs *r)
{
	if (r->vector == TRAP_PF)
		page_fault(r);
	else if (regs_user_mode(r))
		call_exception_hook(r, r->vector, r->error);
	else
		panic_regs(r, "exception %lu in the kernel at %lx, error %lx", r->vector, r->rip,
			   r->error);
}

static void interrupt(struct regs *r)
{
	struct percpu *c = this_cpu();

	c->irq_depth++;
	c->nr_interrupts++;
	grace_irq_enter();
	if (r->vector != VECTOR_SPURIOUS)
		apic_eoi();
	switch (r->vector) {
	case VECTOR_TIMER:
		timer_interrupt(regs_user_mode(r));
		break;
	case VECTOR_RESCHEDULE:
		sched_reschedule_ipi();
		break;
	case VECTOR_CALL:
		ipi_call_interrupt();
		break;
	case VECTOR_SERIAL:
		serial_interrupt();
		break;
	case VECTOR_DEVICE:
		device_interrupt();
		break;
	default:
		break;
	}
	c->irq_depth--;
}

static bool canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static inline bool task_has_work(void)
{
	/* Acquire pairs with task_notify's release. */
	return atomic_load_explicit(&current()->pending_work, memory_order_acquire);
}

/* Is there anything to do before the way back to user mode? */
static inline bool exit_has_work(const struct regs *r)
{
	return gs_read(need_resched) || task_has_work() || !canonical(r->rip);
}

static __noinline void exit_work(struct regs *r)
{
	do {
		if (gs_read(need_resched)) {
			schedule();
		} else if (task_has_work()) {
			irq_enable();
			signal_deliver_on_return(r);
			irq_disable();
		} else {
			call_exception_hook(r, TRAP_GP, 0);
			irq_disable();
		}
	} while (exit_has_work(r));
}

/* Interrupts off before and after. Makes the frame safe for IRETQ and SYSRETQ (see entry.S). */
static inline void leave_kernel(struct regs *r)
{
	if (unlikely(exit_has_work(r)))
		exit_work(r);
	assert(gs_read(preempt_count) == 0);
	r->cs = USER_CS;
	r->ss = USER_DS;
	r->rflags = (r->rflags & X86_FLAGS_USER) | X86_FLAGS_IF | 2;
}

void exit_to_user(struct regs *r)
{
	leave_kernel(r);
}

void trap_dispatch(struct regs *r)
{
	if (r->vector < 32)
		exception(r);
	else
		interrupt(r);
	irq_disable();
	if (regs_user_mode(r)) {
		leave_kernel(r);
	} else if ((r->rflags & X86_FLAGS_IF) && this_cpu()->need_resched &&
		   this_cpu()->preempt_count == 0) {
		schedule_from_irq();
	}
}

/* On a stack of its own, possibly between entry and SWAPGS: takes no locks, does not switch. */
void paranoid_trap(struct regs *r)
{
	/* Acquire pairs with the release in panic(): the NMI was sent to stop this CPU. */
	if (r->vector == TRAP_NMI && !atomic_load_explicit(&panicking, memory_order_acquire))
		return;
	if (r->vector == TRAP_NMI)
		for (;;)
			__asm__ volatile("cli; hlt");
	panic_regs(r, "exception %lu at %lx, task %s", r->vector, r->rip,
		   current() ? current()->name : "none");
}

/* What SYSRETQ can give a program; all others go by IRETQ. */
#define X86_FLAGS_SYSRET (X86_FLAGS_USER & ~(X86_FLAGS_TF | X86_FLAGS_RF))

/*
 * Does the frame say what SYSCALL left? SYSRETQ loads rip from rcx and flags from r11, and faults
 * in kernel mode when rip is not canonical; and of the other registers those that the kernel's
 * functions preserve are not loaded (entry.S). A frame that was filled anew (exec, a signal's
 * handler, the return from one) is not a system call's any more.
 */
static inline bool frame_is_as_left(const struct regs *r)
{
	return r->vector == REGS_VECTOR_SYSCALL && r->rcx == r->rip && r->r11 == r->rflags &&
	       r->rip < USER_END && (r->rflags & ~X86_FLAGS_SYSRET) == (X86_FLAGS_IF | 2);
}

/*
 * True: leave by SYSRETQ. Not where there was work to do on the way, which may have changed the
 * frame.
 */
bool syscall_c(struct regs *r)
{
	const struct task_ops *ops = current()->ops;

	irq_enable();
	if (unlikely(ops))
		ops->syscall(r);
	else
		syscall_dispatch(r);
	irq_disable();
	if (likely(cpu_is_quiet() && !task_has_work() && frame_is_as_left(r)))
		return true;
	leave_kernel(r);
	return false;
}
