// SPDX-License-Identifier: MIT
// The corners of the system calls on memory: error numbers, limits, hints, the break, growing
// stacks, files mapped in every way, locking, and futexes in memory of all kinds.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANONYMOUS  (MAP_PRIVATE | MAP_ANONYMOUS)
#define READ_WRITE (PROT_READ | PROT_WRITE)

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static int file_of(size_t size, int flags)
{
	static char name[] = "/tmp/corners-test";
	char block[PAGE];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(block, 'f', sizeof(block));
	for (size_t done = 0; done < size; done += PAGE)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			perror("write");
	close(fd);
	fd = open(name, flags);
	unlink(name);
	return fd;
}

static void moving_badly(void)
{
	char *base = must_map(8 * PAGE, READ_WRITE);

	answer("move an odd address", (long)mremap(base + 1, PAGE, PAGE, 0));
	answer("move to nothing", (long)mremap(base, PAGE, 0, MREMAP_MAYMOVE));
	answer("move with an odd flag", (long)mremap(base, PAGE, PAGE, 64));
	answer("move fixed, may not move",
		(long)mremap(base, PAGE, PAGE, MREMAP_FIXED, base + PAGE));
	answer("move onto itself",
		(long)mremap(base, 4 * PAGE, 4 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, base + PAGE));
	answer("move to an odd address",
		(long)mremap(base, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, base + 4 * PAGE + 1));
	answer("move to outside",
		(long)mremap(base, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, 1ul << 47));
	answer("move private memory of no length", (long)mremap(base, 0, PAGE, MREMAP_MAYMOVE));
	answer("move too much", (long)mremap(base, 8 * PAGE, 1ul << 48, MREMAP_MAYMOVE));
	munmap(base + 4 * PAGE, PAGE);
	answer("grow over a hole", (long)mremap(base, 8 * PAGE, 9 * PAGE, MREMAP_MAYMOVE));
	answer("move a hole", (long)mremap(base + 4 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	answer("shrink over a hole", (long)mremap(base, 8 * PAGE, 2 * PAGE, 0));
	areas("what is left", base, 8 * PAGE);
	mprotect(base + PAGE, PAGE, PROT_READ);
	answer("grow two areas", (long)mremap(base, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	munmap(base, 8 * PAGE);
}

static void shared_twice(void)
{
	char *base = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	base[PAGE] = 's';
	char *twin = mremap(base, 0, 4 * PAGE, MREMAP_MAYMOVE);
	answer("a second mapping of shared memory", (long)twin);
	try_read("shows the same", twin, PAGE);
	base[0] = 't';
	try_read("and stays the same", twin, 0);
	answer("shared memory grows",
		(long)(base = mremap(base, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE)));
	try_read("its end has no memory behind it", base, 5 * PAGE);
	munmap(base, 8 * PAGE);
	try_read("the twin lives on", twin, PAGE);
	munmap(twin, 4 * PAGE);
}

static void checking_calls(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);
	unsigned char one;

	answer("sync", msync(base, 4 * PAGE, MS_SYNC));
	answer("sync an odd address", msync(base + 1, PAGE, MS_SYNC));
	answer("sync both ways", msync(base, PAGE, MS_SYNC | MS_ASYNC));
	answer("sync an unknown way", msync(base, PAGE, 64));
	answer("sync nothing", msync(base, 0, MS_ASYNC));
	munmap(base + PAGE, PAGE);
	answer("sync a hole", msync(base, 4 * PAGE, MS_ASYNC));
	answer("residency nowhere to write", mincore(base, PAGE, (void *)8));
	answer("residency of nothing", mincore(base, 0, &one));
	answer("residency outside", mincore(base, -1ul, &one));
	answer("lock a hole", mlock(base, 4 * PAGE));
	answer("lock", mlock(base + 2 * PAGE + 1, PAGE));
	residency("locked", base + 2 * PAGE, 2);
	answer("unlock", munlock(base + 2 * PAGE, 2 * PAGE));
	answer("unlock a hole", munlock(base, 4 * PAGE));
	answer("lock with an odd flag", syscall(SYS_mlock2, base, PAGE, 8));
	answer("lock all, no flag", mlockall(0));
	answer("lock all, odd flag", mlockall(64));
	answer("lock what comes", mlockall(MCL_FUTURE));
	char *more = must_map(3 * PAGE, READ_WRITE);
	residency("came locked", more, 3);
	answer("unlock all", munlockall());
	munmap(more, 3 * PAGE);
	munmap(base, 4 * PAGE);
}

static void populating(void)
{
	char *base = must_map(6 * PAGE, READ_WRITE);

	answer("populate for reading", madvise(base, 2 * PAGE, MADV_POPULATE_READ));
	answer("populate for writing", madvise(base + 2 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE));
	residency("four of six", base, 6);
	mprotect(base, PAGE, PROT_READ);
	answer("populate read-only for writing", madvise(base, PAGE, MADV_POPULATE_WRITE));
	mprotect(base, PAGE, PROT_NONE);
	answer("populate without rights", madvise(base, PAGE, MADV_POPULATE_READ));
	munmap(base + 5 * PAGE, PAGE);
	answer("populate a hole", madvise(base + 4 * PAGE, 2 * PAGE, MADV_POPULATE_READ));
	residency("up to the hole", base + 4 * PAGE, 1);
	munmap(base, 5 * PAGE);
	int fd = file_of(2 * PAGE, O_RDWR);
	base = mmap(NULL, 4 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);
	answer("populate beyond a file", madvise(base, 4 * PAGE, MADV_POPULATE_READ));
	answer("free a file's pages lazily", madvise(base, PAGE, MADV_FREE));
	base[0] = 'x';
	answer("release a file's pages", madvise(base, 2 * PAGE, MADV_DONTNEED));
	try_read("the file's again", base, 0);
	answer("will need a file", madvise(base, 4 * PAGE, MADV_WILLNEED));
	munmap(base, 4 * PAGE);
	close(fd);
}

static void shared_files(void)
{
	int fd = file_of(2 * PAGE, O_RDWR), reader, writer;
	char c;
	char *base = mmap(NULL, 2 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	char *own = mmap(NULL, 2 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);

	base[5] = 'w';
	figure("read sees what was stored", pread(fd, &c, 1, 5) == 1 ? c : -1);
	try_read("so does a private mapping", own, 5);
	own[PAGE] = 'p';
	base[PAGE] = 'q';
	try_read("until it has its own copy", own, PAGE);
	answer("sync the file", msync(base, 2 * PAGE, MS_SYNC));
	munmap(base, 2 * PAGE);
	munmap(own, 2 * PAGE);
	close(fd);

	reader = file_of(PAGE, O_RDONLY);
	writer = file_of(PAGE, O_WRONLY);
	answer("write shared, opened for reading",
		(long)mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, reader, 0));
	answer("write private, opened for reading",
		(long)(base = mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, reader, 0)));
	munmap(base, PAGE);
	base = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, reader, 0);
	answer("read shared", (long)base);
	answer("make it writable", mprotect(base, PAGE, READ_WRITE));
	munmap(base, PAGE);
	answer("read, opened for writing",
		(long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0));
	answer("a file that grows down",
		(long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, reader, 0));
	answer("an offset that wraps",
		(long)mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, reader, (off_t)(-PAGE)));
	answer("nothing of a file", (long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE, reader, 0));
	close(reader);
	close(writer);
	reader = open("/", O_RDONLY);
	answer("a folder", (long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, reader, 0));
	close(reader);
	int zero = open("/dev/zero", O_RDWR);
	base = mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, zero, 0);
	answer("/dev/zero", (long)base);
	try_read("holds zeroes", base, 9);
	munmap(base, PAGE);
	close(zero);
}

