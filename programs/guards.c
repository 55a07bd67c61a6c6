// SPDX-License-Identifier: MIT
// Guard markers: MADV_GUARD_INSTALL and MADV_GUARD_REMOVE (Linux 6.13 and newer; exits with 77 on
// an older kernel).
#include "conform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

static void over_memory(void)
{
	char *base = must_map(8 * PAGE, READ_WRITE);

	memset(base, 'A', 8 * PAGE);
	answer("guard two pages", madvise(base + 2 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL));
	areas("still one area", base, 8 * PAGE);
	try_read("read a guard", base, 2 * PAGE + 9);
	try_write("write a guard", base, 3 * PAGE);
	try_read("before it", base, PAGE);
	try_read("after it", base, 4 * PAGE);
	answer("protect over it", mprotect(base, 8 * PAGE, PROT_READ));
	answer("and back", mprotect(base, 8 * PAGE, READ_WRITE));
	try_read("still a guard", base, 2 * PAGE);
	answer("release over it", madvise(base, 8 * PAGE, MADV_DONTNEED));
	try_read("still one", base, 3 * PAGE);
	try_read("released", base, PAGE);
	answer("guard again", madvise(base + 2 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL));
	answer("remove one", madvise(base + 2 * PAGE, PAGE, MADV_GUARD_REMOVE));
	try_read("fresh page", base, 2 * PAGE);
	try_read("the other stays", base, 3 * PAGE);
	answer("remove all", madvise(base, 8 * PAGE, MADV_GUARD_REMOVE));
	try_write("usable", base, 3 * PAGE);
	munmap(base, 8 * PAGE);
}

static void in_a_child(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);

	answer("guard", madvise(base, PAGE, MADV_GUARD_INSTALL));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		try_read("in the child", base, 0);
		answer("the child removes it", madvise(base, PAGE, MADV_GUARD_REMOVE));
		try_read("in the child", base, 0);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	try_read("in the parent", base, 0);
	munmap(base, 4 * PAGE);
}

static void moved(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);

	memset(base, 'A', 4 * PAGE);
	answer("guard the second", madvise(base + PAGE, PAGE, MADV_GUARD_INSTALL));
	char *wall = mmap(base + 4 * PAGE, PAGE, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	char *there = mremap(base, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	answer("move", (long)there);
	try_read("first", there, 0);
	try_read("the guard came along", there, PAGE);
	try_read("third", there, 2 * PAGE);
	munmap(there, 8 * PAGE);
	if (wall != MAP_FAILED)
		munmap(wall, PAGE);
}

static void large(void)
{
	size_t size = 64ul << 20;
	char *base = must_map(size, READ_WRITE);

	answer("guard 64 MiB", madvise(base, size, MADV_GUARD_INSTALL));
	try_read("its first byte", base, 0);
	try_read("its last byte", base, size - 1);
	answer("remove a page in it", madvise(base + (32ul << 20), PAGE, MADV_GUARD_REMOVE));
	try_write("that page", base, 32ul << 20);
	try_read("the next one", base, (32ul << 20) + PAGE);
	munmap(base, size);
}

int main(void)
{
	char *base = must_map(PAGE, READ_WRITE);

	if (madvise(base, PAGE, MADV_GUARD_INSTALL) && errno == EINVAL) {
		puts("this kernel has no guard markers");
		return 77;
	}
	catch_faults();
	answer("odd address", madvise(base + 1, PAGE, MADV_GUARD_INSTALL));
	munmap(base, PAGE);
	answer("not mapped", madvise(base, PAGE, MADV_GUARD_INSTALL));
	over_memory();
	in_a_child();
	moved();
	large();
	return 0;
}
