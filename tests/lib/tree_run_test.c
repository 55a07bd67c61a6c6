// SPDX-License-Identifier: MIT
// The page-table layer on its own, continued: runs of entries that hardware may keep as one translation, and the kind
// of memory. As tree_test.c, for the formats that have runs.
#include "tree_test.h"

// The two smallest sizes of runs, of leaves of level 0 and, where the format has any, of level 1.
static uint64_t run_size(unsigned level)
{
	uint64_t runs = vmt_tree_leaf_sizes() & ~single_leaves(), size = runs & -runs;

	return level ? runs & ~size : size;
}

static void open_runs(unsigned cpus)
{
	open_tree_with(cpus, vmt_tree_leaf_sizes());
}

static unsigned entries_of(uint64_t size)
{
	return (unsigned)(size / (size < 2 * MIB ? PAGE : 2 * MIB));
}

// What the hardware finds in each entry of a run at `addr`, of leaves of `step` bytes.
static void expect_run(uint64_t addr, uint64_t pa, uint64_t size, bool write)
{
	for (unsigned i = 0; i < entries_of(size); i++) {
		uint64_t offset = i * (size / entries_of(size));

		expect(addr + offset + 5, pa + offset + 5, size, write);
	}
}

static void sizes(void **state)
{
	uint64_t runs = vmt_tree_leaf_sizes() & ~single_leaves();

	(void)state;
	assert_int_not_equal(runs, 0);
	switch (VMT_PAGE_SHIFT) {
	case 12:
		assert_int_equal(runs, UINT64_C(1) << 16 | (TEST_DECODER.break_first ? UINT64_C(1) << 25 : 0));
		break;
	case 14:
		assert_int_equal(runs, UINT64_C(1) << 21 | UINT64_C(1) << 30);
		break;
	default:
		assert_int_equal(runs, UINT64_C(1) << 21 | UINT64_C(1) << 34);
	}
	// What needs no extension is used unless a tree says otherwise.
	open_tree_with(1, 0);
	assert_int_equal(tree_map(2 * MIB, run_size(0), DEVICE, RW, 0, NULL), VMT_OK);
	expect(2 * MIB, DEVICE, TEST_DECODER.break_first ? run_size(0) : PAGE, true);
	close_tree();
	open_tree(1);
	assert_int_equal(tree_map(2 * MIB, run_size(0), DEVICE, RW, 0, NULL), VMT_OK);
	expect(2 * MIB, DEVICE, PAGE, true);
	close_tree();
}

static void installing(void **state)
{
	uint64_t size = run_size(0), large = run_size(1), at = 2 * GIB;

	(void)state;
	open_runs(1);
	// Two runs, with leaves on their own before and behind.
	assert_int_equal(tree_map(size - PAGE, 2 * size + 2 * PAGE, DEVICE + size - PAGE, RW, 0, NULL), VMT_OK);
	expect(size - PAGE, DEVICE + size - PAGE, PAGE, true);
	expect_run(size, DEVICE + size, size, true);
	expect_run(2 * size, DEVICE + 2 * size, size, true);
	expect(3 * size, DEVICE + 3 * size, PAGE, true);
	// Memory that is not aligned alike, a limit, and what is too short.
	assert_int_equal(tree_map(2 * MIB, 2 * size, DEVICE + PAGE, RW, 0, NULL), VMT_OK);
	expect(2 * MIB, DEVICE + PAGE, PAGE, true);
	assert_int_equal(tree_map(4 * MIB, 2 * size, DEVICE, RW, PAGE, NULL), VMT_OK);
	expect(4 * MIB + size, DEVICE + size, PAGE, true);
	assert_int_equal(tree_map(6 * MIB, size - PAGE, DEVICE, RW, 0, NULL), VMT_OK);
	expect(6 * MIB, DEVICE, PAGE, true);
	// Large ones.
	if (large) {
		assert_int_equal(tree_map(at, 2 * large + 2 * MIB, DEVICE, VMT_READ, 0, NULL), VMT_OK);
		expect_run(at, DEVICE, large, false);
		expect_run(at + large, DEVICE + large, large, false);
		expect(at + 2 * large, DEVICE + 2 * large, 2 * MIB, false);
		assert_int_equal(tree_map(at + 3 * large, large, DEVICE, RW, 2 * MIB, NULL), VMT_OK);
		expect(at + 3 * large, DEVICE, 2 * MIB, true);
	}
	close_tree();
}

