// SPDX-License-Identifier: MIT
// For the programs that ask the kernel questions about memory and print the answers: what they
// print on Linux and on the reference kernel must be the same, so no address, no time and no
// identifier appears in it.
#ifndef PROGRAMS_CONFORM_H
#define PROGRAMS_CONFORM_H

#include <stddef.h>
#include <stdint.h>

#define PAGE 4096ul

// "what: ok" for a result that is not -1, else "what: " and the name of errno.
void answer(const char *what, long result);
// "what: 123"
void figure(const char *what, long value);
// "what: WORD"
void word(const char *what, const char *value);

// Reads, or writes back, the byte at `base` + `offset` and prints "what: reads 65", "what:
// written", or "what: SIGSEGV SEGV_MAPERR at +4096", where the number is the fault's distance from
// `base`.
void try_read(const char *what, void *base, size_t offset);
void try_write(const char *what, void *base, size_t offset);
// Calls the machine code at `base` + `offset`.
void try_run(const char *what, void *base, size_t offset);
// Installs the handler that the three above need. It runs on the alternate stack if there is one.
void catch_faults(void);

// mmap() of private anonymous memory that must succeed.
char *must_map(size_t size, int protection);
// Prints "what: R..R" with a letter for each page that mincore() calls resident.
void residency(const char *what, void *base, size_t pages);
// A line of /proc/self/status in kB, or -1.
long status_kb(const char *name);
// The areas of /proc/self/maps that overlap the range, as "what: +0-8192 rw-p, +8192-12288 r--p".
// Neighbours with equal rights count as one: whether a kernel joins them is its own affair.
void areas(const char *what, void *base, size_t size);

#endif
