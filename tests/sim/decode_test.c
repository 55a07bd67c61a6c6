// SPDX-License-Identifier: MIT
// Fixed vectors for the decoders: entries written out by hand from the manuals' tables, and what they mean.
#include "decode_test.h"

// Intel SDM vol. 3A, tables 4-15 to 4-20.
static const struct vector x86[] = {
	// Not present: everything else is software's.
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 3, N, 0, 0, false, false },
	// 4 KiB pages.
	{ 0x0000000012345001, 0, L, 0x12345000, R | X, false, false },
	{ 0x0000000012345003, 0, L, 0x12345000, R | W | X, false, false },
	{ 0x0000000012345007, 0, L, 0x12345000, R | W | X | U, false, false },
	{ 0x8000000012345067, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x8000000012345025, 0, L, 0x12345000, R | U, true, false },
	{ 0x8000000012345045, 0, L, 0x12345000, R | U, false, true },
	// PWT and PCD, software's bits 9 to 11 and 52 to 58, a protection key that is not in use. PWT alone; PAT.
	{ 0x7ff0000012345e1d, 0, L, 0x12345000, R | X | U, false, false },
	{ 0x000000001234500d, 0, B, 0, 0, false, false },
	{ 0x0000000012345085, 0, B, 0, 0, false, false },
	{ 0x000000001234509d, 0, B, 0, 0, false, false },
	// The highest address with MAXPHYADDR 46, and the first bit above.
	{ 0x00003ffffffff005, 0, L, 0x3ffffffff000, R | X | U, false, false },
	{ 0x0000400000000005, 0, B, 0, 0, false, false },
	{ 0x0008000000000005, 3, B, 0, 0, false, false },
	// Global pages have no business here.
	{ 0x0000000012345105, 0, B, 0, 0, false, false },
	// Tables of every level.
	{ 0x0000000200001067, 1, T, 0x200001000, R | W | X | U, true, false },
	{ 0x0000000200001003, 2, T, 0x200001000, R | W | X, false, false },
	{ 0x8000000200001025, 3, T, 0x200001000, R | U, true, false },
	{ 0x0000000200001f07, 4, T, 0x200001000, R | W | X | U, false, false },
	// Not cached.
	{ 0x0000000200001017, 1, B, 0, 0, false, false },
	{ 0x000000020000100f, 3, B, 0, 0, false, false },
	// 2 MiB: bit 12 is PAT, 20:13 are reserved.
	{ 0x00000000402000e7, 1, L, 0x40200000, R | W | X | U, true, true },
	{ 0x00000000402010e7, 1, B, 0, 0, false, false },
	{ 0x00000000402020e7, 1, B, 0, 0, false, false },
	{ 0x00000000403000e7, 1, B, 0, 0, false, false },
	// 1 GiB: 29:13 are reserved.
	{ 0x80000000400000a5, 2, L, 0x40000000, R | U, true, false },
	{ 0x80000000600000a5, 2, B, 0, 0, false, false },
	// PS is reserved in the upper levels.
	{ 0x0000008000000087, 3, B, 0, 0, false, false },
	{ 0x0000008000000087, 4, B, 0, 0, false, false },
};