// An operation on a part of a run breaks it: its entries stand for themselves, and say what they said.
static void cutting_one(uint64_t base, uint64_t size)
{
	uint64_t step = size / entries_of(size), part = base + 3 * step;
	struct vmt_run run;

	assert_int_equal(tree_map(base, 4 * size, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(vmt_tree_unmap(tree, part, step, NULL), VMT_OK);
	for (unsigned i = 0; i < entries_of(size); i++)
		if (i == 3)
			expect_nothing(base + i * step);
		else
			expect(base + i * step, DEVICE + i * step, step, true);
	expect_run(base + size, DEVICE + size, size, true);
	assert_int_equal(vmt_tree_protect(tree, base + size + step, step, VMT_READ, NULL), VMT_OK);
	for (unsigned i = 0; i < entries_of(size); i++)
		expect(base + size + i * step, DEVICE + size + i * step, step, i != 1);
	assert_int_equal(vmt_tree_mark(tree, base + 2 * size, step, VMT_MARKER_SWAP, 7, NULL), VMT_OK);
	expect_nothing(base + 2 * size);
	expect(base + 3 * size - step, DEVICE + 3 * size - step, step, true);
	assert_int_equal(tree_replace(base + 3 * size + step, step, 2 * DEVICE, RW, 0, NULL), VMT_OK);
	expect(base + 3 * size + step, 2 * DEVICE, step, true);
	expect(base + 3 * size, DEVICE + 3 * size, step, true);
	assert_int_equal(vmt_tree_check(tree), 0);
	// The whole of one: it stays a run.
	assert_int_equal(tree_replace(base, 2 * size, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(vmt_tree_protect(tree, base, size, VMT_READ, NULL), VMT_OK);
	expect_run(base, DEVICE, size, false);
	expect_run(base + size, DEVICE + size, size, true);
	assert_int_equal(vmt_tree_walk(tree, base, base + size, &run), VMT_OK);
	assert_int_equal(run.size, size);
	assert_int_equal(vmt_tree_unmap(tree, base, size, NULL), VMT_OK);
	for (unsigned i = 0; i < entries_of(size); i++)
		expect_nothing(base + i * step);
	assert_int_equal(vmt_tree_unmap(tree, base, 4 * size, NULL), VMT_OK);
}

static void cutting(void **state)
{
	(void)state;
	open_runs(1);
	cutting_one(GIB, run_size(0));
	if (run_size(1))
		cutting_one(GIB, run_size(1));
	// A large leaf that is cut leaves runs where they fit.
	assert_int_equal(tree_map(4 * GIB, 2 * MIB, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(vmt_tree_unmap(tree, 4 * GIB, PAGE, NULL), VMT_OK);
	expect(4 * GIB + PAGE, DEVICE + PAGE, PAGE, true);
	expect_run(4 * GIB + run_size(0), DEVICE + run_size(0), run_size(0), true);
	// A page out of a run of large leaves: all three sizes.
	if (run_size(1)) {
		assert_int_equal(tree_map(8 * GIB, run_size(1), DEVICE, RW, 0, NULL), VMT_OK);
		assert_int_equal(vmt_tree_unmap(tree, 8 * GIB, PAGE, NULL), VMT_OK);
		expect(8 * GIB + PAGE, DEVICE + PAGE, PAGE, true);
		expect_run(8 * GIB + run_size(0), DEVICE + run_size(0), run_size(0), true);
		expect(8 * GIB + 2 * MIB, DEVICE + 2 * MIB, 2 * MIB, true);
	}
	close_tree();
}

static void joining_one(uint64_t base, uint64_t size)
{
	uint64_t step = size / entries_of(size);

	assert_int_equal(tree_map(base, 4 * size, DEVICE, RW, step, NULL), VMT_OK);
	expect(base, DEVICE, step, true);
	assert_int_equal(vmt_tree_protect(tree, base + size, step, VMT_READ, NULL), VMT_OK);
	assert_int_equal(vmt_tree_unmap(tree, base + 2 * size, step, NULL), VMT_OK);
	assert_int_equal(vmt_tree_collapse(tree, base, 4 * size - step), 1); // the last one is not covered
	expect_run(base, DEVICE, size, true);
	expect(base + size, DEVICE + size, step, false);
	expect(base + 3 * size - step, DEVICE + 3 * size - step, step, true);
	expect(base + 3 * size, DEVICE + 3 * size, step, true);
	assert_int_equal(vmt_tree_collapse(tree, base, 4 * size), 1);
	expect_run(base + 3 * size, DEVICE + 3 * size, size, true);
	assert_int_equal(vmt_tree_collapse(tree, base, 4 * size), 0);
	assert_int_equal(vmt_tree_split(tree, base + step, step, step, NULL), VMT_OK);
	expect(base, DEVICE, step, true);
	assert_int_equal(vmt_tree_check(tree), 0);
	assert_int_equal(vmt_tree_unmap(tree, base, 4 * size, NULL), VMT_OK);
}

static void joining(void **state)
{
	(void)state;
	open_runs(1);
	joining_one(GIB, run_size(0));
	if (run_size(1))
		joining_one(GIB, run_size(1));
	// A whole table goes on to be a leaf.
	assert_int_equal(tree_map(GIB, 2 * MIB, DEVICE, RW, PAGE, NULL), VMT_OK);
	assert_true(vmt_tree_collapse(tree, GIB, 2 * MIB) >= 1);
	expect(GIB, DEVICE, 2 * MIB, true);
	close_tree();
}

// Hardware marks any entry of a run: that is the run's mark, through all that happens to it.
static void marks(void **state)
{
	uint64_t size = run_size(0), pages = size / PAGE;

	(void)state;
	open_runs(1);
	assert_int_equal(tree_map(GIB, 4 * size, DEVICE, RW, 0, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, 4 * size, VMT_DIRTY, NULL), 4 * pages);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, 4 * size, VMT_DIRTY | VMT_ACCESSED, NULL), 0);
	for (unsigned i = 0; i < pages; i++) {
		hardware_writes(GIB + size + i * PAGE);
		assert_int_equal(vmt_tree_test_and_clear(tree, GIB + size, PAGE, VMT_DIRTY, NULL), 1);
		assert_int_equal(vmt_tree_test_and_clear(tree, GIB, 4 * size, VMT_DIRTY, NULL), 0);
	}
	expect_run(GIB + size, DEVICE + size, size, true);
	// Through a loss of permission, a cut, and back.
	hardware_writes(GIB + 5 * PAGE);
	assert_int_equal(vmt_tree_protect(tree, GIB, size, VMT_READ, NULL), VMT_OK);
	assert_int_equal(vmt_tree_protect(tree, GIB, size, RW, NULL), VMT_OK);
	assert_int_equal(vmt_tree_split(tree, GIB, size, PAGE, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, 3 * PAGE, VMT_DIRTY, NULL), 3);
	assert_int_equal(vmt_tree_collapse(tree, GIB, size), 1);
	expect_run(GIB, DEVICE, size, true);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, PAGE, VMT_DIRTY, NULL), 1);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB, size, VMT_DIRTY, NULL), 0);
	// Through the unmapping of a part.
	hardware_writes(GIB + 2 * size + 2 * PAGE);
	assert_int_equal(vmt_tree_unmap(tree, GIB + 2 * size + 2 * PAGE, PAGE, NULL), VMT_OK);
	assert_int_equal(vmt_tree_test_and_clear(tree, GIB + 2 * size, size, VMT_DIRTY, NULL), pages - 1);
	close_tree();
}

