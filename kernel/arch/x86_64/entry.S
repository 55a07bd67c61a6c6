/* SPDX-License-Identifier: MIT */
/*
 * Ways into the kernel and out of it. The saved frame is struct regs (kernel/regs.h).
 *
 * GS. User mode runs with its own GS base; the kernel's is in MSR_KERNEL_GS_BASE until SWAPGS.
 *  - SYSCALL, and interrupts and exceptions whose saved CS is a user one, swap on the way in; every
 *    way back to user mode swaps with interrupts off directly before IRETQ or SYSRETQ.
 *  - No instruction between those two can fault: the frame for IRETQ was sanitised by exit_to_user
 *    (user segments, canonical rip), SYSRETQ is used only with a rip below USER_END.
 *
 * SYSRETQ leaves where the frame still says what SYSCALL left. Then the registers that C functions
 * preserve are the program's as they stand, and are not loaded again.
 *  - NMI, #DF, #MC (and #DB out of the kernel) can arrive between entry and SWAPGS, when CS is the
 *    kernel's and GS is the user's. With FSGSBASE a program can give its GS base any value, so its
 *    sign says nothing. They have stacks of their own (IST), at whose top the CPU's struct percpu is
 *    noted; they save GS base, load it from there, and put it back.
 */
#include "asm.h"

#define MSR_GS_BASE 0xc0000101
#define ENOSYS 38

.macro PUSH_REGS rax=%rax
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq \rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
.endm

/* What C functions do not preserve. */
.macro POP_CLOBBERED
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
.endm

.macro POP_REGS
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	POP_CLOBBERED
.endm

	.text

/* One stub of 16 bytes for each vector; traps.c fills the IDT from trap_stubs + 16 * vector. */
	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vec, 0
	.rept 256
	.balign 16
	.if !(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17)
	pushq $0
	.endif
	pushq $vec
	.if vec == 2 || vec == 8 || vec == 18
	jmp paranoid_trap_entry
	.elseif vec == 1
	jmp debug_trap_entry
	.else
	jmp trap_entry_common
	.endif
	.set vec, vec + 1
	.endr
	.balign 16

/* Stack: vector, error, rip, cs, rflags, rsp, ss. */
trap_entry_common:
	testb $3, 24(%rsp)
	jz 1f
	swapgs
1:	cld
	PUSH_REGS
	USER_CLOSE /* the interrupted code may have had user memory open */
	xorl %ebp, %ebp
	movq %rsp, %rdi
	call trap_dispatch
	/* Back from C: interrupts off; for user mode exit_to_user has been called. */
	.globl trap_return
trap_return:
	testb $3, REGS_CS(%rsp)
	jz 1f
	POP_REGS
	addq $16, %rsp
	swapgs
	iretq
1:	POP_REGS
	addq $16, %rsp
	iretq

/* #DB came in on an IST stack. From user mode: go on on the task's own stack, as other traps do. */
debug_trap_entry:
	testb $3, 24(%rsp)
	jz paranoid_trap_entry
	swapgs
	pushq %rdi
	movq %rsp, %rdi
	movq %gs:PERCPU_KERNEL_RSP, %rsp
	pushq 56(%rdi) /* ss */
	pushq 48(%rdi) /* rsp */
	pushq 40(%rdi) /* rflags */
	pushq 32(%rdi) /* cs */
	pushq 24(%rdi) /* rip */
	pushq 16(%rdi) /* error */
	pushq 8(%rdi) /* vector */
	movq (%rdi), %rdi
	cld
	PUSH_REGS
	xorl %ebp, %ebp
	movq %rsp, %rdi
	call trap_dispatch
	jmp trap_return

paranoid_trap_entry:
	cld
	PUSH_REGS
	USER_CLOSE
	movl $MSR_GS_BASE, %ecx
	rdmsr
	movl %eax, %ebx
	shlq $32, %rdx
	orq %rdx, %rbx /* what GS base was: kept in a register that C preserves */
	movl REGS_SIZE(%rsp), %eax /* struct percpu of this CPU, above the frame */
	movl REGS_SIZE + 4(%rsp), %edx
	wrmsr
	xorl %ebp, %ebp
	movq %rsp, %rdi
	call paranoid_trap
	movl $MSR_GS_BASE, %ecx
	movl %ebx, %eax
	movq %rbx, %rdx
	shrq $32, %rdx
	wrmsr
	POP_REGS
	addq $16, %rsp
	iretq

/* SYSCALL: rip in rcx, rflags in r11, interrupts off (SFMASK), stack still the user's. */
FUNCTION syscall_entry
	swapgs
	movq %rsp, %gs:PERCPU_USER_RSP
	movq %gs:PERCPU_KERNEL_RSP, %rsp
	pushq $0x2b
	pushq %gs:PERCPU_USER_RSP
	pushq %r11
	pushq $0x33
	pushq %rcx
	movl %eax, %eax /* the number has 32 bits */
	pushq %rax
	pushq $0x100
	PUSH_REGS $-ENOSYS
	movq %rsp, %rdi
	call syscall_c
	testb %al, %al
	jz trap_return
	addq $REGS_R11, %rsp
	POP_CLOBBERED
	movq 40(%rsp), %rsp
	swapgs
	sysretq
END syscall_entry

/*
 * Where a new task starts, switched to by task_switch with the previous task in rax. User tasks have
 * their frame above; kernel threads call their function from task_first_kernel and do not return.
 */
FUNCTION task_start_user
	movq %rax, %rdi
	call task_first_user
	jmp trap_return
END task_start_user

FUNCTION task_start_kernel
	movq %rax, %rdi
	call task_first_kernel
	ud2
END task_start_kernel

/* enter_user(frame): leaves for user mode with the frame at the top of the kernel stack. */
FUNCTION enter_user
	cli
	movq %rdi, %rsp
	xorl %ebp, %ebp
	call exit_to_user
	jmp trap_return
END enter_user

/* struct task *task_switch(prev, next): interrupts off. Returns the task that ran before. */
FUNCTION task_switch
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, TASK_SAVED_RSP(%rdi)
	movq TASK_SAVED_RSP(%rsi), %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	movq %rdi, %rax
	ret
END task_switch

	.section .note.GNU-stack, "", @progbits
