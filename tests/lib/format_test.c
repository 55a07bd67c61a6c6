// SPDX-License-Identifier: MIT
// A table format against the simulated machine's decoder, which was written from the manual and shares nothing with
// it: every leaf and table that the format can make, every change that the library makes to a leaf and the hardware
// may make, and every encoding of something that is not there. Compiled once for each format, with TEST_DECODER its
// decoder.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode.h"
#include "format/format.h"

static const struct sim_decoder *const hardware = &TEST_DECODER;

static struct sim_entry decoded(uint64_t e, unsigned level)
{
	struct sim_entry entry;

	hardware->decode(e, level, &entry);
	if (entry.kind == SIM_ENTRY_BROKEN)
		fail_msg("%#llx of level %u: %s", (unsigned long long)e, level, entry.broken);
	return entry;
}

// What the format lets through of what was asked for: reading always, executing if it knows of it.
static vmt_prot effective(vmt_prot prot)
{
	return VMT_READ | (prot & VMT_WRITE) | (hardware->no_exec ? 0 : prot & VMT_EXEC);
}

static unsigned may_of(vmt_prot prot, bool user)
{
	prot = effective(prot);
	return SIM_MAY_READ | (prot & VMT_WRITE ? SIM_MAY_WRITE : 0) | (prot & VMT_EXEC ? SIM_MAY_EXEC : 0) |
	       (user || hardware->no_user ? SIM_MAY_USER : 0);
}

struct leaf {
	uint64_t pa;
	unsigned level;
	vmt_prot prot;
	bool user, accessed, dirty;
};

// The entry is this leaf, to the format and to the hardware. (A read-only leaf may be dirty to the format alone.)
static void expect_leaf(uint64_t e, const struct leaf *leaf)
{
	struct sim_entry entry = decoded(e, leaf->level);

	assert_int_equal(entry.kind, SIM_ENTRY_LEAF);
	assert_int_equal(entry.pa, leaf->pa);
	assert_int_equal(entry.may, may_of(leaf->prot, leaf->user));
	assert_int_equal(entry.accessed, leaf->accessed);
	if (leaf->prot & VMT_WRITE)
		assert_int_equal(entry.dirty, leaf->dirty);
	assert_true(fmt_is_present(e) && fmt_is_leaf(e, leaf->level) && fmt_holds_frame(e, leaf->level));
	assert_int_equal(fmt_pa(e), leaf->pa);
	assert_int_equal(fmt_prot(e), effective(leaf->prot));
	assert_int_equal(fmt_accessed(e), leaf->accessed);
	assert_int_equal(fmt_dirty(e), leaf->dirty);
}

// What the library does to a leaf keeps everything else of it.
static void change(uint64_t e, const struct leaf *leaf)
{
	struct leaf want = *leaf;

	expect_leaf(e, leaf);
	want.prot &= ~(vmt_prot)VMT_WRITE;
	expect_leaf(fmt_read_only(e), &want);
	for (vmt_prot prot = 1; prot <= VMT_RWX; prot++) {
		want.prot = prot;
		expect_leaf(fmt_with_prot(e, prot), &want);
		expect_leaf(fmt_with_prot(fmt_read_only(e), prot), &want);
	}
	want = *leaf;
	want.accessed = true;
	expect_leaf(fmt_set_accessed(e), &want);
	want.dirty = true;
	expect_leaf(fmt_set_dirty(e), &want);
	want.accessed = want.dirty = false;
	expect_leaf(fmt_clean(e), &want);
	if (leaf->level > 0) { // cut into the leaves below
		want = *leaf;
		want.level--;
		expect_leaf(fmt_leaf_like(e, leaf->pa, want.level, leaf->user), &want);
	}
}

static void leaves(void **state)
{
	(void)state;
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		for (vmt_prot prot = 1; prot <= VMT_RWX; prot++) {
			for (unsigned i = 0; i < 8; i++) {
				struct leaf leaf = {.pa = UINT64_C(5) << sim_shift(level), .level = level, .prot = prot,
						    .user = i & 1, .accessed = true, .dirty = prot & VMT_WRITE};
				uint64_t e = fmt_make_leaf(leaf.pa, level, prot, leaf.user);

				expect_leaf(e, &leaf);
				leaf.accessed = i & 2;
				leaf.dirty = i & 4;
				e = fmt_clean(e);
				e = leaf.dirty ? fmt_set_dirty(e) : e;
				leaf.accessed |= leaf.dirty;
				change(leaf.accessed ? fmt_set_accessed(e) : e, &leaf);
			}
		}
	}
}