// RISC-V Privileged, figure "Sv39 page table entry" and table "Encoding of PTE R/W/X fields".
static const struct vector riscv[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 2, N, 0, 0, false, false },
	// The six legal leaf encodings: PPN 0x12345 is at bit 10.
	{ 0x00000000048d1403, 0, L, 0x12345000, R, false, false },
	{ 0x00000000048d1407, 0, L, 0x12345000, R | W, false, false },
	{ 0x00000000048d1409, 0, L, 0x12345000, X, false, false },
	{ 0x00000000048d140b, 0, L, 0x12345000, R | X, false, false },
	{ 0x00000000048d140f, 0, L, 0x12345000, R | W | X, false, false },
	{ 0x00000000048d14df, 0, L, 0x12345000, R | W | X | U, true, true },
	{ 0x00000000048d1453, 0, L, 0x12345000, R | U, true, false },
	{ 0x00000000048d1493, 0, L, 0x12345000, R | U, false, true },
	// RSW is software's.
	{ 0x00000000048d1713, 0, L, 0x12345000, R | U, false, false },
	// W without R, with and without X.
	{ 0x00000000048d1405, 0, B, 0, 0, false, false },
	{ 0x00000000048d140d, 0, B, 0, 0, false, false },
	// Reserved 60:54; PBMT 3.
	{ 0x00400000048d1403, 0, B, 0, 0, false, false },
	{ 0x10000000048d1403, 0, B, 0, 0, false, false },
	{ 0x60000000048d1403, 0, B, 0, 0, false, false },
	// N, and how PPN ends: 1000 and nothing else, in level 0 alone.
	{ 0x80000000048d2003, 0, L, 0x12340000, R, false, false },
	{ 0x80000000048d3c03, 0, B, 0, 0, false, false },
	{ 0x80000000048d1403, 0, B, 0, 0, false, false },
	{ 0x80000000048d1003, 0, B, 0, 0, false, false },
	{ 0x80000000048d0003, 0, B, 0, 0, false, false },
	{ 0x8000000010082003, 1, B, 0, 0, false, false },
	{ 0x8000000010080003, 1, B, 0, 0, false, false },
	// The highest PPN.
	{ 0x003ffffffffffc03, 0, L, 0xfffffffffff000, R, false, false },
	// Global.
	{ 0x00000000048d1423, 0, B, 0, 0, false, false },
	// Tables: U, A and D are reserved in them, level 0 has none.
	{ 0x0000000080000401, 1, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0x0000000080000701, 4, T, 0x200001000, SIM_MAY_ALL, false, false },
	{ 0x0000000080000401, 0, B, 0, 0, false, false },
	{ 0x0000000080000411, 1, B, 0, 0, false, false },
	{ 0x0000000080000441, 2, B, 0, 0, false, false },
	{ 0x0000000080000481, 3, B, 0, 0, false, false },
	{ 0x2000000080000401, 1, B, 0, 0, false, false },
	{ 0x8000000080002001, 1, B, 0, 0, false, false },
	// Superpages of 2 MiB, 1 GiB, 512 GiB and 256 TiB, aligned and not.
	{ 0x0000000010080017, 1, L, 0x40200000, R | W | U, false, false },
	{ 0x0000000010080417, 1, B, 0, 0, false, false },
	{ 0x0000000010000017, 2, L, 0x40000000, R | W | U, false, false },
	{ 0x0000000010080017, 2, B, 0, 0, false, false },
	{ 0x0000002000000013, 3, L, 0x8000000000, R | U, false, false },
	{ 0x0000002010000013, 3, B, 0, 0, false, false },
	{ 0x0000400000000013, 4, L, 0x1000000000000, R | U, false, false },
	{ 0x0000400000000413, 4, B, 0, 0, false, false },
};

// Intel SDM vol. 3C, tables 29-1 to 29-7; 29.3.3.1.
static const struct vector ept[] = {
	// Not present: none of R, W, X.
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffff8, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffff8, 3, N, 0, 0, false, false },
	// 4 KiB pages, write-back.
	{ 0x0000000012345031, 0, L, 0x12345000, R | U, false, false },
	{ 0x0000000012345033, 0, L, 0x12345000, R | W | U, false, false },
	{ 0x0000000012345035, 0, L, 0x12345000, R | X | U, false, false },
	{ 0x0000000012345337, 0, L, 0x12345000, R | W | X | U, true, true },
	{ 0x0000000012345131, 0, L, 0x12345000, R | U, true, false },
	{ 0x0000000012345231, 0, L, 0x12345000, R | U, false, true },
	// W or X without R.
	{ 0x0000000012345032, 0, B, 0, 0, false, false },
	{ 0x0000000012345036, 0, B, 0, 0, false, false },
	{ 0x0000000012345034, 0, B, 0, 0, false, false },
	{ 0x0000000200001002, 3, B, 0, 0, false, false },
	// Memory types: UC, WT, WP, and the reserved 2, 3, 7.
	{ 0x0000000012345001, 0, L, 0x12345000, R | U, false, false },
	{ 0x0000000012345021, 0, B, 0, 0, false, false },
	{ 0x0000000012345029, 0, B, 0, 0, false, false },
	{ 0x0000000012345011, 0, B, 0, 0, false, false },
	{ 0x0000000012345019, 0, B, 0, 0, false, false },
	{ 0x0000000012345039, 0, B, 0, 0, false, false },
	// Ignored: IPAT, bit 7 of a PTE, bits 11:10, 63:52.
	{ 0xfff0000012345cf1, 0, L, 0x12345000, R | U, false, false },
	// MAXPHYADDR 46.
	{ 0x00003ffffffff031, 0, L, 0x3ffffffff000, R | U, false, false },
	{ 0x0000400000000031, 0, B, 0, 0, false, false },
	{ 0x0008000000000007, 3, B, 0, 0, false, false },
	// Tables: bits 11:9 are ignored, 7:3 reserved.
	{ 0x0000000200001007, 1, T, 0x200001000, R | W | X | U, false, false },
	{ 0x0000000200001107, 2, T, 0x200001000, R | W | X | U, true, false },
	{ 0x0000000200001e05, 3, T, 0x200001000, R | X | U, false, false },
	{ 0x000000020000100f, 1, B, 0, 0, false, false },
	{ 0x0000000200001047, 3, B, 0, 0, false, false },
	{ 0x0000008000000087, 3, B, 0, 0, false, false },
	// 2 MiB and 1 GiB.
	{ 0x00000000402003b7, 1, L, 0x40200000, R | W | X | U, true, true },
	{ 0x00000000402013b7, 1, B, 0, 0, false, false },
	{ 0x00000000400000b1, 2, L, 0x40000000, R | U, false, false },
	{ 0x00000000600000b1, 2, B, 0, 0, false, false },
};

