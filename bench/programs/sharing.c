// SPDX-License-Identifier: MIT
// How threads share memory, in three patterns. Local: a thread maps a page, writes it and unmaps it, and nobody else
// sees it. Pipeline: a thread maps and writes a page and hands it to the next one, which writes and unmaps it.
// Global: the threads map one region piece by piece, then each writes every page of it, then they unmap it piece by
// piece.
//
//   sharing THREADS
#include "workers.h"

#include "bench.h"

#include <pthread.h>

#define LOCAL  2000UL // pages of a thread
#define HANDED 500UL
#define GLOBAL 256UL // pages that each thread maps

static void local(struct worker *worker)
{
	(void)worker;
	for (size_t i = 0; i < LOCAL; i++) {
		char *p = map(PAGE);

		touch(p, PAGE, PAGE);
		unmap(p, PAGE);
	}
}

static int hands[MAX_WORKERS][2]; // pipes, one in front of each thread

static void pipeline(struct worker *worker)
{
	unsigned next = (worker->number + 1) % worker->count;

	for (size_t i = 0; i < HANDED; i++) {
		char *p = map(PAGE);

		touch(p, PAGE, PAGE);
		if (write(hands[next][1], &p, sizeof(p)) != sizeof(p) || read(hands[worker->number][0], &p, sizeof(p)) != sizeof(p))
			fail("pipe");
		touch(p, PAGE, PAGE);
		unmap(p, PAGE);
	}
}

static pthread_barrier_t barrier;

static void global(struct worker *worker)
{
	char *region = (char *)(1UL << 44), *own = region + worker->number * GLOBAL * PAGE;

	if (mmap(own, GLOBAL * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) != own)
		fail("mmap");
	pthread_barrier_wait(&barrier);
	// From a thread's own piece on, so that the threads meet each other's pages, not each other.
	for (size_t i = 0; i < worker->count * GLOBAL; i++)
		touch(region + (worker->number * GLOBAL + i) % (worker->count * GLOBAL) * PAGE, PAGE, PAGE);
	pthread_barrier_wait(&barrier);
	unmap(own, GLOBAL * PAGE);
}

int main(int argc, char **argv)
{
	struct work work = {.count = argc == 2 ? (unsigned)atoi(argv[1]) : 0};
	double threads = work.count;

	if (!work.count || work.count > MAX_WORKERS) {
		fputs("usage: sharing THREADS\n", stderr);
		return 2;
	}
	for (unsigned i = 0; i < work.count; i++)
		must(pipe(hands[i]), "pipe");
	pthread_barrier_init(&barrier, NULL, work.count);
	work.run = local;
	figure((double)workers_run(&work) / (LOCAL * threads), "ns", "local/%u", work.count);
	work.run = pipeline;
	figure((double)workers_run(&work) / (HANDED * threads), "ns", "pipeline/%u", work.count);
	work.run = global;
	figure((double)workers_run(&work) / (GLOBAL * threads), "ns", "global/%u", work.count);
	return 0;
}
