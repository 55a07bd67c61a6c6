// SPDX-License-Identifier: MIT
// What one entry of a page table means to the hardware. Written from the architecture manuals and sharing nothing with
// the library's formats, so that an error there cannot be repeated here.
#ifndef SIM_DECODE_H
#define SIM_DECODE_H

#include <stdbool.h>
#include <stdint.h>

enum sim_entry_kind {
	SIM_ENTRY_ABSENT,	// not present; every other bit is software's
	SIM_ENTRY_TABLE,	// points to a table of the next lower level
	SIM_ENTRY_LEAF,		// maps a page
	SIM_ENTRY_BROKEN,	// present, and an encoding that is reserved
};

// What an entry permits. A translation has what all entries on its way permit.
enum {
	SIM_MAY_READ = 1u << 0,
	SIM_MAY_WRITE = 1u << 1,
	SIM_MAY_EXEC = 1u << 2,
	SIM_MAY_USER = 1u << 3,	// user mode; without it supervisor mode
	SIM_MAY_ALL = (1u << 4) - 1,
};

// What kind of memory a leaf maps.
enum sim_memory {
	SIM_MEMORY_NORMAL,	// cached, write-back
	SIM_MEMORY_NONCACHED,	// not cached; writes may be combined
	SIM_MEMORY_DEVICE,	// registers
};

struct sim_entry {
	enum sim_entry_kind kind;
	uint64_t pa;		// of the table, or of the first byte of the page; of a run see sim_decoder::run_own
	unsigned may;
	bool accessed, dirty;
	// Of a leaf: log2 of how many entries, aligned, hardware may cache as one translation (the contiguous bit of
	// AArch64, NAPOT on RISC-V); 0: it stands for itself.
	uint8_t run_bits;
	enum sim_memory memory;
	const char *broken;	// what is wrong with it
};

struct sim_decoder {
	unsigned levels;
	unsigned va_bits;
	unsigned page_shift;	// of the smallest page, which is also the size of a table; 0 stands for 12
	unsigned index_bits;	// of one level; 0 stands for 9
	bool unsigned_va;	// the address bits above are zero, and do not repeat the highest one
	bool no_exec;		// a fetch is a read: the format has no permission for it
	bool no_user;		// there is one privilege, and every leaf has SIM_MAY_USER
	bool fault_keeps;	// a fault does not drop the cached translation that caused it
	bool caches_absence;	// an entry that is not present may be cached as such until a flush
	bool faults_ad;		// can be switched to fault for accessed and dirty marks instead of setting them
	bool break_first;	// two translations of one address, of which one is stale, must never be cached together,
				// and the entries of a run must agree
	bool run_own;		// an entry of a run names its own memory; else all of them name the run's first byte
	bool table_accessed;	// entries that point to tables have an accessed bit
	uint64_t accessed, dirty; // the bits of an entry that are set where it is accessed, written
	uint64_t clean;		// the bits that are cleared where it is written
	// `level` 0 is the lowest.
	void (*decode)(uint64_t value, unsigned level, struct sim_entry *entry);
};

extern const struct sim_decoder sim_decode_x86_4, sim_decode_x86_5;
extern const struct sim_decoder sim_decode_sv39, sim_decode_sv48, sim_decode_sv57;
extern const struct sim_decoder sim_decode_ept, sim_decode_vtd_ss;
extern const struct sim_decoder sim_decode_aarch64_s1, sim_decode_aarch64_s1_16k, sim_decode_aarch64_s1_64k;
extern const struct sim_decoder sim_decode_aarch64_s1_4k_52, sim_decode_aarch64_s1_16k_52, sim_decode_aarch64_s1_64k_52;
extern const struct sim_decoder sim_decode_aarch64_s2, sim_decode_aarch64_s2_16k, sim_decode_aarch64_s2_64k;
extern const struct sim_decoder sim_decode_aarch64_s2_4k_52, sim_decode_aarch64_s2_16k_52, sim_decode_aarch64_s2_64k_52;
extern const struct sim_decoder sim_decode_amd_v1, sim_decode_amd_npt;

// The size of what an entry of `level` covers is 2^sim_shift.
static inline unsigned sim_shift(const struct sim_decoder *decoder, unsigned level)
{
	return (decoder->page_shift ? decoder->page_shift : 12) +
	       (decoder->index_bits ? decoder->index_bits : 9) * level;
}

// The same in a format with pages of 4 KiB and 512 entries in a table.
static inline unsigned sim_shift_4k(unsigned level)
{
	return 12 + 9 * level;
}

// The place of the entry of `level` for `va` in its table.
static inline unsigned sim_index(const struct sim_decoder *decoder, unsigned level, uint64_t va)
{
	unsigned bits = sim_shift(decoder, 1) - sim_shift(decoder, 0);

	return (unsigned)(va >> sim_shift(decoder, level)) & ((1u << bits) - 1);
}

// The byte of memory behind `va`, by the leaf of `level` that is in its place.
uint64_t sim_entry_pa(const struct sim_decoder *decoder, const struct sim_entry *entry, unsigned level, uint64_t va);

// Whether the bits of `va` above the format's address bits repeat the highest of them (Intel SDM vol. 1, 3.3.7.1;
// RISC-V Privileged, "Sv39": otherwise a page fault), or are zero where the format has no negative addresses.
bool sim_canonical(const struct sim_decoder *decoder, uint64_t va);

#endif
