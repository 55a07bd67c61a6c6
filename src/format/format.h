// SPDX-License-Identifier: MIT
// Binds the core to the format that it is being compiled for, and says what a format has to define.
//
// A format is a header of inlines. `level` counts from 0, the tables that hold only leaves; FMT_TOP is the level of the
// root. The core passes it as a constant or from a loop that the compiler can unroll; a format derives everything from
// it by shifts. An entry is a 64-bit word.
//
//	FMT_TOP, FMT_INDEX_BITS, FMT_VA_BITS
//	FMT_SIGNED		1: address bits above FMT_VA_BITS repeat the highest one; 0: they are zero
//	FMT_SPURIOUS_FLUSH	1: a CPU may keep a translation that has become more permissive, or the absence of one,
//				and fault on it until it flushes; 0: taking the fault dropped it
//	fmt_is_present(e)	hardware can use the entry: a leaf or a table
//	fmt_is_table(e, level)	present, and points to a table of level - 1
//	fmt_pa(e)		of a leaf or a table
//	fmt_make_table(pa, level)	an entry of a table of `level`, for the table of level - 1 at pa
//	fmt_make_leaf(pa, level, prot, user)	accessed, and dirty if writable: the library never makes hardware
//				write an entry that it is writing itself
//	fmt_prot(e)		what hardware allows, VMT_*
//	fmt_accessed(e), fmt_dirty(e)
//	fmt_set_accessed(e), fmt_set_dirty(e), fmt_clean(e)	with accessed set; with both set; with both clear
//	fmt_read_only(e)	without write permission
//	fmt_with_prot(e, prot)	a leaf with other permissions, accessed and dirty kept
//	fmt_same_table(a, b)	equal table entries, apart from what hardware writes in them
//	fmt_make_marker(kind, payload), fmt_kind(e), fmt_payload(e)	of an entry that is not present; see marker.h
//
// An empty entry is 0 in every format.
#ifndef VMT_FORMAT_FORMAT_H
#define VMT_FORMAT_FORMAT_H

#include <vmtree/names.h>
#include <vmtree/types.h>

#define VMT_STRING_(x) #x
#define VMT_STRING(x)  VMT_STRING_(x)

#include VMT_STRING(VMT_FORMAT.h)

_Static_assert(FMT_INDEX_BITS == 9, "tables have VMT_TABLE_SLOTS slots");
_Static_assert(FMT_VA_BITS == VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1), "levels make up the address");

// Bits of address below the index of `level`, and bytes that one of its entries and a whole table of it cover.
static inline unsigned fmt_shift(unsigned level)
{
	return VMT_PAGE_SHIFT + FMT_INDEX_BITS * level;
}

static inline uint64_t fmt_span(unsigned level)
{
	return UINT64_C(1) << fmt_shift(level);
}

static inline uint64_t fmt_table_span(unsigned level)
{
	return UINT64_C(1) << (fmt_shift(level) + FMT_INDEX_BITS);
}

static inline unsigned fmt_index(uint64_t addr, unsigned level)
{
	return (unsigned)(addr >> fmt_shift(level)) & (VMT_TABLE_SLOTS - 1);
}

static inline bool fmt_is_leaf(uint64_t e, unsigned level)
{
	return fmt_is_present(e) && !fmt_is_table(e, level);
}

// The end of the addresses that a tree can map: the lower half where addresses are sign-extended.
static inline uint64_t fmt_end_max(void)
{
	return UINT64_C(1) << (FMT_VA_BITS - FMT_SIGNED);
}

// A leaf of `level` at `pa` that allows and remembers what the leaf `e` of any level does.
static inline uint64_t fmt_leaf_like(uint64_t e, uint64_t pa, unsigned level, bool user)
{
	uint64_t leaf = fmt_clean(fmt_make_leaf(pa, level, fmt_prot(e), user));

	if (fmt_dirty(e))
		return fmt_set_dirty(leaf);
	return fmt_accessed(e) ? fmt_set_accessed(leaf) : leaf;
}

// A leaf or a parked leaf: it holds a frame.
static inline bool fmt_holds_frame(uint64_t e, unsigned level)
{
	return fmt_is_present(e) ? !fmt_is_table(e, level) : fmt_kind(e) == MARKER_PARKED;
}

#endif
