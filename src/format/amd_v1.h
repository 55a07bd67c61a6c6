// SPDX-License-Identifier: MIT
// AMD IOMMU tables for host translation, version 1, with four levels (mode 4 of the device table entry): "AMD I/O
// Virtualization Technology (IOMMU) Specification" (48882), 2.2.3. Its level 1 is level 0 here.
//
//	63  62 61 60 59 58 52 51                         12 11  9 8 7 6 5 4  1  0
//	+---+--+--+--+--+-----+-----------------------------+-----+---+-+-+----+--+
//	|ign|IW|IR|FC| U|res. |     frame address 51:12     | NL  |ign|D|A|ign |PR|  a leaf: next level is 0
//	+---+--+--+--+--+-----+-----------------------------+-----+---+-+-+----+--+
//	|ign|IW|IR|  reserved |  next table's addr. 51:12   | NL  | ign |A|ign |PR|  a table: next level is 1 to 3
//	+---+--+--+-----------+-----------------------------+-----+-----+-+----+--+
//
// The next level of an entry that points to a table is the (AMD) level of that table; 7 would be a page whose size
// is in its address, which is not used here. Permissions of tables are AND-ed with the leaf's, so tables allow
// everything. There is no permission to execute: fmt_prot never says VMT_EXEC, and whoever may read may fetch.
// There is no user and no supervisor. There is one kind of memory, normal: an entry cannot say how it is cached. FC,
// set in every leaf, makes accesses coherent that the device asks not to be. A and D are written where the device
// table entry asks for it (HAD, 2.2.3.2), else they say nothing about accesses.
//
// A fault drops nothing that the IOMMU has cached. One with NpCache may even keep that nothing was there; for
// devices that cannot wait for a page, the embedder flushes after mapping.
#ifndef VMT_FORMAT_AMD_V1_H
#define VMT_FORMAT_AMD_V1_H

// An entry that is not present has IW and IR clear, too: emulated IOMMUs are known that look at nothing else where a
// walk ends (QEMU up to 7.2 at least).
#define MARKER_PAYLOAD_BITS 49
#include "marker.h"

#define FMT_TOP		   3
#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#define FMT_SPURIOUS_FLUSH 1
#define FMT_SIGNED	   0
#define FMT_LEAF_LEVELS	   3

#define AMDV1_PR	(UINT64_C(1) << 0)
#define AMDV1_A		(UINT64_C(1) << 5)
#define AMDV1_D		(UINT64_C(1) << 6)
#define AMDV1_NL_SHIFT	9
#define AMDV1_NL	(UINT64_C(7) << AMDV1_NL_SHIFT)
#define AMDV1_FC	(UINT64_C(1) << 60)
#define AMDV1_IR	(UINT64_C(1) << 61)
#define AMDV1_IW	(UINT64_C(1) << 62)
#define AMDV1_PA	(((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)

static inline bool fmt_is_present(uint64_t e)
{
	return e & AMDV1_PR;
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && (e & AMDV1_PR) && (e & AMDV1_NL);
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return e & AMDV1_PA;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	return pa | AMDV1_PR | AMDV1_IR | AMDV1_IW | AMDV1_A | (uint64_t)level << AMDV1_NL_SHIFT;
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)level, (void)user;
	return pa | AMDV1_PR | AMDV1_IR | AMDV1_FC | AMDV1_A | (prot & VMT_WRITE ? AMDV1_IW | AMDV1_D : 0);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (e & AMDV1_IW ? VMT_WRITE : 0);
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & AMDV1_A;
}

static inline bool fmt_dirty(uint64_t e)
{
	return e & AMDV1_D;
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | AMDV1_A;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return e | AMDV1_A | AMDV1_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~(AMDV1_A | AMDV1_D);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return e & ~AMDV1_IW;
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~AMDV1_IW) | (prot & VMT_WRITE ? AMDV1_IW : 0);
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~AMDV1_A) == 0;
}

#endif
