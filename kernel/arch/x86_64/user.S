/* SPDX-License-Identifier: MIT */
/*
 * The instructions that touch user memory, each in the exception table (kernel/uaccess.h). The
 * callers have checked that the range lies below USER_END.
 */
#include "asm.h"

	.text

/* size_t user_copy_raw(dst, src, n): bytes not copied. One side is user memory. */
FUNCTION user_copy_raw
	USER_OPEN
	cmpb $0, slow_strings(%rip)
	je 6f
	subq $32, %rdx
	jb 2f
11:	movq (%rsi), %rax
12:	movq 8(%rsi), %r8
13:	movq 16(%rsi), %r9
14:	movq 24(%rsi), %r10
15:	movq %rax, (%rdi)
16:	movq %r8, 8(%rdi)
17:	movq %r9, 16(%rdi)
18:	movq %r10, 24(%rdi)
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	jae 11b
2:	addq $32, %rdx
/* At most 31 bytes, or what is left of a block that faulted (bytes find the exact end). */
3:	testq %rdx, %rdx
	jz 5f
21:	movb (%rsi), %al
22:	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jmp 3b
5:	USER_CLOSE
	movq %rdx, %rax
	ret
6:	movq %rdx, %rcx
31:	rep movsb
	movq %rcx, %rdx
	jmp 5b
/* A block of 32 faulted: nothing of it counts as copied, the byte loop does it again up to the end. */
41:	addq $32, %rdx
	jmp 3b
42:	movq %rcx, %rdx
	jmp 5b
	.irp at, 11b, 12b, 13b, 14b, 15b, 16b, 17b, 18b
	EXTABLE \at, 41b
	.endr
	EXTABLE 21b, 5b
	EXTABLE 22b, 5b
	EXTABLE 31b, 42b
END user_copy_raw

/* size_t user_clear_raw(dst, n): bytes not cleared. */
FUNCTION user_clear_raw
	USER_OPEN
	xorl %eax, %eax
	movq %rsi, %rcx
	shrq $3, %rcx
	andl $7, %esi
	jmp 2f
1:	movq %rax, (%rdi)
	addq $8, %rdi
	decq %rcx
2:	testq %rcx, %rcx
	jnz 1b
	movq %rsi, %rcx
3:	rep stosb
	movq %rcx, %rax
	USER_CLOSE
	ret
4:	leaq (%rsi, %rcx, 8), %rax
	USER_CLOSE
	ret
5:	movq %rcx, %rax
	USER_CLOSE
	ret
	EXTABLE 1b, 4b
	EXTABLE 3b, 5b
END user_clear_raw

/* ssize_t user_strncpy_raw(dst, src, size): length, -EFAULT, or size when there is no NUL. */
FUNCTION user_strncpy_raw
	USER_OPEN
	xorl %eax, %eax
1:	cmpq %rdx, %rax
	jae 3f
2:	movb (%rsi, %rax), %cl
	movb %cl, (%rdi, %rax)
	testb %cl, %cl
	jz 3f
	incq %rax
	jmp 1b
3:	USER_CLOSE
	ret
4:	movq $-14, %rax
	jmp 3b
	EXTABLE 2b, 4b
END user_strncpy_raw

/* int user_cmpxchg_raw(address, uint32_t *expected, desired): 0 or -EFAULT. */
FUNCTION user_cmpxchg_raw
	USER_OPEN
	movl (%rsi), %eax
1:	lock cmpxchgl %edx, (%rdi)
	movl %eax, (%rsi)
	USER_CLOSE
	xorl %eax, %eax
	ret
2:	USER_CLOSE
	movl $-14, %eax
	ret
	EXTABLE 1b, 2b
END user_cmpxchg_raw

.macro USER_GET name, insn, reg
FUNCTION \name /* (address) -> value in rax, rdx = 0 or -EFAULT */
	USER_OPEN
1:	\insn (%rdi), \reg
	xorl %edx, %edx
2:	USER_CLOSE
	ret
3:	movq $-14, %rdx
	jmp 2b
	EXTABLE 1b, 3b
END \name
.endm

.macro USER_PUT name, insn, reg
FUNCTION \name /* (address, value) -> 0 or -EFAULT */
	USER_OPEN
1:	\insn \reg, (%rdi)
	xorl %eax, %eax
2:	USER_CLOSE
	ret
3:	movl $-14, %eax
	jmp 2b
	EXTABLE 1b, 3b
END \name
.endm

	USER_GET user_get_raw8, movzbl, %eax
	USER_GET user_get_raw32, movl, %eax
	USER_GET user_get_raw64, movq, %rax
	USER_PUT user_put_raw8, movb, %sil
	USER_PUT user_put_raw32, movl, %esi
	USER_PUT user_put_raw64, movq, %rsi

	.section .note.GNU-stack, "", @progbits
