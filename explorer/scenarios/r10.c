// SPDX-License-Identifier: MIT
// 10. A device's fault and a CPU go on against each other: whenever one has what it wants the other takes it away.
// Both come to an end, whatever the other does.
#include "devices.h"

#define ROUNDS 12

static bool done;
static unsigned rounds, taken;

static void next_round(void)
{
	xp_demand(++rounds < ROUNDS, "a device's fault and a CPU go on against each other for ever");
}


static void begin(void)
{
	begin_unused_space();
	ok(vmt_fault(space, A, VMT_WRITE, NULL));
	attach_device(DEVICE, XP_GIVEN, 4);
	done = false;
	rounds = taken = 0;
}

// ---- A range of two pages, and one of them goes whenever the device has prepared for both. ------------------------

static bool is_prepared(unsigned cpu)
{
	(void)cpu;
	return done || rounds > taken;
}

static bool is_taken(unsigned cpu)
{
	(void)cpu;
	return rounds == taken;
}

static enum vmt_status program(void *arg, const struct vmt_grant *grant, unsigned count)
{
	(void)arg;
	(void)grant;
	(void)count;
	next_round();
	xp_wait(is_taken, "the other's turn");
	return VMT_OK;
}

static void fault_range(void)
{
	struct vmt_secondary_range range = {.addr = A, .length = 2 * PAGE, .access = VMT_WRITE, .program = program,
					    .commit = xp_device_commit_range, .arg = DEVICE};

	ok(vmt_secondary_fault_range(space, DEVICE->id, &range));
	done = true;
}

static void release_each_time(void)
{
	for (;;) {
		xp_wait(is_prepared, "the device");
		if (done)
			return;
		release_page(A);
		taken++;
	}
}

const struct scenario range = {
	.name = "r10-range",
	.about = "a page goes whenever a device has prepared for its range",
	.without = "RANGE_ENDS", .words = "a device's fault and a CPU go on against each other for ever",
	.cpus = 2, .begin = begin, .cpu = {fault_range, release_each_time}, .end = end_space,
};

// ---- The page should live on the device, and CPU 1 takes it back when it is on its way there. ---------------------

static void begin_advised(void)
{
	begin();
	ok(vmt_advise_device(space, A, PAGE, DEVICE->memory, false));
}

static void device_faults(void)
{
	device_reads(A);
	done = true;
}

static bool is_going(unsigned cpu)
{
	(void)cpu;
	return done || xp_copies_begun() > taken;
}

static void take_back_each_time(void)
{
	for (;;) {
		xp_wait(is_going, "the device");
		if (done)
			return;
		taken = xp_copies_begun();
		next_round();
		ok(vmt_fault(space, A, VMT_WRITE, NULL));
	}
}

const struct scenario livelock = {
	.name = "r10-livelock",
	.about = "a page is taken back whenever it is on its way to a device that faults on it",
	.without = "FAULT_STAYS", .words = "a device's fault and a CPU go on against each other for ever",
	.cpus = 2, .begin = begin_advised, .cpu = {device_faults, take_back_each_time}, .end = end_space,
};
