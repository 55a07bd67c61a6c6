// SPDX-License-Identifier: MIT
// fork and copy-on-write, shared memory between processes, futexes in it, vfork, exec, exit
// statuses.
#include "conform.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)

static char *map_shared(size_t size)
{
	char *base = mmap(NULL, size, READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return base;
}

static int wait_for(pid_t child)
{
	int status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void copies(void)
{
	size_t pages = 600; // more than one table
	char *base = must_map(pages * PAGE, READ_WRITE);
	long wrong = 0;

	for (size_t i = 0; i < pages; i++)
		base[i * PAGE] = (char)i;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		for (size_t i = 0; i < pages; i++) {
			wrong += base[i * PAGE] != (char)i;
			base[i * PAGE] = 'c';
		}
		for (size_t i = 0; i < pages; i++)
			wrong += base[i * PAGE] != 'c';
		_exit(wrong ? 1 : 42);
	}
	int status = wait_for(child);
	figure("the child's status", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	for (size_t i = 0; i < pages; i++)
		wrong += base[i * PAGE] != (char)i;
	figure("pages that the parent lost", wrong);
	munmap(base, pages * PAGE);
}

// Each process makes the next, waits for it, and then checks that its own page is as it left it.
static int descend(char *page, int depth, int last)
{
	page[0] = (char)('0' + depth);
	if (depth == last)
		return depth;
	pid_t child = fork();
	if (child == 0)
		_exit(descend(page, depth + 1, last));
	int status = wait_for(child);
	return WIFEXITED(status) && page[0] == '0' + depth ? WEXITSTATUS(status) : 100;
}

static void generations(void)
{
	char *base = must_map(PAGE, READ_WRITE);

	fflush(stdout);
	figure("five generations", descend(base, 0, 5));
	figure("the first one's page", base[0]);
	munmap(base, PAGE);
}

static void shared(void)
{
	char *base = map_shared(4 * PAGE);

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		strcpy(base + PAGE, "from the child");
		mprotect(base, PAGE, PROT_READ);
		_exit(0);
	}
	wait_for(child);
	word("shared page", base + PAGE);
	try_write("the child's protection is its own", base, 0);
	answer("release a shared page", madvise(base + PAGE, PAGE, MADV_DONTNEED));
	word("its content stays", base + PAGE);
	munmap(base, 4 * PAGE);
}

// Waits until the word has that value. The kernel compares again, so no change is missed.
static void await(_Atomic int *turn, int value)
{
	for (;;) {
		int seen = atomic_load_explicit(turn, memory_order_acquire);
		if (seen == value)
			return;
		syscall(SYS_futex, turn, FUTEX_WAIT, seen, NULL, NULL, 0);
	}
}

// A ball that two processes throw to each other.
static void ping_pong(void)
{
	_Atomic int *turn = (_Atomic int *)map_shared(PAGE);
	const int rounds = 500;

	fflush(stdout);
	pid_t child = fork();
	int me = child == 0;
	for (int i = 0; i < rounds; i++) {
		await(turn, 2 * i + me);
		// Pairs with the acquire of the other's await().
		atomic_store_explicit(turn, 2 * i + me + 1, memory_order_release);
		syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	if (child == 0)
		_exit(7);
	int status = wait_for(child);
	figure("ping-pong", atomic_load_explicit(turn, memory_order_relaxed));
	figure("and its child", WEXITSTATUS(status));
	munmap((void *)turn, PAGE);
}

static void endings(void)
{
	static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGTERM};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		pid_t child = fork();
		if (child == 0) {
			for (int number = 1; number < 32; number++)
				signal(number, SIG_DFL);
			kill(getpid(), signals[i]);
			_exit(1);
		}
		int status = wait_for(child);
		figure("killed by", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
	}
	answer("wait for nobody", waitpid(-1, NULL, 0));
	answer("signal nobody", kill(999999, 0));
}

static void executes(char *self)
{
	char again[] = "again", spaced[] = "a b", empty[] = "", one[] = "ONE=1";
	char *const words[] = {self, again, spaced, empty, NULL};
	char *const variables[] = {one, NULL};
	int ends[2];
	char text[64] = "";

	if (pipe(ends))
		perror("pipe");
	pid_t child = vfork();
	if (child == 0) {
		dup2(ends[1], STDOUT_FILENO);
		execve("/proc/self/exe", words, variables);
		_exit(99);
	}
	close(ends[1]);
	ssize_t length = read(ends[0], text, sizeof(text) - 1);
	text[length < 0 ? 0 : length] = 0;
	int status = wait_for(child);
	word("what it said", text);
	figure("how it ended", WEXITSTATUS(status));
	close(ends[0]);
	answer("execute what is not there", execve("/not/there", words, variables));
	answer("execute a folder", execve("/tmp", words, variables));
}

// A parent whose memory changes while its child reads what it had.
static void storm(void)
{
	size_t pages = 64;
	char *base = must_map(pages * PAGE, READ_WRITE);
	int bad = 0;

	for (int round = 0; round < 20; round++) {
		memset(base, round, pages * PAGE);
		pid_t child = fork();
		if (child == 0) {
			for (size_t i = 0; i < pages * PAGE; i++)
				if (base[i] != (char)round)
					_exit(1);
			_exit(0);
		}
		memset(base, 255, pages * PAGE);
		int status = wait_for(child);
		bad += !WIFEXITED(status) || WEXITSTATUS(status);
	}
	figure("children that saw what came later", bad);
	munmap(base, pages * PAGE);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "again")) {
		printf("again [%s] [%s] ONE=%s", argv[2], argv[3], getenv("ONE"));
		return 17;
	}
	catch_faults();
	copies();
	generations();
	shared();
	ping_pong();
	endings();
	executes(argv[0]);
	storm();
	return 0;
}
