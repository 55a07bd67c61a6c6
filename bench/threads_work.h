// SPDX-License-Identifier: MIT
// What the threads of the throughput benchmark do (threads_work.c).
#ifndef BENCH_THREADS_WORK_H
#define BENCH_THREADS_WORK_H

#include <stdbool.h>

// Where the threads' pages lie.
enum threads_ranges {
	THREADS_SEPARATE, // each thread's in a space of its own
	THREADS_DISJOINT, // in one space, in tables of their own
	THREADS_SHARED,	  // in one space, in the same tables
};

struct threads_work {
	unsigned threads, rounds;
	unsigned operation; // its number in threads_operations
	enum threads_ranges ranges;
	bool answered; // the kind of flush: threads_port.h
};

// Names, then NULL.
extern const char *const threads_operations[];

// Does it, and returns how many operations were done in a second by all threads together in the best round. Ends the
// program if an operation fails, memory does not come back, or an invariant of the space does not hold.
double threads_measure(const struct threads_work *work);

// On how many processors the program may run, VMT_MAX_CPUS at most.
unsigned threads_processors(void);

#endif
