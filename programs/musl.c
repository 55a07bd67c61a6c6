// SPDX-License-Identifier: MIT
// A program linked with musl: its start-up, allocator, threads and fork are not glibc's.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long total;

static void *add(void *argument)
{
	for (long i = 0; i < 1000; i++) {
		char *block = malloc(1 + (size_t)i * 37 % 70000);
		if (!block)
			return NULL;
		block[0] = (char)i;
		pthread_mutex_lock(&lock);
		total += block[0] == (char)i;
		pthread_mutex_unlock(&lock);
		free(block);
	}
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[4];

	printf("hello from musl with %d argument%s\n", argc - 1, argc == 2 ? "" : "s");
	for (int i = 1; i < argc; i++)
		printf("  %d: %s\n", i, argv[i]);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	printf("blocks: %ld\n", total);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		puts("the child");
		fflush(stdout);
		_exit(5);
	}
	int status = 0;
	waitpid(child, &status, 0);
	printf("it ended with %d\n", WEXITSTATUS(status));
	return 0;
}