// VT-d rev. 5.10, tables 42 to 47; 3.7.
static const struct vector vtd[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffc, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffc, 3, N, 0, 0, false, false },
	{ 0x0000000012345001, 0, L, 0x12345000, R | U, false, false },
	{ 0x0000000012345002, 0, L, 0x12345000, W | U, false, false },
	{ 0x0000000012345303, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x0000000012345101, 0, L, 0x12345000, R | U, true, false },
	// Bit 2 is ignored: nothing is said of execution.
	{ 0x0000000012345005, 0, L, 0x12345000, R | U, false, false },
	// Write-back, a reserved type, WT, WP; ignored: IPAT, bits 7, 10, 61:52, 63.
	{ 0x0000000012345033, 0, L, 0x12345000, R | W | U, false, false },
	{ 0x0000000012345013, 0, B, 0, 0, false, false },
	{ 0x0000000012345023, 0, B, 0, 0, false, false },
	{ 0x000000001234502b, 0, B, 0, 0, false, false },
	{ 0xbff00000123454c1, 0, L, 0x12345000, R | U, false, false },
	// Reserved: bit 62, SNP without snoop control, addresses from 46 bits up.
	{ 0x4000000012345001, 0, B, 0, 0, false, false },
	{ 0x0000000012345801, 0, B, 0, 0, false, false },
	{ 0x00003ffffffff001, 0, L, 0x3ffffffff000, R | U, false, false },
	{ 0x0000400000000001, 0, B, 0, 0, false, false },
	{ 0x0008000000000002, 2, B, 0, 0, false, false },
	// Tables: bits 6:2 and 10:9 are ignored.
	{ 0x0000000200001003, 1, T, 0x200001000, R | W | U, false, false },
	{ 0x0000000200001101, 2, T, 0x200001000, R | U, true, false },
	{ 0x000000020000167f, 3, T, 0x200001000, R | W | U, false, false },
	{ 0x0000000200001803, 1, B, 0, 0, false, false },
	{ 0x0000008000000083, 3, B, 0, 0, false, false },
	{ 0x0000000040200383, 1, L, 0x40200000, R | W | U, true, true },
	{ 0x0000000040201383, 1, B, 0, 0, false, false },
	{ 0x0000000040000081, 2, L, 0x40000000, R | U, false, false },
	{ 0x0000000060000081, 2, B, 0, 0, false, false },
};

