// SPDX-License-Identifier: MIT
// QEMU shows a machine the host's time stamp counter. Linux would measure it against a timer of the machine, which
// comes late on a busy host; and where that fails it has no other clock on this board, and waits for one for ever.
#include "tsc.h"

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>

#define TRIES  64
#define SPAN_NS 50000000

struct moment {
	int64_t ns;
	uint64_t ticks;
};

// The same moment on both clocks: the closest of many tries, since this process may be interrupted between them.
static struct moment look(void)
{
	struct moment best = {0};
	uint64_t closest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct timespec now;
		uint64_t before = __rdtsc();
		clock_gettime(CLOCK_MONOTONIC, &now);
		uint64_t apart = __rdtsc() - before;
		if (apart >= closest)
			continue;
		closest = apart;
		best.ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
		best.ticks = before + apart / 2;
	}
	return best;
}

unsigned long tsc_khz(void)
{
	const struct timespec span = {.tv_nsec = SPAN_NS};
	struct moment start = look();

	nanosleep(&span, NULL);
	struct moment end = look();
	return (unsigned long)((double)(end.ticks - start.ticks) * 1e6 / (double)(end.ns - start.ns) + 0.5);
}
#else
unsigned long tsc_khz(void)
{
	return 0;
}
#endif
