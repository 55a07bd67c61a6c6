/* SPDX-License-Identifier: MIT */
/*
 * First instructions: QEMU enters pvh_start in 32-bit protected mode, paging off, %ebx pointing to
 * hvm_start_info (PVH boot protocol). Builds tables for the first 4 GiB at 0 and at the direct map,
 * and for 1 GiB at the kernel's address; enters long mode and calls boot_main(start_info).
 * The other CPUs pass through the same tables (trampoline.S).
 */
#include "asm.h"

#define KERNEL_BASE 0xffffffff80000000
#define PHYS(sym) ((sym) - KERNEL_BASE)

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18 /* name and descriptor sizes, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(pvh_start)

	.section .boot.text, "ax"
	.code32
	.globl pvh_start
pvh_start:
	cld
	movl $PHYS(boot_stack_top), %esp

	/* 4 GiB in 2 MiB pages: present, writable, large. */
	movl $PHYS(boot_pd), %edi
	xorl %ecx, %ecx
1:	movl %ecx, %eax
	shll $21, %eax
	orl $0x83, %eax
	movl %eax, (%edi, %ecx, 8)
	movl $0, 4(%edi, %ecx, 8)
	incl %ecx
	cmpl $2048, %ecx
	jb 1b

	movl $PHYS(boot_pdpt), %edi
	movl $PHYS(boot_pd) + 3, %eax
	movl %eax, (%edi)
	addl $4096, %eax
	movl %eax, 8(%edi)
	addl $4096, %eax
	movl %eax, 16(%edi)
	addl $4096, %eax
	movl %eax, 24(%edi)
	movl $PHYS(boot_pdpt_kernel), %edi
	movl $PHYS(boot_pd) + 3, 510 * 8(%edi)
	movl $PHYS(boot_root), %edi
	movl $PHYS(boot_pdpt) + 3, (%edi)
	movl $PHYS(boot_pdpt) + 3, 256 * 8(%edi)
	movl $PHYS(boot_pdpt_kernel) + 3, 511 * 8(%edi)

	/* PAE, the root, long mode and NX, paging. */
	movl %cr4, %eax
	orl $0x20, %eax
	movl %eax, %cr4
	movl %edi, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80010001, %eax
	movl %eax, %cr0
	lgdt PHYS(boot_gdt_low)
	ljmp $0x10, $PHYS(2f)

	.code64
2:	movabsq $3f, %rax
	jmp *%rax
3:	movw $0x18, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	movabsq $boot_stack_top, %rsp
	lgdt boot_gdt_high(%rip)
	xorl %ebp, %ebp
	movl %ebx, %edi
	call boot_main
	ud2

	.section .rodata
	.balign 16
	.globl boot_gdt
boot_gdt:
	.quad 0, 0
	.quad 0x00af9b000000ffff /* 0x10: 64-bit code */
	.quad 0x00cf93000000ffff /* 0x18: data */
	.quad 0x00cf9b000000ffff /* 0x20: 32-bit code, for the trampoline */
boot_gdt_end:
	.globl boot_gdt_low
boot_gdt_low:
	.word boot_gdt_end - boot_gdt - 1
	.quad PHYS(boot_gdt)
	.balign 8
boot_gdt_high:
	.word boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

	.section .bss
	.balign 4096
	.globl boot_root
boot_root:	.skip 4096
boot_pdpt:	.skip 4096
boot_pdpt_kernel: .skip 4096
boot_pd:	.skip 4096 * 4
	.globl boot_stack
boot_stack:	.skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
