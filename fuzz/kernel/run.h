// SPDX-License-Identifier: MIT
/*
 * Running one input in a process of its own, and what comes out.
 */
#ifndef FUZZ_RUN_H
#define FUZZ_RUN_H

#include "input.h"

#include <stdbool.h>

struct record {
	uint32_t step;   /* STEP_STATE: what the arena looks like */
	uint32_t depth;  /* 1 in the child of a fork */
	int64_t result;  /* of the call: not negative, or a negated error number */
	uint64_t detail; /* a signal and its address, a sum over bytes */
};

#define STEP_STATE  1000u
#define RECORDS_MAX 200u

/* Shared with the process that runs the input. */
struct records {
	uint32_t count;
	struct record list[RECORDS_MAX];
};

#define RECORDED ((struct records *)RECORDS)

/* True on Linux: what docs/kernel-mm.md says to be different there is answered as the reference
 * kernel does. */
extern bool on_linux;

void run_init(void);

/* Runs it; returns the wait status. */
int run_input(const struct input *input);

/* A number for all that was recorded and the status. */
uint64_t run_digest(int status);

/* ---- Inside the process ---- */

/* Descriptors, limits and handlers. */
void run_prepare(void);

/* Carries out steps [from, to). */
void run_steps(const struct input *input, uint32_t from, uint32_t to, uint32_t depth);

void record(uint32_t step, uint32_t depth, int64_t result, uint64_t detail);

/* ---- state.c ---- */

void catch_faults(void);

/* Each returns 0, or signal << 56 | code << 48 | low bits of the address that it reported. */
uint64_t try_load(uint64_t address, uint64_t *value);
uint64_t try_store(uint64_t address, uint64_t value);
uint64_t try_fill(uint64_t address, uint64_t length, uint64_t value);
uint64_t try_call(uint64_t address);

/* The rights of each page of the arena, and then the bytes of those that are mapped. */
uint64_t arena_rights(void);
uint64_t arena_bytes(void);

/* Does /proc/self/maps show it in one line? */
bool in_one_area(uint64_t start, uint64_t length);

/* Does it show a file in the range? Shared memory counts as one. */
bool shows_file(uint64_t start, uint64_t length);

uint64_t mix(uint64_t sum, uint64_t value);

/* ---- calls.c ---- */

const char *step_name(const uint8_t *step);

/* Carries out one step; *detail is what there is beside the result. FORK and END are not among
 * them. */
int64_t step_call(const uint8_t *step, uint64_t *detail);

/* How many of the following steps the child of a fork carries out; 0: the step is no fork. */
uint32_t step_forks(const uint8_t *step);

void calls_init(void);

#endif
