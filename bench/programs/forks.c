// SPDX-License-Identifier: MIT
// fork, exit and wait with 1 MiB to 1 GiB resident, and the first writes after a fork: page by page while the child
// lives (copied), and after it has ended (taken over).
//
//   forks [MIB]    the most that is resident, 1024
#include "bench.h"

#include <signal.h>
#include <sys/wait.h>

#define WRITES 256UL

static void fork_and_wait(void)
{
	pid_t child = fork();

	must(child, "fork");
	if (child == 0)
		_exit(0);
	must(wait(NULL), "wait");
}

// The child has done what it does, and sleeps: nothing of it is in the time of what follows.
static pid_t fork_and_keep(void)
{
	int ready[2];
	char byte;

	must(pipe(ready), "pipe");
	pid_t child = fork();

	must(child, "fork");
	if (child == 0) {
		must((int)write(ready[1], "", 1), "write");
		for (;;)
			pause();
	}
	must((int)read(ready[0], &byte, 1), "read");
	close(ready[0]);
	close(ready[1]);
	return child;
}

static double writes(char *p)
{
	uint64_t t = now();

	touch(p, WRITES * PAGE, PAGE);
	return (double)since(t) / WRITES;
}

int main(int argc, char **argv)
{
	size_t most = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) * MIB;
	char *p = map(most);
	size_t resident = 0;

	for (size_t size = MIB; size <= most; size *= 4) {
		unsigned rounds = size < 64 * MIB ? 4 : 1;

		touch(p + resident, size - resident, PAGE);
		resident = size;
		uint64_t t = now();

		for (unsigned i = 0; i < rounds; i++)
			fork_and_wait();
		figure((double)since(t) / rounds, "ns", "fork-exit-wait/%lu", size);
		pid_t child = fork_and_keep();

		figure(writes(p), "ns", "write-copied/%lu", size);
		must(kill(child, SIGKILL), "kill");
		must(wait(NULL), "wait");
		fork_and_wait();
		figure(writes(p), "ns", "write-taken-over/%lu", size);
	}
	uint64_t t = now();

	unmap(p, most);
	figure((double)since(t) / (double)(resident / PAGE), "ns", "unmap-page-of/%lu", resident);
	return 0;
}
