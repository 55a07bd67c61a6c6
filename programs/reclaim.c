// SPDX-License-Identifier: MIT
// Touches a large range and gives it back with MADV_DONTNEED, first in steps of 2 MiB, then page by
// page, and looks at what its page tables take (VmPTE of /proc/self/status). Fails when they have
// grown by more than 12 kB.
//
//   reclaim [GIB [LIMIT_KB]]       LIMIT_KB 0: only report
#include "conform.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STEP (2ul << 20)

static void must_release(char *at, size_t size)
{
	if (madvise(at, size, MADV_DONTNEED)) {
		perror("madvise");
		exit(1);
	}
}

// Not everything at once: no more than one step is ever resident.
static void in_steps(char *base, size_t size)
{
	for (size_t at = 0; at < size; at += STEP) {
		for (size_t page = 0; page < STEP; page += PAGE)
			base[at + page] = 1;
		must_release(base + at, STEP);
	}
}

static void page_by_page(char *base, size_t size)
{
	for (size_t at = 0; at < size; at += PAGE) {
		base[at] = 1;
		must_release(base + at, PAGE);
	}
}

static int show(const char *what, long before, long limit)
{
	long now = status_kb("VmPTE");

	printf("%-28s VmPTE %ld kB, %ld kB more\n", what, now, now - before);
	fflush(stdout);
	return limit && now - before > limit;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 50) << 30;
	long limit = argc > 2 ? strtol(argv[2], NULL, 10) : 12;
	int bad = 0;

	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	// Huge pages would hide what is measured.
	madvise(base, size, MADV_NOHUGEPAGE);
	printf("%zu GiB\n", size >> 30);
	fflush(stdout);
	long before = status_kb("VmPTE");
	show("before the first touch", before, 0);
	in_steps(base, size);
	bad |= show("after steps of 2 MiB", before, limit);
	page_by_page(base, size);
	bad |= show("after single pages", before, limit);
	if (bad)
		printf("more than %ld kB were kept\n", limit);
	return bad;
}
