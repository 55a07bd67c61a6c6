// SPDX-License-Identifier: MIT
// AArch64 stage 2, as it is with 4 KiB granule, 48-bit intermediate physical addresses and four levels (VTCR_EL2.SL0 =
// 2, no concatenated tables); the headers of the other formats include it. Arm ARM (DDI 0487) D8.3 (the descriptors),
// D8.4 (S2AP and XN), D8.5 (access flag and dirty state), D8.6 (memory attributes). Tables and what the stages share
// are in aarch64.h. The attributes of a leaf:
//
//	63 59 58  55  54 53   52   51  50  ... 11 10  9  8     7       6      5    2
//	+----+------+-------+----+---+---+----+--+--+----+-------+-------+-------+
//	|ign | soft |XN[1:0]|cont|DBM|res|    |0 |AF| SH |S2AP[1]|S2AP[0]|MemAttr|
//	|    |      |       |    |   |   |    |  |  |    |=write |=read  |       |
//	+----+------+-------+----+---+---+----+--+--+----+-------+-------+-------+
//
// XN is 00 or 10, which mean execution at EL1 and EL0, or at neither, with FEAT_XNX and without it. MemAttr (with
// HCR_EL2.FWB clear; the guest's stage 1 has its say) is 1111, normal write-back, 0101, normal non-cacheable, or 0001,
// device-nGnRE. SH is inner shareable. Every leaf can be read. There is no user and no supervisor.
#ifndef VMT_FORMAT_AARCH64_S2_H
#define VMT_FORMAT_AARCH64_S2_H

#include <vmtree/types.h>

#define A64_READ (UINT64_C(1) << 6)
#define A64_PERM (UINT64_C(1) << 7) // S2AP[1]: write
#define A64_XN	 (UINT64_C(2) << 53)

#define A64_ATTR(value)	   ((uint64_t)(value) << 2)
#define A64_ATTR_NORMAL	   A64_ATTR(0xf)
#define A64_ATTR_DEVICE	   A64_ATTR(0x1)
#define A64_ATTR_NONCACHED A64_ATTR(0x5)

static inline uint64_t a64_perm(bool dirty)
{
	return dirty ? A64_PERM : 0;
}

#include "aarch64.h"

static inline uint64_t a64_memory(enum vmt_memory memory)
{
	return memory == VMT_MEMORY_DEVICE	? A64_ATTR_DEVICE
	       : memory == VMT_MEMORY_NONCACHED ? A64_ATTR_NONCACHED
						: A64_ATTR_NORMAL;
}

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	switch (e & A64_ATTR(0xf)) {
	case A64_ATTR_DEVICE:
		return VMT_MEMORY_DEVICE;
	case A64_ATTR_NONCACHED:
		return VMT_MEMORY_NONCACHED;
	default:
		return VMT_MEMORY_NORMAL;
	}
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)user;
	return a64_leaf(pa, level) | a64_memory(FMT_MEMORY(prot)) | A64_READ | (prot & VMT_EXEC ? 0 : A64_XN) |
	       a64_write(prot & VMT_WRITE, prot & VMT_WRITE);
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
