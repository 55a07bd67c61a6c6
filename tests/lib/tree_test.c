// SPDX-License-Identifier: MIT
// The page-table layer on its own (vmtree/tree.h), compiled once for each format. What it builds is read back by the
// simulated machine's decoder, which shares nothing with the library, and compared with a flat model.
#include "tree_test.h"

static void leaf_sizes(void **state)
{
	uint64_t done;

	(void)state;
	open_tree(1);
	// 4 KiB, 2 MiB, 1 GiB and down again, by alignment.
	assert_int_equal(tree_map(GIB - 2 * MIB - PAGE, 2 * GIB, DEVICE + GIB - 2 * MIB - PAGE, RW, 0, &done), VMT_OK);
	assert_int_equal(done, 2 * GIB);
	expect(GIB - 2 * MIB - PAGE, DEVICE + GIB - 2 * MIB - PAGE, PAGE, true);
	expect(GIB - 2 * MIB + 5 * PAGE, DEVICE + GIB - 2 * MIB + 5 * PAGE, 2 * MIB, true);
	expect(GIB + 7, DEVICE + GIB + 7, GIB, true);
	expect(2 * GIB, DEVICE + 2 * GIB, 2 * MIB, true);
	expect(3 * GIB - 2 * MIB - 2 * PAGE, DEVICE + 3 * GIB - 2 * MIB - 2 * PAGE, PAGE, true);
	expect_nothing(GIB - 2 * MIB - 2 * PAGE);
	expect_nothing(3 * GIB - 2 * MIB - PAGE);
	// Told not to use large ones, or unable to.
	assert_int_equal(tree_map(8 * GIB, 4 * MIB, DEVICE, VMT_READ, PAGE, NULL), VMT_OK);
	expect(8 * GIB, DEVICE, PAGE, false);
	assert_int_equal(tree_map(9 * GIB, 4 * MIB, DEVICE + PAGE, RW, 0, NULL), VMT_OK);
	expect(9 * GIB + MIB, DEVICE + PAGE + MIB, PAGE, true);
	assert_int_equal(tree_map(16 * GIB, GIB, DEVICE + GIB, RW, 2 * MIB, NULL), VMT_OK);
	expect(16 * GIB + 3, DEVICE + GIB + 3, 2 * MIB, true);
	close_tree();
}

