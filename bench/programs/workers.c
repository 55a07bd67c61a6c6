// SPDX-License-Identifier: MIT
// Workers that start together (workers.h). They wait asleep, at pipes: a counting clock counts whoever spins.
#include "workers.h"

#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

static struct {
	int ready[2], start[2], ended[2], leave[2];
} pipes;

static const struct work *current;

static void take(int fd, unsigned count)
{
	char byte;

	for (unsigned i = 0; i < count; i++)
		if (read(fd, &byte, 1) != 1)
			fail("a worker is missing");
}

static void put(int fd, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (write(fd, "", 1) != 1)
			fail("write");
}

static void pin(unsigned number)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &set);
	must(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void *live(void *argument)
{
	struct worker *worker = argument;

	pin(worker->number);
	if (current->prepare)
		worker->own = current->prepare(worker);
	put(pipes.ready[1], 1);
	take(pipes.start[0], 1);
	current->run(worker);
	put(pipes.ended[1], 1);
	take(pipes.leave[0], 1); // its end is not in the time of the others
	return NULL;
}

static void launch(struct worker *worker, pthread_t *thread)
{
	if (!current->processes) {
		if (pthread_create(thread, NULL, live, worker))
			fail("pthread_create");
		return;
	}
	pid_t child = fork();

	must(child, "fork");
	if (child == 0) {
		live(worker);
		_exit(0);
	}
}

static void collect(pthread_t thread)
{
	int status;

	if (!current->processes)
		pthread_join(thread, NULL);
	else if (wait(&status) < 0 || status)
		fail("a worker failed");
}

uint64_t workers_run(const struct work *work)
{
	struct worker workers[MAX_WORKERS];
	pthread_t threads[MAX_WORKERS];
	uint64_t spent;

	current = work;
	if (pipe(pipes.ready) || pipe(pipes.start) || pipe(pipes.ended) || pipe(pipes.leave))
		fail("pipe");
	for (unsigned i = 0; i < work->count; i++) {
		workers[i] = (struct worker){.number = i, .count = work->count};
		launch(&workers[i], &threads[i]);
	}
	take(pipes.ready[0], work->count);
	spent = now();
	put(pipes.start[1], work->count);
	take(pipes.ended[0], work->count);
	spent = since(spent);
	put(pipes.leave[1], work->count);
	for (unsigned i = 0; i < work->count; i++)
		collect(threads[i]);
	for (unsigned i = 0; i < 2; i++) {
		close(pipes.ready[i]);
		close(pipes.start[i]);
		close(pipes.ended[i]);
		close(pipes.leave[i]);
	}
	return spent;
}