// What the hardware writes is what the format reads.
static void marks(void **state)
{
	(void)state;
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		struct leaf leaf = {.pa = UINT64_C(5) << sim_shift(level), .level = level, .prot = VMT_READ | VMT_WRITE,
				    .user = true};
		uint64_t e = fmt_clean(fmt_make_leaf(leaf.pa, level, leaf.prot, true));

		expect_leaf(e, &leaf);
		leaf.accessed = true;
		expect_leaf(e | hardware->accessed, &leaf);
		leaf.dirty = true;
		expect_leaf((e | hardware->accessed | hardware->dirty) & ~hardware->clean, &leaf);
	}
}

static void tables(void **state)
{
	unsigned all = SIM_MAY_ALL & ~(hardware->no_exec ? (unsigned)SIM_MAY_EXEC : 0);

	(void)state;
	assert_int_equal(hardware->levels, FMT_TOP + 1);
	assert_int_equal(hardware->va_bits, FMT_VA_BITS);
	for (unsigned level = 1; level <= FMT_TOP; level++) {
		uint64_t pa = UINT64_C(0x3ffffffff000), e = fmt_make_table(pa, level);
		struct sim_entry entry = decoded(e, level);

		assert_int_equal(entry.kind, SIM_ENTRY_TABLE);
		assert_int_equal(entry.pa, pa);
		assert_int_equal(entry.may & all, all);
		assert_true(fmt_is_present(e) && fmt_is_table(e, level) && !fmt_is_leaf(e, level));
		assert_false(fmt_holds_frame(e, level));
		assert_int_equal(fmt_pa(e), pa);
		assert_true(fmt_same_table(e, e));
		if (hardware->table_accessed)
			assert_true(fmt_same_table(e & ~hardware->accessed, e | hardware->accessed));
		assert_false(fmt_same_table(e, fmt_make_table(pa - 0x1000, level)));
		assert_false(fmt_same_table(e, 0));
	}
}

static void expect_absent(uint64_t e)
{
	for (unsigned level = 0; level <= FMT_TOP; level++) {
		assert_int_equal(decoded(e, level).kind, SIM_ENTRY_ABSENT);
		assert_false(fmt_is_table(e, level) || fmt_is_leaf(e, level));
	}
	assert_false(fmt_is_present(e));
}

static void markers(void **state)
{
	(void)state;
	expect_absent(0);
	assert_int_equal(fmt_kind(0), MARKER_EMPTY);
	assert_false(fmt_holds_frame(0, 0));
	for (unsigned kind = MARKER_GUARD; kind <= MARKER_BUSY; kind++) {
		for (unsigned bit = 0; bit <= MARKER_PAYLOAD_BITS; bit++) {
			uint64_t ones = (UINT64_C(1) << bit) - 1;
			uint64_t payloads[] = {ones, (ones + 1) & MARKER_PAYLOAD_MASK};

			for (unsigned i = 0; i < 2; i++) {
				uint64_t e = fmt_make_marker((enum marker_kind)kind, payloads[i]);

				expect_absent(e);
				assert_int_equal(fmt_kind(e), kind);
				assert_int_equal(fmt_payload(e), payloads[i]);
				assert_false(fmt_holds_frame(e, 0));
			}
		}
	}
}

static void parked(void **state)
{
	static const uint64_t pas[] = {0, 0x1000, 0x200000000, 0x3ffffffff000, 0xffffffffff000, 0x5555555555000};

	(void)state;
	for (unsigned i = 0; i < sizeof(pas) / sizeof(*pas); i++) {
		for (unsigned marks = 0; marks < 4; marks++) {
			uint64_t e = fmt_make_parked(pas[i], marks & 1, marks & 2);

			expect_absent(e);
			assert_int_equal(fmt_kind(e), MARKER_PARKED);
			assert_int_equal(fmt_parked_pa(e), pas[i]);
			assert_int_equal(!!(e & MARKER_ACCESSED), !!(marks & 1));
			assert_int_equal(!!(e & MARKER_DIRTY), !!(marks & 2));
			assert_true(fmt_holds_frame(e, 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves),  cmocka_unit_test(marks),	cmocka_unit_test(tables),
		cmocka_unit_test(markers), cmocka_unit_test(parked),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
