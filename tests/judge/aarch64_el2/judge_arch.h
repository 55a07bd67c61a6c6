// SPDX-License-Identifier: MIT
// The `virt` board with EL2: 3 GiB of RAM from 1 GiB on, of which the second is the tests'. The image runs at EL2, at
// physical addresses. Faults say at which level, and the processor can be asked for a translation (AT).
#ifndef JUDGE_ARCH_H
#define JUDGE_ARCH_H

#define JUDGE_MEMORY	     UINT64_C(0x80000000)
#define JUDGE_DIRECT	     UINT64_C(0)
#define JUDGE_TELLS_ABSENT   1
#define JUDGE_SOFTWARE_MARKS 1
#define JUDGE_TRANSLATES     1

void *memset(void *to, int byte, __SIZE_TYPE__ bytes);

#endif
