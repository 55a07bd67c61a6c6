// SPDX-License-Identifier: MIT
// The five operations by which the scalability of memory management is compared in the literature: mmap, mmap and
// fault, fault, unmap of untouched and of faulted memory. Each worker in a region of its own (private), or all in
// one region in which their pieces take turns (shared). An operation is on a piece of four pages.
//
//   five WORKERS threads|processes
//
// Processes have no region in common, so for them there is only the private one.
#include "workers.h"

#include "bench.h"

#define ROUNDS 400UL
#define PIECE  (4 * PAGE)

// Where the pieces lie: far from where a kernel would put the workers' stacks.
static char *const region = (char *)(1UL << 44);
static bool shared;

// Pieces of a private region follow each other; in a shared one the workers' pieces alternate.
static char *piece(const struct worker *worker, size_t n)
{
	if (shared)
		return region + (n * worker->count + worker->number) * PIECE;
	return region + worker->number * GIB + n * PIECE;
}

static void map_piece(char *at)
{
	if (mmap(at, PIECE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) != at)
		fail("mmap");
}

static void do_map(struct worker *worker)
{
	for (size_t n = 0; n < ROUNDS; n++)
		map_piece(piece(worker, n));
}

static void do_fault(struct worker *worker)
{
	for (size_t n = 0; n < ROUNDS; n++)
		touch(piece(worker, n), PIECE, PAGE);
}

static void do_map_fault(struct worker *worker)
{
	for (size_t n = 0; n < ROUNDS; n++) {
		map_piece(piece(worker, n));
		touch(piece(worker, n), PIECE, PAGE);
	}
}

static void do_unmap(struct worker *worker)
{
	for (size_t n = 0; n < ROUNDS; n++)
		unmap(piece(worker, n), PIECE);
}

static void *mapped(struct worker *worker)
{
	do_map(worker);
	return NULL;
}

static void *faulted(struct worker *worker)
{
	do_map_fault(worker);
	return NULL;
}

static const struct {
	const char *name;
	void *(*prepare)(struct worker *worker);
	void (*run)(struct worker *worker);
} five[] = {
	{"mmap", NULL, do_map},
	{"mmap-fault", NULL, do_map_fault},
	{"fault", mapped, do_fault},
	{"unmap-untouched", mapped, do_unmap},
	{"unmap-faulted", faulted, do_unmap},
};

int main(int argc, char **argv)
{
	struct work work = {.count = argc == 3 ? (unsigned)atoi(argv[1]) : 0};

	if (!work.count || work.count > MAX_WORKERS || (strcmp(argv[2], "threads") && strcmp(argv[2], "processes"))) {
		fputs("usage: five WORKERS threads|processes\n", stderr);
		return 2;
	}
	work.processes = !strcmp(argv[2], "processes");
	for (int in_one = 0; in_one <= !work.processes; in_one++) {
		shared = in_one;
		for (size_t i = 0; i < sizeof(five) / sizeof(five[0]); i++) {
			work.prepare = five[i].prepare;
			work.run = five[i].run;
			figure((double)workers_run(&work) / (double)(ROUNDS * work.count), "ns", "%s/%s/%s/%u", argv[2],
			       shared ? "shared" : "private", five[i].name, work.count);
			unmap(region, MAX_WORKERS * GIB);
		}
	}
	return 0;
}
