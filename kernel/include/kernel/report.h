// SPDX-License-Identifier: MIT
/*
 * The figures of docs/report.md. Made and printed by the one thread of kernel_main.
 */
#ifndef KERNEL_REPORT_H
#define KERNEL_REPORT_H

#include <kernel/mm.h>

struct report {
	uint64_t frames_boot, kmem_boot; /* free frames and bytes in use before anything else */
	uint64_t start_ns, end_ns; /* ktime of the first program's start and end */
	struct mm_totals mm; /* when the last space was gone */
};

/* Notes what is free now. Before the upper layers are set up. */
void report_begin(struct report *r);

/*
 * After everything has been taken down: waits for grace periods, compares, prints the `stat` and
 * `syscall` lines.
 */
void report_end(struct report *r);

#endif
