// SPDX-License-Identifier: MIT
// AArch64 stage 2, 4 KiB granule, 48-bit intermediate physical addresses, four levels (VTCR_EL2.SL0 = 2, no
// concatenated tables): Arm ARM (DDI 0487) D8.3 (the descriptors), D8.4 (S2AP and XN), D8.5 (access flag and dirty
// state), D8.6 (memory attributes). Tables and what the stages share are in aarch64.h. The attributes of a leaf:
//
//	63 59 58  55  54 53   52   51  50  ... 11 10  9  8     7       6      5    2
//	+----+------+-------+----+---+---+----+--+--+----+-------+-------+-------+
//	|ign | soft |XN[1:0]|cont|DBM|res|    |0 |AF| SH |S2AP[1]|S2AP[0]|MemAttr|
//	|    |      |       |    |   |   |    |  |  |    |=write |=read  |       |
//	+----+------+-------+----+---+---+----+--+--+----+-------+-------+-------+
//
// XN is 00 or 10, which mean execution at EL1 and EL0, or at neither, with FEAT_XNX and without it. MemAttr is
// 1111, normal write-back (with HCR_EL2.FWB clear; the guest's stage 1 has its say). SH is inner shareable. Every
// leaf can be read. There is no user and no supervisor.
#ifndef VMT_FORMAT_AARCH64_S2_H
#define VMT_FORMAT_AARCH64_S2_H

#include <vmtree/types.h>

#define A64_WB	 (UINT64_C(0xf) << 2)
#define A64_READ (UINT64_C(1) << 6)
#define A64_PERM (UINT64_C(1) << 7) // S2AP[1]: write
#define A64_XN	 (UINT64_C(2) << 53)

static inline uint64_t a64_perm(bool dirty)
{
	return dirty ? A64_PERM : 0;
}

#include "aarch64.h"

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)user;
	return pa | A64_VALID | (level ? 0 : A64_TABLE) | A64_WB | A64_SH_INNER | A64_AF | A64_READ |
	       (prot & VMT_EXEC ? 0 : A64_XN) | a64_write(prot & VMT_WRITE, prot & VMT_WRITE);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (a64_writable(e) ? VMT_WRITE : 0) | (e & A64_XN ? 0 : VMT_EXEC);
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~(A64_WRITE | A64_XN)) | a64_write(prot & VMT_WRITE, fmt_dirty(e)) | (prot & VMT_EXEC ? 0 : A64_XN);
}

#endif
