// SPDX-License-Identifier: MIT
// Fixed vectors for the decoders of AArch64, of both stages, all granules, and with 52 bits.
#include "decode_test.h"

// Arm ARM D8.3 to D8.6, stage 1. Common to the leaves: nG (0x800), AF (0x400), inner shareable (0x300).
static const struct vector aarch64_s1[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 3, N, 0, 0, false, false },
	// AP[2:1] and DBM: 01 is writable and written, 11 with DBM writable and not written, 11 without read-only.
	{ 0x0068000012345f43, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x0060000012345f43, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x0068000012345fc3, 0, L, 0x12345000, R | W | U, true, false },
	{ 0x0060000012345fc3, 0, L, 0x12345000, R | U, true, false },
	{ 0x0068000012345bc3, 0, L, 0x12345000, R | W | U, false, false },
	// Software's bits say nothing.
	{ 0x07e0000012345fc3, 0, L, 0x12345000, R | U, true, false },
	// UXN for the user, PXN for the supervisor (AP[1] clear).
	{ 0x0020000012345fc3, 0, L, 0x12345000, R | X | U, true, false },
	{ 0x0040000012345fc3, 0, L, 0x12345000, R | U, true, false },
	{ 0x0060000012345f83, 0, L, 0x12345000, R, true, false },
	{ 0x0040000012345f83, 0, L, 0x12345000, R | X, true, false },
	{ 0x0020000012345f03, 0, L, 0x12345000, R | W, true, true },
	// Ignored: 63:59, NS. Memory types that nobody has put into MAIR_EL1.
	{ 0xf860000012345fe3, 0, L, 0x12345000, R | U, true, false },
	{ 0x0060000012345fcf, 0, B, 0, 0, false, false },
	{ 0x0060000012345fdf, 0, B, 0, 0, false, false },
	// Contiguous, with what is behind a page, and in the levels that have runs.
	{ 0x0070000012345fc3, 0, L, 0x12345000, R | U, true, false },
	{ 0x0070000040200fc1, 1, L, 0x40200000, R | U, true, false },
	{ 0x0070000040000fc1, 2, L, 0x40000000, R | U, true, false },
	// Global; the reserved type of the last level; reserved 50:48.
	{ 0x0060000012345743, 0, B, 0, 0, false, false },
	{ 0x0060000012345f41, 0, B, 0, 0, false, false },
	{ 0x0061000012345fc3, 0, B, 0, 0, false, false },
	{ 0x0064000012345fc3, 0, B, 0, 0, false, false },
	{ 0x0060ffffffffffc3, 0, L, 0xfffffffff000, R | U, true, false },
	// Tables: 63:51 and 11:2 are ignored here.
	{ 0x0000000200001003, 1, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0x07f8000200001003, 2, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0xf800000200001fff, 3, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0x0004000200001003, 1, B, 0, 0, false, false },
	// Blocks of 2 MiB and 1 GiB, and none of 512 GiB.
	{ 0x0068000040200f41, 1, L, 0x40200000, R | W | U, true, true },
	{ 0x0068000040201f41, 1, B, 0, 0, false, false },
	{ 0x0068000040210f41, 1, B, 0, 0, false, false },
	{ 0x0060000040000fc1, 2, L, 0x40000000, R | U, true, false },
	{ 0x0060000060000fc1, 2, B, 0, 0, false, false },
	{ 0x0060008000000fc1, 3, B, 0, 0, false, false },
};

// Stage 2. Common to the leaves: AF, inner shareable, MemAttr 1111 (0x3c).
static const struct vector aarch64_s2[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 3, N, 0, 0, false, false },
	// S2AP: bit 6 reads, bit 7 writes, or will once DBM has let it be set.
	{ 0x00480000123457ff, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x004800001234577f, 0, L, 0x12345000, R | W | U, true, false },
	{ 0x000000001234577f, 0, L, 0x12345000, R | X | U, true, false },
	{ 0x00000000123457ff, 0, L, 0x12345000, R | W | X | U, true, true },
	{ 0x000000001234573f, 0, L, 0x12345000, X | U, true, false },
	{ 0x004000001234537f, 0, L, 0x12345000, R | U, false, false },
	{ 0x07c000001234577f, 0, L, 0x12345000, R | U, true, false },
	// XN that is not the same for both privileges; device memory, reserved, non-cacheable, write-through; bit 11.
	{ 0x002000001234577f, 0, B, 0, 0, false, false },
	{ 0x006000001234577f, 0, B, 0, 0, false, false },
	{ 0x0000000012345747, 0, L, 0x12345000, R | X | U, true, false },
	{ 0x0000000012345753, 0, B, 0, 0, false, false },
	{ 0x0000000012345757, 0, L, 0x12345000, R | X | U, true, false },
	{ 0x000000001234576b, 0, B, 0, 0, false, false },
	{ 0x000000001234574b, 0, B, 0, 0, false, false },
	{ 0x0000000012345f7f, 0, B, 0, 0, false, false },
	{ 0x000000001234577d, 0, B, 0, 0, false, false },
	{ 0x0000000200001003, 3, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0x0800000200001003, 2, B, 0, 0, false, false },
	{ 0x004800004020077d, 1, L, 0x40200000, R | W | U, true, false },
	{ 0x004800004021077d, 1, B, 0, 0, false, false },
	{ 0x004000004000077d, 2, L, 0x40000000, R | U, true, false },
	{ 0x004000800000077d, 3, B, 0, 0, false, false },
};