// A file that is cut takes its pages out of all mappings, also of a child's, and private copies
// too.
static void cutting(void)
{
	int fd = file_of(3 * PAGE, O_RDWR), status;
	char *shared = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	char *own = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);

	own[PAGE] = 'p';
	own[0] = 'p';
	shared[2 * PAGE] = 's';
	pid_t child = fork();
	if (child == 0) {
		while (!shared[0] || shared[0] == 'f')
			usleep(1000);
		try_read("the child's own page", own, PAGE);
		fflush(stdout);
		_exit(0);
	}
	answer("cut", ftruncate(fd, PAGE / 2));
	shared[0] = 'g';
	waitpid(child, &status, 0);
	try_read("what is left", own, 0);
	try_read("zeroes up to the page's end", shared, PAGE - 1);
	try_read("a copy behind the end", own, PAGE);
	try_read("shared, behind the end", shared, 2 * PAGE);
	try_write("written there", shared, PAGE);
	answer("grow", ftruncate(fd, 3 * PAGE));
	try_read("a hole now", own, PAGE);
	try_read("another", shared, 2 * PAGE);
	munmap(shared, 3 * PAGE);
	munmap(own, 3 * PAGE);
	close(fd);
}

static void placing(void)
{
	char *base = must_map(8 * PAGE, READ_WRITE), *there;

	munmap(base + 2 * PAGE, 2 * PAGE);
	there = mmap(base + 2 * PAGE, PAGE, PROT_READ, ANONYMOUS, -1, 0);
	word("a free hint", there == base + 2 * PAGE ? "taken" : "not taken");
	there = mmap(base + 3 * PAGE + 100, PAGE, PROT_READ, ANONYMOUS, -1, 0);
	word("an odd hint", there == base + 3 * PAGE ? "rounded" : "not taken");
	there = mmap(base, PAGE, PROT_READ, ANONYMOUS, -1, 0);
	word("a hint that is in use", there == base ? "replaced" : "elsewhere");
	munmap(there, PAGE);
	there = mmap(NULL, PAGE, PROT_READ, ANONYMOUS | MAP_32BIT, -1, 0);
	word("below 2 GiB", (uintptr_t)there < 1ul << 31 ? "yes" : "no");
	munmap(there, PAGE);
	answer("validated private anonymous",
		(long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
	answer("of type 4", (long)mmap(NULL, PAGE, PROT_READ, 4 | MAP_ANONYMOUS, -1, 0));
	there = mmap(NULL, 1ul << 40, PROT_NONE, ANONYMOUS, -1, 0);
	answer("a TiB without rights", (long)there);
	answer("that becomes writable", mprotect(there, 1ul << 40, READ_WRITE));
	munmap(there, 1ul << 40);
	answer("100 TiB at once", (long)mmap(NULL, 100ul << 40, READ_WRITE, ANONYMOUS, -1, 0));
	there = mmap(NULL, 50ul << 30, READ_WRITE, ANONYMOUS | MAP_NORESERVE, -1, 0);
	answer("50 GiB, not reserved", (long)there);
	munmap(there, 50ul << 30);
	munmap(base, 8 * PAGE);
}

static void protecting(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);

	answer("protect with an odd right", mprotect(base, PAGE, 64));
	answer("protect both ways",
		mprotect(base, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	answer("protect what does not grow", mprotect(base, PAGE, PROT_READ | PROT_GROWSDOWN));
	answer("protect upwards", mprotect(base, PAGE, PROT_READ | PROT_GROWSUP));
	answer("protect what wraps", mprotect(base, -PAGE, PROT_READ));
	answer("write only", mprotect(base, PAGE, PROT_WRITE));
	try_write("is written", base, 0);
	try_read("and read", base, 0);
	answer("run only", mprotect(base, PAGE, PROT_EXEC));
	try_read("is read", base, 0);
	munmap(base, 4 * PAGE);
}

static void growing_down(void)
{
	char *base = must_map(1024 * PAGE, PROT_NONE), *top = base + 1024 * PAGE;

	munmap(base, 1024 * PAGE);
	char *stack = mmap(top - 2 * PAGE, 2 * PAGE, READ_WRITE,
		ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0);
	answer("a stack", (long)stack);
	try_write("its first page", stack, 0);
	try_write("one below", stack - PAGE, 0);
	try_write("ten below", stack - 10 * PAGE, 100);
	try_read("between", stack - 5 * PAGE, 0);
	word("as far as it was touched",
		access(stack - 10 * PAGE, F_OK) == -1 && errno != EFAULT ? "mapped" : "not mapped");
	answer("down to its start", mprotect(top - PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	try_write("the lowest page", stack - 10 * PAGE, 0);
	munmap(stack - 10 * PAGE, 12 * PAGE);
}

static void breaking(void)
{
	char *old = sbrk(0), *start = (char *)(((uintptr_t)old + PAGE - 1) & ~(PAGE - 1));
	char *got;

	word("grow", brk(start + 4 * PAGE) == 0 && sbrk(0) == start + 4 * PAGE ? "ok" : "refused");
	memset(start, 'b', 4 * PAGE);
	word("shrink", brk(start + PAGE) == 0 ? "ok" : "refused");
	try_read("kept", start, 0);
	try_read("gone", start, PAGE);
	word("grow again", brk(start + 4 * PAGE) == 0 ? "ok" : "refused");
	try_read("is new", start, 2 * PAGE);
	got = mmap(start + 8 * PAGE, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	answer("something in the way", (long)got);
	word("grow into it", brk(start + 16 * PAGE) == 0 ? "ok" : "refused");
	word("the break", sbrk(0) == start + 4 * PAGE ? "is unchanged" : "has changed");
	munmap(got, PAGE);
	word("grow without it", brk(start + 16 * PAGE) == 0 ? "ok" : "refused");
	word("below its start", syscall(SYS_brk, 4096) == (long)sbrk(0) ? "refused" : "ok");
	brk(old);
}

static void limits(void)
{
	struct rlimit was, now;
	char *base;

	getrlimit(RLIMIT_AS, &was);
	now = was;
	now.rlim_cur = 1ul << 30;
	setrlimit(RLIMIT_AS, &now);
	answer("2 GiB of 1", (long)mmap(NULL, 2ul << 30, PROT_NONE, ANONYMOUS, -1, 0));
	answer("100 MiB of 1 GiB",
		(long)(base = mmap(NULL, 100ul << 20, PROT_NONE, ANONYMOUS, -1, 0)));
	answer("grow to 2 GiB", (long)mremap(base, 100ul << 20, 2ul << 30, MREMAP_MAYMOVE));
	munmap(base, 100ul << 20);
	setrlimit(RLIMIT_AS, &was);
	getrlimit(RLIMIT_DATA, &was);
	now = was;
	now.rlim_cur = 64ul << 20;
	setrlimit(RLIMIT_DATA, &now);
	answer("128 MiB of data of 64",
		(long)mmap(NULL, 128ul << 20, READ_WRITE, ANONYMOUS, -1, 0));
	answer("128 MiB to read",
		(long)(base = mmap(NULL, 128ul << 20, PROT_READ, ANONYMOUS, -1, 0)));
	munmap(base, 128ul << 20);
	setrlimit(RLIMIT_DATA, &was);
}

// Waits in a child and wakes from here: 1 when both mean the same futex.
static void futex(const char *what, unsigned *ours, unsigned *theirs, int flag)
{
	pid_t child = fork();

	if (child == 0) {
		struct timespec limit = {2, 0};
		long r = syscall(SYS_futex, theirs, FUTEX_WAIT | flag, *theirs, &limit, NULL, 0);

		_exit(r == 0 ? 1 : errno == ETIMEDOUT ? 0 : 2);
	}
	long woken = 0;
	for (int i = 0; i < 150 && woken == 0; i++) {
		struct timespec pause = {0, 2000000};

		nanosleep(&pause, NULL);
		woken = syscall(SYS_futex, ours, FUTEX_WAKE | flag, 1, NULL, NULL, 0);
	}
	if (woken == 0)
		kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	figure(what, woken);
}

static void futexes(void)
{
	unsigned *shared = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned *own = (unsigned *)must_map(PAGE, READ_WRITE);
	int fd = file_of(PAGE, O_RDWR);
	unsigned *one = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	unsigned *two = mmap(NULL, PAGE, READ_WRITE, MAP_SHARED, fd, 0);
	unsigned *copy = mmap(NULL, PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);
	unsigned *view = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	*shared = *own = 1;
	futex("shared anonymous", shared, shared, 0);
	futex("shared anonymous, called private", shared, shared, FUTEX_PRIVATE_FLAG);
	futex("private anonymous", own, own, 0);
	futex("a file", one, one, 0);
	futex("a file, two mappings", one, two, 0);
	futex("another word of it", one, one + 1, 0);
	futex("a private mapping of it", one, copy, 0);
	futex("a private mapping that only reads", one, view, 0);
	answer("an odd address", syscall(SYS_futex, (char *)one + 1, FUTEX_WAKE, 1, NULL, NULL, 0));
	answer("nowhere", syscall(SYS_futex, (void *)64, FUTEX_WAKE, 1, NULL, NULL, 0));
	answer("nowhere, private",
		syscall(SYS_futex, (void *)64, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0));
	close(fd);
}

int main(void)
{
	catch_faults();
	moving_badly();
	shared_twice();
	checking_calls();
	populating();
	shared_files();
	fflush(stdout);
	cutting();
	placing();
	protecting();
	growing_down();
	breaking();
	limits();
	futexes();
	return 0;
}
