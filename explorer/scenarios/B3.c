// SPDX-License-Identifier: MIT
// B3. A CPU and a device want the same page at once: there is one of it.
#include "devices.h"

static void device_writes_2(void)
{
	device_writes(A, 2);
}

static void write_3(void)
{
	write_value(A, 3);
}

// ---- The device, on CPU 0, makes the page come, and CPU 1 takes it back. ------------------------------------------

static void begin_advised(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_advise_device(space, A, PAGE, DEVICE->memory, false));
	xp_claim(XP_USED | XP_FREED, frame_at(A), "a page goes to the device that a CPU has taken back");
}

static void device_looks(void)
{
	uint64_t value = device_reads(A);

	xp_demand(value == 1 || value == 3, "a device reads what nobody has written");
}

static void write_and_read(void)
{
	write_value(A, 3);
	xp_demand(read_value(A) == 3, "a page goes to the device that a CPU has taken back");
}

static void end_both(void)
{
	xp_as(1);
	xp_demand(read_value(A) == 3, "a page goes to the device that a CPU has taken back");
	xp_demand(device_reads(A) == 3, "a CPU and a device have each a copy of a page");
	end_space();
}

const struct scenario both_fault = {
	.name = "B3-both-fault",
	.about = "a CPU takes a page back that is on its way to a device",
	.without = "MOVE_STILL", .words = "a page goes to the device that a CPU has taken back",
	.bytes = true,
	.cpus = 2, .begin = begin_advised, .cpu = {device_looks, write_and_read}, .end = end_both,
};

// ---- Two CPUs touch a page that lives on the device; the second writes. -------------------------------------------

static void begin_there(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
	device_writes_2();
}

static void touch(void)
{
	uint64_t value = read_value(A);

	xp_demand(value == 2 || value == 3, "a CPU reads what nobody has written");
}

static void write_here(void)
{
	write_3();
	xp_demand(read_value(A) == 3, "a page that comes back twice is there twice");
}

static void end_return(void)
{
	xp_as(0);
	xp_demand(read_value(A) == 3, "a page that comes back twice is there twice");
	end_space();
}

const struct scenario both_return = {
	.name = "B3-both-return",
	.about = "two CPUs make one page come back from a device",
	.without = "RETURN_RECHECKS", .words = "a page that comes back twice is there twice",
	.bytes = true,
	.cpus = 2, .begin = begin_there, .cpu = {touch, write_here}, .end = end_return,
};

// ---- The device, on CPU 0, has the page for itself; CPU 1 takes it back. ------------------------------------------

static void begin_exclusive(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 0);
}

// An atomic operation that no CPU sees as such: nobody else may write in its middle, unless the device is told.
static void device_looks_twice(void)
{
	uint64_t first, second;

	ok(xp_device_fault(DEVICE, A, VMT_WRITE, VMT_GRANT_EXCLUSIVE));
	if (xp_device_try(DEVICE, A, false, &first) && xp_device_try(DEVICE, A, false, &second))
		xp_demand(first == second, "a CPU and a device have a page each for itself");
}

const struct scenario exclusive = {
	.name = "B3-exclusive",
	.about = "a CPU takes back a page that a device has for itself",
	.without = "FLUSH_HIDDEN", .words = "a CPU and a device have a page each for itself",
	.cpus = 2, .begin = begin_exclusive, .cpu = {device_looks_twice, write_3}, .end = end_space,
};