// AMD IOMMU specification, 2.2.3.
static const struct vector amd_v1[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 3, N, 0, 0, false, false },
	{ 0x2000000012345001, 0, L, 0x12345000, R | U, false, false },
	{ 0x4000000012345001, 0, L, 0x12345000, W | U, false, false },
	{ 0x6000000012345061, 0, L, 0x12345000, R | W | U, true, true },
	{ 0x2000000012345021, 0, L, 0x12345000, R | U, true, false },
	{ 0x0000000012345001, 0, L, 0x12345000, U, false, false },
	// U and FC; ignored bits 4:1, 8:7, 63.
	{ 0x7800000012345001, 0, L, 0x12345000, R | W | U, false, false },
	{ 0xa00000001234519f, 0, L, 0x12345000, R | U, false, false },
	// 58:52 are reserved in a PTE, 60:52 in a PDE.
	{ 0x2010000012345001, 0, B, 0, 0, false, false },
	{ 0x2400000012345001, 0, B, 0, 0, false, false },
	{ 0x6800000200001201, 1, B, 0, 0, false, false },
	{ 0x7000000200001201, 1, B, 0, 0, false, false },
	{ 0x200ffffffffff001, 0, L, 0xffffffffff000, R | U, false, false },
	// The next level is the level of the table: AMD's levels begin with 1.
	{ 0x6000000200001201, 1, T, 0x200001000, R | W | U, false, false },
	{ 0x6000000200001421, 2, T, 0x200001000, R | W | U, true, false },
	{ 0x2000000200001601, 3, T, 0x200001000, R | U, false, false },
	{ 0x6000000200001401, 1, B, 0, 0, false, false },
	{ 0x6000000200001201, 3, B, 0, 0, false, false },
	{ 0x6000000200001201, 0, B, 0, 0, false, false },
	{ 0x6000000012345e01, 0, B, 0, 0, false, false },
	// A next level of 0 above: 2 MiB, 1 GiB, 512 GiB.
	{ 0x6000000040200061, 1, L, 0x40200000, R | W | U, true, true },
	{ 0x6000000040201061, 1, B, 0, 0, false, false },
	{ 0x2000000040000001, 2, L, 0x40000000, R | U, false, false },
	{ 0x2000000060000001, 2, B, 0, 0, false, false },
	{ 0x2000008000000001, 3, L, 0x8000000000, R | U, false, false },
};

// AMD64 APM vol. 2, 5.3.3 to 5.3.5, 15.25.5.
static const struct vector amd_npt[] = {
	{ 0x0000000000000000, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 0, N, 0, 0, false, false },
	{ 0xfffffffffffffffe, 3, N, 0, 0, false, false },
	{ 0x0000000012345007, 0, L, 0x12345000, R | W | X | U, false, false },
	{ 0x8000000012345065, 0, L, 0x12345000, R | U, true, true },
	{ 0x0000000012345025, 0, L, 0x12345000, R | X | U, true, false },
	// PWT and PCD, what is available, G. PWT alone; PAT.
	{ 0x7ff0000012345f1d, 0, L, 0x12345000, R | X | U, false, false },
	{ 0x000000001234500d, 0, B, 0, 0, false, false },
	{ 0x0000000012345085, 0, B, 0, 0, false, false },
	// Not a user's.
	{ 0x0000000012345003, 0, B, 0, 0, false, false },
	{ 0x0000000200001003, 2, B, 0, 0, false, false },
	{ 0x0000fffffffff005, 0, L, 0xfffffffff000, R | X | U, false, false },
	{ 0x0001000000000005, 0, B, 0, 0, false, false },
	{ 0x0000000200001027, 1, T, 0x200001000, R | W | X | U, true, false },
	{ 0x8000000200001005, 2, T, 0x200001000, R | U, false, false },
	{ 0x0000000200001e47, 3, T, 0x200001000, R | W | X | U, false, false },
	{ 0x0000008000000087, 3, B, 0, 0, false, false },
	{ 0x0000000200001107, 3, B, 0, 0, false, false },
	{ 0x00000000402000e7, 1, L, 0x40200000, R | W | X | U, true, true },
	{ 0x00000000402010e7, 1, B, 0, 0, false, false },
	{ 0x0000000200001037, 1, B, 0, 0, false, false },
	{ 0x000000020000102f, 2, B, 0, 0, false, false },
	{ 0x00000000402020e7, 1, B, 0, 0, false, false },
	{ 0x80000000400000a5, 2, L, 0x40000000, R | U, true, false },
	{ 0x80000000600000a5, 2, B, 0, 0, false, false },
};

