// SPDX-License-Identifier: MIT
// B2. A page lives on the device, and CPUs touch it: it comes back as it is.
#include "devices.h"

static void begin(void)
{
	begin_space();
	xp_as(0);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
	if (frame_at(A))
		xp_fail("a page has not moved to the device");
}

static void touch(void)
{
	xp_demand(read_value(A) == 1, "a page that lives on the device is filled with zeroes");
}

const struct scenario B2 = {
	.name = "B2-touched",
	.about = "two CPUs touch a page that lives on a device",
	.without = "MARKER_NOT_EMPTY", .words = "a page that lives on the device is filled with zeroes",
	.cpus = 2, .begin = begin, .cpu = {touch, touch}, .end = end_space,
};

// ---- CPU 0 touches it while the device, on CPU 1, writes. ---------------------------------------------------------

static void read_either(void)
{
	uint64_t value = read_value(A);

	xp_demand(value == 1 || value == 3, "a CPU reads what nobody has written");
}

static void device_writes_3(void)
{
	device_writes(A, 3);
}

static void end(void)
{
	xp_as(0);
	xp_demand(read_value(A) == 3, "what a device wrote while its page came back is lost");
	end_space();
}

const struct scenario written_while_coming = {
	.name = "B2-written-while-coming",
	.about = "a device writes to a page while it comes back",
	.without = "FLUSH_RETURN", .words = "what a device wrote while its page came back is lost",
	.cpus = 2, .begin = begin, .cpu = {read_either, device_writes_3}, .end = end,
};
