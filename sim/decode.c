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
