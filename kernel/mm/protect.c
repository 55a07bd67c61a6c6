// SPDX-License-Identifier: MIT
/*
 * mprotect(2) and brk(2).
 *
 * mm->brk_lock serialises brk: the break and the mapping change together. Other mappings may be
 * made in its way at any time; what lies there makes the break stay.
 */
#include "mm_internal.h"
#include "mmabi.h"
#include <kernel/syscall.h>
#include <kernel/task.h>

/* PROT_GROWSDOWN: from the start of the area that grows down there. */
static int grows_down_start(struct mm *mm, uint64_t *start, uint64_t end)
{
	struct vmt_area a;

	if (mm_try(vmt_area_find(mm->space, *start, &a)) != VMT_OK || a.start >= end)
		return -ENOMEM;
	if (!(a.flags & VMT_MAP_GROWS_DOWN))
		return -EINVAL;
	*start = a.start;
	return 0;
}

/* Private memory that becomes writable is a promise as if it had been mapped so. */
static bool commit_allows_write(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vmt_area a;

	if (commit_allows(end - start))
		return true;
	while (start < end && mm_try(vmt_area_within(mm->space, start, end, &a)) == VMT_OK) {
		if (!(a.prot & VMT_WRITE) &&
			!(a.flags & (VMT_MAP_SHARED | VMT_MAP_NO_RESERVE)) &&
			!commit_allows(a.end - a.start))
			return false;
		start = a.end;
	}
	return true;
}

long sys_mprotect(long addr, long len, long protection)
{
	struct mm *mm = current()->mm;
	uint64_t start = (uint64_t)addr, length = ALIGN_UP((uint64_t)len, PAGE_SIZE);
	uint64_t prot = (uint64_t)protection, grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	uint64_t end = start + length;
	int err;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || start % PAGE_SIZE)
		return -EINVAL;
	if (len == 0)
		return 0;
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	if (grows == PROT_GROWSUP) /* nothing grows up on x86-64 */
		return check_mapped(mm, start, start + PAGE_SIZE) ? -ENOMEM : -EINVAL;
	if (grows) {
		err = grows_down_start(mm, &start, end);
		if (err)
			return err;
	}
	if (end > USER_END) /* the part that exists changes, as if a hole followed */
		end = MAX(start, USER_END);
	if (prot & PROT_WRITE && !commit_allows_write(mm, start, end))
		return -ENOMEM;
	if (end > start)
		err = mm_errno(mm_change(
			vmt_protect(mm->space, start, end - start, (vmt_prot)prot & VMT_RWX)));
	else
		err = -ENOMEM;
	return err ? err : (uint64_t)addr + length > USER_END ? -ENOMEM : 0;
}

/* Maps [from, to) as heap. False: something is there, or a limit or memory forbids it. */
static bool brk_grow(struct mm *mm, uint64_t from, uint64_t to)
{
	struct vmt_map_request r = {
		.addr = from,
		.length = to - from,
		.prot = VMT_READ | VMT_WRITE,
		.flags = VMT_MAP_FIXED_NOREPLACE,
	};
	uint64_t at;

	/* Relaxed: set by another thread's mlockall, which orders nothing else. */
	if (atomic_load_explicit(&mm->lock_future, memory_order_relaxed))
		r.flags |= VMT_MAP_POPULATE;
	return limit_allows(mm, r.length, true) && commit_allows(r.length) &&
	       mm_try(vmt_map(mm->space, &r, &at)) == VMT_OK;
}

long sys_brk(long address)
{
	struct mm *mm = current()->mm;
	uint64_t wanted = (uint64_t)address, now, old_end, new_end;
	bool done = false;

	mutex_lock(&mm->brk_lock);
	/* Relaxed: stored under brk_lock only. */
	now = atomic_load_explicit(&mm->brk, memory_order_relaxed);
	old_end = ALIGN_UP(now, PAGE_SIZE);
	new_end = ALIGN_UP(wanted, PAGE_SIZE);
	if (wanted >= mm->brk_start && wanted < USER_END) {
		if (new_end > old_end) {
			done = brk_grow(mm, old_end, new_end);
		} else if (new_end < old_end) {
			mm_note_size(mm, old_end - new_end);
			done = mm_change(vmt_unmap(mm->space, new_end, old_end - new_end)) ==
			       VMT_OK;
		} else {
			done = true;
		}
	}
	if (done) {
		now = wanted;
		atomic_store_explicit(&mm->brk, now, memory_order_relaxed);
	}
	mutex_unlock(&mm->brk_lock);
	return (long)now;
}
