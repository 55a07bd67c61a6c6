// SPDX-License-Identifier: MIT
/*
 * Basic types and small macros used all over the kernel. No state, no locks, any context.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ssize_t;
typedef int64_t off_t;
typedef int32_t pid_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))

/* Most CPUs that one kernel image serves; APIC ids are 0 to N-1 (docs/guest.md). */
#define MAX_CPUS 64
#define CACHE_LINE 64

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* ALIGN_UP and ALIGN_DOWN want a power of two. ALIGN_UP wraps near the end of the type's range. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a) - 1), a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))

#define MIN(a, b) \
	({ \
		__typeof__(a) min_a = (a); \
		__typeof__(b) min_b = (b); \
		min_a < min_b ? min_a : min_b; \
	})
#define MAX(a, b) \
	({ \
		__typeof__(a) max_a = (a); \
		__typeof__(b) max_b = (b); \
		max_a > max_b ? max_a : max_b; \
	})

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ volatile("" ::: "memory")
#define __packed __attribute__((packed))
#define __cacheline __attribute__((aligned(CACHE_LINE)))
#define __printf(f, a) __attribute__((format(printf, f, a)))
#define __unused __attribute__((unused))
#define __noinline __attribute__((noinline))

#endif
