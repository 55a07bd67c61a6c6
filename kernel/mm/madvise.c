// SPDX-License-Identifier: MIT
/*
 * madvise(2). Advice that this kernel does not take is EINVAL, as on a Linux that was built without
 * it; nothing is accepted and forgotten, except where doing nothing is all that it promises.
 */
#include "mm_internal.h"
#include "mmabi.h"
#include <kernel/process.h>
#include <kernel/syscall.h>
#include <kernel/task.h>

/*
 * Advice that is true already: access hints (RAM has no read-ahead, and files are in RAM whole, so
 * WILLNEED has nothing to fetch), DOFORK and KEEPONFORK (every mapping is inherited and kept),
 * DONTDUMP and DODUMP (there are no core dumps). Only whether all of it is mapped is told.
 */
static int advise_nothing(struct mm *mm __unused, const struct vmt_area *a __unused,
	uint64_t start __unused, uint64_t end __unused)
{
	return 0;
}

/* Carries out the advice for [start, end), a part of the area. */
typedef int area_fn(struct mm *mm, const struct vmt_area *a, uint64_t start, uint64_t end);

static area_fn *area_function(int advice)
{
	switch (advice) {
	case MADV_HUGEPAGE:
		return huge_advise;
	case MADV_NOHUGEPAGE:
		return huge_advise_not;
	case MADV_COLLAPSE:
		return huge_collapse;
	default:
		return advise_nothing;
	}
}

/* Area by area. What is not mapped is told at the end, the rest is done all the same. */
static int advise_areas(struct mm *mm, uint64_t start, uint64_t end, area_fn *fn)
{
	struct vmt_area a;
	int err = 0, failed;

	for (; start < end; start = a.end) {
		if (mm_try(vmt_area_find(mm->space, start, &a)) != VMT_OK || a.start >= end)
			return -ENOMEM;
		if (a.start > start)
			err = -ENOMEM;
		failed = fn(mm, &a, MAX(start, a.start), MIN(end, a.end));
		if (failed)
			return failed;
	}
	return err;
}

static int populate_area(struct mm *mm, uint64_t start, uint64_t end, vmt_prot access)
{
	for (; start < end; start += PAGE_SIZE) {
		enum vmt_status s = mm_try(vmt_fault(mm->space, start, access, NULL));

		if (process_fatal_pending())
			return -EINTR;
		switch (s) {
		case VMT_OK:
			break;
		case VMT_ERR_ACCESS:
			return -EINVAL;
		case VMT_ERR_BUS:
		case VMT_ERR_GUARD:
			return -EFAULT;
		default:
			return mm_errno(s);
		}
	}
	return 0;
}

/*
 * MADV_POPULATE_*: every page is touched, so that the access cannot fail for want of memory later.
 * The right must have been asked for: that what can be written can be read too is the
 * hardware's doing.
 */
static int advise_populate(struct mm *mm, uint64_t start, uint64_t end, vmt_prot access)
{
	struct vmt_area a;
	int err = 0;

	for (; start < end && !err; start = a.end) {
		if (mm_try(vmt_area_find(mm->space, start, &a)) != VMT_OK || a.start > start)
			return -ENOMEM;
		err = a.prot & access ? populate_area(mm, start, MIN(end, a.end), access) : -EINVAL;
	}
	return err;
}

/* What a function of the library that carries advice out looks like. */
typedef enum vmt_status advice_fn(struct vmt_space *space, uint64_t addr, uint64_t length);

static advice_fn *advice_function(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return vmt_release;
	case MADV_FREE:
		return vmt_lazy_free;
	case MADV_GUARD_INSTALL:
		return vmt_guard_install;
	case MADV_GUARD_REMOVE:
		return vmt_guard_remove;
	default:
		return NULL;
	}
}

/* Advice for which there is no such function. */
static bool advice_known(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DOFORK:
	case MADV_KEEPONFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
		return true;
	default:
		return false;
	}
}

/* A range that may be empty, wrong or reach out of what programs have; or other advice. */
static __noinline long advise_other(uint64_t start, uint64_t len, int advice, advice_fn *fn)
{
	struct mm *mm = current()->mm;
	uint64_t length = ALIGN_UP(len, PAGE_SIZE), end = start + length, inside;
	int err;

	if ((!fn && !advice_known(advice)) || start % PAGE_SIZE)
		return -EINVAL;
	if ((len && !length) || end < start)
		return -EINVAL;
	if (length == 0)
		return 0;
	inside = MIN(end, USER_END);
	if (start >= inside)
		return -ENOMEM;
	if (fn)
		err = mm_errno(mm_change(fn(mm->space, start, inside - start)));
	else if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		err = advise_populate(
			mm, start, inside, advice == MADV_POPULATE_READ ? VMT_READ : VMT_WRITE);
	else
		err = advise_areas(mm, start, inside, area_function(advice));
	return err ? err : end > inside ? -ENOMEM : 0;
}

long sys_madvise(long addr, long len, long advice)
{
	uint64_t start = (uint64_t)addr, length = ALIGN_UP((uint64_t)len, PAGE_SIZE);
	advice_fn *fn = advice_function((int)advice);

	if (fn && start % PAGE_SIZE == 0 && length && start < USER_END &&
		length <= USER_END - start)
		return mm_errno(mm_change(fn(current()->mm->space, start, length)));
	return advise_other(start, (uint64_t)len, (int)advice, fn);
}
