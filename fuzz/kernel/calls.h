// SPDX-License-Identifier: MIT
/*
 * The calls that a step can make. Each gets the seven bytes behind the one that chose it.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include "run.h"

struct call {
	const char *name;
	int64_t (*make)(const uint8_t *b, uint64_t *detail);
};

/* areas.c: mappings. access.c: memory that is read and written, by the program and by the kernel.
 */
extern const struct call area_calls[], access_calls[];
extern const unsigned area_call_count, access_call_count;

/* A system call; the result, or the negated error number. */
int64_t ask(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

/* Where the break was. */
extern uint64_t first_break;

#endif
