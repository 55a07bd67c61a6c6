// SPDX-License-Identifier: MIT
// An access of a program, by the simulated machine's decoder. Nothing is cached: each access walks.
#include "conflicts.h"

#include "../sim/decode.h"

// The hardware sets bits of an entry only where they are not set.
static void set_bits(_Atomic(uint64_t) *entry, uint64_t bits)
{
	uint64_t value = atomic_load_explicit(entry, memory_order_relaxed);

	if ((value & bits) == bits)
		return;
	record_access(entry, sizeof(*entry), ACCESS_WRITE);
	// Relaxed: there is one host thread.
	atomic_store_explicit(entry, value | bits, memory_order_relaxed);
}

static bool walk(struct vmt_space *space, uint64_t va)
{
	const struct sim_decoder *decoder = &sim_decode_x86_4;
	uint64_t pa = vmt_space_root(space);

	for (unsigned level = decoder->levels; level-- > 0;) {
		_Atomic(uint64_t) *table = (_Atomic(uint64_t) *)memory.frame[pa / VMT_PAGE_SIZE];
		_Atomic(uint64_t) *slot = &table[sim_index(decoder, level, va)];
		struct sim_entry entry;

		record_access(slot, sizeof(*slot), ACCESS_READ);
		// Relaxed: there is one host thread.
		decoder->decode(atomic_load_explicit(slot, memory_order_relaxed), level, &entry);
		if (entry.kind == SIM_ENTRY_BROKEN)
			fail("%s", entry.broken);
		if (entry.kind == SIM_ENTRY_ABSENT || !(entry.may & SIM_MAY_WRITE))
			return false;
		set_bits(slot, decoder->accessed | (entry.kind == SIM_ENTRY_LEAF ? decoder->dirty : 0));
		if (entry.kind == SIM_ENTRY_LEAF)
			return true;
		pa = entry.pa;
	}
	return false;
}

void program_write(struct vmt_space *space, uint64_t va)
{
	while (!walk(space, va)) {
		enum vmt_status status = vmt_fault(space, va, VMT_WRITE, NULL);

		if (status != VMT_OK)
			fail("a fault ends with %s", vmt_status_name(status));
	}
}
