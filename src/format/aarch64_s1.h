// SPDX-License-Identifier: MIT
// AArch64 stage 1 in the lower half (TTBR0), as it is with 4 KiB granule, 48-bit addresses and four levels; the headers
// of the other formats include it. Arm ARM (DDI 0487) D8.3 (the descriptors), D8.4 (permissions), D8.5 (access flag and
// dirty state), D8.6 (memory attributes). Tables and what the stages share are in aarch64.h. The attributes of a leaf:
//
//	63 59 58  55  54  53  52   51  50  ... 11 10  9  8 7       6      5  4      2
//	+----+------+---+---+----+---+--+-----+--+--+----+------+-----+--+--------+
//	|ign | soft |UXN|PXN|cont|DBM|GP|     |nG|AF| SH |AP[2] |AP[1]|NS|AttrIndx|
//	|    |      |   |   |    |   |  |     |  |  |    |=RO   |=EL0 |  |        |
//	+----+------+---+---+----+---+--+-----+--+--+----+------+-----+--+--------+
//
// A user leaf has AP[1] and PXN, and UXN unless it may be executed; a supervisor leaf has UXN, and PXN unless it
// may be. nG is always set: what a space maps is its own, and flushed by its identifier. SH is inner shareable. Reading
// cannot be forbidden. AttrIndx names a byte of MAIR_EL1, into which the embedder puts
//
//	0	0xff	normal memory, write-back	VMT_MEMORY_NORMAL
//	1	0x04	device-nGnRE			VMT_MEMORY_DEVICE
//	2	0x44	normal memory, non-cacheable	VMT_MEMORY_NONCACHED
#ifndef VMT_FORMAT_AARCH64_S1_H
#define VMT_FORMAT_AARCH64_S1_H

#include <vmtree/types.h>

#define A64_USER (UINT64_C(1) << 6)
#define A64_PERM (UINT64_C(1) << 7) // AP[2]: read-only
#define A64_NG	 (UINT64_C(1) << 11)
#define A64_PXN	 (UINT64_C(1) << 53)
#define A64_UXN	 (UINT64_C(1) << 54)

#define A64_ATTR(index)	   ((uint64_t)(index) << 2)
#define A64_ATTR_DEVICE	   A64_ATTR(1)
#define A64_ATTR_NONCACHED A64_ATTR(2)

static inline uint64_t a64_perm(bool dirty)
{
	return dirty ? 0 : A64_PERM;
}

#include "aarch64.h"

// What forbids execution to those who may use the leaf.
static inline uint64_t a64_never(bool user)
{
	return user ? A64_UXN : A64_PXN;
}

static inline uint64_t a64_memory(enum vmt_memory memory)
{
	return memory == VMT_MEMORY_DEVICE ? A64_ATTR_DEVICE : memory == VMT_MEMORY_NONCACHED ? A64_ATTR_NONCACHED : 0;
}

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	switch (e & A64_ATTR(7)) {
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
	uint64_t never = A64_PXN | A64_UXN;

	if (prot & VMT_EXEC)
		never &= ~a64_never(user);
	return a64_leaf(pa, level) | A64_NG | never | (user ? A64_USER : 0) | a64_memory(FMT_MEMORY(prot)) |
	       a64_write(prot & VMT_WRITE, prot & VMT_WRITE);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (a64_writable(e) ? VMT_WRITE : 0) | (e & a64_never(e & A64_USER) ? 0 : VMT_EXEC);
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	uint64_t never = a64_never(e & A64_USER);

	return (e & ~(A64_WRITE | never)) | a64_write(prot & VMT_WRITE, fmt_dirty(e)) | (prot & VMT_EXEC ? 0 : never);
}

#endif
