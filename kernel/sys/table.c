// SPDX-License-Identifier: MIT
/*
 * The system-call table, made from the lists in kernel/syscall.h.
 */
#include "table.h"

#define CALL_0(f, a) f()
#define CALL_1(f, a) f((a)[0])
#define CALL_2(f, a) f((a)[0], (a)[1])
#define CALL_3(f, a) f((a)[0], (a)[1], (a)[2])
#define CALL_4(f, a) f((a)[0], (a)[1], (a)[2], (a)[3])
#define CALL_5(f, a) f((a)[0], (a)[1], (a)[2], (a)[3], (a)[4])
#define CALL_6(f, a) f((a)[0], (a)[1], (a)[2], (a)[3], (a)[4], (a)[5])

#define ADAPTER(number, name, n)                        \
	static long call_##name(const long *a __unused) \
	{                                               \
		return CALL_##n(sys_##name, a);         \
	}
#define ENTRY(number, name, n) [number] = call_##name,

SYSCALLS(ADAPTER)

syscall_fn *const syscall_table[SYSCALL_MAX] = {SYSCALLS(ENTRY)};
