// SPDX-License-Identifier: MIT
// Intel VT-d second-stage tables with four levels, "Virtualization Technology for Directed I/O" (rev. 5.10): 3.7, 9.8
// (tables 42 to 47), and 6.5.3 for flushing.
//
//	63  62 61   60  52 51                         12 11  10  9 8 7  6    5   3 2   1 0
//	+---+-----+-------+-----------------------------+---+---+-+-+--+----+------+---+-+-+
//	|ign| 0   |  ign  |     frame address 51:12     |SNP|ign|D|A|PS|IPAT| type |ign|W|R|
//	+---+-----+-------+-----------------------------+---+---+-+-+--+----+------+---+-+-+
//
// An entry is present if R or W is set; every one here has R. There is no permission to execute: fmt_prot never
// says VMT_EXEC, and whoever may read may fetch. There is no user and no supervisor. PS is set in leaves of level 1
// and 2. SNP stays clear, for units without snoop control call it reserved. Permissions of tables are AND-ed with the
// leaf's, so tables allow everything. A and D are written by units with SSADS, where SSADE is set; others ignore them,
// and then say nothing about accesses.
//
// There is one kind of memory, normal: in legacy mode units ignore the type, and in scalable mode most do (only one
// with EMTE set in the PASID-table entry looks at it, which takes MTS); whether an access is cached and snooped is the
// device's choice. For those that look, the type is write-back.
//
// Bits 62:61 are permissions instead of W and R where "second-stage I/O read/write bits" are enabled, which this
// format is not for. Markers keep them clear, too, so that they are not present either way.
//
// A page request of a device drops what the unit had cached for the address (6.5.3.1), any other fault does not. A
// unit in caching mode (CM, 6.1) may even keep that nothing was there; for devices that cannot wait for a page, the
// embedder flushes after mapping.
#ifndef VMT_FORMAT_VTD_SS_H
#define VMT_FORMAT_VTD_SS_H

#define MARKER_LOW_BITS	    3
#define MARKER_PAYLOAD_BITS 49
#include "marker.h"

#define FMT_TOP		   3
#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#define FMT_SPURIOUS_FLUSH 1
#define FMT_SIGNED	   0
#define FMT_LEAF_LEVELS	   3

#define VTD_R	UINT64_C(0x001)
#define VTD_W	UINT64_C(0x002)
#define VTD_WB	(UINT64_C(6) << 3)
#define VTD_PS	UINT64_C(0x080)
#define VTD_A	UINT64_C(0x100)
#define VTD_D	UINT64_C(0x200)
#define VTD_PA	(((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)

static inline bool fmt_is_present(uint64_t e)
{
	return e & (VTD_R | VTD_W);
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && fmt_is_present(e) && !(e & VTD_PS);
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return e & VTD_PA;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | VTD_R | VTD_W | VTD_A;
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)user;
	return pa | VTD_R | VTD_WB | VTD_A | (level ? VTD_PS : 0) | (prot & VMT_WRITE ? VTD_W | VTD_D : 0);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (e & VTD_W ? VMT_WRITE : 0);
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & VTD_A;
}

static inline bool fmt_dirty(uint64_t e)
{
	return e & VTD_D;
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | VTD_A;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return e | VTD_A | VTD_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~(VTD_A | VTD_D);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return e & ~VTD_W;
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~VTD_W) | (prot & VMT_WRITE ? VTD_W : 0);
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~VTD_A) == 0;
}

#endif
