/* SPDX-License-Identifier: MIT */
/*
 * Constants that assembly files share with C; checked against the structures in traps.c.
 */
#ifndef ARCH_ASM_H
#define ARCH_ASM_H

#define PERCPU_CURRENT 8
#define PERCPU_KERNEL_RSP 16
#define PERCPU_USER_RSP 24

#define REGS_SIZE 176
#define REGS_CS 144
#define REGS_R11 48
#define TASK_SAVED_RSP 0

/* Physical page below 1 MiB where the other CPUs start; vector of the start-up IPI. */
#define TRAMPOLINE_PHYS 0x8000

#ifdef __ASSEMBLER__
.macro EXTABLE fault, fixup
	.pushsection .extable, "a"
	.quad \fault, \fixup
	.popsection
.endm

/* Opens and closes user memory where the CPU has SMAP. Clobber flags. */
.macro USER_OPEN
	cmpb $0, smap_on(%rip)
	je .Lopen\@
	stac
.Lopen\@:
.endm

.macro USER_CLOSE
	cmpb $0, smap_on(%rip)
	je .Lclose\@
	clac
.Lclose\@:
.endm

.macro FUNCTION name
	.globl \name
	.type \name, @function
	.balign 16
\name:
.endm

.macro END name
	.size \name, . - \name
.endm
#endif

#endif
