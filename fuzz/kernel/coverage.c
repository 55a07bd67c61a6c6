// SPDX-License-Identifier: MIT
/*
 * Coverage of the kernel's own source, for the fuzzer (fuzz/kernel). This file is part of a second
 * kernel whose other files call __sanitizer_cov_trace_pc at the beginning of each basic block, and
 * which passes here on its way to a system call (the linker wraps syscall_dispatch).
 *
 * One CPU, and one program that is looked at by another that waits for it: nothing is locked.
 * Interrupts are left out, since they come at their own times.
 */
#include "coverage.h"

#include <kernel/cpu.h>
#include <kernel/hooks.h>
#include <kernel/syscall.h>
#include <kernel/uaccess.h>

/* The linker script's, and what --wrap makes of the hook's name. */
extern const char _text_start[];
void __real_syscall_dispatch(struct regs *r);
void __wrap_syscall_dispatch(struct regs *r);
void __sanitizer_cov_trace_pc(void);

static uint8_t counts[COVERAGE_PLACES];
static uint32_t touched[COVERAGE_PLACES];
static uint32_t touched_count;
static bool active;

__attribute__((no_sanitize_coverage)) void __sanitizer_cov_trace_pc(void)
{
	uint64_t place;

	if (!active || this_cpu()->irq_depth)
		return;
	/* A call is five bytes long: no two end in the same four. */
	place = ((uint64_t)__builtin_return_address(0) - (uint64_t)_text_start) / 4;
	if (place >= COVERAGE_PLACES || counts[place] == 255)
		return;
	if (counts[place]++ == 0)
		touched[touched_count++] = (uint32_t)place;
}

static void forget(void)
{
	while (touched_count)
		counts[touched[--touched_count]] = 0;
}

/* The number of places, of which at most `room` are stored. */
static long report(uint64_t list, uint64_t room)
{
	uint32_t n = touched_count;

	for (uint32_t i = 0; i < n && i < room; i++)
		if (put_user_u32(list + 4ul * i, touched[i] << 8 | counts[touched[i]]))
			return -EFAULT;
	return n;
}

void __wrap_syscall_dispatch(struct regs *r)
{
	if (r->error != COVERAGE_CALL) {
		__real_syscall_dispatch(r);
		return;
	}
	active = false;
	if (r->rdi) {
		r->rax = (uint64_t)report(r->rsi, r->rdx);
	} else {
		forget();
		r->rax = 0;
		active = true;
	}
}
