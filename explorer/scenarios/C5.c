// SPDX-License-Identifier: MIT
// C5. A page may be written that a device has for reading. CPU 0 makes it so, while the device, on CPU 1,
// faults to write.
#include "devices.h"

// The device has the page of zeroes.
static void begin(void)
{
	begin_space();
	attach_device(DEVICE, XP_GIVEN, 0);
	device_reads(A);
	DEVICE->filled = 0;
}

static void write_2(void)
{
	write_value(A, 2);
}

// Each answer says that it may write now, or ask again.
static void device_writes_3(void)
{
	uint64_t value = 3;

	for (unsigned faults = 0; !xp_device_try(DEVICE, A, true, &value); faults++) {
		xp_demand(faults < 5, "a device faults for ever on a page that it may use");
		ok(xp_device_fault(DEVICE, A, VMT_WRITE, 0));
	}
}

static void end(void)
{
	uint64_t value;

	xp_as(1);
	value = read_value(A);
	xp_demand(value == 2 || value == 3, "what was written is lost");
	end_space();
}

const struct scenario C5 = {
	.name = "C5-upgrade",
	.about = "a device faults to write while a CPU makes the entry writable",
	.without = "SPURIOUS_GRANTS", .words = "a device faults for ever on a page that it may use",
	.cpus = 2, .begin = begin, .cpu = {write_2, device_writes_3}, .end = end,
};

// ---- A device that does not ask again has to be told. -------------------------------------------------------------

static void device_waits(void)
{
	uint64_t value;

	xp_demand(xp_device_read(DEVICE, A, &value) == VMT_OK && (value == 0 || value == 2),
		  "a device reads what nobody has written");
}

static void end_told(void)
{
	xp_demand(DEVICE->filled, "a device is not told that it may write");
	end_space();
}

const struct scenario C5_told = {
	.name = "C5-upgrade-told",
	.about = "a CPU makes an entry writable that a device has for reading",
	.without = "FILLED_TOLD", .words = "a device is not told that it may write",
	.cpus = 2, .begin = begin, .cpu = {write_2, device_waits}, .end = end_told,
};
