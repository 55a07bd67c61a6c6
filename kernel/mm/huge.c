// SPDX-License-Identifier: MIT
/*
 * Huge pages on request: MADV_HUGEPAGE, MADV_NOHUGEPAGE and MADV_COLLAPSE for one area. Where it
 * was advised, faults make them (the library's part). Their memory is port.c's.
 */
#include "mm_internal.h"
#include <kernel/process.h>

static int advise(struct mm *mm, uint64_t start, uint64_t end, bool huge)
{
	enum vmt_status s = mm_try(vmt_advise_huge(mm->space, start, end - start, huge));

	return s == VMT_ERR_NO_MEMORY || s == VMT_ERR_LIMIT ? -EAGAIN : mm_errno(s);
}

int huge_advise(struct mm *mm, const struct vmt_area *a __unused, uint64_t start, uint64_t end)
{
	return advise(mm, start, end, true);
}

int huge_advise_not(struct mm *mm, const struct vmt_area *a __unused, uint64_t start, uint64_t end)
{
	return advise(mm, start, end, false);
}

bool huge_fits(uint64_t start, uint64_t end)
{
	uint64_t first = ALIGN_UP(start, HUGE_SIZE);

	return first < end && end - first >= HUGE_SIZE;
}

/* What maps the 2 MiB at an address. */
enum region {
	REGION_EMPTY,
	REGION_SMALL, /* pages, also of zeroes */
	REGION_HUGE,
	REGION_OTHER, /* guards, pages that are kept out of reach */
};

static enum region region_look(struct mm *mm, uint64_t at)
{
	enum region what = REGION_EMPTY;
	struct vmt_run run;

	VMT_FOR_EACH_RUN(mm->space, at, at + HUGE_SIZE, &run) {
		if (run.state == VMT_STATE_PRESENT)
			what = run.size >= HUGE_SIZE ? REGION_HUGE : REGION_SMALL;
		else if (run.state != VMT_STATE_NONE)
			return REGION_OTHER;
	}
	return what;
}

/*
 * The library leaves pages alone that somebody else has too, and a table of the zero page. Linux
 * copies all of them; so does populating, and then they are the program's own.
 */
static int collapse_region(struct mm *mm, uint64_t at)
{
	enum region what = region_look(mm, at);
	enum vmt_status s;

	if (what != REGION_SMALL)
		return what == REGION_HUGE ? 0 : -EINVAL;
	if (vmt_collapse(mm->space, at, HUGE_SIZE, &s))
		return 0;
	if (s == VMT_OK && mm_try(vmt_populate(mm->space, at, HUGE_SIZE, NULL)) == VMT_OK &&
		vmt_collapse(mm->space, at, HUGE_SIZE, &s))
		return 0;
	if (s != VMT_OK)
		return -ENOMEM;
	return region_look(mm, at) == REGION_HUGE ? 0 : -EAGAIN;
}

/* Where the next region begins that has something in it. */
static uint64_t skip_empty(struct mm *mm, uint64_t at, uint64_t last)
{
	struct vmt_run run;

	vmt_walk(mm->space, at, last, &run);
	return run.state == VMT_STATE_NONE ? MAX(ALIGN_DOWN(run.end, HUGE_SIZE), at + HUGE_SIZE)
					   : at + HUGE_SIZE;
}

/* A region that cannot be does not stop the others, want of memory does. The last error counts. */
int huge_collapse(struct mm *mm, const struct vmt_area *a, uint64_t start, uint64_t end)
{
	uint64_t at = ALIGN_UP(start, HUGE_SIZE), last = ALIGN_DOWN(end, HUGE_SIZE);
	int err = 0, failed;

	if (a->object || !huge_fits(a->start, a->end) || at >= last)
		return -EINVAL;
	while (at < last) {
		if (process_fatal_pending())
			return -EINTR;
		failed = collapse_region(mm, at);
		if (failed == -ENOMEM)
			return failed;
		err = failed ? failed : err;
		at = failed == -EINVAL ? skip_empty(mm, at, last) : at + HUGE_SIZE;
	}
	return err;
}
