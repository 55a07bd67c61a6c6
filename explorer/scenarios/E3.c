// SPDX-License-Identifier: MIT
// E3. CPU 0 copies a page on write while CPU 1 attaches a device, which faults on the page at once.
#include "devices.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	fork_space();
}

static void write_2(void)
{
	write_value(A, 2);
}

static void attach_and_look(void)
{
	uint64_t value;

	attach_device(DEVICE, XP_GIVEN, 0);
	value = device_reads(A);
	xp_demand(value == 1 || value == 2, "a device reads what nobody has written");
}

// What it keeps by now is what CPUs have.
static void end(void)
{
	xp_demand(device_reads(A) == 2, "a secondary that was just attached has missed a change");
	destroy_child();
	end_space();
}

const struct scenario E3 = {
	.name = "E3-attach-against-copy",
	.about = "a page is copied on write while a device attaches and faults on it",
	.without = "COMMIT_UNDER_LOCK", .words = "a secondary that was just attached has missed a change",
	.bytes = true,
	.cpus = 2, .begin = begin, .cpu = {write_2, attach_and_look}, .end = end,
};
