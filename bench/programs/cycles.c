// SPDX-License-Identifier: MIT
// Workers that repeat one operation on memory of their own, no two of them in the same table. Each ends where it
// began, so that what two runs with different ROUNDS execute differs by the operations alone (bench/scaling.py).
//
//   cycles WORKERS threads|processes CYCLE ROUNDS
#include "workers.h"

#include "bench.h"

static unsigned long rounds;

// A GiB apart, far from where a kernel would put the workers' stacks; a neighbour keeps the tables.
static void *own_area(struct worker *worker)
{
	char *at = (char *)(1UL << 44) + worker->number * GIB;

	if (mmap(at, 2 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) != at)
		fail("mmap");
	touch(at, 2 * PAGE, PAGE);
	return at + PAGE;
}

static void map_own(struct worker *worker, bool touched)
{
	char *at = worker->own;

	for (unsigned long i = 0; i < rounds; i++) {
		unmap(at, PAGE);
		if (mmap(at, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) != at)
			fail("mmap");
		if (touched)
			touch(at, PAGE, PAGE);
	}
}

static void do_map(struct worker *worker)
{
	map_own(worker, false);
}

static void do_map_touch(struct worker *worker)
{
	map_own(worker, true);
}

static void do_release(struct worker *worker)
{
	for (unsigned long i = 0; i < rounds; i++) {
		advise(worker->own, PAGE, MADV_DONTNEED);
		touch(worker->own, PAGE, PAGE);
	}
}

static void do_protect(struct worker *worker)
{
	for (unsigned long i = 0; i < rounds; i++) {
		protect(worker->own, PAGE, PROT_READ);
		protect(worker->own, PAGE, READ_WRITE);
	}
}

static void do_guard(struct worker *worker)
{
	for (unsigned long i = 0; i < rounds; i++) {
		advise(worker->own, PAGE, MADV_GUARD_INSTALL);
		advise(worker->own, PAGE, MADV_GUARD_REMOVE);
	}
}

static const struct {
	const char *name;
	void (*run)(struct worker *worker);
} cycles[] = {
	{"map-unmap", do_map},
	{"map-fault-unmap", do_map_touch},
	{"fault-release", do_release},
	{"protect-twice", do_protect},
	{"guard-install-remove", do_guard},
};

int main(int argc, char **argv)
{
	struct work work = {.prepare = own_area};

	rounds = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
	if (rounds) {
		work.count = (unsigned)atoi(argv[1]);
		work.processes = !strcmp(argv[2], "processes");
		for (size_t i = 0; i < sizeof(cycles) / sizeof(cycles[0]); i++)
			if (!strcmp(argv[3], cycles[i].name))
				work.run = cycles[i].run;
	}
	if (!work.run || !work.count || work.count > MAX_WORKERS || (!work.processes && strcmp(argv[2], "threads"))) {
		fputs("usage: cycles WORKERS threads|processes CYCLE ROUNDS; CYCLE is one of", stderr);
		for (size_t i = 0; i < sizeof(cycles) / sizeof(cycles[0]); i++)
			fprintf(stderr, " %s", cycles[i].name);
		fputs("\n", stderr);
		return 2;
	}
	figure((double)workers_run(&work) / (double)(rounds * work.count), "ns", "%s/%s/%u", argv[2], argv[3], work.count);
	return 0;
}
