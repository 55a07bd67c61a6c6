/* SPDX-License-Identifier: MIT */
/*
 * The entry (PVH: 32 bits, no paging), the image's own tables, and attempts at accesses. The image lives in the upper
 * half, in entries of the root that the library's roots get a copy of. One GiB below it lies the first 2 MiB
 * of memory once more, for code in user mode.
 */
#define PHYSICAL(symbol) ((symbol) - 0xffffffff80000000)

	.section .note.pvh, "a", @note
	.long 4, 8, 18
	.asciz "Xen"
	.quad PHYSICAL(start)

	.section .text.start, "ax"
	.code32
	.globl start
start:
	mov %cr4, %eax
	or $0x20, %eax			/* PAE */
#if JUDGE_LEVELS == 5
	or $0x1000, %eax		/* LA57 */
#endif
	mov %eax, %cr4
	mov $PHYSICAL(x86_root), %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER: NXE, LME */
	rdmsr
	or $0x900, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80010001, %eax		/* PG, WP, PE */
	mov %eax, %cr0
	lgdt PHYSICAL(gdt_pointer)
	ljmp $0x08, $PHYSICAL(long_mode)

	.code64
long_mode:
	movabs $high, %rax
	jmp *%rax
high:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $stack_end, %rsp
	call judge_main

	.text
/*
 * void x86_attempt(code, a, b, user): jumps to `code` with a and b in rdi and rsi, in user mode or not. It ends by an
 * exception, INT3 at the latest, which brings back here.
 */
	.globl x86_attempt
x86_attempt:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rsp, saved
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	test %ecx, %ecx
	jnz 1f
	jmp *%rax
1:	push $0x1b			/* user data */
	push $0				/* no stack: nothing uses it */
	push $2				/* flags */
	push $0x23			/* user code */
	push %rax
	iretq

	.globl x86_load, x86_store
x86_load:
	mov (%rdi), %rax
	int3
x86_store:
	mov %rsi, (%rdi)
	int3

/* The exceptions, 16 bytes for each. 8, 10 to 14, 17, 21 and 30 push an error code. */
	.balign 16
	.globl x86_vectors
x86_vectors:
	.set vector, 0
	.rept 32
	.balign 16
	.if !((1 << vector) & 0x40227d00)
	push $0
	.endif
	push $vector
	jmp exception
	.set vector, vector + 1
	.endr

exception:
	mov %rax, x86_trap + 24
	pop x86_trap
	pop x86_trap + 8
	mov %cr2, %rax
	mov %rax, x86_trap + 16
	mov saved, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.data
	.balign 4096
#if JUDGE_LEVELS == 5
	.globl x86_root
x86_root:
	.quad PHYSICAL(low4) + 3
	.fill 510, 8, 0
	.quad PHYSICAL(high4) + 7
low4:
	.quad PHYSICAL(low3) + 3
	.fill 511, 8, 0
high4:
	.fill 511, 8, 0
	.quad PHYSICAL(high3) + 7
#else
	.globl x86_root
x86_root:
	.quad PHYSICAL(low3) + 3
	.fill 510, 8, 0
	.quad PHYSICAL(high3) + 7
#endif
low3:
	.quad 0x83			/* on the way up: 1 GiB, writable */
	.fill 511, 8, 0
high3:
	.fill 509, 8, 0
	.quad PHYSICAL(user2) + 7
	.quad 0x83
	.quad 0x40000083
user2:
	.quad 0x85			/* 2 MiB, user, read-only */
	.fill 511, 8, 0

	.balign 16
	.globl x86_gdt
x86_gdt:
	.quad 0
	.quad 0x00af9a000000ffff	/* 08: code */
	.quad 0x00cf92000000ffff	/* 10: data */
	.quad 0x00cff2000000ffff	/* 1b: user data */
	.quad 0x00affa000000ffff	/* 23: user code */
	.quad 0, 0			/* 28: the task state, whose stack exceptions in user mode use */
gdt_pointer:
	.word 55
	.quad PHYSICAL(x86_gdt)

	.bss
	.balign 16
	.globl x86_trap
x86_trap:
	.skip 32
saved:
	.skip 8
	.balign 16
	.skip 32768
stack_end:
	.skip 4096
	.globl x86_trap_stack
x86_trap_stack:

	.section .note.GNU-stack, "", @progbits
