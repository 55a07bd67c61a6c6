// SPDX-License-Identifier: MIT
// Threads that map, touch, protect, move, release and unmap in one address space for a number of
// seconds, and check what they read: a page that another thread's work reached, a stale page and a
// lost page are all seen.
//
//   hammer [THREADS [SECONDS [SEED]]]
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE        4096ul
#define AREAS       24
#define MAX_PAGES   700 // more than one leaf table
#define MAX_THREADS 64
#define READ_WRITE  (PROT_READ | PROT_WRITE)

struct area {
	uint64_t *base;
	size_t pages;
	// What each page must hold in its first word; 0: nothing was written since it was mapped or
	// released.
	uint64_t expected[MAX_PAGES];
};

struct worker {
	pthread_t thread;
	unsigned id;
	uint64_t random;
	uint64_t serial;
	long operations;
	long bad;
	struct area areas[AREAS];
};

static time_t stop_at;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void complain(struct worker *worker, const char *what)
{
	fprintf(stderr, "hammer: thread %u: %s\n", worker->id, what);
	worker->bad++;
}

static uint64_t *word_of(const struct area *area, size_t page)
{
	return area->base + page * (PAGE / sizeof(uint64_t));
}

static void check(struct worker *worker, const struct area *area, size_t page)
{
	const volatile uint64_t *word = word_of(area, page);

	if (word[0] != area->expected[page])
		complain(worker,
			word[0] ? "a page holds what does not belong there" : "a page was lost");
	// The last word repeats the first: half a page from elsewhere shows.
	if (word[PAGE / sizeof(*word) - 1] != area->expected[page])
		complain(worker, "a page is mixed");
}

static void touch(struct worker *worker, struct area *area)
{
	size_t first = next_random(&worker->random) % area->pages;
	size_t count = 1 + next_random(&worker->random) % 16;

	for (size_t page = first; page < area->pages && count; page++, count--) {
		check(worker, area, page);
		uint64_t value = ((uint64_t)worker->id << 56) | ++worker->serial;
		word_of(area, page)[0] = value;
		word_of(area, page)[PAGE / sizeof(uint64_t) - 1] = value;
		area->expected[page] = value;
	}
}

static void map(struct worker *worker, struct area *area)
{
	size_t pages = next_random(&worker->random) % 8
			       ? 1 + next_random(&worker->random) % 32
			       : 1 + next_random(&worker->random) % MAX_PAGES;
	void *base = mmap(NULL, pages * PAGE, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED) {
		if (errno != ENOMEM)
			complain(worker, "mmap failed");
		return;
	}
	*area = (struct area){.base = base, .pages = pages};
}

static void unmap(struct worker *worker, struct area *area)
{
	for (size_t page = 0; page < area->pages; page += 7)
		check(worker, area, page);
	if (munmap(area->base, area->pages * PAGE))
		complain(worker, "munmap failed");
	area->base = NULL;
}

static void release(struct worker *worker, struct area *area)
{
	size_t first = next_random(&worker->random) % area->pages;
	size_t count = 1 + next_random(&worker->random) % (area->pages - first);

	if (madvise(word_of(area, first), count * PAGE, MADV_DONTNEED))
		complain(worker, "madvise failed");
	memset(area->expected + first, 0, count * sizeof(area->expected[0]));
	check(worker, area, first);
}

static void protect(struct worker *worker, struct area *area)
{
	size_t first = next_random(&worker->random) % area->pages;
	size_t size = (1 + next_random(&worker->random) % (area->pages - first)) * PAGE;

	if (mprotect(word_of(area, first), size, PROT_READ))
		complain(worker, "mprotect failed");
	check(worker, area, first);
	if (mprotect(word_of(area, first), size, READ_WRITE))
		complain(worker, "mprotect failed");
}

// Linux moves only what lies in one of its mappings, and may have cut the area for ever: when a
// thread touches memory next to a part that another has protected for a moment, mappings with equal
// rights can end up with records of pages that do not join. Then /proc/self/maps shows a border in
// the area.
static bool is_cut(const struct area *area)
{
	unsigned long start, end, first = (uintptr_t)area->base, last = first + area->pages * PAGE;
	FILE *maps = fopen("/proc/self/maps", "r");
	bool cut = false;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2)
			cut |= (start > first && start < last) || (end > first && end < last);
	if (maps)
		fclose(maps);
	return cut;
}

static void move(struct worker *worker, struct area *area)
{
	size_t pages = 1 + next_random(&worker->random) % MAX_PAGES;
	void *base = mremap(area->base, area->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);

	if (base == MAP_FAILED) {
		if (errno != ENOMEM && !(errno == EFAULT && is_cut(area)))
			complain(worker, "mremap failed");
		check(worker, area, next_random(&worker->random) % area->pages);
		return;
	}
	for (size_t page = pages; page < area->pages; page++)
		area->expected[page] = 0;
	area->base = base;
	area->pages = pages;
	check(worker, area, next_random(&worker->random) % pages);
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	while (now() < stop_at && !worker->bad) {
		for (int i = 0; i < 64; i++) {
			struct area *area = &worker->areas[next_random(&worker->random) % AREAS];
			unsigned kind = next_random(&worker->random) % 16;
			if (!area->base)
				map(worker, area);
			else if (kind < 8)
				touch(worker, area);
			else if (kind < 11)
				unmap(worker, area);
			else if (kind < 13)
				release(worker, area);
			else if (kind < 15)
				protect(worker, area);
			else
				move(worker, area);
			worker->operations++;
		}
	}
	for (size_t i = 0; i < AREAS; i++)
		if (worker->areas[i].base)
			unmap(worker, &worker->areas[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 4;
	long seconds = argc > 2 ? atol(argv[2]) : 10;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	long operations = 0, bad = 0;

	if (threads < 1 || threads > MAX_THREADS || seconds < 0) {
		fprintf(stderr, "hammer: wants 1 to %d threads\n", MAX_THREADS);
		return 2;
	}
	stop_at = now() + seconds;
	struct worker *workers = calloc((size_t)threads, sizeof(*workers));
	for (long i = 0; i < threads; i++) {
		workers[i].id = (unsigned)i + 1;
		workers[i].random = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15u + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			fputs("hammer: no thread\n", stderr);
			return 1;
		}
	}
	for (long i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		operations += workers[i].operations;
		bad += workers[i].bad;
	}
	free(workers);
	fprintf(stderr, "hammer: %ld operations\n", operations);
	printf("hammer: %ld threads, %ld bad\n", threads, bad);
	return bad ? 1 : 0;
}
