// SPDX-License-Identifier: MIT
// x86-64 paging structures, from Intel SDM vol. 3A, 4.5 (4-level and 5-level paging), tables 4-14 to 4-20, and 4.9.2
// (which entry of the PAT they select). The machine: MAXPHYADDR is 46, EFER.NXE = 1, CR4.PKE = CR4.PKS = 0, HLAT off;
// the PAT holds write-back (PA0), write-through (PA1), write combining (PA2), uncacheable (PA3), and the same again.
#include "decode.h"

#define PRESENT	 (UINT64_C(1) << 0)
#define WRITABLE (UINT64_C(1) << 1)
#define USER	 (UINT64_C(1) << 2)
#define PWT	 (UINT64_C(1) << 3)
#define PCD	 (UINT64_C(1) << 4)
#define ACCESSED (UINT64_C(1) << 5)
#define DIRTY	 (UINT64_C(1) << 6)
#define LARGE	 (UINT64_C(1) << 7) // PS in levels 1 and 2, PAT in level 0, reserved above
#define GLOBAL	 (UINT64_C(1) << 8)
#define NO_EXEC	 (UINT64_C(1) << 63)

#define PHYSICAL_BITS 46

// Bits 51:12 hold an address; those from MAXPHYADDR up are reserved (4.5.4: "bits 51:MAXPHYADDR must be 0").
#define ADDRESS	      (((UINT64_C(1) << 52) - 1) & ~UINT64_C(0xfff))
#define ADDRESS_ABOVE (((UINT64_C(1) << 52) - 1) & ~((UINT64_C(1) << PHYSICAL_BITS) - 1))

// A page of 2 MiB or 1 GiB: bit 12 is PAT, bits from 13 up to the page's size are reserved.
static uint64_t large_reserved(unsigned level)
{
	return ((UINT64_C(1) << sim_shift_4k(level)) - 1) & ~UINT64_C(0x1fff);
}

static void broken(struct sim_entry *entry, const char *why)
{
	entry->kind = SIM_ENTRY_BROKEN;
	entry->broken = why;
}

// The memory type of a page. Write-through is one that nothing asks for; and what the PAT bit selects is the same again
// on this machine, and something else on one that is set up otherwise.
static void decode_type(uint64_t value, unsigned level, struct sim_entry *entry)
{
	if (value & (level ? UINT64_C(0x1000) : LARGE))
		broken(entry, "x86-64: the PAT bit is set");
	else if ((value & (PCD | PWT)) == PWT)
		broken(entry, "x86-64: a write-through page");
	else if (value & PCD)
		entry->memory = value & PWT ? SIM_MEMORY_DEVICE : SIM_MEMORY_NONCACHED;
}

static void decode(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & PRESENT))
		return;
	if (value & ADDRESS_ABOVE) {
		broken(entry, "x86-64: a reserved address bit (51:46) is set");
		return;
	}
	entry->may = SIM_MAY_READ | (value & WRITABLE ? SIM_MAY_WRITE : 0) | (value & USER ? SIM_MAY_USER : 0) |
		     (value & NO_EXEC ? 0 : SIM_MAY_EXEC);
	entry->accessed = value & ACCESSED;
	entry->pa = value & ADDRESS;
	if (level > 0 && !(value & LARGE)) {
		entry->kind = SIM_ENTRY_TABLE;
		// Legal, and every walk would go past the caches.
		if (value & (PCD | PWT))
			broken(entry, "x86-64: a table that is not cached");
		return;
	}
	if (level > 2) {
		broken(entry, "x86-64: bit 7 (PS) is set in an entry of level 3 or 4");
		return;
	}
	if (level > 0 && value & large_reserved(level)) {
		broken(entry, "x86-64: a large page is not aligned to its size");
		return;
	}
	// Legal for the hardware, but it would survive the flush of an address-space identifier (4.10.2.4).
	if (value & GLOBAL) {
		broken(entry, "x86-64: a global page in the user half");
		return;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->dirty = value & DIRTY;
	decode_type(value, level, entry);
}

const struct sim_decoder sim_decode_x86_4 = {
	.levels = 4, .va_bits = 48, .table_accessed = true, .accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};

const struct sim_decoder sim_decode_x86_5 = {
	.levels = 5, .va_bits = 57, .table_accessed = true, .accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};
