// SPDX-License-Identifier: MIT
// Several threads that carry out hostile calls in one address space.
#include "storm.h"
#include "run.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4

static sem_t done;

static void *work(void *input)
{
	const struct input *steps = input;

	run_steps(steps, 0, (uint32_t)(steps->length / STEP_BYTES), 2);
	/* Not by its end, whose word a step may have moved elsewhere. */
	sem_post(&done);
	return NULL;
}

static void storm_here(struct input *inputs)
{
	pthread_t threads[THREADS];

	alarm(20);
	run_prepare();
	for (unsigned i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, &inputs[i]))
			_exit(77);
	for (unsigned i = 0; i < THREADS; i++)
		sem_wait(&done);
	_exit(0);
}

int storm(const struct corpus *corpus, uint64_t seed, unsigned long rounds)
{
	unsigned long ended = 0, killed = 0;
	struct random random = {seed};
	struct input inputs[THREADS];
	int status;

	for (unsigned long i = 0; i < rounds; i++) {
		for (unsigned n = 0; n < THREADS; n++)
			input_mutate(corpus, &random, &inputs[n]);
		pid_t pid = fork();

		if (pid == 0)
			storm_here(inputs);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status == 77 << 8) {
			fputs("a round could not be run\n", stderr);
			return 2;
		}
		killed += WIFSIGNALED(status);
		ended += !WIFSIGNALED(status);
	}
	printf("%lu rounds, %lu ended, %lu killed by a signal\n", rounds, ended, killed);
	return 0;
}
