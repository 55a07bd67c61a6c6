// SPDX-License-Identifier: MIT
// What secondaries cost a space: nanoseconds of a page that is mapped, written and unmapped, with nobody subscribed,
// with somebody to another range, and with somebody to this one, in turns within one run; and how often he was called.
#define VMT_FORMAT x86_64_4
#include "bench_port.h"
#include "native.h"
#include <vmtree/port.h>
#include <vmtree/vmtree.h>

#define ADDR  (UINT64_C(1) << 32)
#define PAGES 64
#define TURNS 400

static uint64_t calls;
static unsigned turns = TURNS;

static const char usage[] =
	"usage: bench_secondaries [--rounds N]\n"
	"\n"
	"What secondaries cost a space: nanoseconds of a page that is mapped, written and\n"
	"unmapped, the best of N rounds (400), and how often the secondary is called for it.\n";

static const struct native_option options[] = {{"--rounds", &turns, 1, 1000000, NULL}};

static void called(void *owner, const struct vmt_change *change)
{
	(void)owner, (void)change;
	calls++;
}

static bool waited(void *owner, const struct vmt_change *change)
{
	called(owner, change);
	return true;
}

// Nanoseconds for each page; the table stays, for a neighbour is there.
static double turn(struct vmt_space *space)
{
	struct vmt_map_request request = {.length = VMT_PAGE_SIZE, .prot = VMT_READ | VMT_WRITE,
					  .flags = VMT_MAP_FIXED};
	double t = now();

	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t got;

		request.addr = ADDR + i * VMT_PAGE_SIZE;
		must(vmt_map(space, &request, &got));
		must(vmt_fault(space, request.addr, VMT_WRITE, NULL));
		must(vmt_unmap(space, request.addr, VMT_PAGE_SIZE));
	}
	return (now() - t) / PAGES;
}

static void row(const char *name, double best)
{
	printf("%-52s %8.1f   %6.2f\n", name, best, (double)calls / (TURNS * PAGES));
}

int main(int argc, char **argv)
{
	static const struct vmt_secondary_ops ops = {called, called, called, waited, called};
	struct bench_arena arena = {.count = 1 << 12};
	struct vmt_space_config config = {.end = UINT64_C(1) << 47, .user = true};
	struct vmt_map_request neighbour = {.addr = ADDR + PAGES * VMT_PAGE_SIZE, .length = VMT_PAGE_SIZE,
					    .prot = VMT_READ | VMT_WRITE, .flags = VMT_MAP_FIXED};
	struct vmt_secondary_config elsewhere = {.start = ADDR << 1, .end = ADDR << 2, .ops = &ops};
	struct vmt_secondary_config here = {.ops = &ops};
	double best[3] = {1e18, 1e18, 1e18};
	uint64_t counted[3] = {0};
	struct vmt_space *space;
	struct vmt *vmt;
	unsigned id;
	uint64_t got;

	(void)argc;
	native_arguments(argv, usage, options, sizeof(options) / sizeof(options[0]));
	if (!bench_arena_make(&arena))
		return 1;
	must(vmt_create(&arena, 1, &vmt));
	must(vmt_space_create(vmt, &config, &space));
	vmt_activate(space); // a CPU to flush
	must(vmt_map(space, &neighbour, &got));
	must(vmt_fault(space, got, VMT_WRITE, NULL));
	for (unsigned i = 0; i < turns; i++) {
		for (unsigned kind = 0; kind < 3; kind++) {
			double t;

			calls = 0;
			if (kind)
				must(vmt_secondary_attach(space, kind == 1 ? &elsewhere : &here, &id));
			t = turn(space);
			if (kind)
				vmt_secondary_detach(space, id);
			best[kind] = t < best[kind] ? t : best[kind];
			counted[kind] += calls * TURNS / turns;
		}
	}
	printf("%-52s %8s   %6s\n", "map, write fault and unmap of one page", "ns", "calls");
	for (unsigned kind = 0; kind < 3; kind++) {
		static const char *const names[] = {"nobody subscribed", "a secondary subscribed to another range",
						    "a secondary subscribed to this range"};

		calls = counted[kind];
		row(names[kind], best[kind]);
	}
	vmt_deactivate(space);
	must(vmt_space_destroy(space));
	must(vmt_destroy(vmt));
	return arena.next != 0 || counted[0] || counted[1] || !counted[2];
}
