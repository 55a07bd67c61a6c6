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
	enum vmt_memory memory;
	bool user, accessed, dirty;
};

static const enum sim_memory hardware_memory[] = {
	[VMT_MEMORY_NORMAL] = SIM_MEMORY_NORMAL,
	[VMT_MEMORY_NONCACHED] = SIM_MEMORY_NONCACHED,
	[VMT_MEMORY_DEVICE] = SIM_MEMORY_DEVICE,
};

// The entry is this leaf, to the format and to the hardware. (A read-only leaf may be dirty to the format alone.)
static void expect_leaf(uint64_t e, const struct leaf *leaf)
{
	struct sim_entry entry = decoded(e, leaf->level);

	assert_int_equal(entry.kind, SIM_ENTRY_LEAF);
	assert_int_equal(entry.pa, leaf->pa);
	assert_int_equal(entry.memory, hardware_memory[leaf->memory]);
	assert_int_equal(entry.run_bits, 0);
	assert_int_equal(entry.may, may_of(leaf->prot, leaf->user));
	assert_int_equal(entry.accessed, leaf->accessed);
	if (leaf->prot & VMT_WRITE)
		assert_int_equal(entry.dirty, leaf->dirty);
	assert_true(fmt_is_present(e) && fmt_is_leaf(e, leaf->level) && fmt_holds_frame(e, leaf->level));
	assert_int_equal(fmt_pa(e), leaf->pa);
	assert_false(fmt_is_run(e));
	assert_int_equal(fmt_leaf_pa(e, 3), leaf->pa);
	assert_int_equal(fmt_memory(e), leaf->memory);
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

static uint64_t made(const struct leaf *leaf)
{
	vmt_prot prot = leaf->prot | (vmt_prot)leaf->memory << FMT_MEMORY_SHIFT;

	return fmt_make_leaf(leaf->pa, leaf->level, prot, leaf->user);
}

static void leaves_of(unsigned level, vmt_prot prot, enum vmt_memory memory)
{
	for (unsigned i = 0; i < 8; i++) {
		struct leaf leaf = {.pa = UINT64_C(5) << sim_shift(hardware, level), .level = level, .prot = prot,
				    .memory = memory, .user = i & 1, .accessed = true, .dirty = prot & VMT_WRITE};
		uint64_t e = made(&leaf);

		expect_leaf(e, &leaf);
		leaf.accessed = i & 2;
		leaf.dirty = i & 4;
		e = fmt_clean(e);
		e = leaf.dirty ? fmt_set_dirty(e) : e;
		leaf.accessed |= leaf.dirty;
		change(leaf.accessed ? fmt_set_accessed(e) : e, &leaf);
	}
}

static void leaves(void **state)
{
	(void)state;
	assert_true(FMT_MEMORY_TYPES & 1u << VMT_MEMORY_NORMAL);
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		for (vmt_prot prot = 1; prot <= VMT_RWX; prot++) {
			for (enum vmt_memory memory = VMT_MEMORY_NORMAL; memory <= VMT_MEMORY_DEVICE; memory++) {
				if (FMT_MEMORY_TYPES >> memory & 1)
					leaves_of(level, prot, memory);
			}
		}
	}
}

// An entry of a run says all that the leaf on its own says, whatever is done to either, and the hardware may keep the
// whole run for it.
static void expect_run(uint64_t run, uint64_t e, const struct leaf *leaf, unsigned slot)
{
	uint64_t va = (uint64_t)slot << sim_shift(hardware, leaf->level);
	struct sim_entry entry = decoded(run, leaf->level), alone = decoded(e, leaf->level);

	assert_int_equal(entry.kind, SIM_ENTRY_LEAF);
	assert_int_equal(entry.run_bits, fmt_run_bits(leaf->level));
	assert_int_equal(sim_entry_pa(hardware, &entry, leaf->level, va + 0x123), leaf->pa + 0x123);
	assert_true(entry.may == alone.may && entry.memory == alone.memory && entry.accessed == alone.accessed &&
		    entry.dirty == alone.dirty);
	assert_true(fmt_is_run(run) && fmt_is_leaf(run, leaf->level) && fmt_holds_frame(run, leaf->level));
	assert_int_equal(fmt_leaf_pa(run, slot), leaf->pa);
	assert_int_equal(fmt_unrun(run, slot), e);
	assert_int_equal(fmt_make_run(e, leaf->level), run);
	assert_int_equal(fmt_prot_memory(run), fmt_prot_memory(e));
	assert_true(fmt_accessed(run) == fmt_accessed(e) && fmt_dirty(run) == fmt_dirty(e));
}

