// SPDX-License-Identifier: MIT
// Huge pages: made by faults and by MADV_COLLAPSE, then cut, released, moved, forked and collapsed
// again, from several threads at once. What every page holds is compared with a model. Whether a
// kernel finds huge pages is its own affair; with the argument `count` it is said too.
//
// Exits with 77 where the kernel has none at all.
#include "conform.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define HUGE       (2ul << 20)
#define SIZE       (8 * HUGE)
#define PAGES      (SIZE / PAGE)
#define HUGE_PAGES (HUGE / PAGE)

static bool counting;

// What the pages at `base` must hold in their first and their last word; 0: nothing was written.
struct model {
	char *base;
	uint64_t serial;
	uint64_t expected[PAGES];
	bool gone[PAGES]; // not mapped any more
};

static uint64_t *first_word(const struct model *model, size_t page)
{
	return (uint64_t *)(model->base + page * PAGE);
}

static bool page_is_right(const struct model *model, size_t page)
{
	const volatile uint64_t *word = first_word(model, page);

	return word[0] == model->expected[page] &&
	       word[PAGE / sizeof(*word) - 1] == model->expected[page];
}

static void write_page(struct model *model, size_t page, uint64_t value)
{
	first_word(model, page)[0] = value;
	first_word(model, page)[PAGE / sizeof(value) - 1] = value;
	model->expected[page] = value;
}

static void write_pages(struct model *model, size_t from, size_t count, size_t step)
{
	for (size_t page = from; page < from + count; page += step)
		write_page(model, page, ++model->serial);
}

static void forget(struct model *model, size_t from, size_t count)
{
	memset(model->expected + from, 0, count * sizeof(model->expected[0]));
}

// The kB of huge pages in the areas that overlap the range.
static long huge_kb(const char *base)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end, first = (uintptr_t)base;
	bool inside = false;
	long kb, sum = 0;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start < first + SIZE && end > first;
		else if (inside && sscanf(line, "AnonHugePages: %ld", &kb) == 1)
			sum += kb;
	}
	if (smaps)
		fclose(smaps);
	return sum;
}

static size_t wrong_pages(const struct model *model)
{
	size_t wrong = 0;

	for (size_t page = 0; page < PAGES; page++)
		wrong += !model->gone[page] && !page_is_right(model, page);
	return wrong;
}

// Huge pages are counted first: looking at untouched memory may map small pages of zeroes.
static void verify(const char *what, const struct model *model)
{
	long kb = counting ? huge_kb(model->base) : 0;

	printf("%s: %zu pages wrong\n", what, wrong_pages(model));
	if (counting)
		printf("%s: %ld kB in huge pages\n", what, kb);
}

// `size` bytes at a multiple of 2 MiB plus `offset`, with nothing mapped right before and behind.
static char *aligned_map(size_t size, size_t offset)
{
	char *base = must_map(size + 2 * HUGE + offset, PROT_NONE);
	char *start = (char *)(((uintptr_t)base + HUGE) & ~(HUGE - 1)) + offset;

	if (munmap(base, (size_t)(start - base)) ||
		munmap(start + size, (size_t)(base + 2 * HUGE + offset - start)) ||
		mprotect(start, size, READ_WRITE)) {
		perror("a place for huge pages");
		exit(1);
	}
	return start;
}

static void begin(struct model *model, bool advise)
{
	*model = (struct model){.base = aligned_map(SIZE, 0)};
	if (advise)
		answer("advise", madvise(model->base, SIZE, MADV_HUGEPAGE));
}

static void end(struct model *model)
{
	munmap(model->base, SIZE);
}

static void touched(struct model *model)
{
	begin(model, true);
	verify("untouched", model);
	end(model);
	begin(model, true);
	write_pages(model, 0, PAGES, HUGE_PAGES);
	verify("one page in each", model);
	write_pages(model, 0, PAGES, 7);
	verify("many pages", model);
	answer("advise against it", madvise(model->base, SIZE, MADV_NOHUGEPAGE));
	verify("what is there stays", model);
	answer("release all", madvise(model->base, SIZE, MADV_DONTNEED));
	forget(model, 0, PAGES);
	write_pages(model, 0, PAGES, HUGE_PAGES);
	verify("small again", model);
	end(model);
}

