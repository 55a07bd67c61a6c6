// SPDX-License-Identifier: MIT
// Signals for bad accesses: their codes and addresses, alternate stacks, repair in the handler;
// growing stacks; brk.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)

static void addresses(void)
{
	char *base = must_map(2 * PAGE, PROT_READ);

	try_write("write to read-only", base, 123);
	try_read("read it", base, 123);
	munmap(base, 2 * PAGE);
	try_read("unmapped", base, 77);
	try_read("the null page", NULL, 8);
	try_read("kernel half", (void *)0xffff800000000000ul, 16);
}

// System calls get EFAULT where a program would get a signal.
static void in_system_calls(void)
{
	char *base = must_map(2 * PAGE, READ_WRITE);
	int ends[2];

	if (pipe(ends))
		perror("pipe");
	memset(base, 'A', PAGE);
	munmap(base + PAGE, PAGE);
	answer("write from nowhere", write(ends[1], base + PAGE, 10));
	figure("write up to the edge", write(ends[1], base + PAGE - 10, 10));
	answer("read to nowhere", read(ends[0], base + PAGE, 10));
	mprotect(base, PAGE, PROT_READ);
	answer("read to read-only", read(ends[0], base, 10));
	mprotect(base, PAGE, READ_WRITE);
	figure("read", read(ends[0], base, 10));
	answer("a name in nowhere", open(base + PAGE, O_RDONLY));
	answer("a buffer in the kernel", write(ends[1], (void *)0xffff800000000000ul, 10));
	answer("a buffer around the end", write(ends[1], (void *)-5ul, 10));
	close(ends[0]);
	close(ends[1]);
	munmap(base, PAGE);
}

static char *volatile lazy_base;
static volatile sig_atomic_t repaired;

static void repair(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	char *page = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));
	mprotect(page, PAGE, READ_WRITE);
	page[0] = (char)((page - lazy_base) / (long)PAGE);
	repaired++;
}

// A collector or an emulator lives from this: the handler makes the page usable and the access goes
// on.
static void repairs(void)
{
	struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO}, before;
	long sum = 0;

	lazy_base = must_map(100 * PAGE, PROT_NONE);
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &before);
	for (size_t i = 0; i < 100; i++)
		sum += *(volatile char *)(lazy_base + i * PAGE);
	sigaction(SIGSEGV, &before, NULL);
	figure("pages repaired", repaired);
	figure("their sum", sum);
	munmap(lazy_base, 100 * PAGE);
}

static sigjmp_buf out;
static stack_t other;
static volatile sig_atomic_t on_other;

static void overflowed(int number)
{
	char here;

	(void)number;
	on_other = &here >= (char *)other.ss_sp && &here < (char *)other.ss_sp + other.ss_size;
	siglongjmp(out, 1);
}

static volatile long deepest;

__attribute__((noinline)) static long recurse(long depth)
{
	volatile char block[4000];

	block[0] = (char)depth;
	deepest = depth;
	if (depth == 1000000)
		return 0;
	return recurse(depth + 1) + block[0];
}

// The stack grows to its limit of 8 MiB, then the signal arrives on the other stack.
static void overflow(void)
{
	struct sigaction action = {.sa_handler = overflowed, .sa_flags = SA_ONSTACK}, before;

	other = (stack_t){.ss_sp = must_map(64 * PAGE, READ_WRITE), .ss_size = 64 * PAGE};
	answer("alternate stack", sigaltstack(&other, NULL));
	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, &before);
	if (sigsetjmp(out, 1) == 0)
		recurse(0);
	sigaction(SIGSEGV, &before, NULL);
	word("the handler's stack", on_other ? "the alternate one" : "the ordinary one");
	word("the stack grew", deepest > 1800 && deepest < 2100 ? "to its limit" : "wrongly");
}

static void uncaught(void)
{
	volatile char *volatile nowhere = (char *)8;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		*nowhere = 1;
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	figure("uncaught", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_IGN);
		*nowhere = 1;
		_exit(0);
	}
	waitpid(child, &status, 0);
	figure("ignored", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

static void breaks(void)
{
	char *start = sbrk(0);

	word("grow the break", sbrk(10 * PAGE) == start ? "ok" : "moved");
	try_write("in it", start, 9 * PAGE);
	start[9 * PAGE] = 'x';
	word("shrink it", brk(start + 5 * PAGE) ? "refused" : "ok");
	try_read("cut off", start, 9 * PAGE);
	word("grow again", brk(start + 10 * PAGE) ? "refused" : "ok");
	try_read("fresh", start, 9 * PAGE);
	word("below the start", brk((void *)PAGE) ? "refused" : "ok");
	word("into the sky", brk((void *)(1ul << 46)) ? "refused" : "ok");
	word("unchanged", sbrk(0) == start + 10 * PAGE ? "yes" : "no");
	word("give back", brk(start) ? "refused" : "ok");
}

static void truncated(void)
{
	int fd = open("/tmp/faults-test", O_RDWR | O_CREAT | O_TRUNC, 0600);

	unlink("/tmp/faults-test");
	if (ftruncate(fd, 3 * PAGE))
		perror("ftruncate");
	char *base = mmap(NULL, 3 * PAGE, READ_WRITE, MAP_PRIVATE, fd, 0);
	try_read("zeros", base, PAGE - 1);
	answer("cut the file", ftruncate(fd, PAGE / 2));
	try_read("first page stays", base, PAGE - 1);
	try_read("second is gone", base, PAGE);
	try_read("third is gone", base, 2 * PAGE + 1);
	answer("grow the file", ftruncate(fd, 3 * PAGE));
	try_read("zeros again", base, PAGE);
	munmap(base, 3 * PAGE);
	close(fd);
}

int main(void)
{
	catch_faults();
	addresses();
	in_system_calls();
	repairs();
	overflow();
	uncaught();
	breaks();
	truncated();
	return 0;
}
