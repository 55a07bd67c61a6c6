// SPDX-License-Identifier: MIT
// What the tests of the decoders share: fixed vectors, entries written out by hand from the manuals' tables, and what
// they mean.
#ifndef DECODE_TEST_H
#define DECODE_TEST_H

#include "fake.h"

#include "decode.h"

#define R SIM_MAY_READ
#define W SIM_MAY_WRITE
#define X SIM_MAY_EXEC
#define U SIM_MAY_USER
#define T SIM_ENTRY_TABLE
#define L SIM_ENTRY_LEAF
#define B SIM_ENTRY_BROKEN
#define N SIM_ENTRY_ABSENT

struct vector {
	uint64_t value;
	unsigned level;
	enum sim_entry_kind kind;
	uint64_t pa;
	unsigned may;
	bool accessed, dirty;
};

// The kind of memory of a leaf, and of how many entries it is one.
struct kind {
	const struct sim_decoder *decoder;
	uint64_t value;
	unsigned level;
	enum sim_memory memory;
	unsigned run_bits;
};

static inline void check(const struct sim_decoder *decoder, const struct vector *vector)
{
	struct sim_entry entry;

	decoder->decode(vector->value, vector->level, &entry);
	if (entry.kind != vector->kind)
		fail_msg("entry %#llx of level %u: kind %d, not %d", (unsigned long long)vector->value,
			 vector->level, entry.kind, vector->kind);
	assert_int_equal(entry.kind == SIM_ENTRY_BROKEN, entry.broken != NULL);
	if (entry.kind != SIM_ENTRY_TABLE && entry.kind != SIM_ENTRY_LEAF)
		return;
	if (entry.pa != vector->pa || entry.may != vector->may || entry.accessed != vector->accessed ||
	    entry.dirty != vector->dirty)
		fail_msg("entry %#llx of level %u: address %#llx, may %#x, accessed %d, dirty %d",
			 (unsigned long long)vector->value, vector->level, (unsigned long long)entry.pa, entry.may,
			 entry.accessed, entry.dirty);
}

#define CHECK_ALL(vectors, decoder)                                                                                    \
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*(vectors)); i++)                                              \
		check(decoder, &(vectors)[i])

static inline void check_kind(const struct kind *kind)
{
	struct sim_entry entry;

	kind->decoder->decode(kind->value, kind->level, &entry);
	if (entry.kind != L || entry.memory != kind->memory || entry.run_bits != kind->run_bits)
		fail_msg("entry %#llx: kind %d, memory %d, run %u", (unsigned long long)kind->value, entry.kind,
			 entry.memory, entry.run_bits);
}

#endif
