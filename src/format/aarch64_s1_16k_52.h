// SPDX-License-Identifier: MIT
// AArch64 stage 1, 16 KiB granule, 52 bits (FEAT_LPA2), four levels: Arm ARM (DDI 0487) D8.2, D8.3. What differs
// from aarch64_s1.h:
//
//	51      47 46     36 35     25 24     14 13         0
//	+----------+---------+---------+---------+------------+
//	| index 3  | index 2 | index 1 | index 0 | in the page|	an address
//	| (0 to 31)|         |         |         |            |
//	+----------+---------+---------+---------+------------+
//	63       51 50 49                 14 13 12 11 10 9     8 7    1 0
//	+----------+--+---------------------+-----+-----+-------+------+-+
//	|    ...   |0 |    address 49:14    |  0  | ... | 51:50 | ...  |1|	a page or a table
//	+----------+--+---------------------+-----+-----+-------+------+-+
//
// Leaves are 16 KiB, 32 MiB and 64 GiB; runs 2 MiB (128 pages) and 1 GiB (32 blocks). Shareability is one for all
// leaves, in the register. TCR_EL1: DS = 1, T0SZ = 12, TG0 = 2, SH0 = 3.
#ifndef VMT_FORMAT_AARCH64_S1_16K_52_H
#define VMT_FORMAT_AARCH64_S1_16K_52_H

#define A64_PA_BITS 52

#include "aarch64_s1.h"

#endif
