// SPDX-License-Identifier: MIT
/*
 * Lines for people and for the control stream (docs/guest.md), assertions, and the fatal stop.
 */
#ifndef KERNEL_PRINTK_H
#define KERNEL_PRINTK_H

#include <kernel/types.h>

/*
 * One line `log TEXT` on the control stream; no newline in fmt. At most 500 bytes, longer text is
 * cut. Any context, NMI excepted; takes the innermost spinlock (interrupts off, see docs/kernel.md).
 */
void klog(const char *fmt, ...) __printf(1, 2);

/* One whole line of the control stream as it is, newline added (e.g. "stat faults 12"). As klog. */
void control_line(const char *fmt, ...) __printf(1, 2);

/*
 * Stops the machine: other CPUs are halted, `panic TEXT` and a stack trace as log lines, `done`,
 * then the exit device. Any context, any lock may be held.
 */
_Noreturn void panic(const char *fmt, ...) __printf(1, 2);

#define assert(cond) \
	do { \
		if (unlikely(!(cond))) \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond); \
	} while (0)

#endif
