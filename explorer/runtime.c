// SPDX-License-Identifier: MIT
// What -fsanitize=thread has the library call (the names are the compiler's): before each plain access, and instead of
// each atomic one. These are all sizes that the library uses; the linker says when that changes.
//
// memcpy and memset are wrapped by the linker: the instrumentation does not look into them.
#include <string.h>

#include "explore.h"

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(const void *p, size_t bytes);
void __tsan_write_range(const void *p, size_t bytes);
void *__real_memcpy(void *to, const void *from, size_t bytes);
void *__real_memset(void *to, int byte, size_t bytes);
void *__wrap_memcpy(void *to, const void *from, size_t bytes);
void *__wrap_memset(void *to, int byte, size_t bytes);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	xp_enter(pc);
}

void __tsan_func_exit(void)
{
	xp_leave();
}

// ---- Plain accesses ----------------------------------------------------------------------------------------------

static void plain(const void *p, size_t bytes, enum access access)
{
	uint32_t place = xp_place(p);
	unsigned count;

	if (place == XP_NOWHERE || !xp_exploring())
		return;
	count = xp_places(place, bytes);
	xp_memory_check(place, count);
	xp_clocks_access(xp_clock_self(), place, count, access, false);
}

#define PLAIN(bytes, name)                                                                                             \
	void __tsan_##name##read##bytes(const void *p);                                                                \
	void __tsan_##name##write##bytes(const void *p);                                                               \
	void __tsan_##name##read##bytes(const void *p)                                                                 \
	{                                                                                                              \
		plain(p, bytes, XP_READ);                                                                              \
	}                                                                                                              \
	void __tsan_##name##write##bytes(const void *p)                                                                \
	{                                                                                                              \
		plain(p, bytes, XP_WRITE);                                                                             \
	}

PLAIN(1, )
PLAIN(2, )
PLAIN(4, )
PLAIN(8, )
PLAIN(16, )
PLAIN(16, unaligned_)

void __tsan_read_range(const void *p, size_t bytes)
{
	plain(p, bytes, XP_READ);
}

void __tsan_write_range(const void *p, size_t bytes)
{
	plain(p, bytes, XP_WRITE);
}

// A page that is copied: MMUs write its first word meanwhile, so it counts as an event there.
void *__wrap_memcpy(void *to, const void *from, size_t bytes)
{
	uint32_t place = xp_place(from);

	if (place < XP_PLACE_META && xp_exploring()) {
		xp_event(XP_ATOMIC, place, 1, XP_READ, false, __builtin_return_address(0));
		xp_happened(place, XP_READ);
		xp_trace_say("a page is copied");
	}
	plain(from, bytes, XP_READ);
	plain(to, bytes, XP_WRITE);
	return __real_memcpy(to, from, bytes);
}

void *__wrap_memset(void *to, int byte, size_t bytes)
{
	plain(to, bytes, XP_WRITE);
	return __real_memset(to, byte, bytes);
}

// ---- Atomic accesses ---------------------------------------------------------------------------------------------

// Another CPU may come first. XP_NOWHERE: nobody else is concerned.
static uint32_t before(const volatile void *p, size_t bytes, enum access access, const void *pc)
{
	uint32_t place = xp_place(p);
	unsigned count;

	if (place == XP_NOWHERE || !xp_exploring())
		return XP_NOWHERE;
	count = xp_places(place, bytes);
	xp_event(XP_ATOMIC, place, count, access, false, pc);
	xp_memory_check(place, count);
	xp_clocks_access(xp_clock_self(), place, count, access, true);
	return place;
}

static void after(uint32_t place, enum access access, int order, uint64_t old, uint64_t value)
{
	if (place == XP_NOWHERE)
		return;
	xp_clocks_order(xp_clock_self(), place, access, order);
	xp_happened(place, access);
	if (access & XP_WRITE && place < XP_PLACE_META)
		xp_mmu_load();
	if (!xp_tracing())
		return;
	if (access & XP_WRITE)
		xp_trace_say("%#llx -> %#llx", (unsigned long long)old, (unsigned long long)value);
	else
		xp_trace_say("is %#llx", (unsigned long long)old);
}

