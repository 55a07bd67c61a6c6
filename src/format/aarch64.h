// SPDX-License-Identifier: MIT
// What the two stages of AArch64 with 4 KiB granule and four levels have in common, Arm ARM (DDI 0487, issue M)
// D8.2 and D8.3. The architecture counts levels from the root: its level 3 is level 0 here, its level 0 is level 3.
//
//	63        59 58    51 50 48 47                        12 11       2 1 0
//	+-----------+--------+-----+----------------------------+----------+-+-+
//	|   attr    | ignored| res0|  next table's addr. 47:12  |  ignored |1|1|  a table, in levels 1 to 3
//	+-----------+--------+-----+----------------------------+----------+-+-+
//	|  upper attributes  | res0|    frame address 47:n      | lower att|0|1|  a leaf of level 1 or 2 ("block")
//	+--------------------+-----+----------------------------+----------+-+-+
//	|  upper attributes  | res0|    frame address 47:12     | lower att|1|1|  a leaf of level 0 ("page")
//	+--------------------+-----+----------------------------+----------+-+-+
//	|                             software's                             |0|  nothing
//	+--------------------------------------------------------------------+-+
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
// entries, and those with AF clear, are never cached (D8.17). Another address or another size needs break-before-make
// (D8.17): clear, flush, set.
//
// The including header defines A64_PERM, the permission bit, and a64_perm(dirty), its value in a writable leaf.
#ifndef VMT_FORMAT_AARCH64_H
#define VMT_FORMAT_AARCH64_H

#include "marker.h"

#define FMT_TOP		   3
#define FMT_INDEX_BITS	   9
#define FMT_VA_BITS	   (VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1))
#define FMT_SPURIOUS_FLUSH 1
#define FMT_SIGNED	   0
#define FMT_LEAF_LEVELS	   3

#define A64_VALID	UINT64_C(0x001)
#define A64_TABLE	UINT64_C(0x002) // in level 0: a page
#define A64_SH_INNER	(UINT64_C(3) << 8)
#define A64_AF		(UINT64_C(1) << 10)
#define A64_DBM		(UINT64_C(1) << 51)
#define A64_SOFT_DIRTY	(UINT64_C(1) << 56)
#define A64_PA		(((UINT64_C(1) << 48) - 1) & ~VMT_PAGE_MASK)
#define A64_WRITE	(A64_DBM | A64_PERM | A64_SOFT_DIRTY)

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
	return e & A64_PA;
}

static inline uint64_t fmt_make_table(uint64_t pa, unsigned level)
{
	(void)level;
	return pa | A64_VALID | A64_TABLE;
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
