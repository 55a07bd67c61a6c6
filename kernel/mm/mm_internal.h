// SPDX-License-Identifier: MIT
/*
 * What the files of kernel/mm share and nobody else sees.
 */
#ifndef KERNEL_MM_INTERNAL_H
#define KERNEL_MM_INTERNAL_H

#include <kernel/mm.h>

/* ---- mm.c ---- */

/*
 * Walks all mms: next after `after` (NULL: the first) with a reference; drops the reference on
 * `after`. NULL at the end. To stop early, mm_put the last one.
 */
struct mm *mm_next(struct mm *after);

/* Raises VmPeak; called before `length` bytes may be unmapped. */
void mm_note_size(struct mm *mm, uint64_t length);

/* ---- tlb.c ---- */

/* No CPU has the mm's tables loaded when this returns. Its last reference is gone. */
void tlb_drop(struct mm *mm);

/* The calling CPU and all others let go of tables that they have loaded without using them. */
void tlb_drop_lazy(void);

/* Adds this layer's flush figures. */
void tlb_totals(struct mm_totals *totals);

/* ---- port.c ---- */

void port_totals(struct mm_totals *totals);

/* ---- residence.c ---- */

/* -ENOMEM unless every page of the range is mapped. */
int check_mapped(struct mm *mm, uint64_t start, uint64_t end);

/* ---- huge.c ---- */

#define HUGE_SIZE (2UL << 20)

/* Is there room for a huge page in the area? */
bool huge_fits(uint64_t start, uint64_t end);

/* For [start, end), a part of the area. -EAGAIN: no memory to note it; -ENOMEM: unmapped by now. */
int huge_advise(struct mm *mm, const struct vmt_area *a, uint64_t start, uint64_t end);
int huge_advise_not(struct mm *mm, const struct vmt_area *a, uint64_t start, uint64_t end);

/*
 * Puts huge pages in the place of small ones. -EINVAL: no such pages, or nothing there, or what
 * cannot be moved; -ENOMEM: no memory for one; -EAGAIN: a page is in use; -EINTR.
 */
int huge_collapse(struct mm *mm, const struct vmt_area *a, uint64_t start, uint64_t end);

/* ---- totals.c ---- */

/* A space is about to be destroyed: raises the peaks and moves its counters to the sums of the
 * dead. */
void totals_space_ends(struct mm *mm);
void totals_space_begins(void);

/* Looks at all live spaces and raises the machine's peaks. */
void totals_sample(void);

/* ---- fault.c ---- */

void fault_totals(struct mm_totals *totals);

/* ---- oom.c ---- */

/* Memory is out for the current task: ends the program that uses most. Waits a little if it is
 * another than the current one. */
void oom_kill(void);

void oom_totals(struct mm_totals *totals);

/* ---- limits.c ---- */

/* May the space grow by so many bytes (RLIMIT_AS; RLIMIT_DATA where private and writable)? */
bool limit_allows(struct mm *mm, uint64_t length, bool data);

/* Linux's heuristic: a single promise of private writable memory above all RAM is refused. */
bool commit_allows(uint64_t length);

#endif
