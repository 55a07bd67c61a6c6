// SPDX-License-Identifier: MIT
// The parts of the machines with an IOMMU.
//
//	pci.c		configuration space
//	device.c	the device, what its transfers did, and the rest of machine.h
//	vtd.c, amdvi.c	the IOMMU: one of them in each image
//	cases.c		what only a device can ask
#ifndef IOMMU_H
#define IOMMU_H

#include "judge.h"

// ---- PCI (pci.c) -------------------------------------------------------------------------------------------------

enum {
	PCI_COMMAND = 0x04,
	PCI_BAR = 0x10,
	PCI_CAPABILITIES = 0x34,
	PCI_MEMORY = 2, // in PCI_COMMAND
	PCI_MASTER = 4,
};

// Functions of bus 0 are named as in requests: device << 3 | function.
uint32_t pci_read(unsigned function, unsigned at);
void pci_write(unsigned function, unsigned at, uint32_t value);

// The first function of this vendor and device (device << 16 | vendor), or with this capability, whose place in
// configuration space goes to `*at`. PCI_NONE: there is none.
#define PCI_NONE 256
unsigned pci_find(uint32_t id);
unsigned pci_find_capability(uint8_t capability, unsigned *at);

// ---- The IOMMU ---------------------------------------------------------------------------------------------------

// Up to where its entries can name memory.
extern const unsigned unit_address_bits;

// It records every access where there is nothing.
extern const bool unit_records_absence;

// Finds it and turns it on, with no table for the device. judge_skip where it is not there or lacks the format.
void unit_start(unsigned device);

// From now on the device's addresses are translated by this root; NOWHERE: by none. Drops everything cached.
void unit_use(uint64_t root);

// Drops what `flush` covers, or everything (NULL), and has waited for it.
void unit_flush(const struct vmt_flush *flush);

// Whether it may keep that there was nothing.
bool unit_caches_absence(void);

// Entries of the judge's own, from the manual: to a table of `level`, and to memory with all permissions.
uint64_t unit_table(uint64_t pa, unsigned level);
uint64_t unit_leaf(uint64_t pa, unsigned level);

// What it has recorded since the last call.
struct unit_fault {
	enum {
		FAULT_NONE,	// no fault
		FAULT_ACCESS,	// no entry or no permission for the access
		FAULT_OTHER,	// anything that no case here may cause
	} kind;
	uint64_t page;
	bool write;
	uint64_t raw[2];
};
struct unit_fault unit_fault(unsigned device);

// ---- The device (device.c) ---------------------------------------------------------------------------------------

#define DEVICE_BUFFER 4096 // bytes that it has of its own

// Moves bytes to and from its buffer.
void device_fetch(uint64_t iova, unsigned offset, unsigned bytes);
void device_store(uint64_t iova, unsigned offset, unsigned bytes);

// What the device's buffer holds: a copy, valid until the next call.
const void *device_buffer(unsigned offset, unsigned bytes);
void device_fill(unsigned offset, const void *from, unsigned bytes);

// unit_fault of this device.
struct unit_fault device_fault(void);

#endif
