// SPDX-License-Identifier: MIT
/*
 * Self-test: frames, kmalloc, grace periods. Every test checks contents, so that memory handed out
 * twice is seen, and selftest_leakfree checks the counts.
 */
#include "selftest.h"

#include <kernel/grace.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/task.h>
#include <kernel/time.h>

#define SLOTS 64
#define STEPS 3000
#define EXHAUSTION_LIMIT (1UL << 18) /* frames: every one of them is touched */

static uint64_t rnd(uint64_t *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 33;
}

struct block {
	uint64_t pa, mark;
	unsigned int order;
};

static void block_mark(struct block *b)
{
	for (uint64_t i = 0; i < 1UL << b->order; i++)
		*(uint64_t *)phys_to_virt(b->pa + i * PAGE_SIZE) = b->mark + i;
	/* The first words count references and are zero in free frames (vmtree/frame.h). */
	memset((uint8_t *)frame_meta(b->pa) + 8, (int)(b->mark & 0xff), 56);
}

static bool block_intact(struct block *b)
{
	for (uint64_t i = 0; i < 1UL << b->order; i++)
		if (*(uint64_t *)phys_to_virt(b->pa + i * PAGE_SIZE) != b->mark + i)
			return false;
	return ((uint8_t *)frame_meta(b->pa))[8] == (b->mark & 0xff);
}

/* Every other one frame by frame, as the owner of a huge page does. */
static void block_free(struct block *b)
{
	if (b->mark & 0x100) {
		frame_free(b->pa, b->order);
		return;
	}
	frame_split(b->pa, b->order);
	for (uint64_t i = 0; i < 1UL << b->order; i++)
		frame_free(b->pa + i * PAGE_SIZE, 0);
}

static void frames_thread(void *arg, unsigned int id)
{
	struct block *blocks = kzalloc(SLOTS * sizeof(*blocks));
	uint64_t seed = id + 1;
	bool intact = true, aligned = true, zero = true;

	(void)arg;
	for (int n = 0; n < STEPS; n++) {
		struct block *b = &blocks[rnd(&seed) % SLOTS];

		if (b->pa) {
			intact &= block_intact(b);
			block_free(b);
			b->pa = 0;
			continue;
		}
		b->order = rnd(&seed) % 8 ? 0 : (unsigned int)(rnd(&seed) % 5);
		b->mark = (uint64_t)id << 32 | (uint64_t)n << 8 | 1;
		b->pa = frame_alloc(b->order, n % 16 ? 0 : FRAME_ZERO);
		if (!b->pa)
			continue;
		aligned &= IS_ALIGNED(b->pa, PAGE_SIZE << b->order);
		if (n % 16 == 0)
			zero &= !memchr(phys_to_virt(b->pa), 1, PAGE_SIZE) &&
				!*(uint64_t *)phys_to_virt(b->pa);
		block_mark(b);
	}
	for (int i = 0; i < SLOTS; i++) {
		if (!blocks[i].pa)
			continue;
		intact &= block_intact(&blocks[i]);
		block_free(&blocks[i]);
	}
	kfree(blocks);
	CHECK(intact);
	CHECK(aligned);
	CHECK(zero);
}

/* Takes everything there is in the largest blocks, then in single frames, and gives it back. */
void selftest_exhaustion(void)
{
	uint64_t list = 0, pa, big = 0, small = 0, expected;

	if (frame_count_total() > EXHAUSTION_LIMIT) {
		klog("selftest: exhaustion is tested only with less memory");
		return;
	}
	kmalloc_drain();
	expected = frame_count_free();
	while ((pa = frame_alloc(FRAME_MAX_ORDER, 0)) != FRAME_NONE) {
		*(uint64_t *)phys_to_virt(pa) = list;
		list = pa;
		big++;
	}
	CHECK(big > 0);
	for (; list; list = pa) {
		pa = *(uint64_t *)phys_to_virt(list);
		frame_free(list, FRAME_MAX_ORDER);
	}
	while ((pa = frame_alloc(0, 0)) != FRAME_NONE) {
		*(uint64_t *)phys_to_virt(pa) = list;
		list = pa;
		small++;
	}
	CHECK(small == expected);
	CHECK(frame_count_free() == 0);
	CHECK(!kmalloc(100000));
	for (; list; list = pa) {
		pa = *(uint64_t *)phys_to_virt(list);
		frame_free(list, 0);
	}
	frame_drain();
	CHECK(frame_count_free() == expected);
	/* All joined again: as many large blocks as before. */
	for (list = 0; (pa = frame_alloc(FRAME_MAX_ORDER, 0)) != FRAME_NONE; list = pa, big--)
		*(uint64_t *)phys_to_virt(pa) = list;
	CHECK(big == 0);
	for (; list; list = pa) {
		pa = *(uint64_t *)phys_to_virt(list);
		frame_free(list, FRAME_MAX_ORDER);
	}
}

static bool all_bytes(const uint8_t *p, uint8_t byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != byte)
			return false;
	return true;
}

