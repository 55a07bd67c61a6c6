// SPDX-License-Identifier: MIT
// AArch64 translation tables, from the Arm ARM (DDI 0487): VMSAv8-64 descriptor formats (D8.3), memory access control
// (D8.4), hardware management of the access flag and the dirty state (D8.5), memory attributes (D8.6), the contiguous
// bit (D8.7.1). The architecture's level 3 is level 0 here. The machine: granules of 4, 16 and 64 KiB, with 48-bit
// output addresses or with 52 (FEAT_LPA2 and TCR.DS = 1, FEAT_LPA); FEAT_BTI, FEAT_XS and FEAT_BBM not there,
// FEAT_HAFDBS and FEAT_XNX there; TCR_EL1.HPD0 = 1, so that tables have no permissions (62:59 are ignored in stage 1);
// PAN on; HCR_EL2.FWB = 0; a non-secure stage 2. MAIR_EL1 has normal write-back memory, device-nGnRE and normal
// non-cacheable memory in this order.
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

#define BITS(high, low) ((UINT64_MAX >> (63 - (high))) & ~((UINT64_C(1) << (low)) - 1))

// Where the address is. Bit 50 is reserved in all of them (GP in leaves of stage 1, with FEAT_BTI).
enum field {
	TO_47,		// 47:n; 49:48 and what lies between bit 12 and n are reserved
	TO_49_AND_9,	// 51:50 in 9:8, 49:n
	TO_47_AND_15,	// 51:48 in 15:12, 47:16
};

struct granule {
	unsigned page_shift, index_bits;
	unsigned leaf_levels;	// levels 0 to leaf_levels - 1 can hold leaves
	enum field field;
	uint8_t run_bits[4];	// of entries with the contiguous bit, by level; 0: it is reserved there
};

static const struct granule of_4k = { 12, 9, 3, TO_47, { 4, 4, 4 } };
static const struct granule of_4k_52 = { 12, 9, 4, TO_49_AND_9, { 4, 4, 4 } };
static const struct granule of_16k = { 14, 11, 2, TO_47, { 7, 5 } };
static const struct granule of_16k_52 = { 14, 11, 3, TO_49_AND_9, { 7, 5 } };
static const struct granule of_64k = { 16, 13, 2, TO_47, { 5, 5 } };
static const struct granule of_64k_52 = { 16, 13, 3, TO_47_AND_15, { 5, 5 } };

static void broken(struct sim_entry *entry, const char *why)
{
	entry->kind = SIM_ENTRY_BROKEN;
	entry->broken = why;
}

// The output address; *reserved is what is set of the bits around it that are reserved.
static uint64_t address(const struct granule *granule, uint64_t value, uint64_t *reserved)
{
	uint64_t low = BITS(granule->page_shift - 1, 12) & ~BITS(11, 0);

	switch (granule->field) {
	case TO_47:
		*reserved = value & (BITS(50, 48) | low);
		return value & BITS(47, granule->page_shift);
	case TO_49_AND_9:
		*reserved = value & (BITS(50, 50) | low);
		return (value & BITS(49, granule->page_shift)) | (value & BITS(9, 8)) << 42;
	default:
		*reserved = value & BITS(50, 48);
		return (value & BITS(47, 16)) | (value & BITS(15, 12)) << 36;
	}
}

// What both stages have. True: it is a leaf, and its permissions remain to be told.
static bool decode_common(const struct granule *granule, uint64_t value, unsigned level, struct sim_entry *entry)
{
	uint64_t reserved;

	*entry = (struct sim_entry){ .kind = SIM_ENTRY_ABSENT };
	if (!(value & VALID))
		return false;
	entry->pa = address(granule, value, &reserved);
	if (reserved) {
		broken(entry, "AArch64: a reserved bit beside the address is set");
		return false;
	}
	if (level > 0 && value & NOT_BLOCK) {
		entry->kind = SIM_ENTRY_TABLE;
		entry->may = SIM_MAY_ALL;
		return false;
	}
	if (level >= granule->leaf_levels || (level == 0 && !(value & NOT_BLOCK))) {
		broken(entry, level ? "AArch64: a block in a level that has none"
				    : "AArch64: bits 1:0 are 01 in the last level");
		return false;
	}
	// The bits below a block's address are reserved, but for nT (bit 16) with FEAT_BBM, which is not there.
	if (entry->pa & BITS(granule->page_shift + granule->index_bits * level - 1, 0)) {
		broken(entry, "AArch64: a reserved bit below a block's address is set");
		return false;
	}
	entry->run_bits = value & CONTIGUOUS ? granule->run_bits[level] : 0;
	if (value & CONTIGUOUS && !entry->run_bits) {
		broken(entry, "AArch64: the contiguous bit is set in a level that has no runs");
		return false;
	}
	entry->kind = SIM_ENTRY_LEAF;
	entry->accessed = value & ACCESS_FLAG;
	return true;
}

