// SPDX-License-Identifier: MIT
// Cases for protections of the page-table layer on its own. Who walks such a tree is not known to the simulated
// machine, so a walker stands here that has one address cached: it loads what the decoder finds as soon as it is there,
// and keeps it until a flush covers it.
#include "../lib/tree_test.h"
#include "race.h"

#define LEAF (8 * MIB)

static struct {
	bool any;
	uint64_t va, pa, size;
} cached;

static void walker_loads(void)
{
	uint64_t pa, size;
	unsigned may;

	if (!hardware(cached.va, &pa, &size, &may))
		return;
	demand(!cached.any || (pa == cached.pa && size == cached.size), "two translations of one address at once");
	cached.any = true;
	cached.pa = pa;
	cached.size = size;
}

static void walker_flushes(const struct vmt_flush *flush)
{
	if (flush->all)
		cached.any = false;
	for (unsigned i = 0; i < flush->count; i++)
		if (cached.va >= flush->ranges[i].start && cached.va < flush->ranges[i].end)
			cached.any = false;
}

// A tree with 2 MiB at LEAF, which the walker has cached.
static void begin_with(uint64_t leaf_sizes, uint64_t leaf_max)
{
	open_tree_with(2, leaf_sizes);
	assert_int_equal(tree_map(LEAF, 2 * MIB, DEVICE, RW, leaf_max, NULL), VMT_OK);
	cached.va = LEAF;
	cached.any = false;
	walker_loads();
	race_on_publish = walker_loads;
	race_on_flush = walker_flushes;
}

static void begin(uint64_t leaf_max)
{
	begin_with(single_leaves(), leaf_max);
}

static void end(void)
{
	race_on_publish = NULL;
	race_on_flush = NULL;
	close_tree();
}

static void split(uint64_t seed)
{
	(void)seed;
	begin(0);
	assert_int_equal(vmt_tree_unmap(tree, LEAF + PAGE, PAGE, NULL), VMT_OK);
	end();
}

static void collapse(uint64_t seed)
{
	(void)seed;
	begin(PAGE);
	assert_int_equal(vmt_tree_collapse(tree, LEAF, 2 * MIB), 1);
	end();
}

// Runs are taken apart and joined, in a format that has any.
static void run(uint64_t seed)
{
	uint64_t runs = vmt_tree_leaf_sizes() & ~single_leaves();

	(void)seed;
	for (unsigned joined = 0; runs && joined < 2; joined++) {
		begin_with(single_leaves() | runs, joined ? PAGE : runs & -runs);
		if (joined)
			assert_int_equal(vmt_tree_collapse(tree, LEAF, runs & -runs), 1);
		else
			assert_int_equal(vmt_tree_unmap(tree, LEAF + PAGE, PAGE, NULL), VMT_OK);
		end();
	}
}

static void replace(uint64_t seed)
{
	(void)seed;
	begin(0);
	assert_int_equal(tree_replace(LEAF, 2 * MIB, 2 * DEVICE, RW, 0, NULL), VMT_OK);
	end();
}

static void unmap(uint64_t seed)
{
	(void)seed;
	begin(PAGE);
	assert_int_equal(vmt_tree_unmap(tree, LEAF, PAGE, NULL), VMT_OK);
	demand(!cached.any, "what was unmapped is still cached");
	end();
}

static void protect(uint64_t seed)
{
	(void)seed;
	begin(PAGE);
	race_on_publish = NULL;
	assert_int_equal(vmt_tree_protect(tree, LEAF, PAGE, VMT_READ, NULL), VMT_OK);
	demand(!cached.any, "what may not be written any more is still cached");
	end();
}

static void harvest(uint64_t seed)
{
	(void)seed;
	begin(PAGE);
	race_on_publish = NULL;
	assert_int_equal(vmt_tree_test_and_clear(tree, LEAF, PAGE, VMT_DIRTY, NULL), 1);
	demand(!cached.any, "a page is still cached as dirty");
	end();
}

