// SPDX-License-Identifier: MIT
// AArch64 stage 1, 16 KiB granule, 48 bits, four levels, of which the root has two entries: Arm ARM (DDI 0487)
// D8.2, D8.3. What differs from aarch64_s1.h:
//
//	47            46     36 35     25 24     14 13         0
//	+-------------+---------+---------+---------+------------+
//	|index 3 (0-1)| index 2 | index 1 | index 0 | in the page|	an address
//	+-------------+---------+---------+---------+------------+
//	63       50 48 47                 14 13 12 11        1 0
//	+----------+--+---------------------+-----+-----------+-+
//	|    ...   |0 |   address 47:14     |  0  |    ...    |1|	a page or a table
//	+----------+--+---------------------+-----+-----------+-+
//
// Leaves are 16 KiB and 32 MiB; runs 2 MiB (128 pages) and 1 GiB (32 blocks). TCR_EL1: T0SZ = 16, TG0 = 2.
#ifndef VMT_FORMAT_AARCH64_S1_16K_H
#define VMT_FORMAT_AARCH64_S1_16K_H

#include "aarch64_s1.h"

#endif
