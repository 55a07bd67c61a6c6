// SPDX-License-Identifier: MIT
// RISC-V page tables, from the Privileged Architecture, chapter "Supervisor-Level ISA", sections Sv32 (the algorithm
// and the encoding of R, W, X), Sv39, Sv48, Sv57 (the layout), Svnapot and Svpbmt. The machine has both of these.
#include <stddef.h>

#include "decode.h"

#define VALID	 (UINT64_C(1) << 0)
#define READ	 (UINT64_C(1) << 1)
#define WRITE	 (UINT64_C(1) << 2)
#define EXEC	 (UINT64_C(1) << 3)
#define USER	 (UINT64_C(1) << 4)
#define GLOBAL	 (UINT64_C(1) << 5)
#define ACCESSED (UINT64_C(1) << 6)
#define DIRTY	 (UINT64_C(1) << 7)
// 9:8 RSW, software's.
#define PPN	 UINT64_C(0x003ffffffffffc00)
#define RESERVED UINT64_C(0x1fc0000000000000)
#define PBMT_NC	 UINT64_C(0x2000000000000000)
#define PBMT_IO	 UINT64_C(0x4000000000000000)
#define NAPOT	 UINT64_C(0x8000000000000000)

// Svnapot has one size: 16 pages of level 0, and then the PPN ends in 1000.
#define NAPOT_BITS  4
#define NAPOT_CODE  (UINT64_C(0x8) << 12)
#define NAPOT_FIELD (UINT64_C(0xf) << 12)

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
	if (value & (USER | ACCESSED | DIRTY | PBMT_NC | PBMT_IO | NAPOT)) {
		broken(entry, "RISC-V: U, A, D, PBMT or N is set in an entry that points to a table");
		return;
	}
	entry->kind = SIM_ENTRY_TABLE;
	entry->may = SIM_MAY_ALL;
}

static const char *wrong_page(uint64_t value, unsigned level, uint64_t pa)
{
	if (pa & ((UINT64_C(1) << sim_shift_4k(level)) - 1))
		return "RISC-V: a misaligned superpage";
	if (value & PBMT_NC && value & PBMT_IO)
		return "RISC-V: PBMT is 3";
	if (value & NAPOT && (level > 0 || (pa & NAPOT_FIELD) != NAPOT_CODE))
		return "RISC-V: a NAPOT size that is reserved";
	return NULL;
}

static void decode_page(uint64_t value, unsigned level, struct sim_entry *entry)
{
	const char *wrong = wrong_page(value, level, entry->pa);

	if (wrong) {
		broken(entry, wrong);
		return;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->may = (value & READ ? SIM_MAY_READ : 0) | (value & WRITE ? SIM_MAY_WRITE : 0) |
		     (value & EXEC ? SIM_MAY_EXEC : 0) | (value & USER ? SIM_MAY_USER : 0);
	entry->accessed = value & ACCESSED;
	entry->dirty = value & DIRTY;
	if (value & (PBMT_NC | PBMT_IO))
		entry->memory = value & PBMT_IO ? SIM_MEMORY_DEVICE : SIM_MEMORY_NONCACHED;
	if (value & NAPOT) {
		entry->run_bits = NAPOT_BITS;
		entry->pa &= ~NAPOT_FIELD;
	}
}

static void decode(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & VALID))
		return;
	if (value & RESERVED) {
		broken(entry, "RISC-V: a reserved bit (60:54) is set");
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
	entry->pa = (value & PPN) << 2;
	if (value & (READ | WRITE | EXEC))
		decode_page(value, level, entry);
	else
		decode_table(value, level, entry);
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
