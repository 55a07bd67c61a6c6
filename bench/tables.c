// SPDX-License-Identifier: MIT
// The page-table layer alone: nanoseconds of map and unmap, one thread, no contention, locks and counts included, 4 KiB
// leaves unless the row says otherwise. The best of several rounds, for machines are shared.
//
// A port that does nothing stands in for preemption, read-side sections and the flush, as generic_pt's own benchmark
// does for its caller's locks and its IOTLB; grace periods end at once, for there is no other thread.
#define VMT_FORMAT x86_64_4
#include "bench_port.h"
#include "native.h"
#include <vmtree/port.h>
#include <vmtree/tree.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static struct vmt_tree *tree;
static unsigned rounds = 60;

static const char usage[] =
	"usage: bench_tables [--rounds N]\n"
	"\n"
	"What map, unmap and a look-up cost in the page-table layer alone, in nanoseconds, the\n"
	"best of N rounds (60).\n";

static const struct native_option options[] = {{"--rounds", &rounds, 1, 1000000, NULL}};

static void map(uint64_t addr, uint64_t length, uint64_t leaf)
{
	struct vmt_tree_map request = {
		.addr = addr, .length = length, .pa = addr & (64 * GIB - 1), .prot = VMT_READ | VMT_WRITE,
		.leaf_max = leaf,
	};

	must(vmt_tree_map(tree, &request, NULL));
}

static void unmap(uint64_t addr, uint64_t length)
{
	must(vmt_tree_unmap(tree, addr, length, NULL));
}

// Maps and unmaps the same range `times` times, `rounds` rounds; prints the best of each, divided by `units`.
static void row(const char *name, uint64_t addr, uint64_t length, uint64_t leaf, unsigned times, double units)
{
	double best_map = 1e18, best_unmap = 1e18;

	for (unsigned round = 0; round < rounds; round++) {
		double mapping = 0, unmapping = 0;

		// Clock readings cost more than one operation: batches of disjoint ranges where that matters.
		for (unsigned i = 0; i < times; i++) {
			unsigned batch = length < MIB || leaf != VMT_PAGE_SIZE ? 64 : 1;
			uint64_t step = length == VMT_PAGE_SIZE ? VMT_PAGE_SIZE : 4 * MIB;
			double t = now();

			for (unsigned b = 0; b < batch; b++)
				map(addr + b * step, length, leaf);
			mapping += now() - t;
			t = now();
			for (unsigned b = 0; b < batch; b++)
				unmap(addr + b * step, length);
			unmapping += now() - t;
			if (i == times - 1) {
				mapping /= (double)times * batch;
				unmapping /= (double)times * batch;
			}
		}
		best_map = mapping < best_map ? mapping : best_map;
		best_unmap = unmapping < best_unmap ? unmapping : best_unmap;
	}
	printf("%-52s %8.2f / %.2f\n", name, best_map / units, best_unmap / units);
}

static void lookups(uint64_t addr)
{
	struct vmt_translation translation;
	double best = 1e18;
	uint64_t sum = 0;

	map(addr, 2 * MIB, VMT_PAGE_SIZE);
	for (unsigned round = 0; round < rounds; round++) {
		double t = now();

		for (unsigned i = 0; i < 10000; i++) {
			must(vmt_tree_translate(tree, addr + (i * 4096 & (2 * MIB - 1)), &translation));
			sum += translation.pa;
		}
		t = (now() - t) / 10000;
		best = t < best ? t : best;
	}
	printf("%-52s %8.2f\n", "look-up", best);
	if (!sum)
		printf("no translation\n");
	unmap(addr, 2 * MIB);
}

int main(int argc, char **argv)
{
	struct bench_arena arena = {.count = 1 << 15};
	struct vmt_tree_config config = {.start = 0, .end = UINT64_C(1) << 47, .cpus = 1, .user = true};

	(void)argc;
	native_arguments(argv, usage, options, sizeof(options) / sizeof(options[0]));
	if (!bench_arena_make(&arena))
		return 1;
	must(vmt_tree_create(&arena, &config, &tree));
	// Neighbours that keep the tables in place where the row says that they exist.
	map(20 * GIB + 8 * MIB, VMT_PAGE_SIZE, VMT_PAGE_SIZE);
	map(24 * GIB + 512 * MIB, VMT_PAGE_SIZE, VMT_PAGE_SIZE);
	map(34 * GIB, VMT_PAGE_SIZE, VMT_PAGE_SIZE);
	for (unsigned i = 0; i < 65; i++)
		map(8 * GIB + i * 4 * MIB + 511 * VMT_PAGE_SIZE, 2 * VMT_PAGE_SIZE, VMT_PAGE_SIZE);
	printf("%-52s %8s / %s\n", "nanoseconds", "map", "unmap");
	row("one page, table exists", 8 * GIB, VMT_PAGE_SIZE, VMT_PAGE_SIZE, 200, 1);
	row("256 pages of 4 KiB", 8 * GIB, 256 * VMT_PAGE_SIZE, VMT_PAGE_SIZE, 20, 1);
	row("512 pages over two existing tables", 8 * GIB + 2 * MIB + 256 * VMT_PAGE_SIZE, 2 * MIB, VMT_PAGE_SIZE, 1,
	    1);
	row("512 pages, one table allocated and freed", 20 * GIB, 2 * MIB, VMT_PAGE_SIZE, 200, 1);
	row("one 2 MiB leaf", 24 * GIB, 2 * MIB, 0, 200, 1);
	row("1 GiB by 4 KiB in one call, 513 tables, per page", 32 * GIB, GIB, VMT_PAGE_SIZE, 2, 262144);
	lookups(40 * GIB);
	vmt_tree_destroy(tree);
	if (arena.next != 0)
		printf("%u frames not returned\n", arena.next);
	return arena.next != 0;
}
