/* SPDX-License-Identifier: MIT */
/* Attempts at accesses by a guest, its code, and its own page tables, which map each address to itself. */
#define GUEST(symbol) ((symbol) - 0xffffffff80000000 + 0x8000000000)

	.text
/* void svm_attempt(vmcb, a, b): runs the guest with a and b in rdi and rsi, until it comes back. */
	.globl svm_attempt
svm_attempt:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	vmrun %rax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

	.globl svm_load, svm_store
svm_load:
	mov (%rdi), %rax
	vmmcall
svm_store:
	mov %rsi, (%rdi)
	vmmcall

	.data
	.balign 4096
	.globl svm_guest_root
svm_guest_root:
	.quad GUEST(low3) + 0x67	/* dirty, accessed, user, writable */
	.quad GUEST(high3) + 0x67
	.fill 510, 8, 0
	.set address, 0xe7		/* and 1 GiB */
low3:
	.rept 512
	.quad address
	.set address, address + 0x40000000
	.endr
high3:
	.rept 512
	.quad address
	.set address, address + 0x40000000
	.endr
/* The image, in the nested tables. */
	.globl svm_window
svm_window:
	.quad 0xe7
	.fill 511, 8, 0

	.section .note.GNU-stack, "", @progbits
