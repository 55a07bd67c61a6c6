/* SPDX-License-Identifier: MIT */
/*
 * The entry (EL2, no translation), the image's own tables, and attempts at accesses by a guest. The guest has no
 * stage 1. Its code is the image once more, in the last entry of the root of stage 2, which is beyond the library's
 * half.
 */
	.arch armv8-a

#define NORMAL	0x745			/* inner shareable, accessed, memory type 1, a block */
#define DEVICE	0x449

	.section .text.start, "ax"
	.globl start
start:
	ldr x0, =0xff00
	msr mair_el2, x0
	adrp x0, root
	msr ttbr0_el2, x0
	ldr x0, =0x80853510		/* 48 bits, 4 KiB, write-back walks, inner shareable; 48 bits out */
	msr tcr_el2, x0
	isb
	ldr x0, =0x30c51835		/* M, C, I, and what is 1 by definition */
	msr sctlr_el2, x0
	ldr x0, =vectors
	msr vbar_el2, x0
	ldr x0, =stack_end
	mov sp, x0
	/* The guest: no stage 1, and its exceptions come here. */
	ldr x0, =0x30d00800
	msr sctlr_el1, x0
	isb
	bl judge_main

	.text
/*
 * void a64_attempt(code, a, b, state): the guest, in a state of SPSR_EL2, at `code` with a and b in x0 and x1. It
 * ends by an exception, SVC and then HVC at the latest, which brings back here.
 */
	.globl a64_attempt
a64_attempt:
	msr elr_el2, x0
	msr spsr_el2, x3
	mov x0, x1
	mov x1, x2
	adrp x9, saved
	add x9, x9, :lo12:saved
	str x30, [x9]
	msr esr_el1, xzr
	isb
	eret

	.globl a64_load, a64_store
a64_load:
	ldr x0, [x0]
	svc #0
a64_store:
	str x1, [x0]
	svc #0

	.balign 2048
	.globl a64_vectors
a64_vectors:				/* the guest's */
	.rept 16
	.balign 128
	hvc #0
	.endr

	.balign 2048
vectors:
	.rept 16
	.balign 128
	b exception
	.endr

exception:
	adrp x9, a64_trap
	add x9, x9, :lo12:a64_trap
	mrs x10, esr_el2
	mrs x11, far_el2
	stp x10, x11, [x9]
	mrs x10, hpfar_el2
	mrs x11, esr_el1
	stp x10, x11, [x9, #16]
	str x0, [x9, #32]
	ldr x30, [x9, #40]
	ret

	.data
	.balign 4096
root:
	.quad first + 3
	.fill 511, 8, 0
first:
	.quad 0x00000000 + DEVICE
	.quad 0x40000000 + NORMAL
	.quad 0x80000000 + NORMAL
	.quad 0xc0000000 + NORMAL
	.fill 508, 8, 0

	.bss
	.balign 16
	.globl a64_trap
a64_trap:
	.skip 40
saved:
	.skip 8
	.balign 16
	.skip 32768
stack_end:

	.section .note.GNU-stack, "", @progbits