static void split_leaf(struct sim_cpu *cpu)
{
	(void)cpu;
	assert_int_equal(vmt_tree_split(tree, LEAF, 2 * MIB, PAGE, NULL), VMT_OK);
}

static void write_leaf(struct sim_cpu *cpu)
{
	(void)cpu;
	hardware_writes(LEAF);
}

// The hardware writes the leaf when the split has read it: the fourth node looked for is that of the new table, after
// those of the walk that finds the leaf, of the one that finds memory short, and of the one that has it.
static void split_written(uint64_t seed)
{
	(void)seed;
	begin(0);
	race_on_publish = NULL;
	vmt_tree_test_and_clear(tree, LEAF, 2 * MIB, VMT_DIRTY, NULL);
	race_run(&(struct race){.place = AT_META, .skip = 3, .first = split_leaf, .between = write_leaf});
	demand(vmt_tree_test_and_clear(tree, LEAF, 2 * MIB, VMT_DIRTY, NULL) == 512, "a split has lost a dirty bit");
	end();
}

// ---- A marker in a table that becomes a leaf ---------------------------------------------------------------------

static void collapse_leaf(struct sim_cpu *cpu)
{
	(void)cpu;
	vmt_tree_collapse(tree, LEAF, 2 * MIB);
}

static void mark_page(struct sim_cpu *cpu)
{
	(void)cpu;
	assert_int_equal(vmt_tree_mark(tree, LEAF + PAGE, PAGE, VMT_MARKER_GUARD, 0, NULL), VMT_OK);
}

// The marker comes when the table is about to be locked: by then its node was looked for by two walks, and to see
// whether it is full.
static void collapse_marked(uint64_t seed)
{
	struct vmt_run run;

	(void)seed;
	begin(PAGE);
	race_on_publish = NULL;
	race_run(&(struct race){.place = AT_META, .skip = 3, .first = collapse_leaf, .between = mark_page});
	assert_int_equal(vmt_tree_walk(tree, LEAF + PAGE, LEAF + 2 * PAGE, &run), VMT_OK);
	demand(run.state == VMT_STATE_GUARD, "a marker went with the table that it was in");
	end();
}

// ---- A table that was detached -----------------------------------------------------------------------------------

// A detached node keeps its frame's address where its base was. The upper table of this GiB still seems to cover the
// leaf then, for RAM begins at the same number.
#define LOW  SIM_RAM_BASE
#define PLACE (LOW + 600 * MIB)

static void map_page(struct sim_cpu *cpu)
{
	struct vmt_translation translation;

	(void)cpu;
	assert_int_equal(tree_map(PLACE, 2 * MIB, DEVICE, RW, 0, NULL), VMT_OK);
	demand(vmt_tree_translate(tree, PLACE, &translation) == VMT_OK, "what was mapped is not there");
}

static void unmap_below(struct sim_cpu *cpu)
{
	(void)cpu;
	assert_int_equal(vmt_tree_unmap(tree, LOW, 2 * GIB, NULL), VMT_OK);
}

static void detached(uint64_t seed)
{
	(void)seed;
	open_tree(2);
	assert_int_equal(tree_map(LOW, 2 * MIB, DEVICE, RW, 0, NULL), VMT_OK);
	race_run(&(struct race){.place = AT_META, .first = map_page, .between = unmap_below});
	close_tree();
}

const struct protection_case tree_cases[] = {
	{"tree-split", split},
	{"tree-collapse", collapse},
	{"tree-run", run},
	{"tree-replace", replace},
	{"tree-unmap", unmap},
	{"tree-protect", protect},
	{"tree-harvest", harvest},
	{"tree-split-written", split_written},
	{"tree-detached", detached},
	{"D3-collapse-and-mark", collapse_marked},
};

const unsigned tree_case_count = sizeof(tree_cases) / sizeof(*tree_cases);
