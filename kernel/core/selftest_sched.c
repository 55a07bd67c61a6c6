// SPDX-License-Identifier: MIT
/*
 * Self-test: threads, preemption, sleeping, timers, calls between CPUs.
 */
#include "selftest.h"

#include <kernel/ipi.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

#include "../arch/x86_64/arch.h"

#define STORM 200
#define ROUNDS 500

static struct mutex test_mutex = MUTEX_INIT(test_mutex);
static struct spinlock test_lock = SPINLOCK_INIT;
static struct waitqueue test_queue = WAITQUEUE_INIT(test_queue);
static uint64_t shared_count, shared_count2;
static atomic_uint spinning, turn;

static void count_thread(void *arg, unsigned int i)
{
	(void)arg;
	(void)i;
	for (int n = 0; n < ROUNDS; n++) {
		mutex_lock(&test_mutex);
		shared_count++;
		if (n % 16 == 0)
			task_yield();
		mutex_unlock(&test_mutex);
		spin_lock(&test_lock);
		shared_count2++;
		spin_unlock(&test_lock);
	}
}

void selftest_locks(void)
{
	unsigned int threads = 2 * cpu_count();

	shared_count = 0;
	shared_count2 = 0;
	selftest_threads(threads, false, count_thread, NULL);
	CHECK(shared_count == threads * ROUNDS);
	CHECK(shared_count2 == threads * ROUNDS);
}

/* More threads than CPUs, none of which gives up its CPU: only preemption lets all of them arrive. */
static void spin_thread(void *arg, unsigned int i)
{
	(void)arg;
	(void)i;
	/* Relaxed: only a count of arrivals, and a flag. */
	atomic_fetch_add_explicit(&spinning, 1, memory_order_relaxed);
	while (atomic_load_explicit(&spinning, memory_order_relaxed) < 3 * cpu_count())
		cpu_relax();
}

static void test_preemption(void)
{
	atomic_store_explicit(&spinning, 0, memory_order_relaxed);
	selftest_threads(3 * cpu_count(), false, spin_thread, NULL);
	CHECK(atomic_load_explicit(&spinning, memory_order_relaxed) == 3 * cpu_count());
}

static void affinity_thread(void *arg, unsigned int i)
{
	(void)arg;
	for (unsigned int n = 0; n < 2 * cpu_count(); n++) {
		unsigned int cpu = (i + n) % cpu_count();

		CHECK(task_set_affinity(current(), CPU_BIT(cpu)) == 0);
		CHECK(cpu_id() == cpu);
		task_yield();
		CHECK(cpu_id() == cpu);
	}
	CHECK(task_set_affinity(current(), 0) < 0);
}

/* Two threads hand a turn to and fro through a wait queue. */
static void turn_thread(void *arg, unsigned int i)
{
	(void)arg;
	for (unsigned int n = 0; n < ROUNDS; n++) {
		/* Acquire and release: the turn is the only thing handed over. */
		wait_event(&test_queue, atomic_load_explicit(&turn, memory_order_acquire) % 2 == i);
		atomic_fetch_add_explicit(&turn, 1, memory_order_release);
		wake_all(&test_queue);
	}
}

static int sleeper(void *arg)
{
	int *result = arg;

	*result = wait_event_interruptible(&test_queue, false);
	task_clear_work(WORK_SIGNAL);
	mutex_lock(&test_mutex);
	*result -= 1;
	mutex_unlock(&test_mutex);
	return 0;
}

static void test_signal_wakes(void)
{
	static int result;
	struct task *t;

	result = 0;
	t = task_create("sleeper", sleeper, &result);
	assert(t);
	task_start(t);
	/* Relaxed: only to wait until it sleeps, which is not needed for the result. */
	while (atomic_load_explicit(&t->state, memory_order_relaxed) != TASK_SLEEPING_INT)
		task_sleep_until(ktime_ns() + 1000000, false);
	task_notify(t, WORK_SIGNAL);
	while (atomic_load_explicit(&t->state, memory_order_acquire) != TASK_DEAD)
		task_sleep_until(ktime_ns() + 1000000, false);
	CHECK(result == -ERESTARTSYS - 1);
	task_put(t);
}

static void sleep_thread(void *arg, unsigned int i)
{
	uint64_t length = (i + 1) * 3000000, start = ktime_ns(), took;
	uint64_t *worst = arg;

	task_sleep_until(start + length, false);
	took = ktime_ns() - start;
	CHECK(took >= length);
	mutex_lock(&test_mutex);
	*worst = MAX(*worst, took - length);
	mutex_unlock(&test_mutex);
}

