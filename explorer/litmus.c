// SPDX-License-Identifier: MIT
// Litmus tests of the explorer itself: small programs of which C11 says how they may end. Each has to end in all of
// these ways and in no other. What C11 permits and weak.c leaves out stands in no list, so that they say what is there.
//
// Compiled like the core, with the instrumentation.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

#define WAYS 64

struct litmus {
	const char *name;
	void (*cpu[XP_CPUS])(void);
	unsigned results;	// how many of r are digits of the end
	const char *ends;	// in order, as "00 01"
};

// The words are explored; what is read is not.
static struct { _Atomic uint64_t x, y; } *at;
static unsigned r[3];

#define RELAXED memory_order_relaxed
#define ACQUIRE memory_order_acquire
#define RELEASE memory_order_release
#define ACQ_REL memory_order_acq_rel
#define SEQ_CST memory_order_seq_cst

#define LOAD(what, order)	   ((unsigned)atomic_load_explicit(&at->what, order))
#define STORE(what, value, order)  atomic_store_explicit(&at->what, value, order)
#define ADD(what, order)	   ((unsigned)atomic_fetch_add_explicit(&at->what, 1, order))
#define CPU(name, ...)		   static void name(void) { __VA_ARGS__; }

CPU(message_relaxed, STORE(x, 1, RELAXED); STORE(y, 1, RELAXED))
CPU(message_release, STORE(x, 1, RELAXED); STORE(y, 1, RELEASE))
CPU(message_fence, STORE(x, 1, RELAXED); atomic_thread_fence(RELEASE); STORE(y, 1, RELAXED))
CPU(message_overwritten, STORE(x, 1, RELAXED); STORE(y, 1, RELEASE); STORE(y, 2, RELAXED))
CPU(reader_relaxed, r[0] = LOAD(y, RELAXED); r[1] = LOAD(x, RELAXED))
CPU(reader_acquire, r[0] = LOAD(y, ACQUIRE); r[1] = LOAD(x, RELAXED))
CPU(reader_fence, r[0] = LOAD(y, RELAXED); atomic_thread_fence(ACQUIRE); r[1] = LOAD(x, RELAXED))
CPU(add_relaxed, r[2] = ADD(y, RELAXED))
CPU(add_x_0, r[0] = ADD(x, RELAXED))
CPU(add_x_1, r[1] = ADD(x, RELAXED))

CPU(x_then_y, STORE(x, 1, RELEASE); r[0] = LOAD(y, ACQUIRE))
CPU(y_then_x, STORE(y, 1, RELEASE); r[1] = LOAD(x, ACQUIRE))
CPU(x_then_y_seq_cst, STORE(x, 1, SEQ_CST); r[0] = LOAD(y, SEQ_CST))
CPU(y_then_x_seq_cst, STORE(y, 1, SEQ_CST); r[1] = LOAD(x, SEQ_CST))
CPU(x_then_y_fence, STORE(x, 1, RELAXED); atomic_thread_fence(SEQ_CST); r[0] = LOAD(y, RELAXED))
CPU(y_then_x_fence, STORE(y, 1, RELAXED); atomic_thread_fence(SEQ_CST); r[1] = LOAD(x, RELAXED))
CPU(add_x_then_y, (void)ADD(x, SEQ_CST); r[0] = LOAD(y, RELAXED))
CPU(add_y_then_x, (void)ADD(y, SEQ_CST); r[1] = LOAD(x, RELAXED))
CPU(add_x_then_y_seq_cst, (void)ADD(x, SEQ_CST); r[0] = LOAD(y, SEQ_CST))
CPU(add_y_then_x_seq_cst, (void)ADD(y, SEQ_CST); r[1] = LOAD(x, SEQ_CST))

CPU(write_x, STORE(x, 1, RELAXED))
CPU(write_x_2, STORE(x, 2, RELAXED))
CPU(write_x_release, STORE(x, 1, RELEASE))
CPU(read_x_twice, r[0] = LOAD(x, RELAXED); r[1] = LOAD(x, RELAXED))
CPU(write_and_read_x, STORE(x, 1, RELAXED); r[0] = LOAD(x, RELAXED))
CPU(read_x_write_y, r[0] = LOAD(x, RELAXED); STORE(y, 1, RELAXED))
CPU(read_x_release_y, r[0] = LOAD(x, RELAXED); STORE(y, 1, RELEASE))
CPU(read_y_write_x, r[1] = LOAD(y, RELAXED); STORE(x, 1, RELAXED))
CPU(read_y_x, r[1] = LOAD(y, ACQUIRE); r[2] = LOAD(x, RELAXED))
CPU(read_x_y_acquire, r[0] = LOAD(x, ACQUIRE); r[1] = LOAD(y, ACQUIRE))
CPU(read_x_y_seq_cst, r[0] = LOAD(x, SEQ_CST); r[1] = LOAD(y, SEQ_CST))
CPU(read_x_y_fence, r[0] = LOAD(x, RELAXED); atomic_thread_fence(SEQ_CST); r[1] = LOAD(y, RELAXED))
CPU(write_y_read_x, STORE(y, 1, RELEASE); r[2] = LOAD(x, ACQUIRE))
CPU(write_y_read_x_seq_cst, STORE(y, 1, SEQ_CST); r[2] = LOAD(x, SEQ_CST))
CPU(write_y_read_x_fence, STORE(y, 1, RELAXED); atomic_thread_fence(SEQ_CST); r[2] = LOAD(x, RELAXED))

