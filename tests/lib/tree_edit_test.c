// SPDX-License-Identifier: MIT
// The page-table layer on its own, continued: replace, split, collapse, markers, accessed and dirty. As tree_test.c.
#include "tree_test.h"

static void replacing(void **state)
{
	uint64_t done;

	(void)state;
	open_tree(1);
	assert_int_equal(tree_map(GIB, GIB, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	// A page in the middle of a GiB, then a large leaf over tables, then a GiB over everything.
	assert_int_equal(tree_replace(GIB + 4 * MIB, PAGE, 2 * DEVICE, VMT_READ, 0, &done), VMT_OK);
	assert_int_equal(done, PAGE);
	expect(GIB + 4 * MIB, 2 * DEVICE, PAGE, false);
	expect(GIB + 4 * MIB + PAGE, DEVICE + GIB + 4 * MIB + PAGE, PAGE, true);
	expect(GIB, DEVICE + GIB, 2 * MIB, true);
	assert_int_equal(tree_replace(GIB + 2 * MIB, 8 * MIB, 2 * DEVICE + 2 * MIB, RW, 0, NULL), VMT_OK);
	expect(GIB + 4 * MIB, 2 * DEVICE + 4 * MIB, 2 * MIB, true);
	expect(GIB + 12 * MIB, DEVICE + GIB + 12 * MIB, 2 * MIB, true);
	assert_int_equal(vmt_tree_check(tree), 0);
	for (unsigned i = 0; i < 128; i++) // more tables than one window locks
		assert_int_equal(tree_replace(GIB + i * 4 * MIB, PAGE, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(tree_replace(GIB, GIB, DEVICE + 2 * GIB, RW, 0, NULL), VMT_OK);
	expect(GIB + 5, DEVICE + 2 * GIB + 5, GIB, true);
	// Where nothing is.
	assert_int_equal(tree_replace(8 * GIB - 4 * MIB, 8 * MIB, DEVICE, RW, PAGE, NULL), VMT_OK);
	expect(8 * GIB, DEVICE + 4 * MIB, PAGE, true);
	close_tree();
}

static void splitting(void **state)
{
	uint64_t done, tables;

	(void)state;
	open_tree(1);
	assert_int_equal(tree_map(GIB, 2 * GIB, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	tables = vmt_tree_tables(tree);
	assert_int_equal(vmt_tree_split(tree, GIB + 5 * MIB, PAGE, 2 * MIB, &done), VMT_OK);
	assert_int_equal(done, PAGE);
	expect(GIB + 5 * MIB, DEVICE + GIB + 5 * MIB, 2 * MIB, true);
	expect(2 * GIB, DEVICE + 2 * GIB, GIB, true);
	assert_int_equal(vmt_tree_split(tree, GIB, 4 * MIB, PAGE, &done), VMT_OK);
	expect(GIB, DEVICE + GIB, PAGE, true);
	expect(GIB + 4 * MIB - PAGE, DEVICE + GIB + 4 * MIB - PAGE, PAGE, true);
	expect(GIB + 4 * MIB, DEVICE + GIB + 4 * MIB, 2 * MIB, true);
	assert_int_equal(vmt_tree_tables(tree), tables + 2 + has_gib());
	assert_int_equal(vmt_tree_check(tree), 0);
	assert_int_equal(vmt_tree_collapse(tree, GIB, 2 * GIB), 2 + has_gib());
	expect(GIB + 5, DEVICE + GIB + 5, GIB, true);
	assert_int_equal(vmt_tree_tables(tree), tables);
	assert_int_equal(vmt_tree_split(tree, GIB, PAGE, 5, NULL), VMT_ERR_SIZE);
	close_tree();
}

static void collapsing(void **state)
{
	(void)state;
	open_tree(1);
	assert_int_equal(tree_map(2 * MIB, 2 * MIB, DEVICE + 2 * MIB, RW, PAGE, NULL), VMT_OK);
	assert_int_equal(tree_map(4 * MIB, 2 * MIB, DEVICE + 4 * MIB + PAGE, RW, PAGE, NULL), VMT_OK); // not aligned
	assert_int_equal(tree_map(6 * MIB, 2 * MIB, DEVICE + 6 * MIB, RW, PAGE, NULL), VMT_OK);
	assert_int_equal(vmt_tree_protect(tree, 7 * MIB, PAGE, VMT_READ, NULL), VMT_OK); // one entry differs
	assert_int_equal(tree_map(8 * MIB, MIB, DEVICE + 8 * MIB, RW, PAGE, NULL), VMT_OK); // not full
	assert_int_equal(vmt_tree_collapse(tree, 0, GIB), 1);
	expect(2 * MIB, DEVICE + 2 * MIB, 2 * MIB, true);
	expect(4 * MIB, DEVICE + 4 * MIB + PAGE, PAGE, true);
	expect(7 * MIB, DEVICE + 7 * MIB, PAGE, false);
	expect(8 * MIB, DEVICE + 8 * MIB, PAGE, true);
	assert_int_equal(vmt_tree_protect(tree, 7 * MIB, PAGE, RW, NULL), VMT_OK);
	assert_int_equal(vmt_tree_collapse(tree, 6 * MIB, MIB), 0); // the range does not cover it
	assert_int_equal(vmt_tree_collapse(tree, 6 * MIB, 2 * MIB), 1);
	close_tree();
}

static void marking(void **state)
{
	uint64_t done, tables;
	struct vmt_run run;

	(void)state;
	open_tree(1);
	tables = vmt_tree_tables(tree);
	assert_int_equal(tree_map(GIB, 2 * GIB, DEVICE + GIB, RW, PAGE * SLOTS, NULL), VMT_OK);
	// A guard over a GiB that was full of tables is one entry.
	assert_int_equal(vmt_tree_mark(tree, GIB, GIB, VMT_MARKER_GUARD, 0, &done), VMT_OK);
	assert_int_equal(done, GIB);
	assert_int_equal(vmt_tree_walk(tree, GIB + PAGE, 4 * GIB, &run), VMT_OK);
	assert_int_equal(run.state, VMT_STATE_GUARD);
	assert_int_equal(run.size, GIB);
	expect_nothing(GIB + 5);
	// Cut by another, with everything that it can carry.
	for (unsigned kind = VMT_MARKER_SWAP; kind <= VMT_MARKER_POISON; kind++) {
		uint64_t at = GIB + 4 * MIB + kind * PAGE;

		assert_int_equal(vmt_tree_mark(tree, at, PAGE, kind, VMT_MARKER_PAYLOAD - kind, NULL), VMT_OK);
		assert_int_equal(vmt_tree_walk(tree, at, at + PAGE, &run), VMT_OK);
		assert_int_equal(run.marker, kind);
		assert_int_equal(run.payload, VMT_MARKER_PAYLOAD - kind);
		expect_nothing(at);
	}
	assert_int_equal(vmt_tree_walk(tree, GIB + 8 * MIB, 4 * GIB, &run), VMT_OK);
	assert_int_equal(run.state, VMT_STATE_GUARD);
	assert_int_equal(run.size, 2 * MIB);
	// It counts as something: not overwritten, not collapsed, not folded.
	assert_int_equal(tree_map(GIB, PAGE, DEVICE, RW, 0, &done), VMT_ERR_EXISTS);
	assert_int_equal(vmt_tree_collapse(tree, GIB, GIB), 0);
	assert_int_equal(vmt_tree_check(tree), 0);
	assert_int_equal(vmt_tree_mark(tree, GIB, PAGE, 7, 0, NULL), VMT_ERR_ARGUMENT);
	assert_int_equal(vmt_tree_mark(tree, GIB, PAGE, VMT_MARKER_SWAP, VMT_MARKER_PAYLOAD + 1, NULL), VMT_ERR_ARGUMENT);
	assert_int_equal(vmt_tree_unmap(tree, GIB, 2 * GIB, NULL), VMT_OK);
	assert_int_equal(vmt_tree_tables(tree), tables);
	close_tree();
}

static void harvesting(void **state)
{
	uint64_t bitmap[(4 * MIB / PAGE + 63) / 64] = {0}, large = has_gib() ? GIB : 2 * MIB;
	uint64_t part = has_gib() ? 2 * MIB : PAGE;

	(void)state;
	open_tree(1);
	// The library sets both bits where it maps.
	assert_int_equal(tree_map(2 * MIB, 4 * MIB, DEVICE, RW, PAGE, NULL), VMT_OK);
	assert_int_equal(vmt_tree_protect(tree, 3 * MIB, MIB, VMT_READ, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, 2 * MIB, 4 * MIB, VMT_DIRTY, bitmap), 4 * MIB / PAGE);
	assert_int_equal(vmt_tree_test_and_clear(tree, 2 * MIB, 4 * MIB, VMT_DIRTY | VMT_ACCESSED, bitmap), 0);
	assert_int_equal(bitmap[0], UINT64_MAX);
	// One page is written again, as hardware would say it.
	memset(bitmap, 0, sizeof(bitmap));
	hardware_writes(2 * MIB + 5 * PAGE);
	assert_int_equal(vmt_tree_test_and_clear(tree, 2 * MIB + PAGE, 2 * MIB, VMT_ACCESSED, bitmap), 1);
	assert_int_equal(bitmap[0], 1 << 4);
	assert_int_equal(vmt_tree_test_and_clear(tree, 2 * MIB, 2 * MIB, VMT_ACCESSED, NULL), 0);
	assert_int_equal(vmt_tree_test_and_clear(tree, 2 * MIB, 2 * MIB, VMT_DIRTY, NULL), 1);
	// A large leaf stands for all of its pages in the range.
	assert_int_equal(tree_map(GIB, GIB, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB + MIB, 64 * PAGE, VMT_DIRTY, bitmap), 64);
	assert_int_equal(bitmap[0], UINT64_MAX);
	expect(GIB, DEVICE + GIB, GIB, true);
	// Its bits outlive a cut and a collapse.
	hardware_writes(GIB);
	assert_int_equal(vmt_tree_split(tree, GIB, large, part, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, 2 * part, VMT_DIRTY, NULL), 2 * part / PAGE);
	assert_int_equal(vmt_tree_collapse(tree, GIB, large), 1);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, PAGE, VMT_DIRTY, NULL), 1);
	close_tree();
}

// Walkers of all classes look while two CPUs cut and collapse the same GiB: the translation never changes.
static void churn(struct sim_cpu *cpu, void *arg)
{
	unsigned me = sim_cpu_number(cpu);

	(void)arg;
	for (unsigned i = 0; i < 150; i++) {
		uint64_t addr = GIB + sim_random(cpu) % 4 * 2 * MIB;
		struct vmt_translation translation;
		struct vmt_run run;

		if (me == 0) {
			assert_int_equal(vmt_tree_split(tree, addr, PAGE, PAGE, NULL), VMT_OK);
		} else if (me == 1) {
			vmt_tree_collapse(tree, GIB, GIB);
		} else {
			// Between clear and set there is nothing to be found, and a later look finds it.
			if (vmt_tree_translate(tree, addr + 5, &translation) == VMT_OK)
				assert_int_equal(translation.pa, DEVICE + addr + 5);
			assert_int_equal(vmt_tree_walk(tree, addr, addr + PAGE, &run), VMT_OK);
			assert_int_equal(run.state, VMT_STATE_PRESENT);
			assert_int_equal(run.pa, DEVICE + addr);
		}
		sim_poll(cpu);
	}
}

static void together(void **state)
{
	(void)state;
	open_tree(4);
	assert_int_equal(tree_map(GIB, GIB, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	sim_run_all(machine, churn, NULL);
	vmt_tree_collapse(tree, GIB, GIB);
	expect(GIB, DEVICE + GIB, GIB, true);
	close_tree();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replacing), cmocka_unit_test(splitting), cmocka_unit_test(collapsing),
		cmocka_unit_test(marking), cmocka_unit_test(harvesting), cmocka_unit_test(together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
