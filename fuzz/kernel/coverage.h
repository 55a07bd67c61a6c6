// SPDX-License-Identifier: MIT
/*
 * What the kernel that is built for fuzzing answers beside the usual: which of its places were
 * executed.
 */
#ifndef FUZZ_COVERAGE_H
#define FUZZ_COVERAGE_H

/* A system call of that kernel alone: (0, 0, 0) begins; (1, list, room) ends and stores what was
 * executed. */
#define COVERAGE_CALL 9000

/* A place and how often it was passed, up to 255, in one word: place << 8 | count. */
#define COVERAGE_PLACES (1u << 19)

#endif