// The other granules, and 52 bits. Arm ARM D8.3, the figures for each granule.
static const struct vector a64_16k[] = {
	{ 0x0060000012348fc3, 0, L, 0x12348000, R | U, true, false },
	// 13:12 are reserved, in tables too.
	{ 0x0060000012349fc3, 0, B, 0, 0, false, false },
	{ 0x006000001234afc3, 0, B, 0, 0, false, false },
	{ 0x0000000200004003, 1, T, 0x200004000, SIM_MAY_ALL, false, false },
	{ 0x0000000200001003, 3, B, 0, 0, false, false },
	{ 0x0061000012348fc3, 0, B, 0, 0, false, false },
	// Blocks of 32 MiB, and no others.
	{ 0x0060000006000fc1, 1, L, 0x6000000, R | U, true, false },
	{ 0x0060000007000fc1, 1, B, 0, 0, false, false },
	{ 0x0060001000000fc1, 2, B, 0, 0, false, false },
	{ 0x0060ffffffffcfc3, 0, L, 0xffffffffc000, R | U, true, false },
};

static const struct vector a64_64k[] = {
	{ 0x0060000012340fc3, 0, L, 0x12340000, R | U, true, false },
	{ 0x0060000012341fc3, 0, B, 0, 0, false, false },
	{ 0x0060000012348fc3, 0, B, 0, 0, false, false },
	{ 0x0000000200010003, 2, T, 0x200010000, SIM_MAY_ALL, false, false },
	{ 0x0000000200018003, 2, B, 0, 0, false, false },
	// Blocks of 512 MiB, and no others.
	{ 0x0060000020000fc1, 1, L, 0x20000000, R | U, true, false },
	{ 0x0060000030000fc1, 1, B, 0, 0, false, false },
	{ 0x0060040000000fc1, 2, B, 0, 0, false, false },
};

// 9:8 are 51:50 of the address, and 49:48 are where they belong.
static const struct vector a64_4k_52[] = {
	{ 0x0060000012345cc3, 0, L, 0x12345000, R | U, true, false },
	{ 0x0060000012345fc3, 0, L, 0xc000012345000, R | U, true, false },
	{ 0x0062000012345dc3, 0, L, 0x6000012345000, R | U, true, false },
	{ 0x0063fffffffffec3, 0, L, 0xbfffffffff000, R | U, true, false },
	{ 0x0064000012345cc3, 0, B, 0, 0, false, false },
	{ 0x0000000200001303, 1, T, 0xc000200001000, SIM_MAY_ALL, false, false },
	{ 0x0001000200001003, 4, T, 0x1000200001000, SIM_MAY_ALL, false, false },
	{ 0x0004000200001003, 4, B, 0, 0, false, false },
	// Blocks of 512 GiB, without runs, and none in the root.
	{ 0x0060008000000cc1, 3, L, 0x8000000000, R | U, true, false },
	{ 0x0070008000000cc1, 3, B, 0, 0, false, false },
	{ 0x0061000000000cc1, 4, B, 0, 0, false, false },
};

static const struct vector a64_16k_52[] = {
	{ 0x0060000012348ec3, 0, L, 0x8000012348000, R | U, true, false },
	{ 0x0063000012348cc3, 0, L, 0x3000012348000, R | U, true, false },
	{ 0x0060000012349cc3, 0, B, 0, 0, false, false },
	{ 0x0000000200004203, 3, T, 0x8000200004000, SIM_MAY_ALL, false, false },
	{ 0x0060001000000cc1, 2, L, 0x1000000000, R | U, true, false },
	{ 0x0070001000000cc1, 2, B, 0, 0, false, false },
	{ 0x0060800000000cc1, 3, B, 0, 0, false, false },
};

// 15:12 are 51:48 of the address.
static const struct vector a64_64k_52[] = {
	{ 0x0060000012340fc3, 0, L, 0x12340000, R | U, true, false },
	{ 0x006000001234afc3, 0, L, 0xa000012340000, R | U, true, false },
	{ 0x0061000012340fc3, 0, B, 0, 0, false, false },
	{ 0x000000020001c003, 1, T, 0xc000200010000, SIM_MAY_ALL, false, false },
	{ 0x006000002000ffc1, 1, L, 0xf000020000000, R | U, true, false },
	{ 0x0060040000001fc1, 2, L, 0x1040000000000, R | U, true, false },
	{ 0x0070040000000fc1, 2, B, 0, 0, false, false },
	{ 0x0060020000000fc1, 2, B, 0, 0, false, false },
};

