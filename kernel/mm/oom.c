// SPDX-License-Identifier: MIT
/*
 * When memory is out: reclaim, and at last end a program.
 *
 * Nothing is held here but references. The kernel keeps a few frames that programs cannot have
 * (port.c), so that a program can be ended.
 */
#include "mm_internal.h"
#include <kernel/cpu.h>
#include <kernel/grace.h>
#include <kernel/process.h>
#include <kernel/task.h>

static _Atomic uint64_t reclaims, reclaimed, kills;

void oom_totals(struct mm_totals *t)
{
	t->reclaims = atomic_load_explicit(&reclaims, memory_order_relaxed);
	t->reclaimed_frames = atomic_load_explicit(&reclaimed, memory_order_relaxed);
	t->kills = atomic_load_explicit(&kills, memory_order_relaxed);
}

uint64_t mm_reclaim(uint64_t frames)
{
	uint64_t before = frame_count_free(), got = 0, after;
	struct mm *mm = NULL;

	while (got < frames && (mm = mm_next(mm)) != NULL)
		got += vmt_reclaim(mm->space, frames - got);
	mm_put(mm);
	grace_barrier();
	if (!got)
		kmalloc_drain();
	after = frame_count_free();
	/* Others allocate meanwhile: what the library says it gave counts too. */
	got = MAX(got, after > before ? after - before : 0);
	/* Relaxed: statistics. */
	atomic_fetch_add_explicit(&reclaims, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&reclaimed, got, memory_order_relaxed);
	return got;
}

/* Frames to ask for at a time, and how often before an operation is told that there are none. */
#define RECLAIM_FRAMES 256
#define RECLAIM_TRIES  8

bool mm_again(enum vmt_status status, unsigned int *tries)
{
	if (status == VMT_ERR_RETRY) {
		task_yield();
		return !process_fatal_pending();
	}
	if (status != VMT_ERR_NO_MEMORY || process_fatal_pending())
		return false;
	return (*tries)++ < RECLAIM_TRIES && mm_reclaim(RECLAIM_FRAMES) != 0;
}

static uint64_t anon_bytes(struct mm *mm)
{
	struct mm_stats st;

	mm_stats_get(mm, &st);
	return st.rss_anon;
}

/*
 * Whose memory is to go, with a reference: that of the program that asks, unless another holds more
 * than twice as much; then the one that holds most.
 */
static struct mm *choose_victim(void)
{
	struct mm *mm = NULL, *best = current()->mm;
	uint64_t most = 0;

	if (best) {
		mm_get(best);
		most = anon_bytes(best) * 2;
	}
	while ((mm = mm_next(mm)) != NULL) {
		uint64_t bytes = anon_bytes(mm);

		if (mm == current()->mm || (best && bytes <= most))
			continue;
		mm_put(best);
		mm_get(mm);
		best = mm;
		most = bytes;
	}
	return best;
}

/* The first thread of a process, with a reference to its task. */
static struct task *first_task(struct process *p)
{
	struct task *t = NULL;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	if (!list_empty(&p->threads)) {
		t = list_first(&p->threads, struct thread, process_link)->task;
		task_get(t);
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return t;
}

/* Ends all programs that use this mm. */
static void kill_users(struct mm *mm)
{
	for (pid_t pid = process_next(0); pid; pid = process_next(pid)) {
		struct process *p = process_find(pid);
		struct mm *its = p ? process_mm_get(p) : NULL;
		struct task *t = its == mm ? first_task(p) : NULL;

		if (t) {
			process_kill_oom(t);
			task_put(t);
		}
		mm_put(its);
		if (p)
			process_put(p);
	}
}

#define OOM_WAIT_NS 20000000UL

void oom_kill(void)
{
	struct mm *victim;

	if (process_fatal_pending())
		return;
	victim = choose_victim();
	if (!victim || victim == current()->mm) {
		process_kill_oom(current());
	} else {
		kill_users(victim);
	}
	/* Relaxed: a statistic. */
	atomic_fetch_add_explicit(&kills, 1, memory_order_relaxed);
	mm_put(victim);
	/* A victim on another CPU needs a moment to go. */
	if (!process_fatal_pending())
		task_sleep_until(ktime_ns() + OOM_WAIT_NS, false);
}
