// SPDX-License-Identifier: MIT
// CPUs and devices in one space at once, with all that devices can do there. What each area of it demands:
//
//	counted		Each of the CPUs and devices has words of its own in every page, and is the only one to write
//			them: they must always read as what it wrote last, and others' never go back. Nothing throws
//			contents away here, but all else is done: protection, moves between two places, migration,
//			hints, huge pages, fork, pins, markers, pages for a device alone.
//	shared words	One word in a page, to which all add: devices on pages that they have for themselves.
//	churn		Whatever goes, by all CPUs. A page reads as zero or as what somebody wrote to its address.
//	owned		A part for each CPU, of which it knows every byte, and where it unmaps and releases too. Devices
//			read there, and write when the owner asks for it.
//
// In the second scenario devices stop answering now and then, and are reset some time later. What such a device wrote
// meanwhile to its own words counts for nothing; all else holds, but for the shared words.
#ifndef TESTS_LIB_HAMMER_DEVICES_H
#define TESTS_LIB_HAMMER_DEVICES_H

#include "hammer.h"

#include "device.h"

#include <vmtree/mirror.h>

#define DEVS	   4
#define WRITERS	   (CPUS + DEVS)
#define HUGE	   (PAGE * SLOTS)
#define HUGE_FITS  (PAGE == 4096)

// Where everything lies: the border between two tables of each of two levels is in the middle of the small blocks.
#define ZONE	   (GIB(4) - 3 * HUGE)
#define ZONE_END   (ZONE + 9 * HUGE)
#define BIG(place) (ZONE + (place) * HUGE)			// a block that may be a huge page
#define SMALL(place) ((place) ? ZONE + 5 * HUGE + 3 * PAGE : ZONE + 3 * HUGE - 16 * PAGE)
#define SHARED	   (ZONE + 6 * HUGE)
#define CHURN	   (ZONE + 7 * HUGE - 32 * PAGE)
#define OWNED(cpu) (ZONE + 8 * HUGE + (cpu) * 40 * PAGE)

#define BIG_PAGES   (HUGE_FITS ? SLOTS : 16)
#define HOT	    48			// pages that are counted: 16 of the big block, and the small ones
#define BLOCKS	    5			// the big one, and four of eight pages
#define SHARED_PAGES 8
#define CHURN_PAGES  64
#define OWNED_PAGES  24

enum dev_kind {
	DEV_DEMAND,	// a tree of another format, on demand; with memory
	DEV_EAGER,	// a tree of another format that is kept up to date; it cannot fault
	DEV_SHARED,	// walks the CPUs' tables
	DEV_COMMANDED,	// tables that only its own commands change; with memory
};

// A page that a CPU wants a device to fill.
struct mail {
	_Atomic unsigned state;	// MAIL_*
	uint64_t addr, value;
	size_t done;
	enum vmt_status status;
};

enum { MAIL_NONE, MAIL_POSTED, MAIL_TAKEN, MAIL_DONE };

struct commands;

struct dev {
	struct zone *zone;
	struct sim_device *device;
	enum sim_format format;		// of its tables
	uint64_t offset;		// device address minus the space's
	struct vmt_tree *tree;		// or NULL
	struct commands *commands;	// or NULL
	struct vmt_target target;	// of one of these
	struct vmt_mirror *mirror;
	struct vmt_device_memory *memory; // or NULL
	unsigned operations;
	_Atomic unsigned over;		// it looks at no mail any more
	_Atomic unsigned epoch;		// odd while it does not answer
	_Atomic unsigned users, closed;	// CPUs that use the mirror; whether it is being made anew
	struct mail mail[CPUS];
};

// What one of them wrote to words that are its own, and the most that it has seen of others'.
struct writer {
	uint64_t value[HOT];
	uint64_t seen[WRITERS][HOT];
	unsigned seen_epoch[WRITERS];	// of the devices, when that was
	uint8_t dma[HOT][24];		// what it wrote otherwise
	unsigned epoch;			// a device's own, when all of this was right
	bool unknown[HOT], dma_unknown[HOT]; // it was silent since it looked at the page, wrote to it last
	uint64_t added;			// to shared words
	uint64_t done;			// operations
};

struct zone {
	struct world *world;
	struct env *env;
	struct dev dev[DEVS];
	struct writer writer[WRITERS];
	_Atomic unsigned place[BLOCKS];	// where it was last: a hint to others than CPU 0
	bool silences;			// devices stop answering now and then
};

// ---- The devices (hammer_devices.c) ------------------------------------------------------------------------------

