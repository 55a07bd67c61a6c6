// SPDX-License-Identifier: MIT
// The functions that -fsanitize=thread has instrumented code call (the names are the compiler's).
// All sizes are here that the library uses; the linker says when that changes.
#include "hooks.h"

void __tsan_init(void);
void __tsan_read_range(const void *p, size_t bytes);
void __tsan_write_range(const void *p, size_t bytes);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

void __tsan_init(void)
{
}

// ---- Plain accesses -------------------------------------------------------------------------------------------------

#define PLAIN(bytes, name)                               \
	void __tsan_##name##read##bytes(const void *p);  \
	void __tsan_##name##write##bytes(const void *p); \
	void __tsan_##name##read##bytes(const void *p)   \
	{                                                \
		seen_plain(p, bytes, ACCESS_READ);       \
	}                                                \
	void __tsan_##name##write##bytes(const void *p)  \
	{                                                \
		seen_plain(p, bytes, ACCESS_WRITE);      \
	}

PLAIN(1, )
PLAIN(2, )
PLAIN(4, )
PLAIN(8, )
PLAIN(16, )
PLAIN(16, unaligned_)

void __tsan_read_range(const void *p, size_t bytes)
{
	seen_plain(p, bytes, ACCESS_READ);
}

void __tsan_write_range(const void *p, size_t bytes)
{
	seen_plain(p, bytes, ACCESS_WRITE);
}

void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	seen_block(from, bytes, ACCESS_READ, __builtin_return_address(0));
	seen_block(to, bytes, ACCESS_WRITE, __builtin_return_address(0));
	return __real_memcpy(to, from, bytes);
}

void *__wrap_memset(void *to, int byte, size_t bytes)
{
	seen_block(to, bytes, ACCESS_WRITE, __builtin_return_address(0));
	return __real_memset(to, byte, bytes);
}

// ---- Atomic accesses ------------------------------------------------------------------------------------------------

#define MODIFY(bits, name, expression)                                                        \
	uint##bits##_t __tsan_atomic##bits##_##name(                                          \
		volatile uint##bits##_t *p, uint##bits##_t value, int order);                 \
	uint##bits##_t __tsan_atomic##bits##_##name(                                          \
		volatile uint##bits##_t *p, uint##bits##_t value, int order)                  \
	{                                                                                     \
		uint32_t token =                                                              \
			seen_before(p, sizeof(*p), ACCESS_BOTH, __builtin_return_address(0)); \
		uint##bits##_t old = *p;                                                      \
                                                                                              \
		*p = (uint##bits##_t)(expression);                                            \
		seen_after(token, ACCESS_BOTH, order, old, *p);                               \
		return old;                                                                   \
	}

#define COMPARE(bits, name)                                                                    \
	int __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t *expected, \
		uint##bits##_t value, int order, int order_failed);                            \
	int __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t *expected, \
		uint##bits##_t value, int order, int order_failed)                             \
	{                                                                                      \
		uint32_t token =                                                               \
			seen_before(p, sizeof(*p), ACCESS_BOTH, __builtin_return_address(0));  \
		uint64_t old = *p;                                                             \
                                                                                               \
		if (seen_to_fail(token, order_failed, *expected, &old)) {                      \
			*expected = (uint##bits##_t)old;                                       \
			return 0;                                                              \
		}                                                                              \
		*p = value;                                                                    \
		seen_after(token, ACCESS_BOTH, order, old, value);                             \
		return 1;                                                                      \
	}

// What Clang calls for both: returns what was there.
#define COMPARE_VALUE(bits)                                                                   \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, \
		uint##bits##_t expected, uint##bits##_t value, int order, int order_failed);  \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, \
		uint##bits##_t expected, uint##bits##_t value, int order, int order_failed)   \
	{                                                                                     \
		uint32_t token =                                                              \
			seen_before(p, sizeof(*p), ACCESS_BOTH, __builtin_return_address(0)); \
		uint64_t old = *p;                                                            \
                                                                                              \
		if (!seen_to_fail(token, order_failed, expected, &old)) {                     \
			*p = value;                                                           \
			seen_after(token, ACCESS_BOTH, order, old, value);                    \
		}                                                                             \
		return (uint##bits##_t)old;                                                   \
	}

#define ATOMIC(bits)                                                                            \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order); \
	void __tsan_atomic##bits##_store(                                                       \
		volatile uint##bits##_t *p, uint##bits##_t value, int order);                   \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order)  \
	{                                                                                       \
		uint32_t token =                                                                \
			seen_before(p, sizeof(*p), ACCESS_READ, __builtin_return_address(0));   \
                                                                                                \
		return (uint##bits##_t)seen_load(token, order, *p);                             \
	}                                                                                       \
	void __tsan_atomic##bits##_store(                                                       \
		volatile uint##bits##_t *p, uint##bits##_t value, int order)                    \
	{                                                                                       \
		uint32_t token =                                                                \
			seen_before(p, sizeof(*p), ACCESS_WRITE, __builtin_return_address(0));  \
		uint##bits##_t old = *p;                                                        \
                                                                                                \
		*p = value;                                                                     \
		seen_after(token, ACCESS_WRITE, order, old, value);                             \
	}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

MODIFY(32, exchange, value)
MODIFY(32, fetch_add, old + value)
MODIFY(32, fetch_sub, old - value)
MODIFY(32, fetch_and, old &value)
MODIFY(32, fetch_or, old | value)
MODIFY(64, exchange, value)
MODIFY(64, fetch_add, old + value)
MODIFY(64, fetch_sub, old - value)
MODIFY(64, fetch_and, old &value)
MODIFY(64, fetch_or, old | value)

// A weak exchange does not fail for no reason: the loop around it would only go round once more.
COMPARE(32, compare_exchange_strong)
COMPARE(32, compare_exchange_weak)
COMPARE(64, compare_exchange_strong)
COMPARE(64, compare_exchange_weak)
COMPARE_VALUE(32)
COMPARE_VALUE(64)
