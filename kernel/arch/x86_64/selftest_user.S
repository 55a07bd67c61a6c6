/* SPDX-License-Identifier: MIT */
/*
 * Programs for the self-test (core/selftest_user.c), position independent, copied to a user page.
 * System calls here: 0 exit(code), 1 six arguments, 2 make rip non-canonical for a moment, 3 change
 * the frame so that IRET is used, 4 yield.
 * Exit code 0 is success, others name the step that failed.
 */
	.section .rodata
	.globl selftest_program, selftest_program_end
	.globl selftest_fpu, selftest_fpu_end
	.globl selftest_gs, selftest_gs_end

.macro FAIL_UNLESS cond, code
	j\cond .Lok\@
	movl $\code, %edi
	xorl %eax, %eax
	syscall
.Lok\@:
.endm

selftest_program:
	/* 1: arguments arrive, registers survive. */
	movq $0x1111, %rbx
	movq $0x2222, %rbp
	movq $0x3333, %r12
	movq $0x4444, %r13
	movq $0x5555, %r14
	movq $0x6666, %r15
	movl $1, %edi
	movl $20, %esi
	movl $300, %edx
	movl $4000, %r10d
	movl $50000, %r8d
	movl $600000, %r9d
	movl $1, %eax
	syscall
	cmpq $654321, %rax
	FAIL_UNLESS e, 1
	cmpq $0x1111, %rbx
	FAIL_UNLESS e, 2
	cmpq $0x2222, %rbp
	FAIL_UNLESS e, 3
	cmpq $0x6666, %r15
	FAIL_UNLESS e, 4
	cmpl $600000, %r9d
	FAIL_UNLESS e, 5

	/* 2: pages on demand, for write, read and instruction; the stack keeps what is pushed. */
	movabsq $0x10000000, %rbx
	movl $64, %ecx
1:	movq %rcx, (%rbx)
	cmpq %rcx, (%rbx)
	FAIL_UNLESS e, 6
	addq $4096, %rbx
	decl %ecx
	jnz 1b
	movabsq $0x20000000, %rbx
	cmpq $0, 8(%rbx)
	FAIL_UNLESS e, 7
	pushq $0x77
	popq %rax
	cmpq $0x77, %rax
	FAIL_UNLESS e, 8

	/* 3: exceptions; the handler steps over instructions of two bytes and counts in r15. */
	xorl %r15d, %r15d
	ud2
	cmpq $1, %r15
	FAIL_UNLESS e, 9
	xorl %edx, %edx
	xorl %ecx, %ecx
	divl %ecx
	cmpq $2, %r15
	FAIL_UNLESS e, 10
	int3
	cmpq $3, %r15
	FAIL_UNLESS e, 11
	int $0x80 /* a gate of the kernel: #GP */
	cmpq $4, %r15
	FAIL_UNLESS e, 12
	pushfq
	orq $0x100, (%rsp)
	popfq
	nop /* #DB behind it; the handler clears TF */
	nop
	cmpq $5, %r15
	FAIL_UNLESS e, 13
	/* TF set at SYSCALL: no trap in the kernel, one behind the instruction after it. */
	pushfq
	orq $0x100, (%rsp)
	movl $4, %eax
	popfq
	syscall
	nop
	cmpq $6, %r15
	FAIL_UNLESS ge, 14

	/* 4: ways back. */
	movl $2, %eax
	syscall
	cmpq $0x2222, %rax
	FAIL_UNLESS e, 15
	movl $3, %eax
	movl $0x1234, %r8d
	syscall
	cmpq $0x1234, %r8
	FAIL_UNLESS e, 16
	cmpq $0x4321, %rcx
	FAIL_UNLESS e, 17
	/* AC and DF in the program's flags do not reach the kernel. */
	pushfq
	orq $0x40400, (%rsp)
	popfq
	movl $4, %eax
	syscall
	movabsq $0x30000000, %rbx
	movq %rbx, (%rbx)
	pushfq
	popq %rax
	testl $0x40000, %eax
	FAIL_UNLESS nz, 18
	testl $0x400, %eax
	FAIL_UNLESS nz, 19
	cld
	/* A jump into the non-canonical hole and to a kernel address: the handler brings us back to r14. */
	leaq 2f(%rip), %r14
	movabsq $0x0000900000000000, %rax
	jmp *%rax
2:	leaq 3f(%rip), %r14
	movabsq $0xffffffff80100000, %rax
	jmp *%rax
3:	leaq 4f(%rip), %r14
	movabsq $0xffff800000000000, %rax
	movq (%rax), %rax
4:	cmpq $9, %r15
	FAIL_UNLESS ge, 20
	xorl %edi, %edi
	xorl %eax, %eax
	syscall
selftest_program_end:

/* rdi: a pattern kept in xmm7 over many time slices; rsi: rounds. */
selftest_fpu:
	movq %rdi, %xmm7
	movq %rdi, %rbx
	movq %rdi, %fs:0
1:	movq %xmm7, %rax
	cmpq %rax, %rbx
	FAIL_UNLESS e, 1
	cmpq %rbx, %fs:0
	FAIL_UNLESS e, 2
	testl $0xfffff, %esi
	jnz 2f
	movl $4, %eax
	syscall
2:	decq %rsi
	jnz 1b
	xorl %edi, %edi
	xorl %eax, %eax
	syscall
selftest_fpu_end:

/* GS base set to a kernel address (rdi) while it faults, calls and is hit by NMIs; rsi: rounds. */
selftest_gs:
	movq %rsi, %rbx
	movq %rdi, %rbp
	wrgsbase %rdi
	movabsq $0x10000000, %r12
1:	movl $4, %eax
	syscall
	rdgsbase %rax
	cmpq %rax, %rbp
	FAIL_UNLESS e, 1
	testl $63, %ebx
	jnz 2f
	movq %rbx, (%r12)
	addq $4096, %r12
	ud2
2:	decq %rbx
	jnz 1b
	xorl %edi, %edi
	xorl %eax, %eax
	syscall
selftest_gs_end:

	.section .note.GNU-stack, "", @progbits
