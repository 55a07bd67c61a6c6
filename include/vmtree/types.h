// SPDX-License-Identifier: MIT
// The types that every layer shares: status codes, permissions, page sizes.
//
// The library is freestanding C11. Every function that can refuse or fail returns an `enum vmt_status`; a refused
// request (bad argument) changes nothing, and a failed one (memory ran out) leaves what had been there as it was.
#ifndef VMTREE_TYPES_H
#define VMTREE_TYPES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_VERSION_MAJOR 0
#define VMT_VERSION_MINOR 1
#define VMT_VERSION_PATCH 0

// The most CPUs that a space can be active on.
#define VMT_MAX_CPUS 256

// No physical frame: what an allocation returns that found none. Never the address of a frame.
#define VMT_NO_FRAME UINT64_MAX

enum vmt_status {
	VMT_OK = 0,
	// Bad arguments. Nothing was changed.
	VMT_ERR_UNALIGNED = 1,	// an address or length is not a multiple of the page size
	VMT_ERR_EMPTY = 2,	// the length is zero where that is not allowed
	VMT_ERR_WRAPPED = 3,	// address plus length passes 2^64
	VMT_ERR_OUTSIDE = 4,	// outside of the range that the space was created for
	VMT_ERR_ARGUMENT = 5,	// a flag, permission or combination that is not known or makes no sense
	// The state of the space does not allow it. Nothing was changed unless the function says otherwise.
	VMT_ERR_UNMAPPED = 6,	// (a part of) the range is not mapped
	VMT_ERR_EXISTS = 7,	// (a part of) the range is mapped already
	VMT_ERR_ACCESS = 8,	// the attributes forbid this access, or the maximum permissions this change
	VMT_ERR_BUS = 9,	// the address lies beyond the end of the object behind it, or the pager failed
	VMT_ERR_GUARD = 10,	// the address is guarded
	VMT_ERR_NOT_PRESENT = 11, // no page is there at the moment (a lock-free look-up only reads)
	VMT_ERR_BUSY = 12,	// the space is active on a CPU, or an object is still in use
	VMT_ERR_POISON = 13,	// the page is marked as lost (a poison marker)
	// Resources.
	VMT_ERR_NO_MEMORY = 14,	// the port had no frame or no memory, even after reclaiming
	VMT_ERR_NO_SPACE = 15,	// no free range of that size
	VMT_ERR_LIMIT = 16,	// a limit of the space was reached (attribute arrays, descriptors)
	VMT_ERR_RETRY = 17,	// bounded retries under a race were used up; nothing is lost, try again
	VMT_ERR_SIZE = 18,	// a leaf size that the format does not have, or a limit below its smallest
	VMT_ERR_MARKER = 19,	// a marker is there, and its kind has no handler
	VMT_ERR_DEVICE = 20,	// a device did not answer, or failed to copy; see secondary.h and device.h
	VMT_STATUS_COUNT
};

// A short name for a status ("VMT_ERR_UNALIGNED"), never NULL. Callable anywhere.
const char *vmt_status_name(enum vmt_status status);

// Permissions, as asked for. What hardware cannot express is widened in the entry (x86-64 and RISC-V have no
// write-without-read), never in what `vmt_area` reports.
enum {
	VMT_READ = 1u << 0,
	VMT_WRITE = 1u << 1,
	VMT_EXEC = 1u << 2,
	VMT_RWX = VMT_READ | VMT_WRITE | VMT_EXEC,
};

// An access, as a fault reports it: exactly one of VMT_READ, VMT_WRITE, VMT_EXEC.
typedef uint32_t vmt_prot;

// What hardware notes about a page.
enum {
	VMT_ACCESSED = 1u << 0,
	VMT_DIRTY = 1u << 1,
};

// What kind of memory a leaf maps: how it is cached and ordered. Each format's header says which of its encodings stand
// for these, and what the embedder has to put into a register (PAT, MAIR) for them.
enum vmt_memory {
	VMT_MEMORY_NORMAL = 0,		// RAM: cached, write-back, coherent
	VMT_MEMORY_NONCACHED = 1,	// RAM that is not cached, writes may be combined (a frame buffer)
	VMT_MEMORY_DEVICE = 2,		// registers: neither cached nor combined nor reordered
};

// Entries that hold no memory, at any level, and that the hardware takes for absent. What they mean is the embedder's
// business, but for the guard, which is what vmt_guard_install makes.
enum vmt_marker {
	VMT_MARKER_GUARD = 2,
	VMT_MARKER_SWAP = 3,
	VMT_MARKER_MIGRATION = 4,
	VMT_MARKER_DEVICE = 5,
	VMT_MARKER_POISON = 6,
	VMT_MARKER_OWN = 8,	// and up to VMT_MARKER_OWN_LAST: the embedder's own
	VMT_MARKER_OWN_LAST = 15,
};

// The most that a marker can carry, in every format.
#define VMT_MARKER_PAYLOAD ((UINT64_C(1) << 40) - 1)

// The three classes of walker. Each function of the library that walks a tree is marked with its own.
//
// VMT_LOCKED: holds the lock of every table in which it changes something, from before it looks until after the flush
// of what it took away; so what it decides on stands still, and what it removed is unreachable when it returns. Called
// with preemption on, outside of read-side sections; may allocate, and wait for other locked and half-locked walkers
// of the same tables.
//
// VMT_HALF_LOCKED: pins one table at a time. A pin keeps its tables tables and its leaves leaves, and its attributes as
// they are; entries in tables below change meanwhile. What it reports existed, table by table. Called like a locked
// walker; waits for locked walkers of that one table only.
//
// VMT_LOCK_FREE: walks as the hardware does, inside a read-side section, reading each entry once, and waits for nobody.
// What it saw may be history when it returns; a reference that it took is not, for it read the whole path again after
// taking it. Tables that it stands in are not reused before its section ends. Any context in which the port can enter
// a read-side section.
#define VMT_LOCKED
#define VMT_HALF_LOCKED
#define VMT_LOCK_FREE

#endif
