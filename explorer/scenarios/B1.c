// SPDX-License-Identifier: MIT
// B1. A page is on its way to the device. The copy fails, or the device cannot map it, or somebody writes meanwhile:
// the page is there, and so are its bytes.
#include "devices.h"

static void may_end(enum vmt_status status)
{
	if (status != VMT_ERR_DEVICE)
		ok(status);
}

// ---- CPU 0 takes the page to the device, and CPU 1 reads it. Any copy may fail. -----------------------------------

static void begin_failing(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 4);
	xp_copies_fail(true);
}

static void migrate(void)
{
	may_end(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
}

static void read_1(void)
{
	uint64_t value;
	enum vmt_status status = xp_read(A, &value);

	may_end(status);
	xp_demand(status != VMT_OK || value == 1, "a page that could not move to the device is not what it was");
}

static void end_failing(void)
{
	xp_copies_fail(false);
	xp_as(1);
	read_1();
	end_space();
}

const struct scenario copy_fails = {
	.name = "B1-copy-fails",
	.about = "the copy of a page to the device fails, or that on its way back",
	.without = "COPY_JUDGED", .words = "a page that could not move to the device is not what it was",
	.cpus = 2, .begin = begin_failing, .cpu = {migrate, read_1}, .end = end_failing,
};

// ---- CPU 1 writes to the page while the device, on CPU 0, makes it come. ------------------------------------------

static void begin_advised(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_advise_device(space, A, PAGE, DEVICE->memory, false));
}

static void device_fetches(void)
{
	uint64_t value = device_reads(A);

	xp_demand(value == 1 || value == 3, "a device reads what nobody has written");
}

static void write_3(void)
{
	write_value(A, 3);
}

static void end_written(void)
{
	xp_as(1);
	xp_demand(read_value(A) == 3, "what was written while a page went to the device is lost");
	end_space();
}

const struct scenario written_while_going = {
	.name = "B1-written-while-going",
	.about = "a page is written while it goes to a device",
	.without = "FLUSH_GOING", .words = "what was written while a page went to the device is lost",
	.bytes = true,
	.cpus = 2, .begin = begin_advised, .cpu = {device_fetches, write_3}, .end = end_written,
};

// ---- It has come to the device, on CPU 0, which has no place for it in its tables, perhaps. CPU 1 reads it. -------

static const char lost[] = "a page that a device could not map is lost";

static void begin_unmapped(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
	attach_device(DEVICE, XP_OWN_TABLES, 4);
	DEVICE->map_fails = true;
	ok(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
}

static void device_maps(void)
{
	uint64_t value;
	enum vmt_status status = xp_device_read(DEVICE, A, &value);

	if (status == VMT_ERR_EXISTS) // that is how it fails
		return;
	ok(status);
	xp_demand(value == 1, lost);
}

static void read_here(void)
{
	xp_demand(read_value(A) == 1, lost);
}

static void end_unmapped(void)
{
	xp_as(1);
	read_here();
	end_space();
}

const struct scenario map_fails = {
	.name = "B1-map-fails",
	.about = "a device cannot map the page that has come to it",
	.without = "MARKER_NOT_EMPTY", .words = lost,
	.cpus = 2, .begin = begin_unmapped, .cpu = {device_maps, read_here}, .end = end_unmapped,
};