static void cut(struct model *model)
{
	begin(model, true);
	write_pages(model, 0, PAGES, 1);
	answer("unmap a page", munmap(model->base + 100 * PAGE, PAGE));
	model->gone[100] = true;
	try_read("that page", model->base, 100 * PAGE);
	verify("after it", model);
	answer("protect a half", mprotect(model->base + HUGE, HUGE / 2, PROT_READ));
	try_write("its last page", model->base, HUGE + HUGE / 2 - PAGE);
	try_write("the next one", model->base, HUGE + HUGE / 2);
	verify("after it", model);
	answer("protect a whole one", mprotect(model->base + 2 * HUGE, HUGE, PROT_READ));
	try_write("in it", model->base, 2 * HUGE + 9 * PAGE);
	answer("and back", mprotect(model->base + 2 * HUGE, HUGE, READ_WRITE));
	write_pages(model, 2 * HUGE_PAGES, HUGE_PAGES, 5);
	verify("after it", model);
	answer("release three", madvise(model->base + 3 * HUGE + PAGE, 3 * PAGE, MADV_DONTNEED));
	forget(model, 3 * HUGE_PAGES + 1, 3);
	answer("release a whole one", madvise(model->base + 4 * HUGE, HUGE, MADV_DONTNEED));
	forget(model, 4 * HUGE_PAGES, HUGE_PAGES);
	write_pages(model, 4 * HUGE_PAGES, 1, 1);
	verify("after both and a write", model);
	end(model);
}

// The child's exit status: 0 if all pages were what they should be.
static int child_status(pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static void forked(struct model *model)
{
	pid_t child;

	begin(model, true);
	write_pages(model, 0, PAGES, 1);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		write_pages(model, 3, PAGES / 2, HUGE_PAGES);
		verify("in the child", model);
		munmap(model->base + SIZE / 2, SIZE / 2);
		fflush(stdout);
		_exit(0);
	}
	figure("the child ends with", child_status(child));
	verify("in the parent", model);
	write_pages(model, 5, PAGES - HUGE_PAGES, 3);
	verify("written again", model);
	end(model);
}

