// SPDX-License-Identifier: MIT
// The `virt` board: 3 GiB of RAM from 1 GiB on, of which the second is the tests'. The upper half (TTBR1) maps it for
// the image. Faults say at which level, and the processor can be asked for a translation (AT).
#ifndef JUDGE_ARCH_H
#define JUDGE_ARCH_H

#define JUDGE_MEMORY	     UINT64_C(0x80000000)
#define JUDGE_DIRECT	     UINT64_C(0xffff000000000000)
#define JUDGE_VA_BITS	     FMT_VA_BITS
#define JUDGE_PA_BITS	     (FMT_VA_BITS == 52 ? 52 : 48)
#define JUDGE_TELLS_ABSENT   1
#define JUDGE_SOFTWARE_MARKS 1
#define JUDGE_TRANSLATES     1

void *memset(void *to, int byte, __SIZE_TYPE__ bytes);

#endif