static void kmalloc_thread(void *arg, unsigned int id)
{
	uint8_t **objects = kzalloc(SLOTS * sizeof(*objects));
	uint64_t seed = id + 77, *sizes = kzalloc(SLOTS * sizeof(*sizes));
	bool intact = true, aligned = true;

	(void)arg;
	for (int n = 0; n < STEPS; n++) {
		unsigned int i = (unsigned int)(rnd(&seed) % SLOTS);

		if (objects[i]) {
			intact &= all_bytes(objects[i], (uint8_t)(id + i), sizes[i]);
			kfree(objects[i]);
			objects[i] = NULL;
			continue;
		}
		sizes[i] = rnd(&seed) % (n % 32 ? 300 : 9000) + 1;
		objects[i] = kmalloc(sizes[i]);
		if (!objects[i])
			continue;
		aligned &= IS_ALIGNED((uint64_t)objects[i],
				      sizes[i] > 2048 ? 4096 : sizes[i] >= 64 ? 64 : 16);
		intact &= kmalloc_size(objects[i]) >= sizes[i];
		memset(objects[i], (int)(id + i), sizes[i]);
	}
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (objects[i])
			intact &= all_bytes(objects[i], (uint8_t)(id + i), sizes[i]);
		kfree(objects[i]);
	}
	kfree(objects);
	kfree(sizes);
	CHECK(intact);
	CHECK(aligned);
}

/* ---- Grace periods: readers look at an object through a pointer; the writer replaces it ---- */

#define ALIVE 0xa11ce
#define DEAD 0xdead
#define REPLACEMENTS 60

struct watched {
	struct vmt_deferred deferred;
	atomic_uint state;
};

static _Atomic(struct watched *) watched;
static atomic_bool writer_done;
static atomic_uint freed;

static void watched_free(void *unused, struct vmt_deferred *item)
{
	struct watched *w = container_of(item, struct watched, deferred);

	(void)unused;
	/* Relaxed: that no reader sees it is what is tested. */
	atomic_store_explicit(&w->state, DEAD, memory_order_relaxed);
	atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
	kfree(w);
}

static void watch_publish(void)
{
	struct watched *w = kmalloc(sizeof(*w)), *old;

	assert(w);
	w->deferred.run = watched_free;
	atomic_store_explicit(&w->state, ALIVE, memory_order_relaxed);
	/* Release pairs with the readers' acquire. */
	old = atomic_exchange_explicit(&watched, w, memory_order_acq_rel);
	if (old)
		grace_defer(&old->deferred);
}

static bool read_once(uint64_t *seed)
{
	struct watched *w;
	bool ok = true;

	preempt_disable();
	/* Acquire pairs with watch_publish. */
	w = atomic_load_explicit(&watched, memory_order_acquire);
	for (uint64_t n = rnd(seed) % 200; n; n--) {
		ok &= atomic_load_explicit(&w->state, memory_order_relaxed) == ALIVE;
		cpu_relax();
	}
	preempt_enable();
	return ok;
}

static void grace_test_thread(void *arg, unsigned int i)
{
	uint64_t seed = i;
	bool ok = true;

	(void)arg;
	if (i == 0) {
		for (int n = 0; n < REPLACEMENTS; n++) {
			watch_publish();
			if (n % 10 == 0)
				grace_synchronize();
			else
				task_yield();
		}
		/* Relaxed: a flag to stop. */
		atomic_store_explicit(&writer_done, true, memory_order_relaxed);
		return;
	}
	while (!atomic_load_explicit(&writer_done, memory_order_relaxed))
		ok &= read_once(&seed);
	CHECK(ok);
}

static void test_grace(void)
{
	struct watched *last;

	atomic_store_explicit(&freed, 0, memory_order_relaxed);
	atomic_store_explicit(&writer_done, false, memory_order_relaxed);
	watch_publish();
	selftest_threads(cpu_count() + 1, false, grace_test_thread, NULL);
	last = atomic_exchange_explicit(&watched, NULL, memory_order_acq_rel);
	grace_defer(&last->deferred);
	grace_barrier();
	CHECK(atomic_load_explicit(&freed, memory_order_relaxed) == REPLACEMENTS + 1);
}

/* A reader that does not end holds the period up: the flag is up before synchronize returns. */
static atomic_uint reader_phase;

static void holdup_thread(void *arg, unsigned int i)
{
	(void)arg;
	(void)i;
	preempt_disable();
	/* Release, acquire: the phases order the two threads. */
	atomic_store_explicit(&reader_phase, 1, memory_order_release);
	for (uint64_t end = ktime_ns() + 12000000; ktime_ns() < end;)
		cpu_relax();
	atomic_store_explicit(&reader_phase, 2, memory_order_release);
	preempt_enable();
}

static void holdup_pair(void *arg, unsigned int i)
{
	if (i == 1) {
		holdup_thread(arg, i);
		return;
	}
	while (!atomic_load_explicit(&reader_phase, memory_order_acquire))
		task_yield();
	grace_synchronize();
	CHECK(atomic_load_explicit(&reader_phase, memory_order_acquire) == 2);
}

void selftest_memory(void)
{
	selftest_threads(cpu_count(), true, frames_thread, NULL);
	selftest_threads(cpu_count() * 2, false, kmalloc_thread, NULL);
	test_grace();
	atomic_store_explicit(&reader_phase, 0, memory_order_relaxed);
	selftest_threads(2, false, holdup_pair, NULL);
	CHECK(kmalloc(0) == NULL && kmalloc(8UL << 20) == NULL);
}
