// SPDX-License-Identifier: MIT
/*
 * The self-test's frame (kernel/selftest.h), and the tests of text functions.
 */
#include "selftest.h"

#include <kernel/grace.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>
#include <kernel/wait.h>

static atomic_uint passed, failed;

struct group {
	void (*fn)(void *arg, unsigned int i);
	void *arg;
	atomic_uint next, left;
};

static struct waitqueue group_queue = WAITQUEUE_INIT(group_queue);

void selftest_check(bool ok, const char *file, int line, const char *text)
{
	/* Relaxed: counters, read after all threads have ended. */
	atomic_fetch_add_explicit(ok ? &passed : &failed, 1, memory_order_relaxed);
	if (!ok)
		klog("FAILED %s:%d: %s", file, line, text);
}

static int group_thread(void *arg)
{
	struct group *g = arg;

	/* Relaxed: a number for each; task_start published the group. */
	g->fn(g->arg, atomic_fetch_add_explicit(&g->next, 1, memory_order_relaxed));
	/* Acq_rel pairs with the acquire in selftest_threads. */
	atomic_fetch_sub_explicit(&g->left, 1, memory_order_acq_rel);
	wake_all(&group_queue);
	return 0;
}

struct bound {
	struct group *group;
	unsigned int i;
};

static int bound_thread(void *arg)
{
	struct bound b = *(struct bound *)arg;

	kfree(arg);
	b.group->fn(b.group->arg, b.i);
	/* Acq_rel pairs with the acquire in selftest_threads. */
	atomic_fetch_sub_explicit(&b.group->left, 1, memory_order_acq_rel);
	wake_all(&group_queue);
	return 0;
}

static struct task *bound_create(struct group *g, unsigned int i)
{
	struct bound *b = kmalloc(sizeof(*b));
	struct task *t;

	assert(b);
	*b = (struct bound){ g, i };
	t = task_create("bound", bound_thread, b);
	if (t)
		task_set_affinity(t, CPU_BIT(i % cpu_count()));
	return t;
}

void selftest_threads(unsigned int count, bool bound, void (*fn)(void *arg, unsigned int i), void *arg)
{
	struct group g = { .fn = fn, .arg = arg };

	/* Relaxed: published by task_start. */
	atomic_store_explicit(&g.left, count, memory_order_relaxed);
	for (unsigned int i = 0; i < count; i++) {
		struct task *t = bound ? bound_create(&g, i) : task_create("free", group_thread, &g);

		assert(t);
		task_start(t);
		task_put(t);
	}
	/* Acquire pairs with the threads' last step. */
	wait_event(&group_queue, atomic_load_explicit(&g.left, memory_order_acquire) == 0);
}

void selftest_leakfree(const char *name, void (*fn)(void))
{
	uint64_t start = ktime_ns(), frames, bytes;

	grace_barrier();
	kmalloc_drain();
	frames = frame_count_free();
	bytes = kmalloc_outstanding();
	fn();
	/* Threads that ended are put when they have left their stacks, and freed a grace period later. */
	for (int i = 0; i < 1000 && kmalloc_outstanding() != bytes; i++) {
		grace_barrier();
		task_sleep_until(ktime_ns() + 1000000, false);
	}
	kmalloc_drain();
	klog("selftest %s: %lu us, frames %ld, bytes %ld", name, (ktime_ns() - start) / 1000,
	     (long)(frame_count_free() - frames), (long)(kmalloc_outstanding() - bytes));
	CHECK(frame_count_free() == frames);
	CHECK(kmalloc_outstanding() == bytes);
}

static bool prints(const char *expected, const char *fmt, ...) __printf(2, 3);

static bool prints(const char *expected, const char *fmt, ...)
{
	char buf[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	return strcmp(buf, expected) == 0 && n == (int)strlen(expected);
}

static void test_moves(void)
{
	char a[300], b[300];

	for (unsigned int n = 0; n < 120; n++) {
		bool same = true;

		for (unsigned int i = 0; i < sizeof(a); i++)
			a[i] = b[i] = (char)i;
		memmove(a + 50 + n % 7, a + 50, n);
		for (unsigned int i = 0; i < n; i++)
			same &= a[50 + n % 7 + i] == b[50 + i];
		memcpy(a, b, sizeof(a));
		memmove(a + 43, a + 50, n);
		same &= memcmp(a + 43, b + 50, n) == 0 && memcmp(a, b, 43) == 0;
		same &= memcmp(a + 50 + n, b + 50 + n, 120) == 0;
		memset(a + 3, 0x5a, n);
		for (unsigned int i = 0; i < n; i++)
			same &= a[3 + i] == 0x5a;
		same &= a[2] == 2 && (n >= 40 || a[3 + n] == b[3 + n]);
		if (!same)
			klog("length %u", n);
		CHECK(same);
	}
}

void selftest_text(void)
{
	char small[4];

	CHECK(prints("-5 7 0x2a 052", "%d %u 0x%x 0%o", -5, 7u, 42u, 42u));
	CHECK(prints("   42|42   |00042|-0042", "%5d|%-5d|%05d|%05d", 42, 42, 42, -42));
	CHECK(prints("ffffffffffffffff -1", "%lx %ld", ~0UL, -1L));
	CHECK(prints("ab  |  ab|abc|x%", "%-4s|%4s|%.3s|%c%%", "ab", "ab", "abcdef", 'x'));
	CHECK(prints("7fff 0 -3", "%hx %zu %hhd", 0x7fff, (size_t)0, -3));
	CHECK(snprintf(small, sizeof(small), "%d", 123456) == 6 && strcmp(small, "123") == 0);
	CHECK(strtou64("0x1fZ", NULL) == 31 && strtou64("77 ", NULL) == 77);
	CHECK(strcmp(strrchr("a/b/c", '/'), "/c") == 0 && !strchr("abc", 'z'));
	test_moves();
}

void selftest_run(void)
{
	klog("selftest: %u CPUs, %lu frames", cpu_count(), frame_count_total());
	selftest_leakfree("text", selftest_text);
	selftest_leakfree("locks", selftest_locks);
	selftest_leakfree("sched", selftest_sched);
	selftest_leakfree("timers", selftest_timers);
	selftest_leakfree("calls", selftest_calls);
	selftest_leakfree("memory", selftest_memory);
	selftest_leakfree("exhaustion", selftest_exhaustion);
	selftest_leakfree("user", selftest_user);
	/* Relaxed: all threads have ended. */
	klog("%u passed, %u failed", atomic_load_explicit(&passed, memory_order_relaxed),
	     atomic_load_explicit(&failed, memory_order_relaxed));
}