void devs_open(struct zone *zone);
void devs_close(struct zone *zone);
void devs_free_memory(struct zone *zone); // when nothing lives there any more
// Serves some of what they ask for, and lets them go on.
void devs_serve(struct zone *zone, struct sim_cpu *cpu);
bool devs_running(struct zone *zone);
// Around the use of its mirror; false: it is being made anew.
bool dev_enter(struct dev *dev);
void dev_leave(struct dev *dev);
// One of them, or a given one, stops answering; whoever does is reset, and its mirror is made anew.
void dev_silence(struct zone *zone, unsigned kind);
void dev_reset(struct zone *zone, struct sim_cpu *cpu, unsigned kind);

// ---- Counted pages -----------------------------------------------------------------------------------------------

// Which block the page lies in, and where in `place`.
static inline unsigned hot_block(unsigned page)
{
	return page < 16 ? 0 : 1 + (page - 16) / 8;
}

static inline uint64_t hot_addr(unsigned page, unsigned place)
{
	static const uint16_t big[16] = {0, 1, 2, 3, 7, 8, 63, 64, 65, 200, 255, 256, 257, 509, 510, 511};

	return page >= 16 ? SMALL(place) + (page - 16) * PAGE : BIG(place) + (HUGE_FITS ? big[page] : page) * PAGE;
}

static inline uint64_t block_addr(unsigned block, unsigned place)
{
	return block ? SMALL(place) + (block - 1) * 8 * PAGE : BIG(place);
}

static inline uint64_t block_length(unsigned block)
{
	return (block ? 8 : BIG_PAGES) * PAGE;
}

// A writer's words: the first is counted, the next three are written by DMA.
static inline uint64_t word_offset(unsigned writer)
{
	return writer * 32 + writer % 3 * (PAGE / 4);
}

#define SHARED_WORD (PAGE / 2 + 512)

// What a writer puts into pages of the churn area and of owned ones: it tells the address.
static inline uint64_t page_stamp(unsigned writer, uint64_t addr, uint64_t n)
{
	return (addr >> VMT_PAGE_SHIFT) << 24 | (uint64_t)(writer + 1) << 20 | (n & 0xfffff);
}

static inline bool page_stamped(uint64_t value, uint64_t addr)
{
	return value == 0 || (value >> 24 == addr >> VMT_PAGE_SHIFT && (value >> 20 & 15) - 1 < WRITERS);
}

// Of writer `writer`, at this moment: odd, or another than before, says that what it wrote counts for nothing.
static inline unsigned epoch_of(struct zone *zone, unsigned writer)
{
	// Acquire pairs with the release in dev_silence and dev_reset.
	return writer < CPUS ? 0 : atomic_load_explicit(&zone->dev[writer - CPUS].epoch, memory_order_acquire);
}

// What the writer's word read, with its epoch from before. True: it is older than what was seen already.
static inline bool writer_seen(struct zone *zone, struct writer *own, unsigned writer, unsigned epoch, unsigned page,
			       uint64_t value)
{
	if (epoch & 1 || epoch_of(zone, writer) != epoch)
		return false;
	if (own->seen_epoch[writer] != epoch)
		memset(own->seen[writer], 0, sizeof(own->seen[writer]));
	own->seen_epoch[writer] = epoch;
	if (value < own->seen[writer][page])
		return true;
	own->seen[writer][page] = value;
	return false;
}

// What an operation says that is done all the same.
#define DONE(zone) (BIT(VMT_OK) | ((zone)->silences ? BIT(VMT_ERR_DEVICE) : 0))

// What may be said of an access in an area where others change things.
#define REFUSED (GONE | BIT(VMT_ERR_MARKER) | BIT(VMT_ERR_DEVICE) | BIT(VMT_ERR_RETRY))

// ---- What they do (hammer_devices_cpu.c, hammer_devices_owned.c, hammer_devices_program.c) -----------------------

void cpu_operation(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n);
void cpu_finish(struct sim_cpu *cpu, struct zone *zone, unsigned number); // what it has begun
void cpu_map(struct sim_cpu *cpu, struct zone *zone, uint64_t addr, uint64_t length, uint32_t flags);
void cpu_judge(struct sim_cpu *cpu, struct zone *zone); // at the end, alone
void cpu_owned_open(struct sim_cpu *cpu, struct zone *zone, unsigned number);
void cpu_owned(struct sim_cpu *cpu, struct zone *zone, unsigned number, uint64_t n);
void cpu_judge_owned(struct sim_cpu *cpu, struct zone *zone, unsigned number); // in whatever space is active
void device_program(struct sim_device *device, void *arg);

#endif
