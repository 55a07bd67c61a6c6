// SPDX-License-Identifier: MIT
// Device memory: memory that a device reaches by itself and CPUs do not, and pages that move there and back.
//
// Where a page is says its entry, and nothing else: a leaf, or a device marker with the page's number there. A page is
// in one place. An access by a CPU, or by a secondary that cannot reach that memory, makes it come back (vmt_fault
// does, and vmt_page_get). The device that can reach it gets it where it is (vmt_secondary_fault, vmt_mirror_fault).
//
// On its way to the device a page is *parked*: it lies where it lay, hidden from everybody. Who wants it meanwhile just
// takes it back; the copy is thrown away then. So nobody waits for a move, and a move that fails has changed nothing.
// On its way back the entry is a migration marker, the page's bytes stand still in device memory, and who wants them
// makes his own copy; the first to finish has it. Neither can keep the other from getting on.
//
// Private anonymous memory moves; other memory, pinned pages, pages shared after a fork, and those that somebody holds
// a reference on at the moment stay where they are. Fork, vmt_move and the rest treat pages in device memory like
// others; a child's first access brings its copy back.
//
// Spaces of a machine with device memory leave markers of the kinds device and migration to the library.
#ifndef VMTREE_DEVICE_H
#define VMTREE_DEVICE_H

#include <vmtree/names.h>
#include <vmtree/space.h>
#include <vmtree/types.h>

struct vmt_device_memory;
struct vmt_migration;

// Device memories of one machine at a time.
#define VMT_DEVICE_MEMORIES 15

enum vmt_copy_state {
	VMT_COPY_UNDER_WAY,
	VMT_COPY_GOOD,
	VMT_COPY_BAD,
};

// A copy that the library has asked for.
struct vmt_copy {
	uint64_t pa;		// system memory, a whole number of pages
	uint64_t device;	// device address
	uint64_t bytes;
	bool to_device;
	_Atomic uint32_t state;	// enum vmt_copy_state: what vmt_copy_done writes
};

struct vmt_device_memory_ops {
	// Starts the copy and returns; the end is told by vmt_copy_done, from any context, sooner or later, from
	// inside of this call if it is done at once. Nothing is held. Called by any number of threads.
	void (*copy)(void *owner, struct vmt_copy *copy);
};

// The copy has ended. Its bytes are visible to whoever acts on this. Not `good`: it failed, and what it wrote is of no
// use. Any context; the structure is the library's again.
void vmt_copy_done(struct vmt_copy *copy, bool good);

struct vmt_device_memory_config {
	uint64_t base;		// device address of the first byte, a multiple of the page size
	uint64_t bytes;		// a multiple of the page size, at most 2^32 pages
	const struct vmt_device_memory_ops *ops;
	void *owner;
};

// Makes a pool of device frames. VMT_ERR_UNALIGNED, VMT_ERR_EMPTY, VMT_ERR_LIMIT (VMT_DEVICE_MEMORIES, or too large),
// VMT_ERR_ARGUMENT (no copy function), VMT_ERR_NO_MEMORY (some bytes for each frame).
enum vmt_status vmt_device_memory_create(struct vmt *vmt, const struct vmt_device_memory_config *config,
					 struct vmt_device_memory **memory);

// Frees it. VMT_ERR_BUSY while pages live there or copies are under way. No secondary names it, and no attributes.
enum vmt_status vmt_device_memory_destroy(struct vmt_device_memory *memory);

struct vmt_device_memory_counts {
	uint64_t pages, used;		// frames; those that hold a page or a copy
	uint64_t moved_in, moved_out;	// pages, ever
	uint64_t copies;		// read-only copies of pages that stayed where they are, ever
	uint64_t failed;		// copies that ended badly
};

void vmt_device_memory_stats(struct vmt_device_memory *memory, struct vmt_device_memory_counts *counts);

// Moves what can be moved of the range to `memory`, or with NULL back to system memory; huge pages as a whole where
// room is found for them, else cut. `*pages` (may be NULL): how many pages live there now that did not before. VMT_OK
// also where pages stayed; VMT_ERR_NO_MEMORY: there was no room for all; VMT_ERR_DEVICE: copies failed;
// VMT_ERR_UNMAPPED: a part is not mapped. In each case every page is where it was or where it was to go.
VMT_LOCKED enum vmt_status vmt_migrate(struct vmt_space *space, uint64_t addr, uint64_t length,
				       struct vmt_device_memory *memory, uint64_t *pages);

// The same without waiting: starts the copies and returns. vmt_migration_poll: have they ended? vmt_migration_finish
// waits for them, enters the pages in their new place, and frees `migration`; it must be called, before the space is
// destroyed. Meanwhile the space can be used as ever. Only to device memory.
VMT_LOCKED enum vmt_status vmt_migration_start(struct vmt_space *space, uint64_t addr, uint64_t length,
					       struct vmt_device_memory *memory, struct vmt_migration **migration);
bool vmt_migration_poll(const struct vmt_migration *migration);
VMT_LOCKED enum vmt_status vmt_migration_finish(struct vmt_migration *migration, uint64_t *pages);

// Where pages of the range should live: in `memory`, where the device's own faults bring them; or, with NULL, in system
// memory, where they stay until they are moved. `read_mostly`: a page that the device reads stays in system memory and
// is copied; both may then read, until somebody writes. Recorded with the attributes, for private anonymous memory
// (VMT_ERR_ARGUMENT). VMT_ERR_UNMAPPED: a part is not mapped; what lies before was advised. VMT_ERR_NO_MEMORY,
// VMT_ERR_LIMIT.
VMT_LOCKED enum vmt_status vmt_advise_device(struct vmt_space *space, uint64_t addr, uint64_t length,
					     struct vmt_device_memory *memory, bool read_mostly);

#endif
