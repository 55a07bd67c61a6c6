// SPDX-License-Identifier: MIT
// What the formats' decoders have in common.
#include "decode.h"

bool sim_canonical(const struct sim_decoder *decoder, uint64_t va)
{
	uint64_t high = va >> (decoder->va_bits - 1);
	uint64_t ones = UINT64_MAX >> (decoder->va_bits - 1);

	if (decoder->unsigned_va)
		return va >> decoder->va_bits == 0;
	return high == 0 || high == ones;
}

uint64_t sim_entry_pa(const struct sim_decoder *decoder, const struct sim_entry *entry, unsigned level, uint64_t va)
{
	unsigned shift = sim_shift(decoder, level) + (decoder->run_own ? 0 : entry->run_bits);

	return entry->pa + (va & ((UINT64_C(1) << shift) - 1));
}