static void compare(void)
{
	uint64_t one = 1;

	r[0] = LOAD(y, RELAXED);
	r[1] = atomic_compare_exchange_strong_explicit(&at->x, &one, 2, RELAXED, RELAXED);
}

static const struct litmus litmus[] = {
	{"a message", {message_relaxed, reader_relaxed}, 2, "00 01 10 11"},
	{"a message, released", {message_release, reader_relaxed}, 2, "00 01 10 11"},
	{"a message, acquired", {message_relaxed, reader_acquire}, 2, "00 01 10 11"},
	{"a message, released and acquired", {message_release, reader_acquire}, 2, "00 01 11"},
	{"a message, fences", {message_fence, reader_fence}, 2, "00 01 11"},
	{"a message, one fence", {message_fence, reader_relaxed}, 2, "00 01 10 11"},
	{"a message, fence and acquire", {message_fence, reader_acquire}, 2, "00 01 11"},
	{"a release sequence", {message_release, reader_acquire, add_relaxed}, 3,
	 "000 001 010 011 100 110 111 211"},
	{"an end of a release sequence", {message_overwritten, reader_acquire}, 2, "00 01 11 20 21"},
	{"two writers who read", {x_then_y, y_then_x}, 2, "00 01 10 11"},
	{"two writers who read, seq_cst", {x_then_y_seq_cst, y_then_x_seq_cst}, 2, "01 10 11"},
	{"two writers who read, fences", {x_then_y_fence, y_then_x_fence}, 2, "01 10 11"},
	{"two writers who read, one fence", {x_then_y_fence, y_then_x}, 2, "00 01 10 11"},
	{"two writers who read, exchanges", {add_x_then_y, add_y_then_x}, 2, "00 01 10 11"},
	{"two writers who read, exchanges, seq_cst", {add_x_then_y_seq_cst, add_y_then_x_seq_cst}, 2, "01 10 11"},
	{"one location, two reads", {write_x, read_x_twice}, 2, "00 01 11"},
	{"one location, an own write", {write_and_read_x, write_x_2}, 1, "1 2"},
	{"one location, two exchanges", {add_x_0, add_x_1}, 2, "01 10"},
	{"a compare-and-swap fails", {message_relaxed, compare}, 2, "00 01 10 11"},
	{"a message of three", {write_x, read_x_write_y, read_y_x}, 3, "000 001 010 011 100 101 110 111"},
	{"a message of three, released", {write_x, read_x_release_y, read_y_x}, 3, "000 001 010 011 100 101 111"},
	{"what a third one reads", {write_x_release, read_x_y_acquire, write_y_read_x}, 3,
	 "000 001 010 011 100 101 110 111"},
	{"what a third one reads, seq_cst", {write_x_release, read_x_y_seq_cst, write_y_read_x_seq_cst}, 3,
	 "000 001 010 011 101 110 111"},
	{"what a third one reads, fences", {write_x, read_x_y_fence, write_y_read_x_fence}, 3,
	 "000 001 010 011 101 110 111"},
	{"loads before stores", {read_x_write_y, read_y_write_x}, 2, "00 01 10"},
};

static const struct litmus *current;
static char ended[WAYS][sizeof(r) / sizeof(*r) + 1];
static unsigned ends;

static void begin(void)
{
	at = xp_heap_alloc(sizeof(*at));
	memset(at, 0, sizeof(*at));
	memset(r, 0, sizeof(r));
}

static void end(void)
{
	char way[sizeof(*ended)] = "";
	unsigned i = 0;

	for (unsigned n = 0; n < current->results; n++)
		way[n] = (char)('0' + r[n]);
	while (i < ends && strcmp(ended[i], way))
		i++;
	if (i == ends)
		memcpy(ended[ends++], way, sizeof(way));
	xp_heap_free(at, sizeof(*at));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool run(const struct litmus *test)
{
	struct scenario scenario = {.name = test->name, .begin = begin, .end = end};
	static struct xp_report report;
	char text[WAYS * sizeof(*ended)] = "";

	current = test;
	ends = 0;
	while (scenario.cpus < XP_CPUS && test->cpu[scenario.cpus]) {
		scenario.cpu[scenario.cpus] = test->cpu[scenario.cpus];
		scenario.cpus++;
	}
	xp_explore(&scenario, &(struct xp_plan){.preemptions = 16}, &report);
	qsort(ended, ends, sizeof(*ended), by_text);
	for (unsigned i = 0; i < ends; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "", ended[i]);
	if (report.exhausted && !strcmp(text, test->ends))
		return true;
	printf("%s: %s, expected %s%s%s\n", test->name, text, test->ends, report.exhausted ? "" : "; ",
	       report.exhausted ? "" : report.result.message);
	return false;
}

int xp_litmus(void)
{
	unsigned wrong = 0, all = sizeof(litmus) / sizeof(*litmus);

	xp_stale = 8;
	for (unsigned i = 0; i < all; i++)
		wrong += !run(&litmus[i]);
	printf("%u passed, %u failed\n", all - wrong, wrong);
	return wrong != 0;
}
