// SPDX-License-Identifier: MIT
// AArch64 stage 2, 4 KiB granule, 52 bits (FEAT_LPA2), five levels: Arm ARM (DDI 0487) D8.2, D8.3. What differs
// from aarch64_s2.h:
//
//	51      48 47     39 38     30 29     21 20     12 11         0
//	+----------+---------+---------+---------+---------+------------+
//	| index 4  | index 3 | index 2 | index 1 | index 0 | in the page|	an address
//	| (0 to 15)|         |         |         |         |            |
//	+----------+---------+---------+---------+---------+------------+
//	63       51 50 49                      12 11 10 9     8 7    1 0
//	+----------+--+--------------------------+-----+-------+------+-+
//	|    ...   |0 |      address 49:12       | ... | 51:50 | ...  |1|	a page or a table
//	+----------+--+--------------------------+-----+-------+------+-+
//
// Leaves are 4 KiB, 2 MiB, 1 GiB and 512 GiB; runs 64 KiB and 32 MiB. Shareability is one for all leaves, in the
// register. VTCR_EL2: DS = 1, T0SZ = 12, TG0 = 0, SL2 = 1 and SL0 = 0, SH0 = 3.
#ifndef VMT_FORMAT_AARCH64_S2_4K_52_H
#define VMT_FORMAT_AARCH64_S2_4K_52_H

#define A64_PA_BITS 52

#include "aarch64_s2.h"

#endif
