// SPDX-License-Identifier: MIT
// What an operation over a large uniform range costs: what its edges cost, as they do of a small range, and an entry or
// two for each large leaf in between. Counted in entries and nodes, not in time.
#include "tree_test.h"
#include "costs.h"

#define SMALL 4	 // leaves, the first and the last of them cut
#define BASE  (8 * GIB)

// The largest leaf of one entry, up to that of level 2; and so many of them that the addresses hold.
static uint64_t leaf(void)
{
	return has_gib() ? GIB : 2 * MIB;
}

static unsigned many(void)
{
	return (TEST_DECODER.levels == 3 && PAGE == 4096) || PAGE == 65536 ? 128 : 512;
}

struct bill {
	struct costs map, protect, walk, unmap, mark, unmark;
};

// The range [BASE + PAGE, BASE + n leaves - PAGE), in a tree of its own.
static void bill_of(struct bill *bill, unsigned n)
{
	uint64_t addr = BASE + PAGE, length = n * leaf() - 2 * PAGE, whole = n * leaf(), runs = 0;
	struct vmt_tree_config config = {.end = BASE + 2 * 512 * leaf(), .owner = &machine, .cpus = 2, .user = true,
					 .leaf_sizes = single_leaves()};
	struct vmt_run run;

	if (config.end > sim_format_end(TEST_MACHINE))
		config.end = sim_format_end(TEST_MACHINE);
	machine = sim_machine_create(&(struct sim_config){.ops = sim_ops(TEST_MACHINE), .cpus = 2, .seed = 1,
							  .frames = 4096 * (PAGE / SIM_FRAME_SIZE)});
	assert_int_equal(vmt_tree_create(sim_port(machine), &config, &tree), VMT_OK);
	costs_take();
	assert_int_equal(tree_map(BASE, whole, leaf(), RW, 0, NULL), VMT_OK);
	bill->map = costs_take();
	assert_int_equal(vmt_tree_protect(tree, addr, length, VMT_READ, NULL), VMT_OK);
	bill->protect = costs_take();
	VMT_TREE_FOR_EACH_RUN(tree, BASE, BASE + whole, &run)
		runs++;
	bill->walk = costs_take();
	assert_in_range(runs, 3, 16); // nothing but the edges differs
	expect(BASE + leaf(), 2 * leaf(), leaf(), false);
	expect(BASE, leaf(), PAGE, true);
	assert_int_equal(vmt_tree_unmap(tree, addr, length, NULL), VMT_OK);
	bill->unmap = costs_take();
	expect_nothing(BASE + leaf());
	assert_int_equal(vmt_tree_mark(tree, addr, length, VMT_MARKER_OWN, 1, NULL), VMT_OK);
	bill->mark = costs_take();
	assert_int_equal(vmt_tree_unmap(tree, addr, length, NULL), VMT_OK);
	bill->unmark = costs_take();
	close_tree();
}

static void compare(const char *what, const struct costs *small, const struct costs *large, uint64_t per_leaf)
{
	uint64_t more = many() - SMALL;

	// One more table may lie on the way, or a border between two.
	if (large->entries > small->entries + per_leaf * more + 4 || large->nodes > small->nodes + 16 ||
	    large->ranges > small->ranges + 4 || large->frames > small->frames + 4)
		fail_msg("%s: a small range takes %llu entries, %llu nodes, %llu ranges, %llu frames, one of %u leaves %llu, "
			 "%llu, %llu, %llu", what,
			 (unsigned long long)small->entries, (unsigned long long)small->nodes,
			 (unsigned long long)small->ranges, (unsigned long long)small->frames, many(),
			 (unsigned long long)large->entries, (unsigned long long)large->nodes,
			 (unsigned long long)large->ranges, (unsigned long long)large->frames);
}

static void large_ranges(void **state)
{
	struct bill small, large;

	(void)state;
	bill_of(&small, SMALL);
	bill_of(&large, many());
	compare("map", &small.map, &large.map, 1);
	compare("protect", &small.protect, &large.protect, 1);
	compare("walk", &small.walk, &large.walk, 0);
	compare("unmap", &small.unmap, &large.unmap, 1);
	compare("mark", &small.mark, &large.mark, 1);
	compare("unmap of markers", &small.unmark, &large.unmark, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(large_ranges)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
