// SPDX-License-Identifier: MIT
/*
 * How fast TSC and APIC timer count. A hypervisor may say it in CPUID leaf 0x40000010 (kHz of TSC and
 * of the APIC bus); else both are measured against channel 2 of the PIT, whose rate is fixed.
 */
#include "arch.h"

#include <kernel/printk.h>
#include <kernel/time.h>

#include "../../core/core.h"

#define PIT_HZ 1193182UL
#define SAMPLE_COUNTS 36000 /* about 30 ms of the 55 ms that the counter runs */

struct sample {
	uint64_t tsc, pit, apic;
};

static bool rates_from_cpuid(struct clock_rates *rates)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	if (!(r[2] & 1u << 31))
		return false;
	cpuid(0x40000000, 0, r);
	if (r[0] < 0x40000010)
		return false;
	cpuid(0x40000010, 0, r);
	if (!r[0] || !r[1])
		return false;
	rates->tsc_hz = r[0] * 1000UL;
	rates->apic_hz = r[1] * 1000UL;
	return true;
}

static uint32_t pit_elapsed(void)
{
	uint32_t lo, hi;

	outb(0x43, 0x80); /* latch channel 2 */
	lo = inb(0x42);
	hi = inb(0x42);
	return 0xffff - (hi << 8 | lo);
}

/* The emulator may be descheduled between two reads: the tightest of several readings is used. */
static struct sample sample_take(uint32_t (*apic_count)(void))
{
	struct sample best = { 0, 0, 0 };
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = rdtsc();
		uint32_t pit = pit_elapsed(), apic = apic_count();
		uint64_t after = rdtsc();

		if (after - before >= best_width)
			continue;
		best_width = after - before;
		best = (struct sample){ before + best_width / 2, pit, apic };
	}
	return best;
}

static void rates_from_pit(struct clock_rates *rates, uint32_t (*apic_count)(void))
{
	struct sample a, b;
	uint64_t pit;

	do {
		outb(0x61, (inb(0x61) & ~2u) | 1); /* gate on, speaker off */
		outb(0x43, 0xb0); /* channel 2, both bytes, mode 0 */
		outb(0x42, 0xff);
		outb(0x42, 0xff);
		a = sample_take(apic_count);
		while (pit_elapsed() < SAMPLE_COUNTS)
			cpu_relax();
		b = sample_take(apic_count);
		/* Past its end the counter wraps: measured too late, once more. */
	} while (b.pit <= a.pit || b.pit - a.pit < SAMPLE_COUNTS / 2 || b.tsc == a.tsc);
	pit = b.pit - a.pit;
	rates->tsc_hz = (b.tsc - a.tsc) * PIT_HZ / pit;
	rates->apic_hz = (b.apic - a.apic) * PIT_HZ / pit;
}

void clock_calibrate(struct clock_rates *rates, uint32_t (*apic_count)(void))
{
	if (!rates_from_cpuid(rates))
		rates_from_pit(rates, apic_count);
	clock_setup(rates->tsc_hz);
}
