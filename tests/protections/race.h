// SPDX-License-Identifier: MIT
// Two CPUs that take turns: CPU 0 begins, stops at a place inside of the library, CPU 1 does what would be in between
// there, and CPU 0 goes on when CPU 1 has finished or waits for something. One of them runs at a time, so a case goes
// the same way each time. Further parties of an interleaving, such as devices, act on one of the two CPUs.
#ifndef TESTS_RACE_H
#define TESTS_RACE_H

#include "sim.h"

// Where CPU 0 stops: before the port function is called, or where a case or a device of one says so (race_at).
enum place {
	AT_FLUSH,
	AT_PUBLISH,
	AT_META,	// vmt_port_frame_meta
	AT_READ,	// vmt_port_read_enter
	AT_EXIT,	// vmt_port_read_exit
	AT_CPU,		// vmt_port_cpu
	AT_BEGIN,	// a device hears that something is about to change
	AT_ISSUE,	// ... is asked to forget something, which it has not yet
	AT_COMMIT,	// ... is handed a translation
	AT_COPY,	// ... has copied a page, and not said so yet
	AT_HERE,	// anything else
};

struct race {
	enum place place;
	unsigned skip;		// so many times later
	bool after_flush;	// counted from the first flush on
	bool each;		// not only once, but whenever CPU 0 comes to the place again
	uint64_t frame;		// AT_META: only for this frame; 0: for any
	bool (*when)(void);	// and only if this says so; NULL: always
	void (*first)(struct sim_cpu *cpu);	// on CPU 0
	void (*between)(struct sim_cpu *cpu);	// on CPU 1
};

// Runs the race on the calling thread, which is CPU 0, and a thread for CPU 1. The place must be reached.
void race_run(const struct race *race);

// The frame of the AT_META at which CPU 0 stopped.
uint64_t race_frame(void);

// One of the places from AT_BEGIN on.
void race_at(enum place place);

// Runs fn on CPU 1 alone.
void on_second(void (*fn)(struct sim_cpu *cpu));

// The test fails: the machine stops, with these words.
void demand(bool good, const char *what);

// Called, where set, on each flush, after each write of entries, and for the metadata of each frame, on whatever CPU.
extern void (*race_on_flush)(const struct vmt_flush *flush);
extern void (*race_on_publish)(void);
extern void (*race_on_meta)(uint64_t pa);

struct protection_case {
	const char *name;
	void (*run)(uint64_t seed);
};

extern const struct protection_case space_cases[], change_cases[], huge_cases[], secondary_cases[], migration_cases[],
	mirror_cases[], tree_cases[];
extern const unsigned space_case_count, change_case_count, huge_case_count, secondary_case_count, migration_case_count,
	mirror_case_count, tree_case_count;

#endif
