// SPDX-License-Identifier: MIT
// 20, of devices: what a device can reach is neither given away nor shared, whoever has a copy of it, and even if the
// device does not answer.
#include "devices.h"

static void begin_here(void)
{
	begin_space();
	xp_as(1);
	write_value(A, 1);
}

static void write_3(void)
{
	write_value(A, 3);
}

static void device_looks(void)
{
	uint64_t value = device_reads(A);

	xp_demand(value == 1 || value == 3, "a device reads what nobody has written");
}

// ---- CPU 0 unmaps a page of a device that does not answer; CPU 1 resets it, after which it leaves. ----------------

static void begin_silent(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	xp_claim(XP_REACHED, frame_at(A), "a page was freed that a device can reach which does not answer");
	attach_device(DEVICE, XP_GIVEN, 0);
	device_writes(A, 1);
	DEVICE->silent = true;
}

static void unmap(void)
{
	enum vmt_status status = vmt_unmap(space, A, PAGE);

	if (status != VMT_ERR_DEVICE)
		ok(status);
}

static void reset(void)
{
	xp_device_leave(DEVICE);
}

const struct scenario silent_device = {
	.name = "r20-silent-device",
	.about = "a page is unmapped that a device has which does not answer",
	.without = "LOST_IS_HELD", .words = "a page was freed that a device can reach which does not answer",
	.cpus = 2, .begin = begin_silent, .cpu = {unmap, reset}, .end = end_space,
};

// ---- CPU 0 forks while the device, on CPU 1, writes to a page of its own memory. ----------------------------------

static void begin_there(void)
{
	begin_here();
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_migrate(space, A, PAGE, DEVICE->memory, NULL));
	device_reads(A);
}

static void device_writes_3(void)
{
	device_writes(A, 3);
}

static void end_fork(void)
{
	uint64_t value;

	device_writes(A, 4);
	value = read_child(A);
	xp_demand(value == 1 || value == 3, "what a device writes for the parent shows in the child");
	xp_as(0);
	xp_demand(read_value(A) == 4, "what a device wrote is lost");
	destroy_child();
	end_space();
}

const struct scenario device_fork_and_write = {
	.name = "r20-device-fork-and-write",
	.about = "a fork meets a page that lives on a device, which writes to it",
	.without = "DEVICE_EXCLUSIVE", .words = "what a device writes for the parent shows in the child",
	.cpus = 2, .begin = begin_there, .cpu = {fork_space, device_writes_3}, .end = end_fork,
};

// ---- A page that is mostly read: the device, on CPU 0, gets a copy, and CPU 1 writes. -----------------------------

static void begin_mostly_read(void)
{
	begin_here();
	attach_device(DEVICE, XP_GIVEN, 4);
	ok(vmt_advise_device(space, A, PAGE, NULL, true));
}

static void end_written_while(void)
{
	xp_demand(device_reads(A) == 3, "a device reads a copy that was old when it was made");
	end_space();
}

const struct scenario copy_written_while = {
	.name = "r20-copy-written-while",
	.about = "a page is written while a copy of it is made for a device",
	.without = "FLUSH_COPIED", .words = "a device reads a copy that was old when it was made",
	.bytes = true,
	.cpus = 2, .begin = begin_mostly_read, .cpu = {device_looks, write_3}, .end = end_written_while,
};

static void begin_copied(void)
{
	begin_mostly_read();
	device_reads(A);
}

static void end_written_after(void)
{
	xp_demand(device_reads(A) == 3, "a device reads the copy of a page that was written");
	end_space();
}

const struct scenario copy_written_after = {
	.name = "r20-copy-written-after",
	.about = "a page is written of which a device has a copy",
	.without = "COPY_DROPPED", .words = "a device reads the copy of a page that was written",
	.bytes = true,
	.cpus = 2, .begin = begin_copied, .cpu = {device_looks, write_3}, .end = end_written_after,
};
