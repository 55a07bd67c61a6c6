// SPDX-License-Identifier: MIT
// RISC-V page tables, from the Privileged Architecture, chapter "Supervisor-Level ISA", sections Sv32 (the algorithm
// and the encoding of R, W, X) and Sv39, Sv48, Sv57 (the layout). The machine has neither Svnapot nor Svpbmt.
#include "decode.h"

#define VALID	 (UINT64_C(1) << 0)
#define READ	 (UINT64_C(1) << 1)
#define WRITE	 (UINT64_C(1) << 2)
#define EXEC	 (UINT64_C(1) << 3)
#define USER	 (UINT64_C(1) << 4)
#define GLOBAL	 (UINT64_C(1) << 5)
#define ACCESSED (UINT64_C(1) << 6)
#define DIRTY	 (UINT64_C(1) << 7)
// 9:8 RSW, software's. 53:10 PPN. 60:54 reserved, 62:61 Svpbmt, 63 Svnapot: a page fault without the extension.
#define PPN_SHIFT 10
#define PPN_BITS  44
#define RESERVED  (~((UINT64_C(1) << (PPN_SHIFT + PPN_BITS)) - 1))

static void broken(struct sim_entry *entry, const char *why)
{
	entry->kind = SIM_ENTRY_BROKEN;
	entry->broken = why;
}

static void decode_table(uint64_t value, unsigned level, struct sim_entry *entry)
{
	if (level == 0) {
		broken(entry, "RISC-V: an entry of level 0 with R, W and X clear");
		return;
	}
	if (value & (USER | ACCESSED | DIRTY)) {
		broken(entry, "RISC-V: U, A or D is set in an entry that points to a table");
		return;
	}
	entry->kind = SIM_ENTRY_TABLE;
	entry->may = SIM_MAY_ALL;
}

static void decode(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & VALID))
		return;
	if (value & RESERVED) {
		broken(entry, "RISC-V: a reserved bit (63:54) is set");
		return;
	}
	if ((value & (READ | WRITE)) == WRITE) {
		broken(entry, "RISC-V: W without R is reserved");
		return;
	}
	// Legal for the hardware, but it would survive the flush of an address-space identifier.
	if (value & GLOBAL) {
		broken(entry, "RISC-V: a global mapping in the user half");
		return;
	}
	entry->pa = value >> PPN_SHIFT << 12;
	if (!(value & (READ | WRITE | EXEC))) {
		decode_table(value, level, entry);
		return;
	}
	if (entry->pa & ((UINT64_C(1) << sim_shift(level)) - 1)) {
		broken(entry, "RISC-V: a misaligned superpage");
		return;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->may = (value & READ ? SIM_MAY_READ : 0) | (value & WRITE ? SIM_MAY_WRITE : 0) |
		     (value & EXEC ? SIM_MAY_EXEC : 0) | (value & USER ? SIM_MAY_USER : 0);
	entry->accessed = value & ACCESSED;
	entry->dirty = value & DIRTY;
}

const struct sim_decoder sim_decode_sv39 = {
	.levels = 3, .va_bits = 39, .fault_keeps = true, .caches_absence = true, .faults_ad = true,
	.accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};

const struct sim_decoder sim_decode_sv48 = {
	.levels = 4, .va_bits = 48, .fault_keeps = true, .caches_absence = true, .faults_ad = true,
	.accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};

const struct sim_decoder sim_decode_sv57 = {
	.levels = 5, .va_bits = 57, .fault_keeps = true, .caches_absence = true, .faults_ad = true,
	.accessed = ACCESSED, .dirty = DIRTY, .decode = decode,
};
