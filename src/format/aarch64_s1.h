// SPDX-License-Identifier: MIT
// AArch64 stage 1 in the lower half (TTBR0), 4 KiB granule, 48-bit addresses, four levels: Arm ARM (DDI 0487) D8.3
// (the descriptors), D8.4 (permissions), D8.5 (access flag and dirty state), D8.6 (memory attributes). Tables and
// what the stages share are in aarch64.h. The attributes of a leaf:
//
//	63 59 58  55  54  53  52   51  50  ... 11 10  9  8 7       6      5  4      2
//	+----+------+---+---+----+---+--+-----+--+--+----+------+-----+--+--------+
//	|ign | soft |UXN|PXN|cont|DBM|GP|     |nG|AF| SH |AP[2] |AP[1]|NS|AttrIndx|
//	|    |      |   |   |    |   |  |     |  |  |    |=RO   |=EL0 |  |        |
//	+----+------+---+---+----+---+--+-----+--+--+----+------+-----+--+--------+
//
// A user leaf has AP[1] and PXN, and UXN unless it may be executed; a supervisor leaf has UXN, and PXN unless it
// may be. nG is always set: what a space maps is its own, and flushed by its identifier. AttrIndx is 0: the
// embedder puts normal write-back memory first in MAIR. SH is inner shareable. Reading cannot be forbidden.
#ifndef VMT_FORMAT_AARCH64_S1_H
#define VMT_FORMAT_AARCH64_S1_H

#include <vmtree/types.h>

#define A64_USER (UINT64_C(1) << 6)
#define A64_PERM (UINT64_C(1) << 7) // AP[2]: read-only
#define A64_NG	 (UINT64_C(1) << 11)
#define A64_PXN	 (UINT64_C(1) << 53)
#define A64_UXN	 (UINT64_C(1) << 54)

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

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	uint64_t never = A64_PXN | A64_UXN;

	if (prot & VMT_EXEC)
		never &= ~a64_never(user);
	return pa | A64_VALID | (level ? 0 : A64_TABLE) | A64_SH_INNER | A64_AF | A64_NG | never |
	       (user ? A64_USER : 0) | a64_write(prot & VMT_WRITE, prot & VMT_WRITE);
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
