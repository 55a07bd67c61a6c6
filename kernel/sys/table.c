// SPDX-License-Identifier: MIT
/*
 * The system-call table, made from the lists in kernel/syscall.h.
 */
#include "table.h"
#include <kernel/regs.h>

#define CALL_0(f, r) f()
#define CALL_1(f, r) f((long)(r)->rdi)
#define CALL_2(f, r) f((long)(r)->rdi, (long)(r)->rsi)
#define CALL_3(f, r) f((long)(r)->rdi, (long)(r)->rsi, (long)(r)->rdx)
#define CALL_4(f, r) f((long)(r)->rdi, (long)(r)->rsi, (long)(r)->rdx, (long)(r)->r10)
#define CALL_5(f, r) \
	f((long)(r)->rdi, (long)(r)->rsi, (long)(r)->rdx, (long)(r)->r10, (long)(r)->r8)
#define CALL_6(f, r) \
	f((long)(r)->rdi, (long)(r)->rsi, (long)(r)->rdx, (long)(r)->r10, (long)(r)->r8, \
		(long)(r)->r9)

#define ADAPTER(number, name, n)                               \
	static long call_##name(const struct regs *r __unused) \
	{                                                      \
		return CALL_##n(sys_##name, r);                \
	}
#define ENTRY(number, name, n) [number] = call_##name,

SYSCALLS(ADAPTER)

syscall_fn *const syscall_table[SYSCALL_MAX] = {SYSCALLS(ENTRY)};
