// SPDX-License-Identifier: MIT
// A PC with 2 GiB of RAM, of which the second is the tests', and an IOMMU between a PCI device and that memory. The
// device accesses what the library maps; the processor keeps to the tables of boot.S.
#ifndef JUDGE_ARCH_H
#define JUDGE_ARCH_H

#define JUDGE_MEMORY	     UINT64_C(0x40000000)
#define JUDGE_DIRECT	     UINT64_C(0xffffffff80000000)
#define JUDGE_DEVICE	     1
#define JUDGE_TELLS_ABSENT   0
#define JUDGE_SOFTWARE_MARKS 0
#define JUDGE_TRANSLATES     0

void *memset(void *to, int byte, __SIZE_TYPE__ bytes);
void *memcpy(void *restrict to, const void *restrict from, __SIZE_TYPE__ bytes);

#endif
