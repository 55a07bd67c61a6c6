// SPDX-License-Identifier: MIT
/*
 * Memory and string functions, and formatted printing into a buffer. Any context.
 */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include <kernel/types.h>
#include <stdarg.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int byte, size_t n);

/* One page (4096 bytes, page aligned): the fastest way that this CPU has. */
void page_zero(void *page);
void page_copy(void *restrict dst, const void *restrict src);

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* Copies at most size - 1 bytes and always ends with NUL (size > 0). Returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);

/* A kmalloc'ed copy, NULL when memory is out. */
char *kstrdup(const char *s);

/* Decimal, or hexadecimal after 0x. Stops at the first other byte; *end (may be NULL) is set to it. */
uint64_t strtou64(const char *s, const char **end);

/*
 * As in C, for: %d %i %u %x %X %o %c %s %p %% with flags - 0, width, precision (also *),
 * and the lengths hh h l ll z. The result always ends with NUL when size > 0; returns the length
 * that the whole text has, which may be more than fits.
 */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#endif
