// SPDX-License-Identifier: MIT
// How the examples look at themselves: cases one after the other, a line for each, and a closing one.
#ifndef HOST_CHECK_H
#define HOST_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static _Atomic unsigned check_wrong; // in this case

static void check(bool right, const char *what, int line)
{
	if (right)
		return;
	fprintf(stderr, "main.c:%d: %s\n", line, what);
	atomic_fetch_add_explicit(&check_wrong, 1, memory_order_relaxed); // a count
}

#define CHECK(condition) check(condition, #condition, __LINE__)

struct check_case {
	const char *name;
	void (*run)(void);
};

// Returns the exit status.
static int check_cases(const struct check_case *cases, unsigned count)
{
	unsigned failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < count; i++) {
		bool right;

		atomic_store_explicit(&check_wrong, 0, memory_order_relaxed);
		cases[i].run();
		right = atomic_load_explicit(&check_wrong, memory_order_relaxed) == 0;
		printf("%s: %s\n", cases[i].name, right ? "passed" : "failed");
		failed += !right;
	}
	printf("%u passed, %u failed\n", count - failed, failed);
	return failed != 0;
}

#endif
