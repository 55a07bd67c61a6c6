// SPDX-License-Identifier: MIT
// Sequences of operations as bytes. Any bytes are a sequence, and a byte that changes changes one thing in it, so a
// fuzzer can work on them; docs/fuzzing.md has the layout.
#ifndef FUZZ_DECODE_H
#define FUZZ_DECODE_H

#include "device_differential.h"

// The longest sequence, and the bytes that it takes.
#define FUZZ_OPS   96
#define FUZZ_HEAD  2
#define FUZZ_OP	   8
#define FUZZ_BYTES (FUZZ_HEAD + FUZZ_OPS * FUZZ_OP)

struct sequence {
	enum sim_format format;	// one whose pages have this program's size
	uint64_t seed;
	unsigned count;
	struct op op[FUZZ_OPS];
};

// False: there is no operation in it. What follows the longest sequence is passed over.
bool fuzz_decode(const uint8_t *bytes, size_t size, struct sequence *sequence);

// What libFuzzer calls: runs the sequence, and does not return if something is wrong.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
