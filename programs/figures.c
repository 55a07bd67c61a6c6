// SPDX-License-Identifier: MIT
// What a memory operation costs, in nanoseconds of the machine's clock: under `vmtree run --icount` that clock counts
// guest instructions, so the figures are the same at every run. One line for an operation, system call and fault
// included.
#include <signal.h>
#include <stdbool.h>
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

// What a kernel has put off until later, of what came before, is done now and in no row.
static uint64_t start(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	return now();
}

static void row(const char *name, uint64_t since, uint64_t operations)
{
	uint64_t spent = now() - since;

	printf("%-46s %9lu\n", name, (spent > overhead ? spent - overhead : 0) / operations);
	fflush(stdout);
}

// A call that is refused is quick, and no figure.
static void must(bool done, const char *what)
{
	if (!done) {
		perror(what);
		exit(1);
	}
}

static char *map_with(size_t bytes, int flags)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

static char *map(size_t pages)
{
	return map_with(pages * PAGE, 0);
}

static void unmap(char *p, size_t bytes)
{
	must(munmap(p, bytes) == 0, "munmap");
}

static void advise(char *p, size_t bytes, int advice)
{
	must(madvise(p, bytes, advice) == 0, "madvise");
}

static void protect(char *p, size_t bytes, int prot)
{
	must(mprotect(p, bytes, prot) == 0, "mprotect");
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
	uint64_t t = start();

	for (size_t i = 0; i < PAGES; i++)
		syscall(SYS_getppid);
	row("getppid (system call alone)", t, PAGES);
	unmap(map(4), 4 * PAGE);
	t = start();
	for (size_t i = 0; i < PAGES; i++)
		unmap(map(4), 4 * PAGE);
	row("mmap 4 pages + munmap, untouched", t, PAGES);
	t = start();
	for (size_t i = 0; i < PAGES; i++)
		unmap(map_touched(1), PAGE);
	row("mmap 1 page + write fault + munmap", t, PAGES);
}

static void faults(void)
{
	char *p = map(PAGES);
	uint64_t t = start();

	touch(p, PAGES);
	row("write fault on anonymous memory", t, PAGES);
	advise(p, PAGES * PAGE, MADV_DONTNEED);
	t = start();
	for (size_t i = 0; i < PAGES; i++)
		(void)((volatile char *)p)[i * PAGE];
	row("read fault on anonymous memory", t, PAGES);
	unmap(p, PAGES * PAGE);
}

static void releases(void)
{
	char *p = map_touched(PAGES);
	uint64_t t = start();

	advise(p, PAGES * PAGE, MADV_DONTNEED);
	row("madvise(MADV_DONTNEED), per page of 2,000", t, PAGES);
	touch(p, PAGES);
	t = start();
	for (size_t i = 0; i < PAGES; i++)
		advise(p + i * PAGE, PAGE, MADV_DONTNEED);
	row("madvise(MADV_DONTNEED), one page a call", t, PAGES);
	touch(p, PAGES);
	t = start();
	unmap(p, PAGES * PAGE);
	row("munmap, per page of 2,000", t, PAGES);
	p = map_touched(PAGES);
	t = start();
	for (size_t i = 0; i < PAGES; i++)
		unmap(p + i * PAGE, PAGE);
	row("munmap of one faulted page out of 2,000", t, PAGES);
}

// Rights that are taken and given back, in each row: a kernel that keeps areas has as many before as after.
static void protections(void)
{
	char *p = map_touched(PAGES);
	uint64_t t = start();

	for (size_t i = 1; i < PAGES - 1; i++) {
		protect(p + i * PAGE, PAGE, PROT_READ);
		protect(p + i * PAGE, PAGE, PROT_READ | PROT_WRITE);
	}
	row("mprotect of one page inside an area", t, 2 * (PAGES - 2));
	t = start();
	protect(p, PAGES * PAGE, PROT_READ);
	protect(p, PAGES * PAGE, PROT_READ | PROT_WRITE);
	row("mprotect, per page of 2,000", t, 2 * PAGES);
	unmap(p, PAGES * PAGE);
	p = map(PAGES);
	t = start();
	for (size_t i = 0; i < PAGES; i += 2)
		advise(p + i * PAGE, PAGE, MADV_GUARD_INSTALL);
	row("guard install on an untouched page", t, PAGES / 2);
	unmap(p, PAGES * PAGE);
}

static void forks(void)
{
	char *p = map_touched(MANY), byte;
	int ready[2];
	uint64_t t = start();
	pid_t child;

	for (int i = 0; i < 3; i++) {
		child = fork();
		must(child >= 0, "fork");
		if (child == 0)
			_exit(0);
		must(wait(NULL) == child, "wait");
	}
	row("fork + exit + wait, 64 MiB resident", t, 3);
	must(pipe(ready) == 0, "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		must(write(ready[1], "", 1) == 1, "write");
		for (;;)
			pause();
	}
	must(read(ready[0], &byte, 1) == 1, "read"); // the child sleeps: nothing of it is in what follows
	t = start();
	touch(p, PAGES);
	row("copy-on-write fault (copy included)", t, PAGES);
	kill(child, SIGKILL);
	wait(NULL);
	unmap(p, MANY * PAGE);
}

static void huge(void)
{
	size_t tib = 1UL << 40;
	char *p = map_with(tib, MAP_NORESERVE);
	uint64_t t = start();

	// So often that a timer's tick among them does not show.
	for (size_t i = 0; i < PAGES; i += 2) {
		protect(p, tib / 2, PROT_READ);
		protect(p, tib / 2, PROT_READ | PROT_WRITE);
	}
	row("mprotect of half of an untouched TiB", t, PAGES);
	unmap(p, tib);
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
