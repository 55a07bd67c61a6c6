// SPDX-License-Identifier: MIT
// Binds the core to the format that it is being compiled for, and says what a format has to define.
//
// A format is a header of inlines. `level` counts from 0, the tables that hold only leaves; FMT_TOP is the level of the
// root. The core passes it as a constant or from a loop that the compiler can unroll; a format derives everything from
// it by shifts. An entry is a 64-bit word.
//
//	FMT_TOP, FMT_INDEX_BITS, FMT_VA_BITS	a table is a page (VMT_PAGE_SIZE, names.h); the root uses as many of its
//				entries as FMT_VA_BITS needs
//	FMT_LEAF_LEVELS		levels 0 to FMT_LEAF_LEVELS - 1 can hold leaves
//	FMT_SIGNED		1: address bits above FMT_VA_BITS repeat the highest one; 0: they are zero
//	FMT_SPURIOUS_FLUSH	1: a CPU may keep a translation that has become more permissive, or the absence of one,
//				and fault on it until it flushes; 0: taking the fault dropped it
//	fmt_is_present(e)	hardware can use the entry: a leaf or a table
//	fmt_is_table(e, level)	present, and points to a table of level - 1
//	fmt_pa(e)		of a leaf or a table
// 	FMT_PA_SCATTERED	1: the address is not one field, and leaves of neighbouring frames are not a constant
// apart
//	fmt_make_table(pa, level)	an entry of a table of `level`, for the table of level - 1 at pa
//	fmt_make_leaf(pa, level, prot, user)	accessed, and dirty if writable: the library never makes hardware
//				write an entry that it is writing itself. `prot` carries the kind of memory too,
//				FMT_MEMORY(prot)
//	fmt_prot(e)		what hardware allows, VMT_*
//	FMT_MEMORY_TYPES	a bit for each enum vmt_memory that the format can say; without it only normal memory
//	fmt_memory(e)		enum vmt_memory of a leaf
//	fmt_accessed(e), fmt_dirty(e)
//	fmt_set_accessed(e), fmt_set_dirty(e), fmt_clean(e)	with accessed set; with both set; with both clear
//	fmt_read_only(e)	without write permission
//	fmt_with_prot(e, prot)	a leaf with other permissions; accessed, dirty and the kind of memory kept
//	fmt_same_table(a, b)	equal table entries, apart from what hardware writes in them
//	fmt_make_marker(kind, payload), fmt_kind(e), fmt_payload(e)	of an entry that is not present; see marker.h
//
// A format may join neighbouring entries of one table to a *run*, which hardware may cache as one translation (the
// contiguous bit of AArch64, NAPOT on RISC-V): all of them leaves, of consecutive memory, aligned to the run's size.
//
//	FMT_RUN_SIZES		a bit for each size of a run, 1 << log2(bytes); without it there are none
//	FMT_RUN_SIZES_OPTIONAL	those of them that are an extension
//	fmt_run_bits(level)	log2 of the entries of a run of that level, 0: none
//	fmt_is_run(e)		of a leaf
//	fmt_make_run(e, level)	what a leaf on its own becomes as one of a run
//	fmt_unrun(e, slot)	and back, in that slot
//
// An empty entry is 0 in every format.
#ifndef VMT_FORMAT_FORMAT_H
#define VMT_FORMAT_FORMAT_H

#include <vmtree/names.h>
#include <vmtree/types.h>

#define VMT_STRING_(x) #x
#define VMT_STRING(x)  VMT_STRING_(x)

// Permissions carry the kind of memory above them, where a leaf is made.
#define FMT_MEMORY_SHIFT 3
#define FMT_MEMORY(prot) ((enum vmt_memory)((prot) >> FMT_MEMORY_SHIFT & 3))

#include VMT_STRING(VMT_FORMAT.h)

#define FMT_SLOTS (1u << FMT_INDEX_BITS)

_Static_assert(FMT_SLOTS * sizeof(uint64_t) == VMT_PAGE_SIZE, "a table is a page");
_Static_assert(FMT_VA_BITS <= VMT_PAGE_SHIFT + FMT_INDEX_BITS * (FMT_TOP + 1) &&
		       FMT_VA_BITS > VMT_PAGE_SHIFT + FMT_INDEX_BITS * FMT_TOP,
	       "levels make up the address");

#ifndef FMT_PA_SCATTERED
#define FMT_PA_SCATTERED 0
#endif

#ifndef FMT_MEMORY_TYPES
#define FMT_MEMORY_TYPES (1u << VMT_MEMORY_NORMAL)

static inline enum vmt_memory fmt_memory(uint64_t e)
{
	(void)e;
	return VMT_MEMORY_NORMAL;
}
#endif

#ifndef FMT_RUN_SIZES
#define FMT_RUN_SIZES	       UINT64_C(0)
#define FMT_RUN_SIZES_OPTIONAL UINT64_C(0)

static inline unsigned fmt_run_bits(unsigned level)
{
	(void)level;
	return 0;
}

static inline bool fmt_is_run(uint64_t e)
{
	(void)e;
	return false;
}

static inline uint64_t fmt_make_run(uint64_t e, unsigned level)
{
	(void)level;
	return e;
}

static inline uint64_t fmt_unrun(uint64_t e, unsigned slot)
{
	(void)slot;
	return e;
}
#endif

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
	return (unsigned)(addr >> fmt_shift(level)) & (FMT_SLOTS - 1);
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

// The memory behind a leaf in that slot, whether it is one of a run or not.
static inline uint64_t fmt_leaf_pa(uint64_t e, unsigned slot)
{
	return fmt_pa(FMT_RUN_SIZES && fmt_is_run(e) ? fmt_unrun(e, slot) : e);
}

// The permissions and the kind of memory of a leaf, as fmt_make_leaf takes them.
static inline vmt_prot fmt_prot_memory(uint64_t e)
{
	return fmt_prot(e) | (vmt_prot)fmt_memory(e) << FMT_MEMORY_SHIFT;
}

// A leaf with these marks. Accessed alone is one bit in every format; which one, setting it in nothing tells.
static inline uint64_t fmt_with_marks(uint64_t e, bool accessed, bool dirty)
{
	e = fmt_clean(e);
	if (dirty)
		e = fmt_set_dirty(e);
	return accessed ? fmt_set_accessed(e) : e & ~fmt_set_accessed(0);
}

// A leaf of `level` at `pa` that allows and remembers what the leaf `e` of any level does.
static inline uint64_t fmt_leaf_like(uint64_t e, uint64_t pa, unsigned level, bool user)
{
	return fmt_with_marks(fmt_make_leaf(pa, level, fmt_prot_memory(e), user), fmt_accessed(e), fmt_dirty(e));
}

// Every size of a leaf on its own, a bit for each.
static inline uint64_t fmt_leaf_sizes(void)
{
	uint64_t sizes = 0;

	for (unsigned level = 0; level < FMT_LEAF_LEVELS && level <= FMT_TOP; level++)
		sizes |= fmt_span(level);
	return sizes;
}

// A leaf or a parked leaf: it holds a frame.
static inline bool fmt_holds_frame(uint64_t e, unsigned level)
{
	return fmt_is_present(e) ? !fmt_is_table(e, level) : fmt_kind(e) == MARKER_PARKED;
}

#endif
