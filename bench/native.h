// SPDX-License-Identifier: MIT
// What the benchmarks of the library in a process have in common: the clock, the command line, the line of a figure
// (docs/bench.md).
#ifndef BENCH_NATIVE_H
#define BENCH_NATIVE_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vmtree/types.h>

// `--NAME VALUE`: a number from `least` to `most`, or, with `choices` (the last is NULL), the number of one of them.
struct native_option {
	const char *name;
	unsigned *value;
	unsigned least, most;
	const char *const *choices;
};

// Reads the command line. `--help` prints `usage` and ends the program; what is wrong is said in a line, status 2.
void native_arguments(char **argv, const char *usage, const struct native_option *options, unsigned count);

// Nanoseconds.
static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline void must(enum vmt_status status)
{
	if (status != VMT_OK) {
		fprintf(stderr, "bench: %s\n", vmt_status_name(status));
		exit(1);
	}
}

static inline void figure(const char *name, double value, const char *unit)
{
	printf("%s %.*f %s\n", name, value < 1 ? 4 : value < 100 ? 2 : 0, value, unit);
}

#endif
