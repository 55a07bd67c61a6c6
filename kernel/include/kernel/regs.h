// SPDX-License-Identifier: MIT
/*
 * What the entry code saves of an interrupted context: the user frame at the top of each task's
 * kernel stack, and any kernel frame that an exception interrupts. The layout is known to entry.S.
 */
#ifndef KERNEL_REGS_H
#define KERNEL_REGS_H

#include <kernel/types.h>
#include <kernel/x86.h>

#define REGS_VECTOR_SYSCALL 0x100

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8;
	uint64_t rax; /* system call: the result; set to -ENOSYS on entry */
	uint64_t rcx, rdx, rsi, rdi;
	uint64_t vector; /* REGS_VECTOR_SYSCALL, an exception or an interrupt */
	uint64_t error; /* exception: error code; system call: its number (orig_rax) */
	uint64_t rip, cs, rflags, rsp, ss;
};

static inline bool regs_user_mode(const struct regs *r)
{
	return (r->cs & 3) != 0;
}

/*
 * Makes a frame for a program's first instruction: everything 0, user segments, interrupts on.
 * Whatever is stored in a user frame, the return path forces segments and privileged flags, and a
 * non-canonical rip becomes #GP of the program (user_exception), never a fault of the kernel.
 */
static inline void regs_init_user(struct regs *r, uint64_t rip, uint64_t rsp)
{
	*r = (struct regs){
		.rip = rip, .cs = USER_CS, .rflags = X86_FLAGS_IF | 2, .rsp = rsp, .ss = USER_DS,
	};
}

#endif
