// SPDX-License-Identifier: MIT
// AArch64 translation tables with 4 KiB granule and four levels, from the Arm ARM (DDI 0487): VMSAv8-64 descriptor
// formats (D8.3), memory access control (D8.4), hardware management of the access flag and the dirty state (D8.5).
// The architecture's level 3 is level 0 here. The machine: 48-bit output addresses, FEAT_LPA2, FEAT_BTI, FEAT_XS
// and the contiguous bit not there, FEAT_HAFDBS and FEAT_XNX there; TCR_EL1.HPD0 = 1, so that tables have no
// permissions (62:59 are ignored in stage 1); PAN on; HCR_EL2.FWB = 0; a non-secure stage 2.
#include "decode.h"

#define VALID	    (UINT64_C(1) << 0)
#define NOT_BLOCK   (UINT64_C(1) << 1)
#define AP_EL0	    (UINT64_C(1) << 6)	// stage 1: AP[1]
#define AP_RO	    (UINT64_C(1) << 7)	// stage 1: AP[2]
#define S2AP_READ   (UINT64_C(1) << 6)	// stage 2: S2AP[0]
#define S2AP_WRITE  (UINT64_C(1) << 7)	// stage 2: S2AP[1]
#define ACCESS_FLAG (UINT64_C(1) << 10)
#define BIT_11	    (UINT64_C(1) << 11)	// stage 1: nG; stage 2: FnXS
#define MODIFIER    (UINT64_C(1) << 51) // DBM
#define CONTIGUOUS  (UINT64_C(1) << 52)
#define PXN	    (UINT64_C(1) << 53)
#define UXN	    (UINT64_C(1) << 54)

#define ADDRESS_FIELD UINT64_C(0x0000fffffffff000)
#define RES0_ANY      (UINT64_C(3) << 48)
#define RES0_50	      (UINT64_C(1) << 50) // GP in stage 1

static void broken(struct sim_entry *entry, const char *why)
{
	entry->kind = SIM_ENTRY_BROKEN;
	entry->broken = why;
}

// What both stages have. True: it is a leaf, and its permissions remain to be told.
static bool decode_common(uint64_t value, unsigned level, struct sim_entry *entry)
{
	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & VALID))
		return false;
	entry->pa = value & ADDRESS_FIELD;
	if (value & (RES0_ANY | RES0_50)) {
		broken(entry, "AArch64: a reserved bit (50:48) is set");
		return false;
	}
	if (level > 0 && value & NOT_BLOCK) {
		entry->kind = SIM_ENTRY_TABLE;
		entry->may = SIM_MAY_ALL;
		return false;
	}
	if (level == 3 || (level == 0 && !(value & NOT_BLOCK))) {
		broken(entry, level ? "AArch64: a block in the root" : "AArch64: bits 1:0 are 01 in the last level");
		return false;
	}
	// The bits below a block's address are reserved, but for nT (bit 16) with FEAT_BBM, which is not there.
	if (entry->pa & ((UINT64_C(1) << sim_shift(level)) - 1)) {
		broken(entry, "AArch64: a reserved bit below a block's address is set");
		return false;
	}
	if (value & CONTIGUOUS) {
		broken(entry, "AArch64: the contiguous bit is set");
		return false;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->accessed = value & ACCESS_FLAG;
	return true;
}

static void decode_s1(uint64_t value, unsigned level, struct sim_entry *entry)
{
	if (!decode_common(value, level, entry))
		return;
	// Legal for the hardware, but it would survive the flush of an address-space identifier.
	if (!(value & BIT_11)) {
		broken(entry, "AArch64: a global mapping in the lower half");
		return;
	}
	entry->dirty = !(value & AP_RO);
	entry->may = SIM_MAY_READ | (entry->dirty || value & MODIFIER ? SIM_MAY_WRITE : 0);
	if (value & AP_EL0)
		entry->may |= SIM_MAY_USER | (value & UXN ? 0 : SIM_MAY_EXEC);
	else
		entry->may |= value & PXN ? 0 : SIM_MAY_EXEC;
}

// XN[1:0]: 00 all execute, 01 EL0 alone, 10 nobody, 11 EL1 alone. The machine's guests are one to it, so that what
// is not the same for both is called broken.
static void decode_s2(uint64_t value, unsigned level, struct sim_entry *entry)
{
	unsigned attributes = value >> 2 & 0xf;
	bool leaf = decode_common(value, level, entry);

	if (entry->kind == SIM_ENTRY_TABLE && value >> 59)
		broken(entry, "AArch64 stage 2: a reserved bit (63:59) is set in an entry that points to a table");
	if (!leaf)
		return;
	if (value & PXN) {
		broken(entry, "AArch64 stage 2: XN is 01 or 11");
		return;
	}
	if (value & BIT_11 || (attributes & 3) == 0 || attributes >> 2 == 0) {
		broken(entry, value & BIT_11 ? "AArch64 stage 2: bit 11 is set"
					     : "AArch64 stage 2: MemAttr is not normal memory");
		return;
	}
	entry->dirty = value & S2AP_WRITE;
	entry->may = SIM_MAY_USER | (value & S2AP_READ ? SIM_MAY_READ : 0) |
		     (entry->dirty || value & MODIFIER ? SIM_MAY_WRITE : 0) | (value & UXN ? 0 : SIM_MAY_EXEC);
}

const struct sim_decoder sim_decode_aarch64_s1 = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .fault_keeps = true, .faults_ad = true, .break_first = true,
	.accessed = ACCESS_FLAG, .clean = AP_RO, .decode = decode_s1,
};

const struct sim_decoder sim_decode_aarch64_s2 = {
	.levels = 4, .va_bits = 48, .unsigned_va = true, .no_user = true, .fault_keeps = true, .faults_ad = true,
	.break_first = true, .accessed = ACCESS_FLAG, .dirty = S2AP_WRITE, .decode = decode_s2,
};
