// SPDX-License-Identifier: MIT
/*
 * Between the table and the dispatcher.
 */
#ifndef KERNEL_SYS_TABLE_H
#define KERNEL_SYS_TABLE_H

#include <kernel/syscall.h>

struct regs;

/* Called with what the program's registers were. */
typedef long syscall_fn(const struct regs *r);

/* NULL: there is no such call here. */
extern syscall_fn *const syscall_table[SYSCALL_MAX];

#endif
