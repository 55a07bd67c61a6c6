// SPDX-License-Identifier: MIT
// mmap, munmap, mprotect and what /proc/self/maps says of them.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

static long map(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return (long)mmap(at, size, protection, flags, fd, offset);
}

static void bad_requests(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);

	answer("map nothing", map(NULL, 0, READ_WRITE, ANONYMOUS, -1, 0));
	answer("map too much", map(NULL, 1ul << 48, READ_WRITE, ANONYMOUS, -1, 0));
	answer("map with a size that wraps", map(NULL, -1ul, READ_WRITE, ANONYMOUS, -1, 0));
	answer("map fixed at an odd address",
		map(base + 1, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0));
	answer("map fixed outside",
		map((void *)(1ul << 47), PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0));
	answer("map neither private nor shared", map(NULL, PAGE, READ_WRITE, MAP_ANONYMOUS, -1, 0));
	answer("map a closed file", map(NULL, PAGE, PROT_READ, MAP_PRIVATE, 999, 0));
	answer("map fixed, not replacing",
		map(base, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	answer("unmap an odd address", munmap(base + 1, PAGE));
	answer("unmap nothing", munmap(base, 0));
	answer("unmap what wraps", munmap(base, -1ul));
	answer("unmap outside", munmap((void *)(1ul << 47), PAGE));
	answer("unmap", munmap(base, 4 * PAGE));
	answer("unmap again", munmap(base, 4 * PAGE));
	answer("protect what is not mapped", mprotect(base, PAGE, PROT_READ));
	answer("protect an odd address", mprotect(base + 1, PAGE, PROT_READ));
	answer("protect nothing", mprotect(base, 0, PROT_READ));
	answer("map not replacing, free",
		map(base, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	munmap(base, PAGE);
}

static void protections(void)
{
	char *base = must_map(8 * PAGE, READ_WRITE);

	memset(base, 'A', 8 * PAGE);
	areas("eight pages", base, 8 * PAGE);
	answer("two read-only", mprotect(base + 2 * PAGE, 2 * PAGE, PROT_READ));
	areas("split in three", base, 8 * PAGE);
	try_write("write to read-only", base, 2 * PAGE + 5);
	try_read("read read-only", base, 3 * PAGE);
	answer("none", mprotect(base + 3 * PAGE, PAGE, PROT_NONE));
	try_read("read none", base, 3 * PAGE + 1);
	try_write("write none", base, 3 * PAGE + 1);
	areas("split in four", base, 8 * PAGE);
	answer("all back", mprotect(base, 8 * PAGE, READ_WRITE));
	areas("joined", base, 8 * PAGE);
	try_read("what was none is kept", base, 3 * PAGE);
	try_write("write again", base, 3 * PAGE);
	answer("hole", munmap(base + 4 * PAGE, PAGE));
	try_read("read the hole", base, 4 * PAGE + 7);
	answer("protect over the hole", mprotect(base, 8 * PAGE, PROT_READ));
	areas("protected up to the hole", base, 8 * PAGE);
	munmap(base, 8 * PAGE);
}

static void running(void)
{
	char *base = must_map(2 * PAGE, READ_WRITE);

	base[0] = base[PAGE] = (char)0xc3; // ret
	answer("first page runs", mprotect(base, PAGE, PROT_READ | PROT_EXEC));
	try_run("run it", base, 0);
	try_run("run data", base, PAGE);
	munmap(base, 2 * PAGE);
}

static void files(void)
{
	char block[PAGE];
	int fd = open("/tmp/mapping-test", O_RDWR | O_CREAT | O_TRUNC, 0600);

	unlink("/tmp/mapping-test");
	for (int i = 0; i < 3; i++) {
		memset(block, '0' + i, sizeof(block));
		if (write(fd, block, sizeof(block)) != sizeof(block))
			perror("write");
	}
	if (ftruncate(fd, 2 * PAGE + 100))
		perror("ftruncate");
	char *base = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);
	try_read("first page of a file", base, 0);
	try_read("second", base, PAGE);
	try_read("third, in the file", base, 2 * PAGE + 99);
	try_read("third, after the end", base, 2 * PAGE + 100);
	try_read("fourth, beyond the file", base, 3 * PAGE);
	base[PAGE] = 'x';
	if (pread(fd, block, 1, PAGE) == 1)
		figure("a private write does not reach the file", block[0]);
	if (pwrite(fd, "y", 1, 2 * PAGE) == 1)
		try_read("a write to the file is seen", base, 2 * PAGE);
	if (pwrite(fd, "z", 1, PAGE) == 1)
		try_read("but not in a page of our own", base, PAGE);
	answer("map at an odd offset", map(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100));
	munmap(base, 4 * PAGE);
	base = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	try_read("from the second page on", base, 0);
	munmap(base, PAGE);
	close(fd);
}

static void big(void)
{
	char *base = mmap(NULL, 1ul << 40, READ_WRITE, ANONYMOUS | MAP_NORESERVE, -1, 0);

	answer("map a TiB", (long)base);
	base[123ul << 30] = 7;
	answer("protect the middle half", mprotect(base + (1ul << 38), 1ul << 39, PROT_READ));
	try_read("what was written", base, 123ul << 30);
	try_write("outside it", base, (1ul << 38) - 1);
	try_read("inside", base, 1ul << 38);
	try_write("write inside", base, 1ul << 38);
	answer("unmap a quarter", munmap(base, 1ul << 38));
	try_read("gone", base, 123ul << 30);
	answer("unmap all", munmap(base, 1ul << 40));
}

static void populated(void)
{
	char *base = mmap(NULL, 6 * PAGE, READ_WRITE, ANONYMOUS | MAP_POPULATE, -1, 0);

	residency("populated", base, 6);
	munmap(base, 6 * PAGE);
	base = must_map(6 * PAGE, READ_WRITE);
	base[PAGE] = base[4 * PAGE] = 1;
	residency("two touched", base, 6);
	munmap(base + 2 * PAGE, PAGE);
	unsigned char resident[6];
	answer("residency over a hole", mincore(base, 6 * PAGE, resident));
	answer("residency at an odd address", mincore(base + 1, PAGE, resident));
	munmap(base, 6 * PAGE);
}

int main(void)
{
	catch_faults();
	bad_requests();
	protections();
	running();
	files();
	big();
	populated();
	return 0;
}