static void expect_kind(uint64_t addr, enum vmt_memory memory)
{
	static const enum sim_memory hardware_memory[] = {
		[VMT_MEMORY_NORMAL] = SIM_MEMORY_NORMAL,
		[VMT_MEMORY_NONCACHED] = SIM_MEMORY_NONCACHED,
		[VMT_MEMORY_DEVICE] = SIM_MEMORY_DEVICE,
	};
	struct sim_entry entry;
	unsigned level, may;

	hardware_way(addr, &entry, &level, &may);
	assert_int_equal(entry.kind, SIM_ENTRY_LEAF);
	assert_int_equal(entry.memory, hardware_memory[memory]);
}

// The kind of memory stays what it is through changes, and leaves of two kinds are not joined.
static void memory_kinds(void **state)
{
	uint64_t size = run_size(0);

	(void)state;
	open_runs(1);
	for (enum vmt_memory memory = VMT_MEMORY_NORMAL; memory <= VMT_MEMORY_DEVICE; memory++) {
		struct vmt_tree_map map = {
			.addr = (1 + memory) * GIB, .length = 2 * MIB, .pa = DEVICE, .prot = RW, .memory = memory,
		};

		assert_int_equal(vmt_tree_map(tree, &map, NULL), VMT_OK);
		expect_kind(map.addr, memory);
		assert_int_equal(vmt_tree_protect(tree, map.addr, size, VMT_READ, NULL), VMT_OK);
		expect_kind(map.addr, memory);
		expect_kind(map.addr + size, memory);
		expect_run(map.addr, DEVICE, size, false);
		assert_int_equal(vmt_tree_unmap(tree, map.addr + PAGE, PAGE, NULL), VMT_OK);
		expect_kind(map.addr + 2 * PAGE, memory);
		map.addr += PAGE, map.pa += PAGE, map.length = PAGE, map.prot = VMT_READ;
		map.memory = (memory + 1) % 3;
		assert_int_equal(vmt_tree_map(tree, &map, NULL), VMT_OK);
		assert_int_equal(vmt_tree_collapse(tree, map.addr - PAGE, size), 0);
		map.memory = memory;
		assert_int_equal(vmt_tree_replace(tree, &map, NULL), VMT_OK);
		assert_int_equal(vmt_tree_collapse(tree, map.addr - PAGE, size), 1);
		expect_kind(map.addr, memory);
		expect_run(map.addr - PAGE, DEVICE, size, false);
	}
	close_tree();
}

