// SPDX-License-Identifier: MIT
// What a memory operation costs, in nanoseconds of the machine's clock: under `vmtree run --icount` that clock counts guest
// instructions, so the figures are the same at every run. One line for an operation, system call and fault included.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096UL
#define PAGES 2000UL
#define MANY  16384UL // 64 MiB

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static uint64_t overhead; // of reading the clock

static uint64_t now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void row(const char *name, uint64_t since, uint64_t operations)
{
	uint64_t spent = now() - since;

	printf("%-46s %9lu\n", name, (spent > overhead ? spent - overhead : 0) / operations);
	fflush(stdout);
}

static char *map(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static void touch(char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)p)[i * PAGE] = 1;
}

static char *map_touched(size_t pages)
{
	char *p = map(pages);

	touch(p, pages);
	return p;
}

static void calls(void)
{
	uint64_t t = now();

	for (size_t i = 0; i < PAGES; i++)
		syscall(SYS_getppid);
	row("getppid (system call alone)", t, PAGES);
	munmap(map(4), 4 * PAGE);
	t = now();
	for (size_t i = 0; i < PAGES; i++)
		munmap(map(4), 4 * PAGE);
	row("mmap 4 pages + munmap, untouched", t, PAGES);
	t = now();
	for (size_t i = 0; i < PAGES; i++)
		munmap(map_touched(1), PAGE);
	row("mmap 1 page + write fault + munmap", t, PAGES);
}

static void faults(void)
{
	char *p = map(PAGES);
	uint64_t t = now();

	touch(p, PAGES);
	row("write fault on anonymous memory", t, PAGES);
	madvise(p, PAGES * PAGE, MADV_DONTNEED);
	t = now();
	for (size_t i = 0; i < PAGES; i++)
		(void)((volatile char *)p)[i * PAGE];
	row("read fault on anonymous memory", t, PAGES);
	munmap(p, PAGES * PAGE);
}

static void releases(void)
{
	char *p = map_touched(PAGES);
	uint64_t t = now();

	madvise(p, PAGES * PAGE, MADV_DONTNEED);
	row("madvise(MADV_DONTNEED), per page of 2,000", t, PAGES);
	touch(p, PAGES);
	t = now();
	for (size_t i = 0; i < PAGES; i++)
		madvise(p + i * PAGE, PAGE, MADV_DONTNEED);
	row("madvise(MADV_DONTNEED), one page a call", t, PAGES);
	touch(p, PAGES);
	t = now();
	munmap(p, PAGES * PAGE);
	row("munmap, per page of 2,000", t, PAGES);
	p = map_touched(PAGES);
	t = now();
	for (size_t i = 0; i < PAGES; i += 2)
		munmap(p + i * PAGE, PAGE);
	row("munmap of one faulted page out of 2,000", t, PAGES / 2);
	munmap(p, PAGES * PAGE);
}

static void protections(void)
{
	char *p = map_touched(PAGES);
	uint64_t t = now();

	for (size_t i = 1; i < PAGES; i += 2)
		mprotect(p + i * PAGE, PAGE, PROT_READ);
	row("mprotect of one page inside an area", t, PAGES / 2);
	munmap(p, PAGES * PAGE);
	p = map_touched(PAGES);
	t = now();
	mprotect(p, PAGES * PAGE, PROT_READ);
	row("mprotect, per page of 2,000", t, PAGES);
	munmap(p, PAGES * PAGE);
	p = map(PAGES);
	t = now();
	for (size_t i = 0; i < PAGES; i += 2)
		madvise(p + i * PAGE, PAGE, MADV_GUARD_INSTALL);
	row("guard install on an untouched page", t, PAGES / 2);
	munmap(p, PAGES * PAGE);
}

static void forks(void)
{
	char *p = map_touched(MANY);
	uint64_t t = now();
	pid_t child;

	for (int i = 0; i < 3; i++) {
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
	row("fork + exit + wait, 64 MiB resident", t, 3);
	child = fork();
	if (child == 0)
		for (;;)
			pause();
	t = now();
	touch(p, PAGES);
	row("copy-on-write fault (copy included)", t, PAGES);
	kill(child, SIGKILL);
	wait(NULL);
	munmap(p, MANY * PAGE);
}

static void huge(void)
{
	size_t tib = 1UL << 40;
	char *p = mmap(NULL, tib, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t t = now();

	for (int i = 0; i < 20; i++) {
		mprotect(p, tib / 2, PROT_READ);
		mprotect(p, tib / 2, PROT_READ | PROT_WRITE);
	}
	row("mprotect of half of an untouched TiB", t, 40);
	munmap(p, tib);
}

int main(void)
{
	uint64_t t;

	for (int i = 0; i < 10; i++)
		now();
	t = now();
	overhead = now() - t;
	calls();
	faults();
	releases();
	protections();
	forks();
	huge();
	return 0;
}
