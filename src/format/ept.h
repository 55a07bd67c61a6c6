// SPDX-License-Identifier: MIT
// Extended page tables with four levels, Intel SDM vol. 3C, chapter "VMX support for address translation": 29.3.2 (the
// entries, tables 29-1 to 29-7), 29.3.3.1 (misconfigurations), 29.3.5 (accessed and dirty), 29.3.7 (memory types),
// 29.4.3 (flushing). Other editions number the chapter 28, 30 or 31.
//
//	63  62     52 51                         12 11 10 9 8 7  6    5   3 2 1 0
//	+---+--------+-----------------------------+-----+-+-+--+----+------+-+-+-+
//	|SVE| ignored|     frame address 51:12     | ign |D|A|PS|IPAT| type |X|W|R|
//	+---+--------+-----------------------------+-----+-+-+--+----+------+-+-+-+
//
// An entry is present if any of R, W and X is set. W without R is a misconfiguration, and X without R is one where
// the processor has no execute-only pages: R is in every entry. PS is set in leaves of level 1 and 2. In an entry
// that points to a table, bits 7:3 are reserved, and D is ignored. Permissions of tables are AND-ed with the
// leaf's, so they allow everything. Accessed and dirty marks are on (EPTP bit 6), mode-based execute control (which
// would make bit 10 a permission) is off. There is no user and no supervisor.
//
// The type of a leaf is write-back (6) for normal memory, write combining (1) for non-cached, uncacheable (0) for
// devices. "Ignore PAT" stays clear: the guest's PAT has its say, and can make memory less cached than the type here,
// and writes to a device combined, but nothing of the other two kinds cached (29.3.7.2). Nothing has to be programmed.
//
// Bit 63 of an entry that is not present says whether its violations stay with the hypervisor or may be given to the
// guest as #VE: markers leave it clear, so an embedder who lets EPT violations become #VE looks at them in the guest.
#ifndef VMT_FORMAT_EPT_H
#define VMT_FORMAT_EPT_H

#define MARKER_LOW_BITS	    3
#define MARKER_PAYLOAD_BITS 51
#include "marker.h"

#define FMT_TOP		   3
#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#define FMT_SPURIOUS_FLUSH 0 // 29.4.3.1: an EPT violation drops the translations of its address
#define FMT_SIGNED	   0
#define FMT_LEAF_LEVELS	   3
#define FMT_MEMORY_TYPES   (1u << VMT_MEMORY_NORMAL | 1u << VMT_MEMORY_NONCACHED | 1u << VMT_MEMORY_DEVICE)

#define EPT_R	UINT64_C(0x001)
#define EPT_W	UINT64_C(0x002)
#define EPT_X	UINT64_C(0x004)
#define EPT_UC	 UINT64_C(0)
#define EPT_WC	 (UINT64_C(1) << 3)
#define EPT_WB	 (UINT64_C(6) << 3)
#define EPT_TYPE (UINT64_C(7) << 3)
#define EPT_PS	UINT64_C(0x080)
#define EPT_A	UINT64_C(0x100)
#define EPT_D	UINT64_C(0x200)
#define EPT_RWX (EPT_R | EPT_W | EPT_X)
#define EPT_PA	(((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)

static inline bool fmt_is_present(uint64_t e)
{
	return e & EPT_RWX;
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && (e & EPT_RWX) && !(e & EPT_PS);
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return e & EPT_PA;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | EPT_RWX | EPT_A;
}

static inline uint64_t ept_prot(vmt_prot prot)
{
	return EPT_R | (prot & VMT_WRITE ? EPT_W : 0) | (prot & VMT_EXEC ? EPT_X : 0);
}

static inline uint64_t ept_type(enum vmt_memory memory)
{
	if (memory == VMT_MEMORY_NORMAL)
		return EPT_WB;
	return memory == VMT_MEMORY_DEVICE ? EPT_UC : EPT_WC;
}

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	if ((e & EPT_TYPE) == EPT_WB)
		return VMT_MEMORY_NORMAL;
	return (e & EPT_TYPE) == EPT_UC ? VMT_MEMORY_DEVICE : VMT_MEMORY_NONCACHED;
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)user;
	return pa | ept_type(FMT_MEMORY(prot)) | EPT_A | (level ? EPT_PS : 0) | ept_prot(prot) |
	       (prot & VMT_WRITE ? EPT_D : 0);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (e & EPT_W ? VMT_WRITE : 0) | (e & EPT_X ? VMT_EXEC : 0);
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & EPT_A;
}

static inline bool fmt_dirty(uint64_t e)
{
	return e & EPT_D;
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | EPT_A;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return e | EPT_A | EPT_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~(EPT_A | EPT_D);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return e & ~EPT_W;
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~EPT_RWX) | ept_prot(prot);
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~EPT_A) == 0;
}

#endif
