// SPDX-License-Identifier: MIT
// What the explorer does about each access of the library (../instrument/hooks.h).
#include "explore.h"

void __tsan_func_entry(void *pc)
{
	xp_enter(pc);
}

void __tsan_func_exit(void)
{
	xp_leave();
}

void seen_plain(const void *p, size_t bytes, enum access access)
{
	uint32_t place = xp_place(p);
	unsigned count;

	if (place == XP_NOWHERE || !xp_exploring())
		return;
	count = xp_places(place, bytes);
	xp_memory_check(place, count);
	xp_clocks_access(xp_clock_self(), place, count, access, false);
	if (access & XP_WRITE)
		xp_weak_plain(place, count);
}

// A page that is copied: MMUs write its first word meanwhile, so it counts as an event there.
void seen_block(const void *p, size_t bytes, enum access access, const void *pc)
{
	uint32_t place = xp_place(p);

	if (access == XP_READ && place < XP_PLACE_META && xp_exploring()) {
		xp_event(XP_ATOMIC, place, 1, XP_READ, false, pc);
		xp_weak_copy(place);
		xp_trace_say("a page is copied");
	}
	seen_plain(p, bytes, access);
}

// The access that is under way: no other CPU comes between seen_before and what follows it.
static const void *called_from;
static unsigned size;

// Another CPU may come first. XP_NOWHERE: nobody else is concerned.
uint32_t seen_before(const volatile void *p, size_t bytes, enum access access, const void *pc)
{
	uint32_t place = xp_place(p);
	unsigned count;

	if (place == XP_NOWHERE || !xp_exploring())
		return XP_NOWHERE;
	count = xp_places(place, bytes);
	xp_event(XP_ATOMIC, place, count, access, false, pc);
	xp_memory_check(place, count);
	xp_clocks_access(xp_clock_self(), place, count, access, true);
	called_from = pc;
	size = (unsigned)bytes;
	return place;
}

uint64_t seen_load(uint32_t place, int order, uint64_t last)
{
	if (place == XP_NOWHERE)
		return last;
	last = xp_weak_load(place, size, last, xp_order(called_from, false, order));
	if (xp_tracing())
		xp_trace_say("is %#llx", (unsigned long long)last);
	return last;
}

bool seen_to_fail(uint32_t place, int order, uint64_t expected, uint64_t *last)
{
	if (place == XP_NOWHERE)
		return *last != expected;
	if (!xp_weak_compare(place, size, xp_order(called_from, true, order), expected, last))
		return false;
	if (xp_tracing())
		xp_trace_say("is %#llx", (unsigned long long)*last);
	return true;
}

void seen_after(uint32_t place, enum access access, int order, uint64_t old, uint64_t value)
{
	if (place == XP_NOWHERE)
		return;
	xp_weak_store(place, size, access, xp_order(called_from, false, order), old, value);
	if (place < XP_PLACE_META)
		xp_mmu_load();
	if (xp_tracing())
		xp_trace_say("%#llx -> %#llx", (unsigned long long)old, (unsigned long long)value);
}

// The library has no fences; litmus.c has.
void __tsan_atomic_thread_fence(int order);

void __tsan_atomic_thread_fence(int order)
{
	if (xp_exploring())
		xp_weak_fence(order);
}
