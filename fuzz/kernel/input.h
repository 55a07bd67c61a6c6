// SPDX-License-Identifier: MIT
/*
 * An input is a sequence of steps of eight bytes each: which call, and seven bytes from which its
 * arguments are made. Every byte string is an input; what is left over at the end does not count.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

#define PAGE       4096ul
#define STEP_BYTES 8
#define STEPS_MAX  24
#define INPUT_MAX  (STEP_BYTES * STEPS_MAX)

/* Where the calls work: far from the program itself, so that two kernels can be asked the same. */
#define ARENA       0x100000000000ul
#define ARENA_PAGES 64ul
/* The same in larger steps, for what huge pages can be in. */
#define LARGE       (ARENA + (1ul << 30))
#define LARGE_STEP  (64 * PAGE)
#define LARGE_BYTES (8ul << 20)

/* What the process tells its parent lies here. No call is given an address near it. */
#define RECORDS 0x0f0000000000ul

/* Descriptors: made by prepare_files. */
#define FD_FIRST 10
enum {
	FD_BOTH = FD_FIRST,
	FD_READ,
	FD_WRITE,
	FD_ZERO,
	FD_PIPE_IN,
	FD_PIPE_OUT,
	FD_FOLDER,
	FD_NONE,
	FD_COUNT = 8
};
#define FILE_BYTES (3 * PAGE + 100)

struct input {
	size_t length;
	uint8_t bytes[INPUT_MAX];
};

/* ---- Arguments from bytes ---- */

/* An address in the arena or a hostile one. `low`: page boundary unless it asks for an odd one. */
uint64_t address_of(uint8_t which, uint8_t low);

/* A number of bytes: small, none, odd, or one that wraps. */
uint64_t length_of(uint8_t which);

/* An offset in a file. */
uint64_t offset_of(uint8_t which);

int descriptor_of(uint8_t which);

/* An int with bits above it, which the calls that take an int have to ignore. */
uint64_t wide(uint32_t value, uint8_t which);

#endif
