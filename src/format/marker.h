// SPDX-License-Identifier: MIT
// Entries that are not present. In every format hardware calls an entry present for one of its lowest bits, and
// ignores all others of one that is not. In most that is bit 0 alone (x86-64: Intel SDM vol. 3, 4.5; RISC-V:
// privileged spec, 12.3.1; AArch64: Arm ARM D8.3; AMD IOMMU: 2.2.3); a format in which it may be any of several
// says how many.
//
//	63                 52 51                     12 11  7  6  5  4    1  0
//	+--------------------+-------------------------+-----+--+--+------+-+
//	|   payload, upper   |     payload, lower      |  0  | D| A| kind |0|	MARKER_LOW_BITS is 1
//	+--------------------+-------------------------+-----+--+--+------+-+
//	|   payload, upper   |     payload, lower      | 0 | D| A| kind | 0 |	MARKER_LOW_BITS is 3
//	+--------------------+-------------------------+---+--+--+------+---+
//	63                 52 51                     12 11  8  7  6    3 2  0
//
// The payload has 52 bits, or MARKER_PAYLOAD_BITS where a bit above means something in an entry that is not
// present. A parked leaf keeps its frame there *inverted*: an x86-64 CPU with the L1 terminal fault may speculate
// through an entry that is not present to whatever frame it names, and an inverted address names none. A frame
// number has at most 40 bits.
#ifndef VMT_FORMAT_MARKER_H
#define VMT_FORMAT_MARKER_H

#include <vmtree/types.h>

enum marker_kind {
	MARKER_EMPTY = 0,
	MARKER_PARKED = 1,	// a frame that hardware cannot see
	MARKER_GUARD = 2,
	MARKER_SWAP = 3,
	MARKER_MIGRATION = 4,
	MARKER_DEVICE = 5,
	MARKER_POISON = 6,
	MARKER_BUSY = 7,	// being replaced: retry, never "empty"
	MARKER_OWN = 8,		// and up to MARKER_LAST: the embedder's own
	MARKER_LAST = 15,
};

#ifndef MARKER_LOW_BITS
#define MARKER_LOW_BITS 1
#endif
#ifndef MARKER_PAYLOAD_BITS
#define MARKER_PAYLOAD_BITS 52
#endif

#define MARKER_KIND_SHIFT    MARKER_LOW_BITS
#define MARKER_KIND_MASK     UINT64_C(15)
#define MARKER_ACCESSED	     (UINT64_C(1) << (MARKER_LOW_BITS + 4))
#define MARKER_DIRTY	     (UINT64_C(1) << (MARKER_LOW_BITS + 5))
#define MARKER_PAYLOAD_SHIFT 12
#define MARKER_PAYLOAD_MASK  ((UINT64_C(1) << MARKER_PAYLOAD_BITS) - 1)

// `payload` fits into MARKER_PAYLOAD_BITS.
static inline uint64_t fmt_make_marker(enum marker_kind kind, uint64_t payload)
{
	return payload << MARKER_PAYLOAD_SHIFT | (uint64_t)kind << MARKER_KIND_SHIFT;
}

static inline enum marker_kind fmt_kind(uint64_t e)
{
	return (enum marker_kind)(e >> MARKER_KIND_SHIFT & MARKER_KIND_MASK);
}

static inline uint64_t fmt_payload(uint64_t e)
{
	return e >> MARKER_PAYLOAD_SHIFT;
}

static inline uint64_t fmt_make_parked(uint64_t pa, bool accessed, bool dirty)
{
	uint64_t inverted = ~(pa >> VMT_PAGE_SHIFT) & MARKER_PAYLOAD_MASK;

	return fmt_make_marker(MARKER_PARKED, inverted) | (accessed ? MARKER_ACCESSED : 0) |
	       (dirty ? MARKER_DIRTY : 0);
}

static inline uint64_t fmt_parked_pa(uint64_t e)
{
	return (~fmt_payload(e) & MARKER_PAYLOAD_MASK) << VMT_PAGE_SHIFT;
}

#endif
