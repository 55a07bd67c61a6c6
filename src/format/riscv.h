// SPDX-License-Identifier: MIT
// RISC-V Sv39, Sv48 and Sv57 page tables, privileged spec (20240411), 12.3 to 12.6, with the extensions Svnapot and
// Svpbmt of the same chapter.
//
//	63 62  61 60      54 53                           10 9   8 7 6 5 4 3 2 1 0
//	+-+------+----------+-------------------------------+-----+-+-+-+-+-+-+-+-+
//	|N| PBMT | reserved |     frame number 55:12        | RSW |D|A|G|U|X|W|R|V|
//	+-+------+----------+-------------------------------+-----+-+-+-+-+-+-+-+-+
//
// A valid entry with R, W and X clear points to a table; D, A and U must then be clear. W without R is reserved. A and
// D may be set by hardware (Svadu) or fault when clear (Svade): the library sets both itself, so that either works.
//
// PBMT of a leaf is 0 for normal memory, where the platform's attributes of the address decide (PMA: RAM is cached,
// registers are not), 1 for non-cached ("NC": main memory, weakly ordered) and 2 for devices ("IO": strongly ordered).
// Whoever asks for the latter two needs a processor with Svpbmt, switched on: menvcfg.PBMTE = 1 (in a guest
// henvcfg.PBMTE); without it they are reserved encodings, and fault. In tables PBMT is 0.
//
// N joins 16 leaves of level 0 to a run of 64 KiB; no other size is defined. The four lowest bits of the frame number
// then hold 1000, and the hardware takes those of the address for them. All 16 are equal but for A and D, which
// hardware sets in the entry that it walked and may have cached for all of them. Without Svnapot N is reserved: whoever
// allows leaves of 64 KiB needs it.
#ifndef VMT_FORMAT_RISCV_H
#define VMT_FORMAT_RISCV_H

#include "marker.h"

#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#define FMT_SPURIOUS_FLUSH 1 // 12.2.1: old and absent translations may be kept until SFENCE.VMA
#define FMT_SIGNED	   1
#define FMT_LEAF_LEVELS	   (FMT_TOP + 1)
#define FMT_MEMORY_TYPES   (1u << VMT_MEMORY_NORMAL | 1u << VMT_MEMORY_NONCACHED | 1u << VMT_MEMORY_DEVICE)

#define RV_V	UINT64_C(0x01)
#define RV_R	UINT64_C(0x02)
#define RV_W	UINT64_C(0x04)
#define RV_X	UINT64_C(0x08)
#define RV_U	UINT64_C(0x10)
#define RV_A	UINT64_C(0x40)
#define RV_D	UINT64_C(0x80)
#define RV_N	(UINT64_C(1) << 63)
#define RV_RWX	(RV_R | RV_W | RV_X)
#define RV_PPN_SHIFT 10
#define RV_PPN_MASK  ((UINT64_C(1) << 44) - 1)
#define RV_PBMT_SHIFT 61

#define RV_NAPOT_BITS	       4 // log2 of the entries of a run
#define RV_NAPOT_MASK	       (UINT64_C(15) << RV_PPN_SHIFT)
#define RV_NAPOT_64K	       (UINT64_C(8) << RV_PPN_SHIFT)
#define FMT_RUN_SIZES	       (VMT_PAGE_SIZE << RV_NAPOT_BITS)
#define FMT_RUN_SIZES_OPTIONAL FMT_RUN_SIZES

static inline bool fmt_is_present(uint64_t e)
{
	return e & RV_V;
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && (e & (RV_V | RV_RWX)) == RV_V;
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return (e >> RV_PPN_SHIFT & RV_PPN_MASK) << VMT_PAGE_SHIFT;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return (pa >> VMT_PAGE_SHIFT) << RV_PPN_SHIFT | RV_V;
}

// Any permission lets read, as on x86-64: programs that ask for PROT_WRITE or PROT_EXEC alone rely on it.
static inline uint64_t riscv_prot(vmt_prot prot)
{
	return RV_R * !!(prot & VMT_RWX) | RV_W * !!(prot & VMT_WRITE) | RV_X * !!(prot & VMT_EXEC);
}

static inline uint64_t fmt_make_leaf(uint64_t pa, unsigned level, vmt_prot prot, bool user)
{
	(void)level;
	return (pa >> VMT_PAGE_SHIFT) << RV_PPN_SHIFT | RV_V | RV_A | riscv_prot(prot) | (user ? RV_U : 0) |
	       (prot & VMT_WRITE ? RV_D : 0) | (uint64_t)FMT_MEMORY(prot) << RV_PBMT_SHIFT;
}

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	return (enum vmt_memory)(e >> RV_PBMT_SHIFT & 3);
}

static inline unsigned fmt_run_bits(unsigned level)
{
	return level ? 0 : RV_NAPOT_BITS;
}

static inline bool fmt_is_run(uint64_t e)
{
	return e & RV_N;
}

static inline uint64_t fmt_make_run(uint64_t e, unsigned level)
{
	(void)level;
	return (e & ~RV_NAPOT_MASK) | RV_NAPOT_64K | RV_N;
}

static inline uint64_t fmt_unrun(uint64_t e, unsigned slot)
{
	return (e & ~(RV_NAPOT_MASK | RV_N)) | ((uint64_t)slot << RV_PPN_SHIFT & RV_NAPOT_MASK);
}

static inline vmt_prot fmt_prot(uint64_t e)
{
	return (e & RV_R ? VMT_READ : 0) | (e & RV_W ? VMT_WRITE : 0) | (e & RV_X ? VMT_EXEC : 0);
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & RV_A;
}

static inline bool fmt_dirty(uint64_t e)
{
	return e & RV_D;
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | RV_A;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return e | RV_A | RV_D;
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return e & ~(RV_A | RV_D);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return e & ~RV_W;
}

static inline uint64_t fmt_with_prot(uint64_t e, vmt_prot prot)
{
	return (e & ~RV_RWX) | riscv_prot(prot);
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return a == b;
}

#endif
