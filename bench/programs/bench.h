// SPDX-License-Identifier: MIT
// What the benchmark programs have in common: the clock, memory, and the line of a figure (docs/bench.md).
#ifndef BENCH_H
#define BENCH_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define MIB  (1UL << 20)
#define GIB  (1UL << 30)
#define TIB  (1UL << 40)

#define READ_WRITE (PROT_READ | PROT_WRITE)
#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

static inline _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline void must(int result, const char *what)
{
	if (result < 0)
		fail(what);
}

// By the system call: a clock that is read without one costs differently on each kernel.
static inline uint64_t now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

// What passes between two readings of the clock with nothing between them.
static inline uint64_t clock_cost(void)
{
	static uint64_t cost;

	for (int i = 0; !cost && i < 10; i++) {
		uint64_t t = now();

		t = now() - t;
		cost = i == 9 ? t : 0; // the first ones fault
	}
	return cost;
}

static inline uint64_t since(uint64_t start)
{
	uint64_t spent = now() - start, cost = clock_cost();

	return spent > cost ? spent - cost : 0;
}

// One figure. The name is a format.
__attribute__((format(printf, 3, 4))) static inline void figure(double value, const char *unit, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf(" %.*f %s\n", value < 100 ? 2 : 0, value, unit);
	fflush(stdout);
}

static inline char *map(size_t bytes)
{
	char *p = mmap(NULL, bytes, READ_WRITE, ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	return p;
}

static inline void unmap(void *p, size_t bytes)
{
	must(munmap(p, bytes), "munmap");
}

static inline void advise(void *p, size_t bytes, int advice)
{
	must(madvise(p, bytes, advice), "madvise");
}

static inline void protect(void *p, size_t bytes, int prot)
{
	must(mprotect(p, bytes, prot), "mprotect");
}

// Writes one byte in every `step` bytes.
static inline void touch(char *p, size_t bytes, size_t step)
{
	for (size_t i = 0; i < bytes; i += step)
		((volatile char *)p)[i] = 1;
}

// A line of /proc/self/status, in bytes.
static inline uint64_t status_bytes(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	unsigned long kb = 0;

	if (!file)
		fail("/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			kb = strtoul(line + strlen(name) + 1, NULL, 10);
	fclose(file);
	return (uint64_t)kb * 1024;
}

#endif
