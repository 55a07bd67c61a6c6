// SPDX-License-Identifier: MIT
// What the two stages of AArch64 have in common, with all granules, Arm ARM (DDI 0487, issue M) D8.2 and D8.3. The
// architecture counts levels from the root: its level 3 is level 0 here.
//
//	63        59 58    51 50 48 47                        12 11       2 1 0
//	+-----------+--------+-----+----------------------------+----------+-+-+
//	|   attr    | ignored| res0|  next table's addr. 47:p   |  ignored |1|1|  a table, above level 0
//	+-----------+--------+-----+----------------------------+----------+-+-+
//	|  upper attributes  | res0|    frame address 47:n      | lower att|0|1|  a leaf above level 0 ("block")
//	+--------------------+-----+----------------------------+----------+-+-+
//	|  upper attributes  | res0|    frame address 47:p      | lower att|1|1|  a leaf of level 0 ("page")
//	+--------------------+-----+----------------------------+----------+-+-+
//	|                             software's                             |0|  nothing
//	+--------------------------------------------------------------------+-+
//
// p is 12, 14 or 16: the granule is VMT_PAGE_SIZE, and p-1:12 are zero. With 52 bits of physical address the upper ones
// are elsewhere: 51:50 in 9:8 with FEAT_LPA2 (4 and 16 KiB; 49:48 are then where they belong, and shareability is in
// TCR or VTCR), 51:48 in 15:12 with FEAT_LPA (64 KiB).
//
//	granule		leaves						root, 48 bits	52 bits		runs
//	4 KiB		4 KiB, 2 MiB, 1 GiB; 512 GiB with 52 bits	512 entries	16 (5 levels)	64 KiB, 32 MiB
//	16 KiB		16 KiB, 32 MiB; 64 GiB with 52 bits		2		32		2 MiB, 1 GiB
//	64 KiB		64 KiB, 512 MiB; 4 TiB with 52 bits		64		1024		2 MiB, 16 GiB
//
// Bit 52 of a leaf (contiguous, D8.7.1) joins it to a run with its neighbours: hardware may then cache all of them as
// one translation. Each names its own frame. AF and the dirty state may differ, and hardware may set them in any one.
// The architecture has runs of 16 GiB with 4 KiB granule too; they are not made here.
//
// Tables restrict nothing (attr is 0), and hardware writes nothing in them. In a leaf, hardware sets AF (bit 10),
// where it manages it, else a clear AF is an access flag fault; and a leaf with DBM (bit 51) that is not writable
// is made writable by a write, where hardware manages that, else a write is a permission fault (FEAT_HAFDBS, D8.5).
// So DBM says that writing is permitted, the permission bit that it was done; the library sets both itself on a
// fault, so that either works:
//
//				DBM	writable	bit 56
//	read-only, clean	0	no		0
//	read-only, dirty	0	no		1	a copy keeps its mark
//	writable, clean		1	no		0
//	writable, dirty		1	yes		0
//
// Bit 56 is one of those that hardware leaves to software (58:55); bit 55 is not in every stage 2.
//
// A fault does not drop a TLB entry. What has become more permissive has to be flushed by who faults on it. Invalid
// entries, and those with AF clear, are never cached (D8.17). Another address, another size, or another contiguous bit
// needs break-before-make (D8.17): clear, flush, set.
//
// The including header defines A64_PERM, the permission bit, and a64_perm(dirty), its value in a writable leaf. A
// format with 52 bits of physical address defines A64_PA_BITS, one whose addresses are not as long FMT_VA_BITS.
#ifndef VMT_FORMAT_AARCH64_H
#define VMT_FORMAT_AARCH64_H

#include "marker.h"

#ifndef A64_PA_BITS
#define A64_PA_BITS 48
#endif
#ifndef FMT_VA_BITS
#define FMT_VA_BITS A64_PA_BITS
#endif

#define FMT_INDEX_BITS	   (VMT_PAGE_SHIFT - 3)
#define FMT_TOP		   ((FMT_VA_BITS - VMT_PAGE_SHIFT - 1) / FMT_INDEX_BITS)
#define FMT_SPURIOUS_FLUSH 1
#define FMT_SIGNED	   0
#define FMT_LEAF_LEVELS	   ((VMT_PAGE_SHIFT == 12 ? 3 : 2) + (A64_PA_BITS > 48))
#define FMT_PA_SCATTERED   (A64_PA_BITS > 48)
#define FMT_MEMORY_TYPES   (1u << VMT_MEMORY_NORMAL | 1u << VMT_MEMORY_NONCACHED | 1u << VMT_MEMORY_DEVICE)

// log2 of the entries of a run, in levels 0 and 1.
#define A64_RUN_0 (VMT_PAGE_SHIFT == 12 ? 4 : VMT_PAGE_SHIFT == 14 ? 7 : 5)
#define A64_RUN_1 (VMT_PAGE_SHIFT == 12 ? 4 : 5)

