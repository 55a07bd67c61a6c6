// SPDX-License-Identifier: MIT
// AArch64 stage 2, 64 KiB granule, 52 bits (FEAT_LPA), three levels: Arm ARM (DDI 0487) D8.2, D8.3. What differs
// from aarch64_s2.h:
//
//	51          42 41     29 28     16 15         0
//	+--------------+---------+---------+------------+
//	|   index 2    | index 1 | index 0 | in the page|	an address
//	| (0 to 1023)  |         |         |            |
//	+--------------+---------+---------+------------+
//	63       50 48 47                 16 15   12 11      1 0
//	+----------+--+---------------------+-------+---------+-+
//	|    ...   |0 |   address 47:16     | 51:48 |   ...   |1|	a page or a table
//	+----------+--+---------------------+-------+---------+-+
//
// Leaves are 64 KiB, 512 MiB and 4 TiB; runs 2 MiB (32 pages) and 16 GiB (32 blocks). VTCR_EL2: PS = 6, T0SZ = 12,
// TG0 = 1, SL0 = 2.
#ifndef VMT_FORMAT_AARCH64_S2_64K_52_H
#define VMT_FORMAT_AARCH64_S2_64K_52_H

#define A64_PA_BITS 52

#include "aarch64_s2.h"

#endif