#define MODIFY(bits, name, expression)                                                                                 \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t value, int order);      \
	uint##bits##_t __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t value, int order)       \
	{                                                                                                              \
		uint32_t place = before(p, sizeof(*p), XP_BOTH, __builtin_return_address(0));                          \
		uint##bits##_t old = *p;                                                                               \
                                                                                                                       \
		*p = (uint##bits##_t)(expression);                                                                     \
		after(place, XP_BOTH, order, old, *p);                                                                 \
		return old;                                                                                            \
	}

#define COMPARE(bits, name)                                                                                            \
	int __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t value,   \
					 int order, int order_failed);                                                 \
	int __tsan_atomic##bits##_##name(volatile uint##bits##_t *p, uint##bits##_t *expected, uint##bits##_t value,   \
					 int order, int order_failed)                                                  \
	{                                                                                                              \
		uint32_t place = before(p, sizeof(*p), XP_BOTH, __builtin_return_address(0));                          \
		uint##bits##_t old = *p;                                                                               \
                                                                                                                       \
		if (old != *expected) {                                                                                \
			*expected = old;                                                                               \
			after(place, XP_READ, order_failed, old, old);                                                 \
			return 0;                                                                                      \
		}                                                                                                      \
		*p = value;                                                                                            \
		after(place, XP_BOTH, order, old, value);                                                              \
		return 1;                                                                                              \
	}

// What Clang calls for both: returns what was there.
#define COMPARE_VALUE(bits)                                                                                            \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, uint##bits##_t expected, \
								  uint##bits##_t value, int order, int order_failed);  \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, uint##bits##_t expected, \
								  uint##bits##_t value, int order, int order_failed)   \
	{                                                                                                              \
		uint32_t place = before(p, sizeof(*p), XP_BOTH, __builtin_return_address(0));                          \
		uint##bits##_t old = *p;                                                                               \
                                                                                                                       \
		if (old == expected)                                                                                   \
			*p = value;                                                                                    \
		after(place, old == expected ? XP_BOTH : XP_READ, old == expected ? order : order_failed, old, *p);    \
		return old;                                                                                            \
	}

#define ATOMIC(bits)                                                                                                   \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order);                        \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t value, int order);                 \
	uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int order)                         \
	{                                                                                                              \
		uint32_t place = before(p, sizeof(*p), XP_READ, __builtin_return_address(0));                          \
		uint##bits##_t value = *p;                                                                             \
                                                                                                                       \
		after(place, XP_READ, order, value, value);                                                            \
		return value;                                                                                          \
	}                                                                                                              \
	void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t value, int order)                  \
	{                                                                                                              \
		uint32_t place = before(p, sizeof(*p), XP_WRITE, __builtin_return_address(0));                         \
		uint##bits##_t old = *p;                                                                               \
                                                                                                                       \
		*p = value;                                                                                            \
		after(place, XP_WRITE, order, old, value);                                                             \
	}

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

MODIFY(32, exchange, value)
MODIFY(32, fetch_add, old + value)
MODIFY(32, fetch_sub, old - value)
MODIFY(32, fetch_and, old & value)
MODIFY(32, fetch_or, old | value)
MODIFY(64, exchange, value)
MODIFY(64, fetch_add, old + value)
MODIFY(64, fetch_sub, old - value)
MODIFY(64, fetch_and, old & value)
MODIFY(64, fetch_or, old | value)

// A weak exchange does not fail for no reason: the loop around it would only go round once more.
COMPARE(32, compare_exchange_strong)
COMPARE(32, compare_exchange_weak)
COMPARE(64, compare_exchange_strong)
COMPARE(64, compare_exchange_weak)
COMPARE_VALUE(32)
COMPARE_VALUE(64)
