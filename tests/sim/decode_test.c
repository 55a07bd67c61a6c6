// SPDX-License-Identifier: MIT
// Fixed vectors for the decoders: entries written out by hand from the manuals' tables, and what they mean.
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
	// PWT, PCD, PAT (bit 7), software's bits 9 to 11 and 52 to 58, a protection key that is not in use.
	{ 0x7ff0000012345e9d, 0, L, 0x12345000, R | X | U, false, false },
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
	// 2 MiB: bit 12 is PAT, 20:13 are reserved.
	{ 0x00000000402000e7, 1, L, 0x40200000, R | W | X | U, true, true },
	{ 0x00000000402010e7, 1, L, 0x40200000, R | W | X | U, true, true },
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
	// Reserved 60:54, Svpbmt 62:61, Svnapot 63.
	{ 0x00400000048d1403, 0, B, 0, 0, false, false },
	{ 0x10000000048d1403, 0, B, 0, 0, false, false },
	{ 0x20000000048d1403, 0, B, 0, 0, false, false },
	{ 0x80000000048d1403, 0, B, 0, 0, false, false },
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

static void check(const struct sim_decoder *decoder, const struct vector *vector)
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

static void canonical(void **state)
{
	(void)state;
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
		cmocka_unit_test(canonical),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
