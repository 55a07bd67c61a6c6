// SPDX-License-Identifier: MIT
// Futexes through the system call itself: errors, bit sets, requeueing, wake-op, shared memory at
// two addresses, and locks whose owner dies.
#include "conform.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Atomic int first, second, returned;

static long futex(void *word1, int operation, int number, const void *time, void *word2, int last)
{
	return syscall(SYS_futex, word1, operation, number, time, word2, last);
}

static void *sleeper(void *bits)
{
	futex(&first, FUTEX_WAIT_BITSET_PRIVATE, 0, NULL, NULL, (int)(long)bits);
	atomic_fetch_add_explicit(&returned, (int)(long)bits, memory_order_relaxed);
	return NULL;
}

static void errors(void)
{
	struct timespec soon = {.tv_nsec = 20000000}, wrong = {.tv_nsec = 2000000000};
	char *gone = must_map(PAGE, PROT_READ);

	munmap(gone, PAGE);
	answer("another value", futex(&first, FUTEX_WAIT, 1, NULL, NULL, 0));
	answer("time is over", futex(&first, FUTEX_WAIT, 0, &soon, NULL, 0));
	answer("no time", futex(&first, FUTEX_WAIT, 0, &wrong, NULL, 0));
	answer("a time long ago", futex(&first, FUTEX_WAIT_BITSET, 0, &soon, NULL, 1));
	answer("no bits", futex(&first, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	answer("odd address", futex((char *)&first + 1, FUTEX_WAIT, 0, &soon, NULL, 0));
	answer("nothing there", futex(gone, FUTEX_WAIT, 0, &soon, NULL, 0));
	answer("no operation", futex(&first, 99, 0, NULL, NULL, 0));
	figure("nobody to wake", futex(&first, FUTEX_WAKE, 5, NULL, NULL, 0));
	answer("requeue: another value",
		futex(&first, FUTEX_CMP_REQUEUE, 1, (void *)1, &second, 5));
}

// Wakes one waiter after another as soon as it sleeps.
static void wake_exactly(int number, int bits)
{
	while (number > 0) {
		long woken = futex(&first, FUTEX_WAKE_BITSET_PRIVATE, number, NULL, NULL, bits);

		number -= (int)woken;
		usleep(1000);
	}
}

static void waiters(void)
{
	pthread_t threads[4];
	long moved = 0;

	pthread_create(&threads[0], NULL, sleeper, (void *)1l);
	pthread_create(&threads[1], NULL, sleeper, (void *)2l);
	wake_exactly(1, 2);
	pthread_join(threads[1], NULL);
	figure("woken by its bit", returned);
	wake_exactly(1, 1);
	pthread_join(threads[0], NULL);
	returned = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, sleeper, (void *)1l);
	while (moved < 4) {
		moved += futex(&first, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)4, &second, 0);
		usleep(1000);
	}
	figure("moved", moved);
	figure("left at the first", futex(&first, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
	figure("woken at the second", futex(&second, FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	figure("all are back", returned);
	second = 5;
	figure("wake-op", futex(&first, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &second,
				  FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
	figure("it added", second);
}

static void shared(void)
{
	int file = memfd_create("shared", 0), status;
	_Atomic int *one, *other;
	pid_t child;

	if (ftruncate(file, PAGE))
		return;
	one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	other = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(futex(one, FUTEX_WAIT, 0, NULL, NULL, 0) ? 1 : 4);
	while (futex(other, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		usleep(1000);
	waitpid(child, &status, 0);
	figure("woken through another mapping", WEXITSTATUS(status));
}

static void *lock_and_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static void robust(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_t *mutex = (pthread_mutex_t *)page;
	sem_t *locked = (sem_t *)(page + 1024);
	pthread_mutexattr_t kind;
	pthread_t thread;
	pid_t child;

	pthread_mutexattr_init(&kind);
	pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &kind);
	sem_init(locked, 1, 0);
	pthread_create(&thread, NULL, lock_and_end, mutex);
	pthread_join(thread, NULL);
	figure("the thread that had it ended", pthread_mutex_lock(mutex) == EOWNERDEAD);
	figure("repaired", pthread_mutex_consistent(mutex));
	pthread_mutex_unlock(mutex);
	fflush(stdout);
	child = fork();
	if (!child) {
		pthread_mutex_lock(mutex);
		sem_post(locked);
		usleep(50000);
		raise(SIGKILL);
	}
	sem_wait(locked);
	figure("the process that had it was killed", pthread_mutex_lock(mutex) == EOWNERDEAD);
	waitpid(child, NULL, 0);
	pthread_mutex_consistent(mutex);
	figure("unlocked", pthread_mutex_unlock(mutex));
	figure("as good as new", pthread_mutex_lock(mutex));
}

int main(void)
{
	errors();
	waiters();
	shared();
	robust();
	return 0;
}
