// SPDX-License-Identifier: MIT
// The memory, and who has accessed which byte of it.
#include <string.h>

#include "conflicts.h"

struct memory memory;

static uint8_t accessed[CPUS][sizeof(struct memory)], lines[CPUS][sizeof(struct memory) / LINE];
static unsigned who = BOOT;

void memory_reset(void)
{
	record(BOOT);
	memset(memory.meta, 0, sizeof(memory.meta));
	memset(memory.port, 0, sizeof(memory.port));
	memset(accessed, 0, sizeof(accessed));
	memset(lines, 0, sizeof(lines));
}

// What a page holds is not the library's: whoever hands it out has written it.
void frame_zero(uint64_t pa)
{
	__real_memset(memory.frame[pa / VMT_PAGE_SIZE], 0, VMT_PAGE_SIZE);
}

void record(unsigned cpu)
{
	who = cpu;
}

void record_access(const volatile void *p, size_t bytes, enum access access)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)&memory;

	if (who == BOOT || at >= sizeof(memory))
		return;
	for (size_t i = 0; i < bytes; i++) {
		accessed[who][at + i] |= (uint8_t)access;
		lines[who][(at + i) / LINE] |= (uint8_t)access;
	}
}

enum access recorded(unsigned cpu, size_t at)
{
	return (enum access)accessed[cpu][at];
}

enum access recorded_line(unsigned cpu, size_t line)
{
	return (enum access)lines[cpu][line];
}

// ---- From the instrumentation ------------------------------------------------------------------------------------

void seen_plain(const void *p, size_t bytes, enum access access)
{
	record_access(p, bytes, access);
}

void seen_block(const void *p, size_t bytes, enum access access, const void *pc)
{
	(void)pc;
	record_access(p, bytes, access);
}

// A compare-and-swap that fails takes the line for itself all the same.
uint32_t seen_before(const volatile void *p, size_t bytes, enum access access, const void *pc)
{
	(void)pc;
	record_access(p, bytes, access);
	return 0;
}

uint64_t seen_load(uint32_t token, int order, uint64_t last)
{
	(void)token, (void)order;
	return last;
}

bool seen_to_fail(uint32_t token, int order, uint64_t expected, uint64_t *last)
{
	(void)token, (void)order;
	return *last != expected;
}

void seen_after(uint32_t token, enum access access, int order, uint64_t old, uint64_t value)
{
	(void)token, (void)access, (void)order, (void)old, (void)value;
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}
