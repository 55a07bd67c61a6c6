// SPDX-License-Identifier: MIT
/*
 * Functions that the compiler calls by itself where the CPU it compiles for has no instruction.
 */
#include <kernel/types.h>

int __popcountdi2(uint64_t v);

/* Bits set: sums in fields of 2, 4 and 8 bits, then all bytes added by one multiplication. */
int __popcountdi2(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555;
	v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return (int)(v * 0x0101010101010101 >> 56);
}