static const struct kind kinds[] = {
	// Intel SDM vol. 3A, 4.9.2: PCD and PWT. Levels 0 to 2.
	{ &sim_decode_x86_4, 0x0000000012345007, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_x86_4, 0x0000000012345017, 0, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_x86_4, 0x000000001234501f, 0, SIM_MEMORY_DEVICE, 0 },
	{ &sim_decode_x86_5, 0x0000000040200097, 1, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_x86_5, 0x000000004000009f, 2, SIM_MEMORY_DEVICE, 0 },
	// AMD64 APM vol. 2, 7.8.2.
	{ &sim_decode_amd_npt, 0x0000000012345007, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_amd_npt, 0x0000000040200097, 1, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_amd_npt, 0x000000001234501f, 0, SIM_MEMORY_DEVICE, 0 },
	// Intel SDM vol. 3C, 29.3.7.2, bits 5:3: 6, 1, 0; with "ignore PAT".
	{ &sim_decode_ept, 0x0000000012345031, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_ept, 0x0000000012345071, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_ept, 0x0000000012345009, 0, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_ept, 0x0000000040200081, 1, SIM_MEMORY_DEVICE, 0 },
	// VT-d, table 42, the same field.
	{ &sim_decode_vtd_ss, 0x0000000012345031, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_vtd_ss, 0x0000000012345009, 0, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_vtd_ss, 0x0000000012345001, 0, SIM_MEMORY_DEVICE, 0 },
	{ &sim_decode_amd_v1, 0x3000000012345001, 0, SIM_MEMORY_NORMAL, 0 },
	// RISC-V, Svpbmt and Svnapot, and both.
	{ &sim_decode_sv39, 0x00000000048d1403, 0, SIM_MEMORY_NORMAL, 0 },
	{ &sim_decode_sv39, 0x20000000048d1403, 0, SIM_MEMORY_NONCACHED, 0 },
	{ &sim_decode_sv48, 0x4000000010080017, 1, SIM_MEMORY_DEVICE, 0 },
	{ &sim_decode_sv57, 0x4000400000000013, 4, SIM_MEMORY_DEVICE, 0 },
	{ &sim_decode_sv57, 0x80000000048d2003, 0, SIM_MEMORY_NORMAL, 4 },
	{ &sim_decode_sv48, 0xa0000000048d20d7, 0, SIM_MEMORY_NONCACHED, 4 },
	{ &sim_decode_sv39, 0xc0000000048d20df, 0, SIM_MEMORY_DEVICE, 4 },
};

static void kind_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		check_kind(&kinds[i]);
}

// Each page of a NAPOT run has its own memory, though the entries do not say it.
static void napot_pages(void **state)
{
	struct sim_entry entry;

	(void)state;
	sim_decode_sv39.decode(0x80000000048d2003, 0, &entry);
	for (unsigned n = 0; n < 16; n++)
		assert_int_equal(sim_entry_pa(&sim_decode_sv39, &entry, 0, 0x7770000 + n * 0x1000 + 0x123),
				 0x12340000 + n * 0x1000 + 0x123);
}

static void x86_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(x86) / sizeof(*x86); i++)
		check(&sim_decode_x86_4, &x86[i]);
	assert_int_equal(sim_decode_x86_4.levels, 4);
	assert_int_equal(sim_decode_x86_5.levels, 5);
}

static void riscv_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(riscv) / sizeof(*riscv); i++)
		check(&sim_decode_sv57, &riscv[i]);
	assert_int_equal(sim_decode_sv39.levels, 3);
	assert_int_equal(sim_decode_sv48.levels, 4);
	assert_int_equal(sim_decode_sv57.levels, 5);
}

static void guest_vectors(void **state)
{
	(void)state;
	CHECK_ALL(ept, &sim_decode_ept);
	CHECK_ALL(amd_npt, &sim_decode_amd_npt);
}

static void device_vectors(void **state)
{
	(void)state;
	CHECK_ALL(vtd, &sim_decode_vtd_ss);
	CHECK_ALL(amd_v1, &sim_decode_amd_v1);
}

static void canonical(void **state)
{
	(void)state;
	assert_true(sim_canonical(&sim_decode_ept, 0x0000ffffffffffff));
	assert_false(sim_canonical(&sim_decode_ept, 0x0001000000000000));
	assert_false(sim_canonical(&sim_decode_aarch64_s1, 0xffff800000000000));
	assert_true(sim_canonical(&sim_decode_x86_4, 0x00007fffffffffff));
	assert_false(sim_canonical(&sim_decode_x86_4, 0x0000800000000000));
	assert_true(sim_canonical(&sim_decode_x86_4, 0xffff800000000000));
	assert_false(sim_canonical(&sim_decode_x86_4, 0xffff7fffffffffff));
	assert_true(sim_canonical(&sim_decode_x86_5, 0x00ffffffffffffff));
	assert_false(sim_canonical(&sim_decode_x86_5, 0x0100000000000000));
	assert_true(sim_canonical(&sim_decode_sv39, 0x0000003fffffffff));
	assert_false(sim_canonical(&sim_decode_sv39, 0x0000004000000000));
	assert_true(sim_canonical(&sim_decode_sv39, 0xffffffc000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x86_vectors),
		cmocka_unit_test(riscv_vectors),
		cmocka_unit_test(guest_vectors),
		cmocka_unit_test(device_vectors),
		cmocka_unit_test(kind_vectors),
		cmocka_unit_test(napot_pages),
		cmocka_unit_test(canonical),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