static void move_to(struct model *model, const char *what, size_t offset)
{
	char *to = aligned_map(SIZE, offset);

	answer(what, (long)mremap(model->base, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	model->base = to;
	verify("after it", model);
}

static void moved(struct model *model)
{
	begin(model, true);
	write_pages(model, 0, PAGES, 1);
	move_to(model, "move", 0);
	move_to(model, "move by an odd distance", 3 * PAGE);
	write_pages(model, 1, PAGES - 1, 9);
	move_to(model, "move back to an even place", 0);
	answer("shrink to an odd length",
		(long)mremap(model->base, SIZE, SIZE - 5 * PAGE, MREMAP_MAYMOVE));
	forget(model, PAGES - 5, 5);
	answer("grow", (long)mremap(model->base, SIZE - 5 * PAGE, SIZE, 0));
	verify("after both", model);
	end(model);
}

static void collapse(struct model *model, const char *what, size_t from, size_t size)
{
	long result = madvise(model->base + from, size, MADV_COLLAPSE);

	if (counting)
		answer(what, result);
	verify(what, model);
}

static void refused(struct model *model)
{
	begin(model, false);
	answer("collapse what is not touched", madvise(model->base, HUGE, MADV_COLLAPSE));
	answer("collapse less than one", madvise(model->base + PAGE, HUGE, MADV_COLLAPSE));
	answer("collapse from an odd address", madvise(model->base + 1, HUGE, MADV_COLLAPSE));
	answer("collapse nothing", madvise(model->base, 0, MADV_COLLAPSE));
	munmap(model->base + 3 * HUGE, HUGE);
	memset(model->gone + 3 * HUGE_PAGES, 1, HUGE_PAGES);
	answer("collapse what is not mapped", madvise(model->base + 3 * HUGE, HUGE, MADV_COLLAPSE));
	answer("advise over a hole", madvise(model->base, SIZE, MADV_HUGEPAGE));
	write_pages(model, 4 * HUGE_PAGES, 4 * HUGE_PAGES, HUGE_PAGES);
	verify("behind the hole", model);
	answer("collapse over it", madvise(model->base + 3 * HUGE, 5 * HUGE, MADV_COLLAPSE));
	end(model);
}

static void collapsed(struct model *model)
{
	pid_t child;

	begin(model, false);
	write_pages(model, 0, HUGE_PAGES, 1);
	write_pages(model, HUGE_PAGES, HUGE_PAGES, 3);
	write_page(model, 2 * HUGE_PAGES + 17, 4711);
	verify("small pages", model);
	collapse(model, "collapse a full one", 0, HUGE);
	collapse(model, "collapse it again", 0, HUGE);
	collapse(model, "collapse one with holes", HUGE, HUGE);
	collapse(model, "collapse three", 0, 3 * HUGE);
	answer("cut one", mprotect(model->base + HUGE, PAGE, PROT_READ));
	answer("and back", mprotect(model->base + HUGE, PAGE, READ_WRITE));
	collapse(model, "collapse it where it is", HUGE, HUGE);
	verify("zeroes", model);
	collapse(model, "collapse pages of zeroes", 3 * HUGE, HUGE);
	write_pages(model, 4 * HUGE_PAGES, HUGE_PAGES, 2);
	fflush(stdout);
	if ((child = fork()) == 0) {
		collapse(model, "collapse shared pages", 4 * HUGE, HUGE);
		write_pages(model, 4 * HUGE_PAGES, HUGE_PAGES, 3);
		fflush(stdout);
		_exit(0);
	}
	figure("the child ends with", child_status(child));
	verify("its parent", model);
	end(model);
}

// ---- Threads: each has every fourth page of all huge pages ----

#define THREADS 4
#define STEPS   2000

struct worker {
	pthread_t thread;
	struct model *model;
	char *aside; // a page's room
	unsigned id;
	uint64_t random;
	long bad;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void protect_page(struct worker *worker, size_t page)
{
	void *at = first_word(worker->model, page);

	worker->bad += mprotect(at, PAGE, PROT_READ) != 0;
	worker->bad += !page_is_right(worker->model, page);
	worker->bad += mprotect(at, PAGE, READ_WRITE) != 0;
}

static void release_page(struct worker *worker, size_t page)
{
	worker->bad += madvise(first_word(worker->model, page), PAGE, MADV_DONTNEED) != 0;
	worker->model->expected[page] = 0;
}

static void move_page(struct worker *worker, size_t page)
{
	void *at = first_word(worker->model, page);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	worker->bad += mremap(at, PAGE, PAGE, flags, worker->aside) != worker->aside;
	worker->bad += *(volatile uint64_t *)worker->aside != worker->model->expected[page];
	worker->bad += mremap(worker->aside, PAGE, PAGE, flags, at) != at;
	// The move took the room along.
	worker->bad += mmap(worker->aside, PAGE, READ_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != worker->aside;
}

// The child sees its parent's pages as they were, and what it writes stays with it.
static void fork_pages(struct worker *worker, size_t page)
{
	pid_t child = fork();

	if (child == 0) {
		long bad = 0;
		for (size_t i = page % HUGE_PAGES; i < PAGES; i += HUGE_PAGES) {
			bad += !page_is_right(worker->model, i);
			write_page(worker->model, i, 1);
		}
		_exit(bad != 0);
	}
	worker->bad += child == -1 || child_status(child) != 0;
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint64_t step = 1; step <= STEPS && !worker->bad; step++) {
		size_t page = next_random(&worker->random) % (PAGES / THREADS) * THREADS + worker->id;
		unsigned kind = next_random(&worker->random) % 64;

		worker->bad += !page_is_right(worker->model, page);
		if (kind < 32)
			write_page(worker->model, page, (uint64_t)worker->id << 56 | step);
		else if (kind < 44)
			release_page(worker, page);
		else if (kind < 54)
			protect_page(worker, page);
		else if (kind < 61)
			move_page(worker, page);
		else if (kind < 63) // may fail: others have made holes
			madvise(worker->model->base + page / HUGE_PAGES * HUGE, HUGE, MADV_COLLAPSE);
		else
			fork_pages(worker, page);
		worker->bad += !page_is_right(worker->model, page);
	}
	return NULL;
}

static void threads(struct model *model)
{
	struct worker workers[THREADS];
	long bad = 0;

	begin(model, true);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){
			.model = model,
			.aside = must_map(PAGE, READ_WRITE),
			.id = i,
			.random = i * 0x9e3779b97f4a7c15 + 1,
		};
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		bad += workers[i].bad;
		munmap(workers[i].aside, PAGE);
	}
	figure("threads: bad", bad);
	printf("threads: %zu pages wrong\n", wrong_pages(model));
	end(model);
}

int main(int argc, char **argv)
{
	static struct model model;
	char *page = must_map(PAGE, READ_WRITE);

	counting = argc > 1 && !strcmp(argv[1], "count");
	if (madvise(page, PAGE, MADV_HUGEPAGE)) {
		puts("this kernel has no huge pages");
		return 77;
	}
	munmap(page, PAGE);
	catch_faults();
	touched(&model);
	cut(&model);
	forked(&model);
	moved(&model);
	refused(&model);
	collapsed(&model);
	threads(&model);
	return 0;
}
