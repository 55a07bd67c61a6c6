// SPDX-License-Identifier: MIT
// C1. CPU 0 and CPU 1 copy a and b on write; new a is written before new b. A device has the old page of a cached.
#include "devices.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	write_value(B, 1);
	fork_space();
	attach_device(DEVICE, XP_GIVEN, 0);
	device_reads(A);
}

static void copy_a(void)
{
	write_value(A, 2);
}

static void write_both(void)
{
	write_value(A, 3);
	write_value(B, 3);
}

static void device_looks(void)
{
	uint64_t b = device_reads(B), a = device_reads(A);

	xp_demand(b != 3 || a != 1, "a device sees new b with old a");
}

static void end(void)
{
	xp_demand(read_child(A) == 1 && read_child(B) == 1, "the child has what was written later");
	destroy_child();
	end_space();
}

const struct scenario C1 = {
	.name = "C1-two-copies",
	.about = "two pages are copied on write while a device reads both",
	.without = "FLUSH_SECONDARY", .words = "a device sees new b with old a",
	.bytes = true,
	.cpus = 3, .begin = begin, .cpu = {copy_a, write_both, device_looks}, .end = end,
};
