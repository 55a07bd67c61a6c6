// SPDX-License-Identifier: MIT
// What the scenarios with devices share. One device is usual; it is played by a CPU of the scenario.
#ifndef EXPLORER_SCENARIOS_DEVICES_H
#define EXPLORER_SCENARIOS_DEVICES_H

#include "device.h"
#include "space.h"

#define DEVICE (&xp_device[0])
#define OTHER  (&xp_device[1])

static inline void attach_device(struct xp_device *device, enum xp_device_kind kind, unsigned pages)
{
	device->kind = kind;
	device->pages = pages;
	xp_device_attach(device, vmt, space);
}

static inline void device_writes(uint64_t va, uint64_t value)
{
	ok(xp_device_write(DEVICE, va, value));
}

static inline uint64_t device_reads(uint64_t va)
{
	uint64_t value;

	ok(xp_device_read(DEVICE, va, &value));
	return value;
}

#endif
