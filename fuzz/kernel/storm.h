// SPDX-License-Identifier: MIT
#ifndef FUZZ_STORM_H
#define FUZZ_STORM_H

#include "corpus.h"

/*
 * In each round a process whose threads carry out one input each, in the same memory, at once. What
 * comes out depends on who is first, so that only the kernel's own checks judge. Prints how the
 * processes ended.
 */
int storm(const struct corpus *corpus, uint64_t seed, unsigned long rounds);

#endif
