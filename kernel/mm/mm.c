// SPDX-License-Identifier: MIT
/*
 * The life of an address space, and the list of all.
 *
 * mm_list_lock guards the list's links. It is held for a few instructions, nothing is locked under
 * it. An mm is on the list from its creation until its last reference is gone; who finds it there
 * takes a reference only if the count is not zero.
 *
 * The child of a fork is on the list before the copy begins, as MM_MAKING: who has to reach every
 * page that shows an object (mm_object_cut) waits for it, all others pass it by. New ones come at
 * the end, so that a child that is not met was copied from a parent that had been visited.
 */
#include "mm_internal.h"
#include <kernel/boot.h>
#include <kernel/cpu.h>
#include <kernel/device.h>
#include <kernel/grace.h>
#include <kernel/printk.h>
#include <kernel/process.h>
#include <kernel/string.h>
#include <kernel/task.h>

struct vmt *the_vmt;

static bool check_spaces; /* constant after mm_init */

static struct spinlock mm_list_lock = SPINLOCK_INIT;
static struct list mm_list = LIST_INIT(mm_list);

void mm_init(void)
{
	enum vmt_status s = vmt_create(NULL, cpu_count(), &the_vmt);

	check_spaces = config_get_u64("check", 0);
	if (s != VMT_OK)
		panic("vmt_create: %s", vmt_status_name(s));
}

bool mm_shutdown(void)
{
	enum vmt_status s;

	tlb_drop_lazy();
	grace_barrier();
	s = vmt_destroy(the_vmt);
	if (s != VMT_OK) {
		klog("vmt_destroy: %s: an address space or an object was not given back",
			vmt_status_name(s));
		return false;
	}
	the_vmt = NULL;
	grace_barrier();
	return true;
}

/* The kernel's half of a new root: constant for the life of the machine. */
static void fill_kernel_half(void *owner, void *root_table)
{
	(void)owner;
	memcpy((char *)root_table + PAGE_SIZE / 2,
		(const char *)kernel_root_table() + PAGE_SIZE / 2, PAGE_SIZE / 2);
}

static struct mm *mm_alloc(void)
{
	struct mm *mm = kzalloc(sizeof(*mm));

	if (!mm)
		return NULL;
	/* Relaxed: nobody else sees it before mm_publish. */
	atomic_store_explicit(&mm->refs, 1, memory_order_relaxed);
	mutex_init(&mm->brk_lock);
	mm->stack_top = MM_STACK_TOP;
	spin_lock(&mm_list_lock);
	list_add_tail(&mm_list, &mm->link);
	spin_unlock(&mm_list_lock);
	return mm;
}

/* MM_READY or MM_FAILED. */
static void mm_set_state(struct mm *mm, unsigned int state)
{
	if (state == MM_READY)
		totals_space_begins();
	/* Release: after the space and all it holds; pairs with the acquire in mm_state. */
	atomic_store_explicit(&mm->state, state, memory_order_release);
	if (state == MM_FAILED)
		mm_put(mm);
}

static unsigned int mm_state(struct mm *mm)
{
	return atomic_load_explicit(&mm->state, memory_order_acquire);
}

/* Room for the stack below which mappings are placed, as on Linux: the limit, but within these. */
#define STACK_ROOM_MIN (128UL << 20)
#define STACK_ROOM_MAX ALIGN_DOWN(USER_END / 6 * 5, PAGE_SIZE)

static uint64_t place_below(void)
{
	uint64_t room = process_rlimit(RLIMIT_STACK);

	room = MAX(STACK_ROOM_MIN, MIN(room, STACK_ROOM_MAX));
	return ALIGN_DOWN(MM_STACK_TOP - room - MM_STACK_GAP, PAGE_SIZE);
}

int mm_create(struct mm **result)
{
	struct mm *mm = mm_alloc();
	struct vmt_space_config config = {
		.start = 0,
		.end = USER_END,
		.search_start = MM_LOWEST,
		.search_end = place_below(),
		.owner = mm,
		.root_init = fill_kernel_half,
		.user = true,
		/* Alternating permissions over a huge range must not eat all memory. */
		.array_limit = frame_count_total() * PAGE_SIZE / 4,
	};
	enum vmt_status s;

	if (!mm)
		return -ENOMEM;
	s = mm_try(vmt_space_create(the_vmt, &config, &mm->space));
	if (s != VMT_OK) {
		mm_set_state(mm, MM_FAILED);
		return mm_errno(s);
	}
	mm_set_state(mm, MM_READY);
	*result = mm;
	return 0;
}

int mm_fork(struct mm *parent, struct mm **child)
{
	struct mm *mm = mm_alloc();
	enum vmt_status s;

	if (!mm)
		return -ENOMEM;
	s = mm_try(vmt_space_fork(parent->space, mm, &mm->space));
	if (s != VMT_OK) {
		mm_set_state(mm, MM_FAILED);
		return mm_errno(s);
	}
	mm->brk_start = parent->brk_start;
	mm->stack_top = parent->stack_top;
	/*
	 * Relaxed: another thread of the parent may be moving its break at this moment; the child
	 * gets the one before or after, as with a fork that came a little earlier or later.
	 */
	atomic_store_explicit(&mm->brk, atomic_load_explicit(&parent->brk, memory_order_relaxed),
		memory_order_relaxed);
	mm_set_state(mm, MM_READY);
	totals_sample();
	*child = mm;
	return 0;
}

void mm_get(struct mm *mm)
{
	/* Relaxed: the caller has a reference, which orders what it sees. */
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
}

