// SPDX-License-Identifier: MIT
/*
 * What is in memory and what is to stay there: mincore(2), msync(2), mlock(2) and its like.
 *
 * Nothing is ever paged out, so a page that is resident stays until the program itself gives it
 * back. Locking is therefore populating, and unlocking has nothing to do but to look at its
 * arguments. The programs run with all privileges: RLIMIT_MEMLOCK does not bind them.
 */
#include "mm_internal.h"
#include "mmabi.h"
#include <kernel/process.h>
#include <kernel/syscall.h>
#include <kernel/task.h>
#include <kernel/uaccess.h>

int check_mapped(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vmt_area a;

	for (; start < end; start = a.end)
		if (start >= USER_END ||
			mm_try(vmt_area_within(mm->space, start, end, &a)) != VMT_OK ||
			a.start > start)
			return -ENOMEM;
	return 0;
}

/* ---- mincore ---- */

#define MINCORE_PAGES 256

/* Untouched pages of an object are in memory if the object has them. */
static void mincore_object(const struct mm_region *r, uint64_t start, uint64_t end, uint8_t *vec)
{
	for (uint64_t a = start; a < end; a += PAGE_SIZE) {
		uint64_t pa, index = (r->offset + (a - r->start)) >> PAGE_SHIFT;

		if (vmt_object_page(r->object, index, false, &pa) == VMT_OK) {
			vec[(a - start) >> PAGE_SHIFT] = 1;
			vmt_page_put(the_vmt, pa);
		}
	}
}

/* One run of like entries inside [start, end); returns its end, 0 where nothing is mapped. */
static uint64_t mincore_run(struct mm *mm, uint64_t start, uint64_t end, uint8_t *vec)
{
	struct vmt_run run;
	struct mm_region region;
	bool here;

	if (mm_try(vmt_walk(mm->space, start, end, &run)) != VMT_OK || !run.mapped)
		return 0;
	here = run.state == VMT_STATE_PRESENT || run.state == VMT_STATE_PARKED;
	end = MIN(end, run.end);
	for (uint64_t a = start; a < end; a += PAGE_SIZE)
		vec[(a - start) >> PAGE_SHIFT] = here;
	if (run.state == VMT_STATE_NONE && mm_region_next(mm, start, &region)) {
		if (region.object && region.start <= start) {
			end = MIN(end, region.end);
			mincore_object(&region, start, end, vec);
		}
		mm_region_put(&region);
	}
	return end;
}

long sys_mincore(long addr, long len, long user_vec)
{
	struct mm *mm = current()->mm;
	uint64_t start = (uint64_t)addr, length = ALIGN_UP((uint64_t)len, PAGE_SIZE);
	uint64_t end = start + length, vec = (uint64_t)user_vec;
	uint8_t pages[MINCORE_PAGES];

	if (start % PAGE_SIZE)
		return -EINVAL;
	if ((uint64_t)len > USER_END || start > USER_END - (uint64_t)len || end > USER_END)
		return -ENOMEM;
	if (!user_range_ok(vec, length >> PAGE_SHIFT))
		return -EFAULT;
	while (start < end) {
		uint64_t stop = MIN(end, start + MINCORE_PAGES * PAGE_SIZE), at = start, next = at;

		while (at < stop && next) {
			next = mincore_run(mm, at, stop, pages + ((at - start) >> PAGE_SHIFT));
			at = next ? next : at;
		}
		/* What lies before a hole is told all the same. */
		if (copy_to_user(vec, pages, (at - start) >> PAGE_SHIFT))
			return -EFAULT;
		if (!next)
			return -ENOMEM;
		vec += (at - start) >> PAGE_SHIFT;
		start = at;
	}
	return 0;
}

/* Files are their memory: there is nowhere to write to. The arguments are checked. */
long sys_msync(long addr, long len, long flags_arg)
{
	unsigned int flags = (unsigned int)flags_arg;
	uint64_t start = (uint64_t)addr, end = start + ALIGN_UP((uint64_t)len, PAGE_SIZE);

	if (flags & ~(unsigned int)(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || start % PAGE_SIZE)
		return -EINVAL;
	if (flags & MS_ASYNC && flags & MS_SYNC)
		return -EINVAL;
	if (end < start)
		return -ENOMEM;
	return check_mapped(current()->mm, start, end);
}

/* ---- mlock ---- */

/* The pages that a range of bytes touches; 0 or -EINVAL where it wraps. */
static int lock_range(long addr, long len, uint64_t *start, uint64_t *end)
{
	uint64_t offset = (uint64_t)addr % PAGE_SIZE;

	*start = (uint64_t)addr - offset;
	*end = *start + ALIGN_UP((uint64_t)len + offset, PAGE_SIZE);
	return *end < *start ? -EINVAL : 0;
}

static int populate_area(struct mm *mm, const struct vmt_area *a)
{
	uint64_t done = 0;
	enum vmt_status s;

	if (!a->prot)
		return -ENOMEM; /* locked, but its pages cannot be had */
	s = mm_try(vmt_populate(mm->space, a->start, a->end - a->start, &done));
	if (s == VMT_OK || s == VMT_ERR_UNMAPPED)
		return 0;
	return s == VMT_ERR_NO_MEMORY ? -EAGAIN : -ENOMEM;
}

/* Up to the first area that cannot be populated; `all`: passes by those. */
static int populate_range(struct mm *mm, uint64_t start, uint64_t end, bool all)
{
	struct vmt_area a;
	int err;

	for (; start < end; start = a.end) {
		if (mm_try(vmt_area_within(mm->space, start, end, &a)) != VMT_OK)
			return 0;
		err = populate_area(mm, &a);
		if (err && !all)
			return err;
		if (process_fatal_pending())
			return -EINTR;
	}
	return 0;
}

static long do_mlock(long addr, long len, bool on_fault)
{
	struct mm *mm = current()->mm;
	uint64_t start, end;
	int err = lock_range(addr, len, &start, &end);

	if (!err)
		err = check_mapped(mm, start, end);
	if (!err && !on_fault)
		err = populate_range(mm, start, end, false);
	return err;
}

long sys_mlock(long addr, long len)
{
	return do_mlock(addr, len, false);
}

long sys_mlock2(long addr, long len, long flags)
{
	if ((unsigned int)flags & ~(unsigned int)MLOCK_ONFAULT)
		return -EINVAL;
	return do_mlock(addr, len, flags & MLOCK_ONFAULT);
}

long sys_munlock(long addr, long len)
{
	uint64_t start, end;
	int err = lock_range(addr, len, &start, &end);

	return err ? err : check_mapped(current()->mm, start, end);
}

long sys_mlockall(long flags_arg)
{
	unsigned int flags = (unsigned int)flags_arg;
	struct mm *mm = current()->mm;

	if (!flags || flags & ~(unsigned int)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
		flags == MCL_ONFAULT)
		return -EINVAL;
	/* Relaxed: a mapping that is made at the same time may or may not be populated. */
	atomic_store_explicit(&mm->lock_future, (flags & MCL_FUTURE) && !(flags & MCL_ONFAULT),
		memory_order_relaxed);
	if (flags & MCL_CURRENT && !(flags & MCL_ONFAULT))
		populate_range(mm, 0, USER_END, true);
	return 0;
}

long sys_munlockall(void)
{
	atomic_store_explicit(&current()->mm->lock_future, false, memory_order_relaxed);
	return 0;
}
