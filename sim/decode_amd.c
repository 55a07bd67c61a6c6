// SPDX-License-Identifier: MIT
// AMD's tables for what is not a process: those of the IOMMU (host translation, version 1), from the "AMD I/O
// Virtualization Technology (IOMMU) Specification" (48882), 2.2.3, and nested ones, from the AMD64 APM vol. 2,
// 15.25.5, 5.3.3 to 5.3.5, and 7.8 (the PAT).
//
// The IOMMU: mode 4 (four levels), HAD = 11b (accessed and dirty bits), NpCache = 1, and no tables that skip
// levels. The processor: 48 physical address bits, EFER.NXE = 1 in the host, whose PAT holds write-back (PA0),
// write-through (PA1), write combining (PA2), uncacheable (PA3), and the same again.
#include <stddef.h>

#include "decode.h"

#define PRESENT	      (UINT64_C(1) << 0)
#define ACCESSED      (UINT64_C(1) << 5)
#define DIRTY	      (UINT64_C(1) << 6)
#define ADDRESS_FIELD UINT64_C(0x000ffffffffff000)

// ---- The IOMMU ---------------------------------------------------------------------------------------------------

#define IO_READ	      (UINT64_C(1) << 61)
#define IO_WRITE      (UINT64_C(1) << 62)
#define RESERVED_PTE  UINT64_C(0x07f0000000000000) // 58:52
#define RESERVED_PDE  UINT64_C(0x1ff0000000000000) // 60:52

static const char *wrong_v1(uint64_t value, unsigned level)
{
	unsigned next = value >> 9 & 7;

	if (value & (next ? RESERVED_PDE : RESERVED_PTE))
		return next ? "AMD IOMMU: a reserved bit (60:52) is set in a PDE"
			    : "AMD IOMMU: a reserved bit (58:52) is set in a PTE";
	if (next == 7)
		return "AMD IOMMU: a page of a size of its own";
	// The AMD level of the table that an entry of `level` is in is level + 1.
	if (next && next != level)
		return "AMD IOMMU: the next level is not the level below";
	if (!next && value & ADDRESS_FIELD & ((UINT64_C(1) << sim_shift_4k(level)) - 1))
		return "AMD IOMMU: a large page is not aligned to its size";
	return NULL;
}

static void decode_v1(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & PRESENT))
		return;
	entry->broken = wrong_v1(value, level);
	if (entry->broken) {
		entry->kind = SIM_ENTRY_BROKEN;
		return;
	}
	entry->kind = value >> 9 & 7 ? SIM_ENTRY_TABLE : SIM_ENTRY_LEAF;
	entry->pa = value & ADDRESS_FIELD;
	entry->may = SIM_MAY_USER | (value & IO_READ ? SIM_MAY_READ : 0) | (value & IO_WRITE ? SIM_MAY_WRITE : 0);
	entry->accessed = value & ACCESSED;
	entry->dirty = entry->kind == SIM_ENTRY_LEAF && value & DIRTY;
}

const struct sim_decoder sim_decode_amd_v1 = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .no_exec = true, .no_user = true, .fault_keeps = true,
	.caches_absence = true, .table_accessed = true, .accessed = ACCESSED, .dirty = DIRTY, .decode = decode_v1,
};

// ---- Nested tables -----------------------------------------------------------------------------------------------

#define WRITE	 (UINT64_C(1) << 1)
#define USER	 (UINT64_C(1) << 2)
#define PWT	 (UINT64_C(1) << 3)
#define PCD	 (UINT64_C(1) << 4)
#define LARGE	 (UINT64_C(1) << 7) // in a PDPE or PDE; PAT in a PTE; must be zero in a PML4E
#define GLOBAL	 (UINT64_C(1) << 8)
#define NO_EXEC	 (UINT64_C(1) << 63)

#define PHYSICAL_BITS 48

// The memory type. Legal all of it, but nothing asks for write-through pages or for tables that are not cached; and
// what the PAT bit selects is the same again on this machine, and something else on one that is set up otherwise.
static const char *wrong_type(uint64_t value, unsigned level, bool page)
{
	if (!page)
		return value & (PCD | PWT) ? "AMD nested: a table that is not cached" : NULL;
	if (value & (level ? UINT64_C(0x1000) : LARGE))
		return "AMD nested: the PAT bit is set";
	return (value & (PCD | PWT)) == PWT ? "AMD nested: a write-through page" : NULL;
}

static const char *wrong_npt(uint64_t value, unsigned level)
{
	bool page = level == 0 || value & LARGE;

	if ((value & ADDRESS_FIELD) >> PHYSICAL_BITS)
		return "AMD nested: a reserved address bit (51:48) is set";
	if (level == 3 && value & (LARGE | GLOBAL))
		return "AMD nested: bit 7 or 8 is set in a PML4E";
	// The address field of a large page begins with PAT (bit 12); what is between it and the address must be zero.
	if (page && level > 0 && value & ((UINT64_C(1) << sim_shift_4k(level)) - 1) & ~UINT64_C(0x1fff))
		return "AMD nested: a large page is not aligned to its size";
	// Legal, and of no use: no guest could get through.
	if (!(value & USER))
		return "AMD nested: an entry is not a user's";
	return wrong_type(value, level, page);
}

static void decode_npt(uint64_t value, unsigned level, struct sim_entry *entry)
{
	bool page = level == 0 || value & LARGE;

	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & PRESENT))
		return;
	entry->broken = wrong_npt(value, level);
	if (entry->broken) {
		entry->kind = SIM_ENTRY_BROKEN;
		return;
	}
	entry->kind = page ? SIM_ENTRY_LEAF : SIM_ENTRY_TABLE;
	entry->pa = value & ADDRESS_FIELD;
	entry->may = SIM_MAY_READ | SIM_MAY_USER | (value & WRITE ? SIM_MAY_WRITE : 0) |
		     (value & NO_EXEC ? 0 : SIM_MAY_EXEC);
	entry->accessed = value & ACCESSED;
	entry->dirty = page && value & DIRTY;
	if (value & PCD)
		entry->memory = value & PWT ? SIM_MEMORY_DEVICE : SIM_MEMORY_NONCACHED;
}

const struct sim_decoder sim_decode_amd_npt = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .no_user = true, .fault_keeps = true, .table_accessed = true,
	.accessed = ACCESSED, .dirty = DIRTY, .decode = decode_npt,
};
