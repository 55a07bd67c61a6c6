// SPDX-License-Identifier: MIT
// Seeing each access to memory of the library's own source: code that is compiled with the
// compiler's thread-sanitizer instrumentation and linked with hooks.c in the place of libtsan calls
// the functions here, which the program defines.
#ifndef INSTRUMENT_HOOKS_H
#define INSTRUMENT_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_BOTH = ACCESS_READ | ACCESS_WRITE };

// A plain access is about to happen.
void seen_plain(const void *p, size_t bytes, enum access access);

// So is that of memcpy or memset, which the linker wraps, since the instrumentation does not look
// into them. `pc` is where it was called.
void seen_block(const void *p, size_t bytes, enum access access, const void *pc);

// memset that is not seen.
void *__real_memset(void *to, int byte, size_t bytes);

// Before an atomic access of the size of `bytes`, which hooks.c makes. What it returns goes, with
// the order that the source names, to one of the others: seen_load says what a load returns, where
// memory has `last`; seen_to_fail whether a compare-and-swap fails, where memory has *last (the order
// is that of a failure, and *last becomes what was read then); seen_after is told of a store or a
// read-modify-write once it was made.
uint32_t seen_before(const volatile void *p, size_t bytes, enum access access, const void *pc);
uint64_t seen_load(uint32_t token, int order, uint64_t last);
bool seen_to_fail(uint32_t token, int order, uint64_t expected, uint64_t *last);
void seen_after(uint32_t token, enum access access, int order, uint64_t old, uint64_t value);

// A function begins, which was called from `pc`, and ends.
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

#endif
