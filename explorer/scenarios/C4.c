// SPDX-License-Identifier: MIT
// C4. What an entry says when a device is to be told is not what the device has: it is told whatever the entry says.
// CPU 0 forks, which leaves a at the same page with fewer rights; the device, on CPU 1, has it to write.
#include "devices.h"

static void begin(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 0);
	device_writes(A, 2);
}

static void write_3(void)
{
	device_writes(A, 3);
}

static void end(void)
{
	uint64_t value = read_child(A);

	xp_demand(value == 2 || value == 3, "the child is a state that never was");
	xp_as(1);
	device_writes(A, 4);
	xp_demand(read_child(A) == value, "a device was not told of a change, for the entry looked the same");
	destroy_child();
	end_space();
}

const struct scenario C4 = {
	.name = "C4-looks-unchanged",
	.about = "an entry looks as it did when a device is to be told of it",
	.without = "FLUSH_BLIND", .words = "a device was not told of a change, for the entry looked the same",
	.cpus = 2, .begin = begin, .cpu = {fork_space, write_3}, .end = end,
};
