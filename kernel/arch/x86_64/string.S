/* SPDX-License-Identifier: MIT */
/*
 * memcpy, memmove, memset, page_zero and page_copy. Where string instructions are slow (QEMU's
 * emulator does one iteration at a time) unrolled moves are used instead; slow_strings says which.
 *
 * A whole page is zeroed and copied by the instruction that Linux picks on the CPU, emulated or not,
 * so that the two can be compared: REP STOSB and REP MOVSB where CPUID reports them as fast (ERMS).
 * Memory is copied a page at a time by memcpy with that length too, which is how the library does it.
 */
#include "asm.h"

	.text

/* rdi, rsi, rdx -> rax = rdi */
FUNCTION memcpy
	movq %rdi, %rax
	cmpq $4096, %rdx
	je page_copy
8:	cmpb $0, slow_strings(%rip)
	jne 1f
	movq %rdx, %rcx
	rep movsb
	ret
1:	subq $32, %rdx
	jb 3f
2:	movq (%rsi), %rcx
	movq 8(%rsi), %r8
	movq 16(%rsi), %r9
	movq 24(%rsi), %r10
	movq %rcx, (%rdi)
	movq %r8, 8(%rdi)
	movq %r9, 16(%rdi)
	movq %r10, 24(%rdi)
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	jae 2b
3:	addq $32, %rdx
	subq $8, %rdx
	jb 5f
4:	movq (%rsi), %rcx
	movq %rcx, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
	subq $8, %rdx
	jae 4b
5:	addq $8, %rdx
	jz 7f
6:	movb (%rsi), %cl
	movb %cl, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jnz 6b
7:	ret

/* rdi, rsi -> rax = rdi */
	.globl page_copy
page_copy:
	movq %rdi, %rax
	movl $4096, %edx
	cmpb $0, fast_string_bytes(%rip)
	je 8b
	movl %edx, %ecx
	rep movsb
	ret
END memcpy

FUNCTION memmove
	movq %rdi, %rax
	subq %rsi, %rax
	cmpq %rdx, %rax
	jae memcpy /* dst below src, or beyond its end (unsigned) */
	movq %rdi, %rax
	leaq (%rsi, %rdx), %rsi
	leaq (%rdi, %rdx), %rdi
	subq $8, %rdx
	jb 2f
1:	subq $8, %rsi
	subq $8, %rdi
	movq (%rsi), %rcx
	movq %rcx, (%rdi)
	subq $8, %rdx
	jae 1b
2:	addq $8, %rdx
	jz 4f
3:	decq %rsi
	decq %rdi
	movb (%rsi), %cl
	movb %cl, (%rdi)
	decq %rdx
	jnz 3b
4:	ret
END memmove

FUNCTION memset
	movq %rdi, %r8
	movzbl %sil, %eax
	cmpb $0, slow_strings(%rip)
	jne 1f
	movq %rdx, %rcx
	rep stosb
	movq %r8, %rax
	ret
1:	movabsq $0x0101010101010101, %rcx
	imulq %rcx, %rax
	subq $32, %rdx
	jb 3f
2:	movq %rax, (%rdi)
	movq %rax, 8(%rdi)
	movq %rax, 16(%rdi)
	movq %rax, 24(%rdi)
	addq $32, %rdi
	subq $32, %rdx
	jae 2b
3:	addq $32, %rdx
	jz 5f
4:	movb %al, (%rdi)
	incq %rdi
	decq %rdx
	jnz 4b
5:	movq %r8, %rax
	ret
END memset

FUNCTION page_zero
	cmpb $0, fast_string_bytes(%rip)
	je 3f
	movl $4096, %ecx
	xorl %eax, %eax
	rep stosb
	ret
3:	cmpb $0, slow_strings(%rip)
	jne 1f
	movl $512, %ecx
	xorl %eax, %eax
	rep stosq
	ret
1:	movl $64, %ecx
	xorl %eax, %eax
2:	movq %rax, (%rdi)
	movq %rax, 8(%rdi)
	movq %rax, 16(%rdi)
	movq %rax, 24(%rdi)
	movq %rax, 32(%rdi)
	movq %rax, 40(%rdi)
	movq %rax, 48(%rdi)
	movq %rax, 56(%rdi)
	addq $64, %rdi
	decl %ecx
	jnz 2b
	ret
END page_zero

	.section .note.GNU-stack, "", @progbits
