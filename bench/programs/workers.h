// SPDX-License-Identifier: MIT
// Workers that start together, each on a CPU of its own as far as there are any: threads, or processes. workers.c
#ifndef WORKERS_H
#define WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#define MAX_WORKERS 8

struct worker {
	unsigned number, count;
	void *own; // what `prepare` returned
};

struct work {
	bool processes;
	unsigned count;                          // up to MAX_WORKERS
	void *(*prepare)(struct worker *worker); // before the clock runs; may be NULL
	void (*run)(struct worker *worker);
};

// Nanoseconds from the start of all to the end of the last.
uint64_t workers_run(const struct work *work);

#endif