#define FMT_RUN_SIZES                                                                                                  \
	(UINT64_C(1) << (VMT_PAGE_SHIFT + A64_RUN_0) | UINT64_C(1) << (VMT_PAGE_SHIFT + FMT_INDEX_BITS + A64_RUN_1))
#define FMT_RUN_SIZES_OPTIONAL UINT64_C(0)

#define A64_VALID	UINT64_C(0x001)
#define A64_TABLE	UINT64_C(0x002) // in level 0: a page
#define A64_SH_INNER	(UINT64_C(3) << 8)
#define A64_AF		(UINT64_C(1) << 10)
#define A64_DBM		(UINT64_C(1) << 51)
#define A64_CONTIGUOUS	(UINT64_C(1) << 52)
#define A64_SOFT_DIRTY	(UINT64_C(1) << 56)
#define A64_WRITE	(A64_DBM | A64_PERM | A64_SOFT_DIRTY)

// The address: its lower bits are where they belong, A64_HIGH are shifted down, and what is there in their place is
// shareability (A64_SH) or nothing.
#if A64_PA_BITS == 48
#define A64_PA		(((UINT64_C(1) << 48) - 1) & ~VMT_PAGE_MASK)
#define A64_HIGH	UINT64_C(0)
#define A64_HIGH_SHIFT	0
#define A64_SH		A64_SH_INNER
#elif VMT_PAGE_SHIFT == 16
#define A64_PA		(((UINT64_C(1) << 48) - 1) & ~VMT_PAGE_MASK)
#define A64_HIGH	(UINT64_C(0xf) << 48)
#define A64_HIGH_SHIFT	36
#define A64_SH		A64_SH_INNER
#else
#define A64_PA		(((UINT64_C(1) << 50) - 1) & ~VMT_PAGE_MASK)
#define A64_HIGH	(UINT64_C(3) << 50)
#define A64_HIGH_SHIFT	42
#define A64_SH		UINT64_C(0)
#endif

static inline uint64_t a64_address(uint64_t pa)
{
	return (pa & ~A64_HIGH) | (pa & A64_HIGH) >> A64_HIGH_SHIFT;
}

static inline bool fmt_is_present(uint64_t e)
{
	return e & A64_VALID;
}

static inline bool fmt_is_table(uint64_t e, unsigned level)
{
	return level > 0 && (e & (A64_VALID | A64_TABLE)) == (A64_VALID | A64_TABLE);
}

static inline uint64_t fmt_pa(uint64_t e)
{
	return (e & A64_PA) | (e << A64_HIGH_SHIFT & A64_HIGH);
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return a64_address(pa) | A64_VALID | A64_TABLE;
}

// What both stages put into a leaf.
static inline uint64_t a64_leaf(uint64_t pa, unsigned level)
{
	return a64_address(pa) | A64_VALID | (level ? 0 : A64_TABLE) | A64_SH | A64_AF;
}

static inline unsigned fmt_run_bits(unsigned level)
{
	return level == 0 ? A64_RUN_0 : level == 1 ? A64_RUN_1 : 0;
}

static inline bool fmt_is_run(uint64_t e)
{
	return e & A64_CONTIGUOUS;
}

static inline uint64_t fmt_make_run(uint64_t e, unsigned level)
{
	(void)level;
	return e | A64_CONTIGUOUS;
}

static inline uint64_t fmt_unrun(uint64_t e, unsigned slot)
{
	(void)slot;
	return e & ~A64_CONTIGUOUS;
}

// The three bits of A64_WRITE.
static inline uint64_t a64_write(bool write, bool dirty)
{
	if (write)
		return A64_DBM | a64_perm(dirty);
	return a64_perm(false) | (dirty ? A64_SOFT_DIRTY : 0);
}

static inline bool a64_writable(uint64_t e)
{
	return e & A64_DBM;
}

static inline bool fmt_accessed(uint64_t e)
{
	return e & A64_AF;
}

static inline bool fmt_dirty(uint64_t e)
{
	return a64_writable(e) ? (e & A64_PERM) == a64_perm(true) : !!(e & A64_SOFT_DIRTY);
}

static inline uint64_t fmt_set_accessed(uint64_t e)
{
	return e | A64_AF;
}

static inline uint64_t fmt_set_dirty(uint64_t e)
{
	return (e & ~A64_WRITE) | A64_AF | a64_write(a64_writable(e), true);
}

static inline uint64_t fmt_clean(uint64_t e)
{
	return (e & ~(A64_WRITE | A64_AF)) | a64_write(a64_writable(e), false);
}

static inline uint64_t fmt_read_only(uint64_t e)
{
	return (e & ~A64_WRITE) | a64_write(false, fmt_dirty(e));
}

static inline bool fmt_same_table(uint64_t a, uint64_t b)
{
	return a == b;
}

#endif
