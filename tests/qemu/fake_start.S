/* SPDX-License-Identifier: MIT */
/* The entry of fake_kernel.c: a PVH note (XEN_ELFNOTE_PHYS32_ENTRY, 18) and a stack. */
	.code32
	.section .note.pvh, "a", @note
	.long 4, 4, 18
	.asciz "Xen"
	.long start

	.text
	.globl start
start:
	mov $stack_end, %esp
	push %ebx
	call fake_main

	.bss
	.balign 16
	.skip 16384
stack_end:

	.section .note.GNU-stack, "", @progbits
