// SPDX-License-Identifier: MIT
// VT-d second-stage tables, from "Virtualization Technology for Directed I/O" (rev. 5.10), 3.7 (what is reserved,
// access rights, accessed and dirty flags) and tables 42 to 47. The unit: HAW is 46, 4-level tables, 2 MiB and 1
// GiB pages, SSADE = 1, SC = 0 (snoop control: bit 11 is reserved everywhere), EMTE = 1, second-stage I/O
// read/write bits not enabled (bit 62 is reserved), CM = 1 (it may cache entries that are not present, 6.1).
#include <stddef.h>

#include "decode.h"

#define READ	 (UINT64_C(1) << 0)
#define WRITE	 (UINT64_C(1) << 1)
#define LARGE	 (UINT64_C(1) << 7) // reserved in an SS-PML4E, ignored in an SS-PTE
#define ACCESSED (UINT64_C(1) << 8)
#define DIRTY	 (UINT64_C(1) << 9)
#define SNOOP	 (UINT64_C(1) << 11)
#define IO_WRITE (UINT64_C(1) << 62)

#define HOST_BITS     46
#define ADDRESS_FIELD UINT64_C(0x000ffffffffff000)

// Why the entry is used for nothing, whatever it is, or NULL.
static const char *reserved(uint64_t value, unsigned level)
{
	if ((value & ADDRESS_FIELD) >> HOST_BITS)
		return "VT-d: a reserved address bit (51:46) is set";
	if (value & IO_WRITE)
		return "VT-d: bit 62 is set";
	if (value & SNOOP)
		return "VT-d: SNP is set without snoop control";
	if (level == 3 && value & LARGE)
		return "VT-d: PS is set in an SS-PML4E";
	return NULL;
}

static const char *reserved_in_page(uint64_t value, unsigned level)
{
	unsigned type = value >> 3 & 7;

	if (type == 2 || type == 3 || type == 7)
		return "VT-d: a reserved memory type (2, 3 or 7)";
	if (type == 4 || type == 5)
		return "VT-d: a memory type that nothing asks for (WT or WP)";
	if (value & ADDRESS_FIELD & ((UINT64_C(1) << sim_shift_4k(level)) - 1))
		return "VT-d: a large page is not aligned to its size";
	return NULL;
}

// Of the types that reserved_in_page lets pass: uncacheable, write combining, write-back.
static enum sim_memory memory_of(unsigned type)
{
	if (type == 6)
		return SIM_MEMORY_NORMAL;
	return type ? SIM_MEMORY_NONCACHED : SIM_MEMORY_DEVICE;
}

static void decode(uint64_t value, unsigned level, struct sim_entry *entry)
{
	bool page = level == 0 || value & LARGE;

	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & (READ | WRITE)))
		return;
	entry->broken = reserved(value, level);
	if (!entry->broken && page)
		entry->broken = reserved_in_page(value, level);
	if (entry->broken) {
		entry->kind = SIM_ENTRY_BROKEN;
		return;
	}
	entry->kind = page ? SIM_ENTRY_LEAF : SIM_ENTRY_TABLE;
	entry->pa = value & ADDRESS_FIELD;
	entry->may = SIM_MAY_USER | (value & READ ? SIM_MAY_READ : 0) | (value & WRITE ? SIM_MAY_WRITE : 0);
	entry->accessed = value & ACCESSED;
	entry->dirty = page && value & DIRTY;
	if (page)
		entry->memory = memory_of(value >> 3 & 7);
}

const struct sim_decoder sim_decode_vtd_ss = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .no_exec = true, .no_user = true, .fault_keeps = true,
	.caches_absence = true, .table_accessed = true, .accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};