static void cutting(void **state)
{
	uint64_t done, tables;

	(void)state;
	open_tree(1);
	tables = vmt_tree_tables(tree);
	assert_int_equal(tree_map(GIB, GIB, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	// One page out of a GiB: 511 leaves of 2 MiB and 511 of 4 KiB are left.
	assert_int_equal(vmt_tree_unmap(tree, GIB + 6 * MIB + 3 * PAGE, PAGE, &done), VMT_OK);
	assert_int_equal(done, PAGE);
	expect_nothing(GIB + 6 * MIB + 3 * PAGE);
	expect(GIB + 6 * MIB + 2 * PAGE, DEVICE + GIB + 6 * MIB + 2 * PAGE, PAGE, true);
	expect(GIB + 8 * MIB, DEVICE + GIB + 8 * MIB, 2 * MIB, true);
	assert_int_equal(vmt_tree_tables(tree), tables + TEST_DECODER.levels - 1);
	// A part of a leaf with other permissions.
	assert_int_equal(vmt_tree_protect(tree, GIB + 9 * MIB, MIB, VMT_READ, &done), VMT_OK);
	expect(GIB + 8 * MIB, DEVICE + GIB + 8 * MIB, PAGE, true);
	expect(GIB + 9 * MIB, DEVICE + GIB + 9 * MIB, PAGE, false);
	expect(GIB + 10 * MIB, DEVICE + GIB + 10 * MIB, 2 * MIB, true);
	assert_int_equal(vmt_tree_check(tree), 0);
	assert_int_equal(vmt_tree_unmap(tree, 0, 4 * GIB, &done), VMT_OK);
	assert_int_equal(done, 4 * GIB);
	assert_int_equal(vmt_tree_tables(tree), tables);
	close_tree();
}

static void refusals(void **state)
{
	uint64_t done = 1, tables;

	(void)state;
	open_tree(1);
	assert_int_equal(tree_map(1, PAGE, 0, RW, 0, &done), VMT_ERR_UNALIGNED);
	assert_int_equal(done, 0);
	assert_int_equal(tree_map(PAGE, PAGE, 5, RW, 0, NULL), VMT_ERR_UNALIGNED);
	assert_int_equal(tree_map(PAGE, 0, 0, RW, 0, NULL), VMT_ERR_EMPTY);
	assert_int_equal(tree_map(UINT64_MAX - PAGE + 1, 2 * PAGE, 0, RW, 0, NULL), VMT_ERR_WRAPPED);
	assert_int_equal(tree_map(PAGE, PAGE * 2, UINT64_MAX - PAGE + 1, RW, 0, NULL), VMT_ERR_WRAPPED);
	assert_int_equal(tree_map(TREE_END, PAGE, 0, RW, 0, NULL), VMT_ERR_OUTSIDE);
	assert_int_equal(tree_map(PAGE, PAGE, 0, 0, 0, NULL), VMT_ERR_ARGUMENT);
	assert_int_equal(tree_map(PAGE, PAGE, 0, 8, 0, NULL), VMT_ERR_ARGUMENT);
	assert_int_equal(tree_map(PAGE, PAGE, 0, RW, 7, NULL), VMT_ERR_SIZE);
	assert_int_equal(vmt_tree_unmap(tree, PAGE, 0, NULL), VMT_ERR_EMPTY);
	assert_int_equal(vmt_tree_protect(tree, PAGE, PAGE, 0, NULL), VMT_ERR_ARGUMENT);
	assert_int_equal(vmt_tree_tables(tree), 1);
	// What is there is never overwritten, and the report is exact.
	assert_int_equal(tree_map(2 * MIB + 5 * PAGE, PAGE, DEVICE, RW, 0, NULL), VMT_OK);
	tables = vmt_tree_tables(tree);
	assert_int_equal(tree_map(2 * MIB, 4 * MIB, 2 * DEVICE, RW, 0, &done), VMT_ERR_EXISTS);
	assert_int_equal(done, 5 * PAGE);
	expect(2 * MIB + 4 * PAGE, 2 * DEVICE + 4 * PAGE, PAGE, true);
	expect(2 * MIB + 5 * PAGE, DEVICE, PAGE, true);
	expect_nothing(2 * MIB + 6 * PAGE);
	assert_int_equal(vmt_tree_tables(tree), tables);
	assert_int_equal(tree_map(4 * MIB, 2 * MIB, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(tree_map(5 * MIB, PAGE, DEVICE, RW, 0, &done), VMT_ERR_EXISTS);
	assert_int_equal(done, 0);
	close_tree();
}

static void memory_runs_out(void **state)
{
	uint64_t done, tables;

	(void)state;
	open_tree(1);
	assert_int_equal(tree_map(GIB, GIB, DEVICE, RW, 0, NULL), VMT_OK);
	tables = vmt_tree_tables(tree);
	for (uint64_t n = 1;; n++) {
		enum vmt_status status;

		sim_fail_nth(machine, SIM_FAIL_FRAME | SIM_FAIL_MEM, n, UINT64_MAX - n);
		status = tree_map(4 * GIB - 4 * MIB, 8 * MIB, 2 * DEVICE, RW, PAGE, &done);
		sim_fail_nth(machine, 0, 0, 0);
		assert_int_equal(vmt_tree_check(tree), 0);
		for (uint64_t at = 0; at < 8 * MIB; at += 64 * PAGE)
			if (at < done)
				expect(4 * GIB - 4 * MIB + at, 2 * DEVICE + at, PAGE, true);
			else
				expect_nothing(4 * GIB - 4 * MIB + at);
		assert_int_equal(vmt_tree_unmap(tree, 4 * GIB - 4 * MIB, 8 * MIB, NULL), VMT_OK);
		if (status == VMT_OK)
			break;
		assert_int_equal(status, VMT_ERR_NO_MEMORY);
		assert_true(n < 100);
	}
	// A cut that cannot be made changes nothing.
	sim_fail_nth(machine, SIM_FAIL_FRAME, 1, UINT64_MAX - 1);
	assert_int_equal(vmt_tree_unmap(tree, GIB + PAGE, PAGE, &done), VMT_ERR_NO_MEMORY);
	sim_fail_nth(machine, 0, 0, 0);
	assert_int_equal(done, 0);
	expect(GIB + PAGE, DEVICE + PAGE, GIB, true);
	assert_int_equal(vmt_tree_unmap(tree, 4 * GIB, PAGE, NULL), VMT_OK);
	assert_true(vmt_tree_tables(tree) <= tables + 2); // one emptied chain is kept
	close_tree();
}

// ---- At random, against a flat model -----------------------------------------------------------------------------

#define WINDOW (24 * MIB)
#define BASE   (2 * GIB - WINDOW / 2) // across the border of upper tables

static struct {
	uint64_t pa;
	vmt_prot prot; // 0: nothing
} model[WINDOW / PAGE];

static void compare_model(void)
{
	for (unsigned i = 0; i < WINDOW / PAGE; i += 1 + i % 3) {
		uint64_t pa, size;
		unsigned may;
		bool there = hardware(BASE + i * PAGE, &pa, &size, &may);

		assert_int_equal(there, model[i].prot != 0);
		if (there) {
			assert_int_equal(pa, model[i].pa);
			assert_int_equal(!!(may & SIM_MAY_WRITE), !!(model[i].prot & VMT_WRITE));
		}
	}
}

static void random_step(struct sim_cpu *cpu)
{
	uint64_t pages = WINDOW / PAGE, unit = sim_random(cpu) % 3 ? 1 : SLOTS;
	uint64_t first = sim_random(cpu) % pages / unit * unit, count = (1 + sim_random(cpu) % (3 * unit)) * unit, done;
	vmt_prot prot = sim_random(cpu) % 2 ? RW : VMT_READ;
	uint64_t pa = 3 * DEVICE + first * PAGE + (sim_random(cpu) % 4 ? 0 : PAGE);

	if (first + count > pages)
		count = pages - first;
	switch (sim_random(cpu) % 3) {
	case 0:
		if (tree_map(BASE + first * PAGE, count * PAGE, pa, prot, 0, &done) != VMT_OK)
			assert_true(model[first + done / PAGE].prot != 0);
		for (uint64_t i = 0; i < done / PAGE; i++) {
			assert_int_equal(model[first + i].prot, 0);
			model[first + i].pa = pa + i * PAGE;
			model[first + i].prot = prot;
		}
		break;
	case 1:
		assert_int_equal(vmt_tree_unmap(tree, BASE + first * PAGE, count * PAGE, NULL), VMT_OK);
		for (uint64_t i = 0; i < count; i++)
			model[first + i].prot = 0;
		break;
	default:
		assert_int_equal(vmt_tree_protect(tree, BASE + first * PAGE, count * PAGE, prot, NULL), VMT_OK);
		for (uint64_t i = 0; i < count; i++)
			if (model[first + i].prot)
				model[first + i].prot = prot;
	}
}

static void at_random_with(uint64_t leaf_sizes)
{
	open_tree_with(1, leaf_sizes);
	memset(model, 0, sizeof(model));
	for (unsigned i = 0; i < 600; i++) {
		random_step(sim_self());
		if (i % 8 == 0) {
			compare_model();
			assert_int_equal(vmt_tree_check(tree), 0);
		}
	}
	assert_int_equal(vmt_tree_unmap(tree, 0, TREE_END, NULL), VMT_OK);
	assert_int_equal(vmt_tree_tables(tree), 1);
	close_tree();
}

static void at_random(void **state)
{
	(void)state;
	at_random_with(single_leaves());
	if (vmt_tree_leaf_sizes() != single_leaves())
		at_random_with(vmt_tree_leaf_sizes());
}

// ---- Several CPUs ------------------------------------------------------------------------------------------------

// Each CPU works on every fourth page of the same tables, and now and then on a large leaf of its own.
static void neighbours(struct sim_cpu *cpu, void *arg)
{
	unsigned me = sim_cpu_number(cpu);
	uint64_t big = 8 * GIB + me * GIB;

	(void)arg;
	for (unsigned i = 0; i < 400; i++) {
		uint64_t addr = 2 * GIB + (sim_random(cpu) % 1024 / 4 * 4 + me) * PAGE, done;
		struct vmt_translation translation;

		assert_int_equal(tree_map(addr, PAGE, DEVICE + addr, RW, 0, &done), VMT_OK);
		assert_int_equal(vmt_tree_translate(tree, addr, &translation), VMT_OK);
		assert_int_equal(translation.pa, DEVICE + addr);
		assert_int_equal(vmt_tree_protect(tree, addr, PAGE, VMT_READ, NULL), VMT_OK);
		assert_int_equal(vmt_tree_unmap(tree, addr, PAGE, NULL), VMT_OK);
		assert_int_equal(vmt_tree_translate(tree, addr, &translation), VMT_ERR_NOT_PRESENT);
		if (i % 16 == 0) {
			assert_int_equal(tree_map(big, 4 * MIB, DEVICE, RW, 0, NULL), VMT_OK);
			assert_int_equal(vmt_tree_unmap(tree, big + PAGE, 2 * PAGE, NULL), VMT_OK);
			assert_int_equal(vmt_tree_unmap(tree, big, 4 * MIB, NULL), VMT_OK);
		}
		sim_poll(cpu);
	}
}

// All CPUs fight for the same pages: one installs, the others are told that something is there.
static void rivals(struct sim_cpu *cpu, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 400; i++) {
		uint64_t addr = 4 * GIB - 2 * PAGE + sim_random(cpu) % 4 * PAGE, done;
		enum vmt_status status = tree_map(addr, 2 * PAGE, 2 * DEVICE + addr, RW, 0, &done);
		struct vmt_translation translation;

		if (status != VMT_OK)
			assert_int_equal(status, VMT_ERR_EXISTS);
		if (vmt_tree_translate(tree, addr, &translation) == VMT_OK)
			assert_int_equal(translation.pa, 2 * DEVICE + addr);
		assert_int_equal(vmt_tree_unmap(tree, addr, PAGE, NULL), VMT_OK);
		sim_poll(cpu);
	}
}

static void together(void **state)
{
	(void)state;
	open_tree(4);
	sim_run_all(machine, neighbours, NULL);
	assert_int_equal(vmt_tree_check(tree), 0);
	sim_run_all(machine, rivals, NULL);
	assert_int_equal(vmt_tree_check(tree), 0);
	assert_int_equal(vmt_tree_unmap(tree, 0, TREE_END, NULL), VMT_OK);
	assert_int_equal(vmt_tree_tables(tree), 1);
	close_tree();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaf_sizes), cmocka_unit_test(cutting), cmocka_unit_test(refusals),
		cmocka_unit_test(memory_runs_out), cmocka_unit_test(at_random), cmocka_unit_test(together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