// Stage 2 of each, with the same addresses.
static const struct {
	const struct sim_decoder *decoder;
	struct vector vector;
} a64_guests[] = {
	{ &sim_decode_aarch64_s2_16k, { 0x004000001234877f, 0, L, 0x12348000, R | U, true, false } },
	{ &sim_decode_aarch64_s2_16k, { 0x004000001234977f, 0, B, 0, 0, false, false } },
	{ &sim_decode_aarch64_s2_64k, { 0x004800001234077f, 0, L, 0x12340000, R | W | U, true, false } },
	{ &sim_decode_aarch64_s2_64k, { 0x004800001234177f, 0, B, 0, 0, false, false } },
	{ &sim_decode_aarch64_s2_4k_52, { 0x004000001234547f, 0, L, 0x12345000, R | U, true, false } },
	{ &sim_decode_aarch64_s2_4k_52, { 0x004000001234577f, 0, L, 0xc000012345000, R | U, true, false } },
	{ &sim_decode_aarch64_s2_16k_52, { 0x004300001234867f, 0, L, 0xb000012348000, R | U, true, false } },
	{ &sim_decode_aarch64_s2_64k_52, { 0x004000001234b77f, 0, L, 0xb000012340000, R | U, true, false } },
	{ &sim_decode_aarch64_s2_64k_52, { 0x0004000012340003, 1, B, 0, 0, false, false } },
};

static const struct kind kinds[] = {
	// AArch64: AttrIndx and MAIR_EL1 (D8.6), the contiguous bit (D8.7.1).
	{ &sim_decode_aarch64_s1, 0x0060000012345fc3, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_aarch64_s1, 0x0060000012345fc7, 0, SIM_MEMORY_DEVICE, 0 },
	{ &sim_decode_aarch64_s1, 0x0060000040200fc9, 1, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_aarch64_s1, 0x0070000012345fcb, 0, SIM_MEMORY_NONCACHED, 4 },
	{ &sim_decode_aarch64_s1, 0x0070000040200fc1, 1, SIM_MEMORY_NORMAL, 4 },
	{ &sim_decode_aarch64_s1_16k, 0x0070000012348fc3, 0, SIM_MEMORY_NORMAL, 7 },
	{ &sim_decode_aarch64_s1_16k, 0x0070000006000fc1, 1, SIM_MEMORY_NORMAL, 5 },
	{ &sim_decode_aarch64_s1_64k, 0x0070000012340fc7, 0, SIM_MEMORY_DEVICE, 5 },
	{ &sim_decode_aarch64_s1_64k, 0x0070000020000fc1, 1, SIM_MEMORY_NORMAL, 5 },
	{ &sim_decode_aarch64_s1_4k_52, 0x0070000012345cc3, 0, SIM_MEMORY_NORMAL, 4 },
	{ &sim_decode_aarch64_s1_16k_52, 0x0070000006000cc1, 1, SIM_MEMORY_NORMAL, 5 },
	{ &sim_decode_aarch64_s1_64k_52, 0x0070000012340fc3, 0, SIM_MEMORY_NORMAL, 5 },
	// MemAttr.
	{ &sim_decode_aarch64_s2, 0x000000001234577f, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_aarch64_s2, 0x0010000012345757, 0, SIM_MEMORY_NONCACHED, 4 },
	{ &sim_decode_aarch64_s2_64k, 0x0010000020000745, 1, SIM_MEMORY_DEVICE, 5 },
};

static void vectors(void **state)
{
	(void)state;
	CHECK_ALL(aarch64_s1, &sim_decode_aarch64_s1);
	CHECK_ALL(aarch64_s2, &sim_decode_aarch64_s2);
	CHECK_ALL(a64_16k, &sim_decode_aarch64_s1_16k);
	CHECK_ALL(a64_64k, &sim_decode_aarch64_s1_64k);
	CHECK_ALL(a64_4k_52, &sim_decode_aarch64_s1_4k_52);
	CHECK_ALL(a64_16k_52, &sim_decode_aarch64_s1_16k_52);
	CHECK_ALL(a64_64k_52, &sim_decode_aarch64_s1_64k_52);
	for (size_t i = 0; i < sizeof(a64_guests) / sizeof(*a64_guests); i++)
		check(a64_guests[i].decoder, &a64_guests[i].vector);
}

static void kind_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check_kind(&kinds[i]);
}

// Each entry of a run names its own memory.
static void run_pages(void **state)
{
	struct sim_entry entry;

	(void)state;
	sim_decode_aarch64_s1.decode(0x0070000012345fc3, 0, &entry);
	assert_int_equal(sim_entry_pa(&sim_decode_aarch64_s1, &entry, 0, 0x7775123), 0x12345123);
	sim_decode_aarch64_s1_64k_52.decode(0x006000002000ffc1, 1, &entry);
	assert_int_equal(sim_entry_pa(&sim_decode_aarch64_s1_64k_52, &entry, 1, 0x8000000035431234), 0xf000035431234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(kind_vectors),
		cmocka_unit_test(run_pages),
	};

	return cmocka_run_group_tests_name("decode aarch64", tests, NULL, NULL);
}
