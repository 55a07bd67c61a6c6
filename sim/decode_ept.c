// SPDX-License-Identifier: MIT
// Extended page tables, from Intel SDM vol. 3C, "VMX support for address translation", 29.3.2 and tables 29-1 to 29-7.
// The machine: MAXPHYADDR is 46, EPTP[5:3] = 3 (four levels), EPTP[6] = 1 (accessed and dirty flags), no execute-only
// pages, mode-based execute control and supervisor shadow-stack control off.
#include "decode.h"

#define READ	 (UINT64_C(1) << 0)
#define WRITE	 (UINT64_C(1) << 1)
#define FETCH	 (UINT64_C(1) << 2)
#define LARGE	 (UINT64_C(1) << 7) // a page in a PDPTE or PDE; reserved in a PML4E, ignored in a PTE
#define ACCESSED (UINT64_C(1) << 8)
#define DIRTY	 (UINT64_C(1) << 9)

#define PHYSICAL_BITS 46
#define ADDRESS_FIELD UINT64_C(0x000ffffffffff000)

static void misconfigured(struct sim_entry *entry, const char *why)
{
	entry->kind = SIM_ENTRY_BROKEN;
	entry->broken = why;
}

static void decode_table(uint64_t value, struct sim_entry *entry)
{
	if (value >> 3 & 0xf) {
		misconfigured(entry, "EPT: a reserved bit (6:3) is set in an entry that points to a table");
		return;
	}
	entry->kind = SIM_ENTRY_TABLE;
}

enum { // memory types, 29.3.7.2
	UC = 0,
	WC = 1,
	WT = 4,
	WP = 5,
	WB = 6,
};

static void decode_page(uint64_t value, unsigned level, struct sim_entry *entry)
{
	unsigned type = value >> 3 & 7;

	if (type == WT || type == WP) {
		misconfigured(entry, "EPT: a memory type that nothing asks for (WT or WP)");
		return;
	}
	if (type != UC && type != WC && type != WB) {
		misconfigured(entry, "EPT: a reserved memory type (2, 3 or 7)");
		return;
	}
	entry->memory = type == UC ? SIM_MEMORY_DEVICE : type == WC ? SIM_MEMORY_NONCACHED : SIM_MEMORY_NORMAL;
	if (entry->pa & ((UINT64_C(1) << sim_shift_4k(level)) - 1)) {
		misconfigured(entry, "EPT: a large page is not aligned to its size");
		return;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->dirty = value & DIRTY;
}

static void decode(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & (READ | WRITE | FETCH)))
		return;
	if (!(value & READ)) {
		misconfigured(entry, value & WRITE ? "EPT: write permission without read permission"
						   : "EPT: execute permission without read permission");
		return;
	}
	entry->pa = value & ADDRESS_FIELD;
	if (entry->pa >> PHYSICAL_BITS) {
		misconfigured(entry, "EPT: a reserved address bit (51:46) is set");
		return;
	}
	entry->may = SIM_MAY_READ | SIM_MAY_USER | (value & WRITE ? SIM_MAY_WRITE : 0) |
		     (value & FETCH ? SIM_MAY_EXEC : 0);
	entry->accessed = value & ACCESSED;
	if (level == 0 || (level < 3 && value & LARGE))
		decode_page(value, level, entry);
	else if (value & LARGE)
		misconfigured(entry, "EPT: bit 7 is set in a PML4E");
	else
		decode_table(value, entry);
}

const struct sim_decoder sim_decode_ept = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .no_user = true, .table_accessed = true,
	.accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};
