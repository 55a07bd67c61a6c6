// SPDX-License-Identifier: MIT
// Seeing each access to memory of the library's own source: code that is compiled with the
// compiler's thread-sanitizer instrumentation and linked with hooks.c in the place of libtsan calls
// the functions here, which the program defines.
#ifndef INSTRUMENT_HOOKS_H
#define INSTRUMENT_HOOKS_H

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

// Around an atomic access of the size of `bytes`, which hooks.c makes. What seen_before returns
// goes to seen_after, with what the access was in the end (a compare-and-swap that fails has only
// read), the order that the source names for it, and the values.
uint32_t seen_before(const volatile void *p, size_t bytes, enum access access, const void *pc);
void seen_after(uint32_t token, enum access access, int order, uint64_t old, uint64_t value);

// A function begins, which was called from `pc`, and ends.
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

#endif
