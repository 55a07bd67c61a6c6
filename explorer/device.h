// SPDX-License-Identifier: MIT
// Devices: MMUs beside those of the CPUs, with memory of their own. A CPU of the scenario plays the device's program
// and the driver that serves its faults; what the library asks of the device it is asked on whatever CPU asks.
//
//	device.c	how a device hears of changes, and its faults
//	copy.c		its memory, and what copies pages there and back
//	mmu_device.c	what it keeps
//
// A device forgets what it was asked to forget (`issue`) at any moment until `wait` returns, and goes on loading what
// it can. It does nothing that CPUs do not do by themselves: it walks tables, those of the space or its own; or it has
// none, and keeps what it is handed.
//
// A copy ends when the CPU that asked for it waits (others may come first, at no cost), and takes the bytes at its
// beginning or its end.
#ifndef EXPLORER_DEVICE_H
#define EXPLORER_DEVICE_H

#include <vmtree/device.h>
#include <vmtree/mirror.h>
#include <vmtree/secondary.h>

#include "explore.h"

#define XP_DEVICES 2
#define XP_MMUS	   (XP_CPUS + XP_DEVICES)

// Addresses of device memory, the same for all devices: nobody has more than one with memory.
#define XP_LOCAL (UINT64_C(1) << 38)

enum xp_device_kind {
	XP_GIVEN,	// no tables: a secondary that keeps what it is handed
	XP_OWN_TABLES,	// a mirror enters what it asks for into tables of its own
	XP_EAGER,	// ... and what was not asked for as well
	XP_SPACE_TABLES,// it walks the tables of the space
};

// What a scenario says before it attaches the device; the rest is found out.
struct xp_device {
	enum xp_device_kind kind;
	unsigned pages;		// of memory
	bool map_fails;		// entering a translation may fail
	bool silent;		// it does not answer
	// The scenario's own assertions; while CPUs run, NULL: none.
	void (*asked)(struct xp_device *device);	// it is asked to forget something
	void (*late)(struct xp_device *device);		// ... after it has left
	void (*handed)(const struct vmt_grant *grant);	// it is handed a translation

	struct vmt_space *space;
	struct vmt_device_memory *memory;
	struct vmt_mirror *mirror;
	struct vmt_tree *tree;	// that it walks, of its own
	unsigned id;		// as a secondary
	bool attached;
	unsigned filled;	// how often it was told that there is more
};

extern struct xp_device xp_device[XP_DEVICES];

void xp_device_reset(void);
// Its memory, if it has some; and the device comes into the space. In the beginning, or as a step of a CPU.
void xp_device_attach(struct xp_device *device, struct vmt *vmt, struct vmt_space *space);
// It leaves it. A silent one was reset before.
void xp_device_leave(struct xp_device *device);
// In the end: all that are there leave, and when the space has gone their tables and memory go.
void xp_devices_leave(void);
void xp_devices_end(void);

// Its program: an access at the beginning of a page that is watched, with faults.
enum vmt_status xp_device_read(struct xp_device *device, uint64_t va, uint64_t *value);
enum vmt_status xp_device_write(struct xp_device *device, uint64_t va, uint64_t value);
// One try: false if it keeps nothing that allows it.
bool xp_device_try(struct xp_device *device, uint64_t va, bool write, uint64_t *value);
// Its driver serves a fault. `flags`: VMT_GRANT_*.
enum vmt_status xp_device_fault(struct xp_device *device, uint64_t va, vmt_prot access, uint32_t flags);
// Hands it what a range's fault found (vmt_secondary_range::commit).
void xp_device_commit_range(void *device, const struct vmt_grant *grant, unsigned count, bool programmed);
// May it use the address, for all that it knows?
bool xp_device_keeps(const struct xp_device *device, uint64_t va, bool write);

// ---- What copies (copy.c) ----------------------------------------------------------------------------------------

extern const struct vmt_device_memory_ops xp_copies;

void xp_copies_reset(void);
// From now on copies may fail, or do not.
void xp_copies_fail(bool may);
// Has the CPU asked for one that is under way?
bool xp_copying(unsigned cpu);
// How many have begun since CPUs run?
unsigned xp_copies_begun(void);
// Those that the CPU has asked for end.
void xp_copies_end(unsigned cpu);
// The word of device memory at this address; NULL: it is elsewhere.
_Atomic uint64_t *xp_device_word(uint64_t pa);

// ---- What it keeps (mmu_device.c) --------------------------------------------------------------------------------

// `root`: of the tables that it walks; 0: it has none.
void xp_mmu_attach(unsigned device, struct vmt_space *space, uint64_t root);
void xp_mmu_detach(unsigned device);
void xp_mmu_give(unsigned device, uint64_t start, uint64_t length, uint64_t pa, bool write);
// It is asked to forget [start, end), with `tables` also the way there; and now it has.
void xp_mmu_issue(unsigned device, uint64_t start, uint64_t end, bool tables);
void xp_mmu_done(unsigned device, uint64_t start, uint64_t end);
bool xp_mmu_keeps(unsigned device, uint64_t va, bool write);
// One access. False: a fault.
bool xp_mmu_access(unsigned device, uint64_t va, bool write, uint64_t *value, const void *pc);

#endif
