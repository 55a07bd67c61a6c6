// SPDX-License-Identifier: MIT
// What the cases of secondaries share: devices that keep the translations that they were handed until they are told,
// and may have memory of their own. A device forgets as late as it may, when it is waited for.
#ifndef TESTS_PROTECTIONS_DEVICE_H
#define TESTS_PROTECTIONS_DEVICE_H

#include "spaces.h"

// Translations that a device keeps, and tables on its way to an address.
#define KEPT 64
#define WAYS 8

struct device {
	unsigned id;		// of its subscription
	bool attached;
	bool silent;		// does not answer
	bool fails;		// its copies fail, and leave something else than what was to be copied
	unsigned filled;	// so often it heard that there may be more than it knows
	struct vmt_device_memory *memory; // NULL: it has none
	unsigned char *bytes;
	struct kept {
		uint64_t addr, length, pa, generation;
		vmt_prot prot;	// 0: nothing
		bool device;
	} kept[KEPT];
	struct way {		// where it walks the space's own tables
		uint64_t start, end, pa, generation;
	} way[WAYS];
	unsigned ways;
};

// `pages` of its own memory, or 0.
void device_attach(struct device *device, uint64_t pages);
void device_detach(struct device *device);

// The translation of `at` that allows the access, or NULL.
const struct kept *device_keeps(const struct device *device, uint64_t at, vmt_prot access);

// One fault, of a page.
enum vmt_status device_fault(struct device *device, uint64_t at, vmt_prot access, uint32_t flags);

// Accesses with what it keeps, and with faults where that is not enough.
void device_write(struct device *device, uint64_t at, uint64_t value);
uint64_t device_read(struct device *device, uint64_t at);

// An access with what it keeps alone. False: that is not enough.
bool device_try_write(struct device *device, uint64_t at, uint64_t value);

// vmt_secondary_fault_range's commit, with the device as argument.
void device_commit_range(void *device, const struct vmt_grant *grant, unsigned count, bool programmed);

// The device walks the space's own tables to `at`, and remembers them.
void device_walk(struct device *device, uint64_t at);

#endif