static void change_run(const struct leaf *leaf, unsigned slot)
{
	uint64_t e = made(leaf), run = fmt_make_run(e, leaf->level);

	expect_run(run, e, leaf, slot);
	expect_run(fmt_clean(run), fmt_clean(e), leaf, slot);
	expect_run(fmt_set_accessed(fmt_clean(run)), fmt_set_accessed(fmt_clean(e)), leaf, slot);
	expect_run(fmt_set_dirty(run), fmt_set_dirty(e), leaf, slot);
	expect_run(fmt_read_only(run), fmt_read_only(e), leaf, slot);
	for (vmt_prot prot = 1; prot <= VMT_RWX; prot++)
		expect_run(fmt_with_prot(run, prot), fmt_with_prot(e, prot), leaf, slot);
	if (leaf->prot & VMT_WRITE) {
		run = (fmt_clean(run) | hardware->accessed | hardware->dirty) & ~hardware->clean;
		expect_run(run, fmt_set_dirty(fmt_clean(e)), leaf, slot);
	}
}

static void runs(void **state)
{
	uint64_t sizes = 0;

	(void)state;
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		unsigned count = 1u << fmt_run_bits(level);
		uint64_t span = UINT64_C(1) << sim_shift(hardware, level);

		if (count == 1)
			continue;
		sizes |= span * count;
		for (unsigned n = 0; n < 2 * count * 3 * 7; n++) {
			unsigned slot = count * 4 + n % count;
			struct leaf leaf = {.pa = span * (count * 6 + n % count), .level = level, .user = n / count & 1,
					    .prot = 1 + n / count / 2 % 7, .memory = n / count / 14};

			if (FMT_MEMORY_TYPES >> leaf.memory & 1)
				change_run(&leaf, slot);
		}
	}
	assert_int_equal(FMT_RUN_SIZES, sizes);
	assert_int_equal(FMT_RUN_SIZES_OPTIONAL & ~sizes, 0);
}

// What the hardware writes is what the format reads.
static void marks(void **state)
{
	(void)state;
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		struct leaf leaf = {.pa = UINT64_C(5) << sim_shift(hardware, level), .level = level,
				    .prot = VMT_READ | VMT_WRITE, .user = true};
		uint64_t e = fmt_clean(fmt_make_leaf(leaf.pa, level, leaf.prot, true));

		expect_leaf(e, &leaf);
		leaf.accessed = true;
		expect_leaf(e | hardware->accessed, &leaf);
		leaf.dirty = true;
		expect_leaf((e | hardware->accessed | hardware->dirty) & ~hardware->clean, &leaf);
	}
}

// Bits of physical address that every machine has which can use the format.
static unsigned pa_bits(void)
{
	return hardware->va_bits == 52 ? 52 : 46;
}

// Memory at each bit of an address.
static void addresses(void **state)
{
	(void)state;
	for (unsigned level = 0; level < FMT_LEAF_LEVELS; level++) {
		unsigned shift = sim_shift(hardware, level);

		for (unsigned bit = shift; bit < pa_bits(); bit++) {
			uint64_t one = UINT64_C(1) << bit, below = one - (UINT64_C(1) << shift);
			struct leaf leaf = {.pa = one, .level = level, .prot = VMT_RWX, .user = true};

			change(fmt_clean(made(&leaf)), &leaf);
			leaf.pa = below;
			change(fmt_clean(made(&leaf)), &leaf);
			assert_int_equal(fmt_pa(fmt_make_table(one, 1)), one);
			assert_int_equal(decoded(fmt_make_table(below & ~VMT_PAGE_MASK, 1), 1).pa, below);
		}
	}
}

static void tables(void **state)
{
	unsigned all = SIM_MAY_ALL & ~(hardware->no_exec ? (unsigned)SIM_MAY_EXEC : 0);

	(void)state;
	assert_int_equal(hardware->levels, FMT_TOP + 1);
	assert_int_equal(hardware->va_bits, FMT_VA_BITS);
	for (unsigned level = 1; level <= FMT_TOP; level++) {
		uint64_t pa = (UINT64_C(1) << pa_bits()) - VMT_PAGE_SIZE, e = fmt_make_table(pa, level);
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
		assert_false(fmt_same_table(e, fmt_make_table(pa - VMT_PAGE_SIZE, level)));
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
	for (unsigned kind = MARKER_GUARD; kind <= MARKER_LAST; kind++) {
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
			uint64_t pa = pas[i] & ~VMT_PAGE_MASK, e = fmt_make_parked(pa, marks & 1, marks & 2);

			expect_absent(e);
			assert_int_equal(fmt_kind(e), MARKER_PARKED);
			assert_int_equal(fmt_parked_pa(e), pa);
			assert_int_equal(!!(e & MARKER_ACCESSED), !!(marks & 1));
			assert_int_equal(!!(e & MARKER_DIRTY), !!(marks & 2));
			assert_true(fmt_holds_frame(e, 0));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves), cmocka_unit_test(runs),    cmocka_unit_test(marks),
		cmocka_unit_test(tables), cmocka_unit_test(markers), cmocka_unit_test(parked),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