bool mm_get_live(struct mm *mm)
{
	unsigned int refs = atomic_load_explicit(&mm->refs, memory_order_relaxed);

	while (refs) {
		/* Relaxed: the lock by which the caller found it has ordered its contents. */
		if (atomic_compare_exchange_weak_explicit(
			    &mm->refs, &refs, refs + 1, memory_order_relaxed, memory_order_relaxed))
			return true;
	}
	return false;
}

static void space_end(struct mm *mm)
{
	enum vmt_status s;
	unsigned int wrong;

	device_mm_ends(mm);
	/* With `check 1` in the configuration every space ends with all its invariants proven. */
	wrong = check_spaces ? vmt_check(mm->space) : 0;
	if (wrong)
		panic("vmt_check: %u violations in an address space at its end", wrong);
	totals_space_ends(mm);
	tlb_drop(mm);
	s = vmt_space_destroy(mm->space);
	if (s != VMT_OK)
		panic("vmt_space_destroy: %s", vmt_status_name(s));
}

static void mm_destroy(struct mm *mm)
{
	spin_lock(&mm_list_lock);
	list_del(&mm->link);
	spin_unlock(&mm_list_lock);
	if (mm_state(mm) == MM_READY)
		space_end(mm);
	kfree(mm);
}

void mm_put(struct mm *mm)
{
	/* Release: our use is over. Acquire: the last one sees the others' as over. */
	if (mm && atomic_fetch_sub_explicit(&mm->refs, 1, memory_order_acq_rel) == 1)
		mm_destroy(mm);
}

/* The next on the list with a reference, in whatever state. */
static struct mm *mm_next_any(struct mm *after)
{
	struct list *l;
	struct mm *found = NULL;

	spin_lock(&mm_list_lock);
	for (l = after ? after->link.next : mm_list.next; l != &mm_list && !found; l = l->next)
		if (mm_get_live(list_entry(l, struct mm, link)))
			found = list_entry(l, struct mm, link);
	spin_unlock(&mm_list_lock);
	mm_put(after);
	return found;
}

struct mm *mm_next(struct mm *after)
{
	do
		after = mm_next_any(after);
	while (after && mm_state(after) != MM_READY);
	return after;
}

/* The same, waiting for forks that are under way. */
static struct mm *mm_next_made(struct mm *after)
{
	do {
		after = mm_next_any(after);
		while (after && mm_state(after) == MM_MAKING)
			task_yield();
	} while (after && mm_state(after) != MM_READY);
	return after;
}

/*
 * A fault that finds the page before the size changes installs it either before we come to its
 * table, and we take it out, or after, and then it looks at the size again under the table's lock.
 */
static void cut_in(struct mm *mm, const struct vmt_object *object, uint64_t size)
{
	struct vmt_area a;
	uint64_t from = 0;

	while (from < USER_END && mm_try(vmt_area_find(mm->space, from, &a)) == VMT_OK) {
		uint64_t keep = size > a.offset ? ALIGN_UP(size - a.offset, PAGE_SIZE) : 0;

		from = a.end;
		/* The object is the caller's, so the address names no other one. */
		if (a.object == object && keep < a.end - a.start)
			mm_try(vmt_release(mm->space, a.start + keep, a.end - a.start - keep));
	}
}

void mm_object_cut(struct vmt_object *object, uint64_t size)
{
	struct mm *mm = NULL;

	while ((mm = mm_next_made(mm)) != NULL)
		cut_in(mm, object, size);
}

/*
 * VmPeak falls behind only where memory is unmapped, so that is where it is raised. Summing the
 * counters of all CPUs is not worth it for a few pages: a program that unmaps much in small pieces
 * without anybody looking may have a peak that is too low.
 */
#define NOTE_SIZE_MIN (128UL << 10)

static void raise_size_peak(struct mm *mm, uint64_t size)
{
	uint64_t old = atomic_load_explicit(&mm->size_peak, memory_order_relaxed);

	/* Relaxed: a statistic. */
	while (old < size && !atomic_compare_exchange_weak_explicit(&mm->size_peak, &old, size,
				     memory_order_relaxed, memory_order_relaxed))
		;
}

void mm_note_size(struct mm *mm, uint64_t length)
{
	struct vmt_space_stats st;

	if (length < NOTE_SIZE_MIN)
		return;
	vmt_space_stats(mm->space, &st);
	raise_size_peak(mm, st.mapped_bytes);
}

void mm_stats_get(struct mm *mm, struct mm_stats *stats)
{
	struct vmt_space_stats st;

	vmt_space_stats(mm->space, &st);
	raise_size_peak(mm, st.mapped_bytes);
	stats->size = st.mapped_bytes;
	stats->size_peak = atomic_load_explicit(&mm->size_peak, memory_order_relaxed);
	stats->rss = st.resident_pages * PAGE_SIZE;
	stats->rss_peak = st.resident_peak * PAGE_SIZE;
	stats->rss_anon = st.resident_anon * PAGE_SIZE;
	stats->rss_object = stats->rss - stats->rss_anon;
	stats->tables = st.table_bytes + st.array_bytes;
	stats->major_faults = atomic_load_explicit(&mm->major_faults, memory_order_relaxed);
	stats->minor_faults = st.faults_read_zero + st.faults_write_zero + st.faults_cow_copy +
			      st.faults_cow_reuse + st.faults_object_private +
			      st.faults_object_shared + st.faults_spurious;
	stats->minor_faults -= MIN(stats->minor_faults, stats->major_faults);
}

static void dump_line(void *arg, const char *text)
{
	(void)arg;
	control_line("dump %s", text);
}

void mm_dump(struct mm *mm)
{
	vmt_dump(mm->space, dump_line, NULL);
}
