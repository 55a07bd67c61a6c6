// SPDX-License-Identifier: MIT
// The `virt` board with EL2: 3 GiB of RAM from 1 GiB on, of which the second is the tests'. The image runs at EL2, at
// physical addresses. Faults say at which level, and the processor can be asked for a translation (AT).
#ifndef JUDGE_ARCH_H
#define JUDGE_ARCH_H

#define JUDGE_MEMORY	     UINT64_C(0x80000000)
#define JUDGE_DIRECT	     UINT64_C(0)
// QEMU 7.2 lets no stage 2 of 16 KiB granule begin at the architecture's level 0, also where FEAT_LPA2 allows it. There
// the walk begins one level below, with the table that the first entry of the tree's root leads to.
#define JUDGE_BELOW	     (FMT_VA_BITS == 52 && VMT_PAGE_SHIFT == 14)
#define JUDGE_VA_BITS	     ((JUDGE_BELOW ? 47 : FMT_VA_BITS) - 1)
#define JUDGE_PA_BITS	     (FMT_VA_BITS == 52 ? 52 : 48)
#define JUDGE_TELLS_ABSENT   1
#define JUDGE_SOFTWARE_MARKS 1
#define JUDGE_TRANSLATES     1

void *memset(void *to, int byte, __SIZE_TYPE__ bytes);

#endif
