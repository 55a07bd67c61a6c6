// SPDX-License-Identifier: MIT
/*
 * The clock: TSC counts since boot, scaled. TSCs of all CPUs run together in the machines that this
 * kernel runs on (QEMU gives all virtual CPUs one), which the self-test checks.
 */
#include <kernel/boot.h>
#include <kernel/time.h>

#include "core.h"

static uint64_t tsc_start, tsc_mult; /* ns per count, 32.32 fixed point; fixed once time runs */
static uint64_t epoch_ns;

void clock_setup(uint64_t tsc_hz)
{
	tsc_start = rdtsc();
	tsc_mult = (NSEC_PER_SEC << 32) / tsc_hz;
}

void clock_epoch_setup(void)
{
	epoch_ns = config_get_u64("epoch", 0);
}

uint64_t ktime_ns(void)
{
	return (uint64_t)((unsigned __int128)(rdtsc() - tsc_start) * tsc_mult >> 32);
}

uint64_t wall_ns(void)
{
	return epoch_ns + ktime_ns();
}
