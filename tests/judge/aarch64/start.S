/* SPDX-License-Identifier: MIT */
/*
 * The entry (EL1, no translation), the image's own tables, and attempts at accesses. The upper half maps the first 4
 * GiB of physical memory for EL1, and 512 GiB above that once more, read-only, for code at EL0.
 */
	.arch armv8.5-a

/* Shareability is in TCR_EL1: with 52 bits its place in an entry is an address's. */
#define NORMAL	0x40d			/* accessed, memory type 3, a block */
#define DEVICE	0x411
#define EL0	0x00200000000000c0	/* PXN, EL0, read-only */

	.section .text.start, "ax"
	.globl start
start:
	/* Memory types: 0 to 2 as the library's format asks; 3 for the image's memory, 4 for its devices. */
	ldr x0, =0x00ff4404ff
	msr mair_el1, x0
	adrp x0, root
	msr ttbr1_el1, x0
	/* On the way up, the same tables serve the lower half: it begins with the same 512 GiB. */
	msr ttbr0_el1, x0
	ldr x0, =0x5b5103510		/* 48 bits, 4 KiB, write-back walks, inner shareable; 48 bits out */
	msr tcr_el1, x0
	isb
	ldr x0, =0x30d01805		/* M, C, I, SPAN, and what is 1 by definition */
	msr sctlr_el1, x0
	isb
	ldr x0, =high
	br x0
high:
	ldr x0, =vectors
	msr vbar_el1, x0
	ldr x0, =stack_end
	mov sp, x0
	isb
	bl judge_main

	.text
/*
 * void a64_attempt(code, a, b, user): jumps to `code` with a and b in x0 and x1, at EL0 or not. It ends by an
 * exception, SVC at the latest, which brings back here.
 */
	.globl a64_attempt
a64_attempt:
	mov x16, x0
	mov x0, x1
	mov x1, x2
	adrp x9, saved
	add x9, x9, :lo12:saved
	str x30, [x9]
	cbnz x3, 1f
	br x16
1:	msr spsr_el1, xzr
	msr elr_el1, x16
	eret

	.globl a64_load, a64_store
a64_load:
	ldr x0, [x0]
	svc #0
a64_store:
	str x1, [x0]
	svc #0

	.balign 2048
vectors:
	.rept 16
	.balign 128
	b exception
	.endr

exception:
	adrp x9, a64_trap
	add x9, x9, :lo12:a64_trap
	mrs x10, esr_el1
	mrs x11, far_el1
	stp x10, x11, [x9]
	str x0, [x9, #16]
	ldr x30, [x9, #24]
	ret

	.data
	.balign 4096
root:
	.quad first - 0xffff000000000000 + 3
	.quad second - 0xffff000000000000 + 3
	.fill 510, 8, 0
first:
	.quad 0x00000000 + DEVICE
	.quad 0x40000000 + NORMAL
	.quad 0x80000000 + NORMAL
	.quad 0xc0000000 + NORMAL
	.fill 508, 8, 0
second:
	.quad 0
	.quad 0x40000000 + NORMAL + EL0
	.fill 510, 8, 0

	.bss
	.balign 16
	.globl a64_trap
a64_trap:
	.skip 24
saved:
	.skip 8
	.balign 16
	.skip 32768
stack_end:

	.section .note.GNU-stack, "", @progbits
