// SPDX-License-Identifier: MIT
// mremap: growing, shrinking, moving, refusing.
#include "conform.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)

static void fill(char *base, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		base[i * PAGE] = (char)('a' + i);
}

static void show(const char *what, const char *base, size_t pages)
{
	printf("%s: ", what);
	for (size_t i = 0; i < pages; i++)
		putchar(base[i * PAGE] ? base[i * PAGE] : '0');
	putchar('\n');
}

static void in_place(void)
{
	char *base = must_map(16 * PAGE, READ_WRITE);

	fill(base, 4);
	munmap(base + 4 * PAGE, 12 * PAGE);
	answer("grow in place", (long)mremap(base, 4 * PAGE, 8 * PAGE, 0));
	show("grown", base, 8);
	answer("shrink", (long)mremap(base, 8 * PAGE, 3 * PAGE, 0));
	show("shrunk", base, 3);
	try_read("cut off", base, 3 * PAGE);
	char *wall = mmap(
		base + 4 * PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	answer("grow against a wall", (long)mremap(base, 3 * PAGE, 6 * PAGE, 0));
	char *moved = mremap(base, 3 * PAGE, 6 * PAGE, MREMAP_MAYMOVE);
	word("grow by moving", moved == base ? "same place" : "moved");
	show("moved", moved, 6);
	try_read("where it was", base, 0);
	munmap(moved, 6 * PAGE);
	munmap(wall, PAGE);
}

static void to_a_place(void)
{
	char *from = must_map(8 * PAGE, READ_WRITE);
	char *to = must_map(8 * PAGE, READ_WRITE);

	fill(from, 8);
	memset(to, 'X', 8 * PAGE);
	mprotect(from + 2 * PAGE, PAGE, PROT_READ);
	mprotect(from + 2 * PAGE, PAGE, READ_WRITE);
	char *moved = mremap(
		from + 2 * PAGE, 3 * PAGE, 3 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + PAGE);
	word("move over another", moved == to + PAGE ? "there" : "elsewhere");
	show("target", to, 8);
	try_read("source is gone", from, 2 * PAGE);
	try_read("before it", from, PAGE);
	try_read("after it", from, 5 * PAGE);
	areas("source", from, 8 * PAGE);
	areas("target areas", to, 8 * PAGE);
	answer("overlapping",
		(long)mremap(to, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + 2 * PAGE));
	answer("fixed without maymove", (long)mremap(to, PAGE, PAGE, MREMAP_FIXED, from));
	answer("odd target", (long)mremap(to, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, from + 1));
	answer("odd source", (long)mremap(to + 1, PAGE, PAGE, MREMAP_MAYMOVE));
	answer("to nothing", (long)mremap(to, PAGE, 0, MREMAP_MAYMOVE));
	answer("not mapped", (long)mremap(from + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	answer("more than the area",
		(long)mremap(from + 5 * PAGE, 64 * PAGE, 128 * PAGE, MREMAP_MAYMOVE));
	munmap(from, 8 * PAGE);
	munmap(to, 8 * PAGE);
}

static void large(void)
{
	size_t size = 64ul << 20;
	char *base = must_map(size, READ_WRITE);

	for (size_t i = 0; i < size; i += 1 << 20)
		base[i] = (char)(i >> 20);
	char *moved = mremap(base, size, 2 * size, MREMAP_MAYMOVE);
	long wrong = 0;
	for (size_t i = 0; i < size; i += 1 << 20)
		wrong += moved[i] != (char)(i >> 20);
	figure("wrong after moving 64 MiB", wrong);
	munmap(moved, 2 * size);
}

int main(void)
{
	catch_faults();
	in_place();
	to_a_place();
	large();
	return 0;
}
