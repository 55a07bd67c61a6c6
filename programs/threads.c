// SPDX-License-Identifier: MIT
// Threads as programs use them: mutexes, conditions, thread-local data, signals to a thread,
// joining, many short ones, and faults of several threads in one page at the same time.
#include "conform.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORKERS 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter, turn;
static __thread long own;

static void *count(void *argument)
{
	(void)argument;
	for (int i = 0; i < 10000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		own++;
	}
	return (void *)own;
}

static void *in_turn(void *argument)
{
	long me = (long)argument;

	for (long round = 0; round < 50; round++) {
		pthread_mutex_lock(&lock);
		while (turn != round * WORKERS + me)
			pthread_cond_wait(&changed, &lock);
		turn++;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

static long all(void *(*work)(void *))
{
	pthread_t threads[WORKERS];
	long sum = 0;
	void *result;

	for (long i = 0; i < WORKERS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			perror("pthread_create");
	for (long i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], &result);
		sum += (long)result;
	}
	return sum;
}

static void *nothing(void *argument)
{
	return argument;
}

static pthread_barrier_t barrier;
static char *arena;
static const size_t arena_pages = 256;

// Every thread writes its own byte into every page; the first to come makes the page.
static void *meet(void *argument)
{
	long me = (long)argument;

	for (size_t page = 0; page < arena_pages; page++) {
		if (page % 16 == 0)
			pthread_barrier_wait(&barrier);
		arena[page * PAGE + (size_t)me] = (char)(me + 1);
	}
	return NULL;
}

static void same_pages(void)
{
	long wrong = 0;

	arena = must_map(arena_pages * PAGE, PROT_READ | PROT_WRITE);
	pthread_barrier_init(&barrier, NULL, WORKERS);
	all(meet);
	for (size_t page = 0; page < arena_pages; page++)
		for (long i = 0; i < WORKERS; i++)
			wrong += arena[page * PAGE + (size_t)i] != i + 1;
	figure("bytes lost in shared pages", wrong);
	munmap(arena, arena_pages * PAGE);
}

static _Atomic int handled;
static __thread int is_target;
static sem_t ready;

static void on_signal(int number)
{
	(void)number;
	atomic_store_explicit(&handled, is_target ? 1 : 2, memory_order_release);
}

static void *wait_for_signal(void *argument)
{
	is_target = 1;
	sem_post(&ready);
	while (!atomic_load_explicit(
		&handled, memory_order_acquire)) // pairs with the handler's store
		usleep(1000);
	return argument;
}

static void signal_one(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t thread;

	sigemptyset(&action.sa_mask);
	sigaction(SIGUSR1, &action, NULL);
	sem_init(&ready, 0, 0);
	pthread_create(&thread, NULL, wait_for_signal, NULL);
	sem_wait(&ready);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	word("signal handled", handled == 1 ? "by its target" : "by another");
}

int main(void)
{
	figure("own counters", all(count));
	figure("common counter", counter);
	all(in_turn);
	figure("turns", turn);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *result = NULL;
		pthread_create(&thread, NULL, nothing, (void *)(long)i);
		pthread_join(thread, &result);
		if ((long)result != i)
			puts("a wrong result");
	}
	same_pages();
	signal_one();
	return 0;
}