// Neighbours in memory, across each bit of the address, in the middle of a table: some are no neighbours in the bits of
// an entry.
static void far_memory(void **state)
{
	unsigned bits = TEST_DECODER.va_bits == 52 ? 52 : 46;

	(void)state;
	open_runs(1);
	for (unsigned bit = VMT_PAGE_SHIFT + INDEX_BITS; bit < bits; bit++) {
		uint64_t pa = (UINT64_C(1) << bit) - MIB, at = GIB - 2 * MIB;

		assert_int_equal(tree_map(at, 4 * MIB, pa, RW, run_size(0), NULL), VMT_OK);
		for (uint64_t offset = 0; offset < 4 * MIB; offset += 37 * PAGE)
			expect(at + offset, pa + offset, run_size(0), true);
		expect(at + 2 * MIB, pa + 2 * MIB, run_size(0), true);
		assert_int_equal(vmt_tree_split(tree, at, 4 * MIB, PAGE, NULL), VMT_OK);
		expect(at + 2 * MIB, pa + 2 * MIB, PAGE, true);
		expect(at + 4 * MIB - PAGE, pa + 4 * MIB - PAGE, PAGE, true);
		assert_int_equal(vmt_tree_unmap(tree, 0, 2 * GIB, NULL), VMT_OK);
	}
	close_tree();
}

// Walkers look while two CPUs cut and join the same runs: the translation never changes.
static void churn(struct sim_cpu *cpu, void *arg)
{
	unsigned me = sim_cpu_number(cpu);
	uint64_t size = run_size(0);

	(void)arg;
	for (unsigned i = 0; i < 300; i++) {
		uint64_t addr = GIB + sim_random(cpu) % (4 * size / PAGE) * PAGE;
		struct vmt_translation translation;

		if (me == 0)
			assert_int_equal(vmt_tree_split(tree, addr, PAGE, PAGE, NULL), VMT_OK);
		else if (me == 1)
			vmt_tree_collapse(tree, GIB, 4 * size);
		else if (me == 2)
			assert_int_equal(vmt_tree_protect(tree, addr, PAGE, i & 1 ? RW : VMT_READ, NULL), VMT_OK);
		else if (vmt_tree_translate(tree, addr + 5, &translation) == VMT_OK)
			assert_int_equal(translation.pa, DEVICE + addr + 5);
		sim_poll(cpu);
	}
}

static void together(void **state)
{
	uint64_t size = run_size(0);

	(void)state;
	open_runs(4);
	assert_int_equal(tree_map(GIB, 4 * size, DEVICE + GIB, RW, 0, NULL), VMT_OK);
	sim_run_all(machine, churn, NULL);
	assert_int_equal(vmt_tree_protect(tree, GIB, 4 * size, RW, NULL), VMT_OK);
	vmt_tree_collapse(tree, GIB, 4 * size);
	for (unsigned i = 0; i < 4; i++)
		expect_run(GIB + i * size, DEVICE + GIB + i * size, size, true);
	close_tree();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes), cmocka_unit_test(installing), cmocka_unit_test(cutting),
		cmocka_unit_test(joining), cmocka_unit_test(marks), cmocka_unit_test(memory_kinds),
		cmocka_unit_test(far_memory), cmocka_unit_test(together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
