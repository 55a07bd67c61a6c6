// SPDX-License-Identifier: MIT
// AArch64 stage 2, 16 KiB granule, 47-bit intermediate physical addresses, three levels: Arm ARM (DDI 0487) D8.2,
// D8.3. What differs from aarch64_s2.h:
//
//	46     36 35     25 24     14 13         0
//	+---------+---------+---------+------------+
//	| index 2 | index 1 | index 0 | in the page|	an address
//	+---------+---------+---------+------------+
//	63       50 48 47                 14 13 12 11        1 0
//	+----------+--+---------------------+-----+-----------+-+
//	|    ...   |0 |   address 47:14     |  0  |    ...    |1|	a page or a table
//	+----------+--+---------------------+-----+-----------+-+
//
// A stage 2 of this granule cannot begin with the table of two entries that a 48th bit takes: it would begin one
// level below, with two tables side by side in memory (concatenated), which are not made here. Leaves are 16 KiB
// and 32 MiB; runs 2 MiB (128 pages) and 1 GiB (32 blocks). VTCR_EL2: T0SZ = 17, TG0 = 2, SL0 = 2.
#ifndef VMT_FORMAT_AARCH64_S2_16K_H
#define VMT_FORMAT_AARCH64_S2_16K_H

#define FMT_VA_BITS 47

#include "aarch64_s2.h"

#endif