/* The clock never goes back when it is read on one CPU after another. */
static void clock_thread(void *arg, unsigned int i)
{
	_Atomic uint64_t *last = arg;

	(void)i;
	for (int n = 0; n < 2000; n++) {
		/* Acquire and release: a value read there was taken before. */
		uint64_t before = atomic_load_explicit(last, memory_order_acquire), now = ktime_ns();

		if (now < before)
			CHECK(now >= before);
		while (before < now && !atomic_compare_exchange_weak_explicit(
					       last, &before, now, memory_order_release,
					       memory_order_relaxed))
			;
	}
}

static struct timer order_timers[5];
static unsigned int order_seen[5], order_count;
static atomic_bool order_done;

static void order_fn(struct timer *t)
{
	order_seen[order_count++] = (unsigned int)(t - order_timers);
	if (order_count < 4)
		return;
	/* Release pairs with the acquire in test_timers. */
	atomic_store_explicit(&order_done, true, memory_order_release);
	wake_all(&test_queue);
}

void selftest_timers(void)
{
	static const unsigned int delay[5] = { 4, 2, 5, 1, 3 };
	_Atomic uint64_t last = 0;
	uint64_t now, worst = 0;

	order_count = 0;
	atomic_store_explicit(&order_done, false, memory_order_relaxed);
	/* All on one CPU: they share a list. */
	preempt_disable();
	now = ktime_ns() + 2000000;
	for (int i = 0; i < 5; i++) {
		timer_init(&order_timers[i], order_fn);
		timer_start(&order_timers[i], now + delay[i] * 1000000);
	}
	preempt_enable();
	CHECK(timer_cancel(&order_timers[2]));
	CHECK(!timer_cancel(&order_timers[2]));
	wait_event(&test_queue, atomic_load_explicit(&order_done, memory_order_acquire));
	CHECK(order_seen[0] == 3 && order_seen[1] == 1 && order_seen[2] == 4 && order_seen[3] == 0);
	CHECK(!timer_cancel(&order_timers[0]));
	CHECK(wait_event_timeout(&test_queue, false, ktime_ns() + 2000000) == -ETIMEDOUT);
	selftest_threads(8, false, sleep_thread, &worst);
	klog("selftest: sleeps were at most %lu us late", worst / 1000);
	selftest_threads(cpu_count(), true, clock_thread, &last);
}

struct storm {
	_Atomic uint64_t calls[MAX_CPUS];
};

static void storm_fn(void *arg)
{
	struct storm *s = arg;

	/* Relaxed: ipi_call orders. */
	atomic_fetch_add_explicit(&s->calls[cpu_id()], 1, memory_order_relaxed);
}

/* Every CPU calls on all at once, with preemption on and off, a spinlock held in between. */
static void storm_thread(void *arg, unsigned int i)
{
	struct storm *all = arg, mine = { 0 };

	for (int n = 0; n < STORM; n++) {
		if (n % 3 == 0)
			preempt_disable();
		ipi_call(cpu_all(), storm_fn, &mine);
		ipi_call(cpu_all() & ~CPU_BIT(i % cpu_count()), storm_fn, all);
		if (n % 3 == 0)
			preempt_enable();
	}
	for (unsigned int c = 0; c < cpu_count(); c++)
		CHECK(atomic_load_explicit(&mine.calls[c], memory_order_relaxed) == STORM);
}

void selftest_calls(void)
{
	static struct storm all;
	unsigned int n = cpu_count();

	for (unsigned int c = 0; c < n; c++)
		atomic_store_explicit(&all.calls[c], 0, memory_order_relaxed);
	selftest_threads(n, true, storm_thread, &all);
	for (unsigned int c = 0; c < n; c++)
		CHECK(atomic_load_explicit(&all.calls[c], memory_order_relaxed) == STORM * (n - 1));
}

void selftest_sched(void)
{
	CHECK(cpu_count() == smp_cpus());
	test_preemption();
	selftest_threads(2 * cpu_count(), false, affinity_thread, NULL);
	/* Relaxed: the threads start afterwards. */
	atomic_store_explicit(&turn, 0, memory_order_relaxed);
	selftest_threads(2, false, turn_thread, NULL);
	CHECK(atomic_load_explicit(&turn, memory_order_acquire) == 2 * ROUNDS);
	test_signal_wakes();
}
