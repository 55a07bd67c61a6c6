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

// The base page. All formats of this version have a 4 KiB granule.
#define VMT_PAGE_SHIFT 12
#define VMT_PAGE_SIZE  (UINT64_C(1) << VMT_PAGE_SHIFT)
#define VMT_PAGE_MASK  (VMT_PAGE_SIZE - 1)

// Slots of one table, and the most CPUs that a space can be active on.
#define VMT_TABLE_SLOTS 512
#define VMT_MAX_CPUS    256

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

#endif
