// SPDX-License-Identifier: MIT
// x86-64 page tables, Intel SDM vol. 3, chapter 4 (4.5: 4-level and 5-level paging; 4.9.2: memory types).
//
//	63 62     59 58   52 51                         12 11  9 8 7  6 5 4   3   2 1 0
//	+--+--------+-------+-----------------------------+-----+-+--+-+-+---+---+-+-+-+
//	|NX| pkey   | avail |     frame address 51:12     |avail|G|PS|D|A|PCD|PWT|U|W|P|
//	+--+--------+-------+-----------------------------+-----+-+--+-+-+---+---+-+-+-+
//
// PS is set in leaves of level 1 (2 MiB) and 2 (1 GiB) and clear in tables; in level 0 it is the bit PAT, which stays
// clear (in leaves above that is bit 12). Hardware sets A in tables too. Permissions of tables are AND-ed with the
// leaf's (NX is OR-ed), so tables allow everything.
//
// PCD and PWT of a leaf select one of the first four entries of the PAT (IA32_PAT, MSR 277h):
//
//	PCD PWT	entry	power-on
//	 0   0	PA0	write-back		normal memory
//	 1   0	PA2	uncacheable (UC-)	non-cached memory. For writes to be combined the embedder puts 01h
//						(write combining) here; before, it is not cached either
//	 1   1	PA3	uncacheable (UC)	devices
//
// PA1 is not used: Linux has write combining there, processors begin with write-through. In tables both bits are clear.
#ifndef VMT_FORMAT_X86_64_H
#define VMT_FORMAT_X86_64_H

#include "marker.h"

#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#ifndef FMT_SPURIOUS_FLUSH
#define FMT_SPURIOUS_FLUSH 0 // 4.10.4.1: a page fault drops the translations of its address
#endif
#ifndef FMT_SIGNED
#define FMT_SIGNED	   1
#endif
#define FMT_LEAF_LEVELS	   3
#define FMT_MEMORY_TYPES   (1u << VMT_MEMORY_NORMAL | 1u << VMT_MEMORY_NONCACHED | 1u << VMT_MEMORY_DEVICE)

#ifndef X86_ALL_USER
#define X86_ALL_USER 0 // nested tables have no other leaves (amd_npt.h)
#endif

#define X86_P	(UINT64_C(1) << 0)
#define X86_W	(UINT64_C(1) << 1)
#define X86_U	(UINT64_C(1) << 2)
#define X86_PWT	(UINT64_C(1) << 3)
#define X86_PCD	(UINT64_C(1) << 4)
#define X86_A	(UINT64_C(1) << 5)
#define X86_D	(UINT64_C(1) << 6)
#define X86_PS	(UINT64_C(1) << 7)
#define X86_NX	(UINT64_C(1) << 63)
#define X86_PA	(((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK)

static inline bool fmt_is_present(uint64_t e)
{
	return e & X86_P;
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && (e & (X86_P | X86_PS)) == X86_P;
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return e & X86_PA;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | X86_P | X86_W | X86_U | X86_A;
}

static inline uint64_t x86_memory(enum vmt_memory memory)
{
	return (memory == VMT_MEMORY_NORMAL ? 0 : X86_PCD) | (memory == VMT_MEMORY_DEVICE ? X86_PWT : 0);
}

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	if (!(e & X86_PCD))
		return VMT_MEMORY_NORMAL;
	return e & X86_PWT ? VMT_MEMORY_DEVICE : VMT_MEMORY_NONCACHED;
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	return pa | X86_P | X86_A | (level ? X86_PS : 0) | (user || X86_ALL_USER ? X86_U : 0) |
	       (prot & VMT_WRITE ? X86_W | X86_D : 0) | (prot & VMT_EXEC ? 0 : X86_NX) | x86_memory(FMT_MEMORY(prot));
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return VMT_READ | (e & X86_W ? VMT_WRITE : 0) | (e & X86_NX ? 0 : VMT_EXEC);
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & X86_A;
}

static inline bool fmt_dirty(uint64_t e)
{
	return e & X86_D;
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | X86_A;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return e | X86_A | X86_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~(X86_A | X86_D);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return e & ~X86_W;
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~(X86_W | X86_NX)) | (prot & VMT_WRITE ? X86_W : 0) | (prot & VMT_EXEC ? 0 : X86_NX);
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~X86_A) == 0;
}

#endif