static void any_s1(const struct granule *granule, uint64_t value, unsigned level, struct sim_entry *entry)
{
	static const enum sim_memory memories[] = { SIM_MEMORY_NORMAL, SIM_MEMORY_DEVICE, SIM_MEMORY_NONCACHED };
	unsigned index = value >> 2 & 7; // AttrIndx

	if (!decode_common(granule, value, level, entry))
		return;
	// Legal for the hardware, but it would survive the flush of an address-space identifier.
	if (!(value & BIT_11)) {
		broken(entry, "AArch64: a global mapping in the lower half");
		return;
	}
	if (index >= sizeof(memories) / sizeof(*memories)) {
		broken(entry, "AArch64: a memory type that nobody has put into MAIR_EL1");
		return;
	}
	entry->memory = memories[index];
	entry->dirty = !(value & AP_RO);
	entry->may = SIM_MAY_READ | (entry->dirty || value & MODIFIER ? SIM_MAY_WRITE : 0);
	if (value & AP_EL0)
		entry->may |= SIM_MAY_USER | (value & UXN ? 0 : SIM_MAY_EXEC);
	else
		entry->may |= value & PXN ? 0 : SIM_MAY_EXEC;
}

// MemAttr: bits 3:2 are 0 for devices (1:0: 1 is nGnRE), else the outer and 1:0 the inner cache: 1 none, 3 write-back.
// What nobody has asked for is called broken. False: it is.
static bool decode_memory(unsigned attributes, struct sim_entry *entry)
{
	switch (attributes) {
	case 0x1:
		entry->memory = SIM_MEMORY_DEVICE;
		return true;
	case 0x5:
		entry->memory = SIM_MEMORY_NONCACHED;
		return true;
	case 0xf:
		entry->memory = SIM_MEMORY_NORMAL;
		return true;
	default:
		broken(entry, "AArch64 stage 2: MemAttr is none of write-back, non-cacheable and device-nGnRE");
		return false;
	}
}

// XN[1:0]: 00 all execute, 01 EL0 alone, 10 nobody, 11 EL1 alone. The machine's guests are one to it, so that what
// is not the same for both is called broken.
static void any_s2(const struct granule *granule, uint64_t value, unsigned level, struct sim_entry *entry)
{
	bool leaf = decode_common(granule, value, level, entry);

	if (entry->kind == SIM_ENTRY_TABLE && value >> 59)
		broken(entry, "AArch64 stage 2: a reserved bit (63:59) is set in an entry that points to a table");
	if (!leaf)
		return;
	if (value & PXN || value & BIT_11) {
		broken(entry, value & PXN ? "AArch64 stage 2: XN is 01 or 11" : "AArch64 stage 2: bit 11 is set");
		return;
	}
	if (!decode_memory(value >> 2 & 0xf, entry))
		return;
	entry->dirty = value & S2AP_WRITE;
	entry->may = SIM_MAY_USER | (value & S2AP_READ ? SIM_MAY_READ : 0) |
		     (entry->dirty || value & MODIFIER ? SIM_MAY_WRITE : 0) | (value & UXN ? 0 : SIM_MAY_EXEC);
}

#define DECODER(stage, name, granule, levels_, va_bits_, page_shift_, index_bits_, ...)                                \
	static void decode_##stage##name(uint64_t value, unsigned level, struct sim_entry *entry)                      \
	{                                                                                                              \
		any_##stage(&granule, value, level, entry);                                                            \
	}                                                                                                              \
	const struct sim_decoder sim_decode_aarch64_##stage##name = {                                                  \
		.levels = levels_, .va_bits = va_bits_, .page_shift = page_shift_, .index_bits = index_bits_,          \
		.unsigned_va = true, .fault_keeps = true, .faults_ad = true, .break_first = true, .run_own = true,     \
		.accessed = ACCESS_FLAG, __VA_ARGS__, .decode = decode_##stage##name,                                  \
	}

DECODER(s1, , of_4k, 4, 48, 12, 9, .clean = AP_RO);
DECODER(s1, _16k, of_16k, 4, 48, 14, 11, .clean = AP_RO);
DECODER(s1, _64k, of_64k, 3, 48, 16, 13, .clean = AP_RO);
DECODER(s1, _4k_52, of_4k_52, 5, 52, 12, 9, .clean = AP_RO);
DECODER(s1, _16k_52, of_16k_52, 4, 52, 14, 11, .clean = AP_RO);
DECODER(s1, _64k_52, of_64k_52, 3, 52, 16, 13, .clean = AP_RO);

// Without FEAT_LPA2 a stage 2 of 16 KiB granule cannot begin at the architecture's level 0, and has 47 bits in three
// levels; more would take concatenated tables.
DECODER(s2, , of_4k, 4, 48, 12, 9, .no_user = true, .dirty = S2AP_WRITE);
DECODER(s2, _16k, of_16k, 3, 47, 14, 11, .no_user = true, .dirty = S2AP_WRITE);
DECODER(s2, _64k, of_64k, 3, 48, 16, 13, .no_user = true, .dirty = S2AP_WRITE);
DECODER(s2, _4k_52, of_4k_52, 5, 52, 12, 9, .no_user = true, .dirty = S2AP_WRITE);
DECODER(s2, _16k_52, of_16k_52, 4, 52, 14, 11, .no_user = true, .dirty = S2AP_WRITE);
DECODER(s2, _64k_52, of_64k_52, 3, 52, 16, 13, .no_user = true, .dirty = S2AP_WRITE);
