// SPDX-License-Identifier: MIT
// The `virt` board: 3 GiB of RAM from 2 GiB on, of which the last is the tests'. Page faults do not say whether the
// entry was absent.
#ifndef JUDGE_ARCH_H
#define JUDGE_ARCH_H

#define JUDGE_MEMORY	     UINT64_C(0xc0000000)
#define JUDGE_DIRECT	     UINT64_C(0)
#define JUDGE_TELLS_ABSENT   0
#define JUDGE_SOFTWARE_MARKS 0
#define JUDGE_EXTENSIONS     1
#define JUDGE_TRANSLATES     0

void *memset(void *to, int byte, __SIZE_TYPE__ bytes);

#endif
