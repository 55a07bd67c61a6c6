// SPDX-License-Identifier: MIT
// How arguments are made from the bytes of an input.
#include "input.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define USER_END     0x7ffffffff000ul

static const uint64_t hostile[] = {
	0,
	1,
	0xfff,
	0x1000,
	0x8000,
	0x10000,
	0x600000000000,
	0x600000000fff,
	USER_END,
	USER_END + 1,
	USER_END + PAGE,
	1ul << 47,
	(1ul << 47) + PAGE,
	1ul << 48,
	1ul << 56,
	0xffff7ffffffff000,
	0xffff800000000000,
	0xffff888000000000,
	0xffffc00000000000,
	0xffffffff80000000,
	0xffffffff80100000,
	0xffffffffffff0000,
	-PAGE,
	-PAGE - 1,
	-8ul,
	-1ul,
	1ul << 63,
	(1ul << 63) - PAGE,
	ARENA - PAGE,
	ARENA + ARENA_PAGES *PAGE,
	0x100000000,
	ARENA - 1,
};

static const uint16_t odd[] = {
	1, 2, 4, 7, 8, 63, 64, 100, 2047, 2048, 4000, 4080, 4088, 4092, 4094, 4095};

uint64_t address_of(uint8_t which, uint8_t low)
{
	uint64_t base;

	if (which < 3 * ARENA_PAGES)
		base = ARENA + which % ARENA_PAGES * PAGE;
	else if (which < 224)
		base = LARGE + which % 32 * LARGE_STEP;
	else
		base = hostile[which - 224];
	return low < 160 ? base : base + odd[low % COUNT(odd)];
}

static const uint64_t lengths[] = {
	1,
	2,
	8,
	100,
	PAGE - 1,
	PAGE + 1,
	2 * PAGE - 1,
	32 * PAGE,
	ARENA_PAGES *PAGE,
	96 * PAGE,
	1ul << 20,
	2ul << 20,
	(2ul << 20) + 1,
	4ul << 20,
	4ul << 20,
	LARGE_BYTES,
	1ul << 31,
	1ul << 32,
	(1ul << 32) + PAGE,
	1ul << 40,
	1ul << 46,
	USER_END - ARENA,
	USER_END - ARENA + PAGE,
	USER_END,
	1ul << 47,
	1ul << 48,
	1ul << 63,
	(1ul << 63) - 1,
	-ARENA,
	-ARENA - PAGE,
	-PAGE,
	-1ul,
};

uint64_t length_of(uint8_t which)
{
	return which < 224 ? which % 16 * PAGE : lengths[which - 224];
}

static const uint64_t offsets[] = {
	1,
	100,
	PAGE - 1,
	3 * PAGE + 99,
	3 * PAGE + 100,
	3 * PAGE + 101,
	1ul << 32,
	1ul << 40,
	1ul << 47,
	(1ul << 63) - PAGE,
	(1ul << 63) - 1,
	1ul << 63,
	-2 * PAGE,
	-PAGE,
	-8ul,
	-1ul,
};

uint64_t offset_of(uint8_t which)
{
	return which < 240 ? which % 8 * PAGE : offsets[which - 240];
}

int descriptor_of(uint8_t which)
{
	/* The file oftener than the rest. */
	return FD_FIRST + (which < 128 ? 0 : which % FD_COUNT);
}

uint64_t wide(uint32_t value, uint8_t which)
{
	return which < 240 ? value : value | 0xdeadbeef00000000;
}
