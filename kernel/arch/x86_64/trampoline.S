/* SPDX-License-Identifier: MIT */
/*
 * Where the other CPUs start, in real mode: smp.c copies trampoline_start..trampoline_end to
 * TRAMPOLINE_PHYS. One CPU at a time: it takes its stack from ap_stack and calls ap_main().
 */
#include "asm.h"

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(sym) ((sym) - KERNEL_BASE)
#define HERE(sym) ((sym) - trampoline_start + TRAMPOLINE_PHYS)

	.section .rodata
	.balign 16
	.globl trampoline_start, trampoline_end
trampoline_start:
	.code16
	cli
	cld
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl HERE(tramp_gdt_ptr)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $0x20, $HERE(tramp32)

	.code32
tramp32:
	movw $0x18, %ax
	movw %ax, %ds
	movw %ax, %ss
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl $PHYS(boot_root), %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl %cr0, %eax
	andl $0x9fffffff, %eax /* caches on: CD and NW are set after INIT */
	orl $0x80010001, %eax
	movl %eax, %cr0
	ljmpl $0x10, $HERE(tramp64)

	.code64
tramp64:
	movabsq $ap_entry, %rax
	jmp *%rax

	.balign 8
tramp_gdt_ptr:
	.word 39
	.long HERE(tramp_gdt)
	.balign 8
tramp_gdt:
	.quad 0, 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00cf9b000000ffff
trampoline_end:

	.text
ap_entry:
	movw $0x18, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	movq ap_stack(%rip), %rsp
	xorl %ebp, %ebp
	call ap_main
	ud2

	.section .bss
	.balign 8
	.globl ap_stack
ap_stack: .skip 8

	.section .note.GNU-stack, "", @progbits
