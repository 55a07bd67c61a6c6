// SPDX-License-Identifier: MIT
// One memory operation, so many times: `operation NAME COUNT`. Prints the nanoseconds that they took, which under
// `vmtree run --icount` are guest instructions. bench/profile.py runs it twice, and what the second run does more is
// the operation.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE  4096UL
#define PAGES 2000UL // for operations that use one page, or every second one, each time

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static char *map(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (bytes >> 40 ? MAP_NORESERVE : 0);
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

static char *touched(size_t pages)
{
	volatile char *p = map(pages * PAGE);

	for (size_t i = 0; i < pages; i++)
		p[i * PAGE] = 1;
	return (char *)p;
}

static char *area; // what the operations work on, made before the clock runs

static void op_getppid(size_t i)
{
	(void)i;
	syscall(SYS_getppid);
}

static void op_map(size_t i)
{
	(void)i;
	munmap(map(4 * PAGE), 4 * PAGE);
}

static void op_map_touch(size_t i)
{
	(void)i;
	munmap(touched(1), PAGE);
}

static void op_map_large(size_t i)
{
	(void)i;
	munmap(map(512 * PAGE), 512 * PAGE);
}

// At an address of the program's choice, with nothing else anywhere near.
static void op_map_noreplace(size_t i)
{
	char *at = (char *)0x200000000000;

	(void)i;
	if (mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
		exit(1);
	munmap(at, PAGE);
}

// From the beginning of the area to `way` bytes higher up, or back.
static void move(size_t i, size_t bytes, size_t way)
{
	char *from = area + i % 2 * way, *to = area + (i + 1) % 2 * way;

	if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		exit(1);
}

// Between the first and the third page of the area.
static void op_move(size_t i)
{
	move(i, PAGE, 2 * PAGE);
}

// Between tables that are alike.
static void op_move_large(size_t i)
{
	move(i, 512 * PAGE, 512 * PAGE);
}

static void op_write(size_t i)
{
	((volatile char *)area)[i * PAGE] = 2;
}

static void op_read(size_t i)
{
	(void)((volatile char *)area)[i * PAGE];
}

static void op_release(size_t i)
{
	madvise(area + i * PAGE, PAGE, MADV_DONTNEED);
}

static void op_unmap(size_t i)
{
	munmap(area + i * PAGE, PAGE);
}

// Each page twice: what the first call takes the second gives back.
static void op_protect(size_t i)
{
	mprotect(area + (1 + i / 2) * PAGE, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void op_guard(size_t i)
{
	madvise(area + i * PAGE, PAGE, MADV_GUARD_INSTALL);
}

static void op_fork(size_t i)
{
	(void)i;
	if (fork() == 0)
		_exit(0);
	wait(NULL);
}

static void op_half(size_t i)
{
	mprotect(area, (size_t)1 << 39, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ);
}

// The pages of `area`, touched or not; every how many-th is used, 0: all of it, again; whether a child holds them too.
static const struct operation {
	const char *name;
	void (*run)(size_t i);
	size_t pages, step;
	enum { UNTOUCHED, TOUCHED, SHARED } state;
} operations[] = {
	{"getppid", op_getppid, 1, 0, UNTOUCHED},
	{"map", op_map, 1, 0, UNTOUCHED},
	{"map-touch", op_map_touch, 1, 0, UNTOUCHED},
	{"map-large", op_map_large, 1, 0, UNTOUCHED},
	{"map-noreplace", op_map_noreplace, 1, 0, UNTOUCHED},
	{"move", op_move, 3, 0, TOUCHED},
	{"move-large", op_move_large, 1024, 0, TOUCHED},
	{"write", op_write, PAGES, 1, UNTOUCHED},
	{"read", op_read, PAGES, 1, UNTOUCHED},
	{"release", op_release, PAGES, 1, TOUCHED},
	{"unmap", op_unmap, PAGES, 1, TOUCHED},
	{"protect", op_protect, PAGES, 1, TOUCHED},
	{"guard", op_guard, PAGES, 2, UNTOUCHED},
	{"fork", op_fork, 4096, 0, TOUCHED},
	{"copy", op_write, PAGES, 1, SHARED},
	{"half", op_half, (size_t)1 << 28, 1, UNTOUCHED},
};

static uint64_t now(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void run(const struct operation *op, size_t count)
{
	int wake[2];
	uint64_t since;

	area = op->state == UNTOUCHED ? map(op->pages * PAGE) : touched(op->pages);
	if (op->state == SHARED && pipe(wake) == 0 && fork() == 0) {
		char byte;

		close(wake[1]);
		_exit(read(wake[0], &byte, 1) != 0); // until the parent has ended
	}
	since = now();
	for (size_t i = 0; i < count; i++)
		op->run(op->step ? i * op->step : i);
	printf("%lu\n", now() - since);
}

int main(int argc, char **argv)
{
	size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	for (size_t n = 0; n < sizeof(operations) / sizeof(operations[0]); n++) {
		const struct operation *op = &operations[n];

		if (argc == 3 && !strcmp(argv[1], op->name) && count && count * op->step <= op->pages) {
			run(op, count);
			return 0;
		}
	}
	fprintf(stderr, "usage: operation NAME COUNT; COUNT up to 1000; NAME is one of");
	for (size_t n = 0; n < sizeof(operations) / sizeof(operations[0]); n++)
		fprintf(stderr, " %s", operations[n].name);
	fprintf(stderr, "\n");
	return 2;
}
