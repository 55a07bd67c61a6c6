// SPDX-License-Identifier: MIT
// The memory that is explored: frames, their metadata, the heap. Each CPU allocates from a part of its own, so that
// which frame it gets depends on nobody else; where a scenario wants frames to be reused there is one stack of free
// ones for all, and taking from it is an event.
#include <stdio.h>
#include <string.h>

#include "explore.h"
#include "port.h"

#define PARTS	   (XP_CPUS + 1)
#define BOOT_HEAP  (XP_HEAP / 2)
#define CPU_HEAP   (BOOT_HEAP / XP_CPUS / 64 * 64)
#define SMALL	   160	// frames that are handed out one by one
#define BOOT_FRAMES (SMALL / 2)
#define CPU_FRAMES (SMALL / 2 / XP_CPUS)
#define LINES	   (XP_HEAP / 64)
#define WORDS	   ((unsigned)(VMT_PAGE_SIZE / 8))

enum line { NEVER, USED, FREED };

static struct {
	_Alignas(4096) uint8_t frame[XP_FRAMES][VMT_PAGE_SIZE];
	struct vmt_frame meta[XP_FRAMES];
	_Alignas(64) uint8_t heap[XP_HEAP];
	_Atomic uint64_t local[XP_LOCAL_PAGES];
	_Atomic uint64_t outside[XP_OUTSIDE_PAGES];
} memory;

static bool taken[XP_FRAMES], block_used;
static struct clock freed_at[XP_FRAMES];
static unsigned next_frame[PARTS], returned[XP_FRAMES], returned_count;
static uint8_t line[LINES];
static uint32_t next_heap[PARTS];

static unsigned first_frame(unsigned part)
{
	return part == XP_BOOT ? 0 : BOOT_FRAMES + part * CPU_FRAMES;
}

static unsigned frames_of(unsigned part)
{
	return part == XP_BOOT ? BOOT_FRAMES : CPU_FRAMES;
}

static uint32_t first_heap(unsigned part)
{
	return part == XP_BOOT ? 0 : BOOT_HEAP + part * CPU_HEAP;
}

void xp_memory_reset(void)
{
	memset(memory.meta, 0, sizeof(memory.meta));
	memset(memory.outside, 0, sizeof(memory.outside));
	memset(taken, 0, sizeof(taken));
	memset(freed_at, 0, sizeof(freed_at));
	memset(line, NEVER, sizeof(line));
	returned_count = 0;
	block_used = false;
	for (unsigned part = 0; part < PARTS; part++) {
		next_frame[part] = first_frame(part);
		next_heap[part] = first_heap(part);
	}
}

// ---- Places ------------------------------------------------------------------------------------------------------

uint32_t xp_place(const volatile void *p)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)&memory;

	if (at < sizeof(memory.frame))
		return (uint32_t)(at / 8);
	at -= sizeof(memory.frame);
	return at < XP_PLACE_OTHER - XP_PLACE_META ? (uint32_t)(XP_PLACE_META + at) : XP_NOWHERE;
}

unsigned xp_places(uint32_t place, size_t bytes)
{
	return (unsigned)(place < XP_PLACE_META ? (bytes + 7) / 8 : bytes);
}

unsigned xp_place_frame(uint32_t place)
{
	if (place < XP_PLACE_META)
		return place / (unsigned)(VMT_PAGE_SIZE / 8);
	if (place < XP_PLACE_HEAP)
		return (place - XP_PLACE_META) / (unsigned)sizeof(struct vmt_frame);
	return XP_FRAMES;
}

// The count of references of a frame may be read at any time (vmtree/frame.h).
static bool is_count(uint32_t place, unsigned count)
{
	return place >= XP_PLACE_META && place < XP_PLACE_HEAP &&
	       (place - XP_PLACE_META) % sizeof(struct vmt_frame) == offsetof(struct vmt_data, refs) && count == 4;
}

void xp_memory_check(uint32_t place, unsigned count)
{
	unsigned frame = xp_place_frame(place);
	char name[64];

	if (frame < XP_FRAMES && (taken[frame] || is_count(place, count)))
		return;
	if (place >= XP_PLACE_LOCAL || (frame == XP_FRAMES && line[(place - XP_PLACE_HEAP) / 64] == USED))
		return;
	xp_memory_name(place, name, sizeof(name));
	xp_fail_frame(XP_USED, frame, "an access to what is free: %s", name);
}

bool xp_frame_is_free(uint64_t pa)
{
	if (pa - XP_OUTSIDE < XP_OUTSIDE_PAGES * VMT_PAGE_SIZE)
		return false;
	return pa < XP_RAM || pa >= XP_RAM + XP_FRAMES * VMT_PAGE_SIZE || !taken[(pa - XP_RAM) / VMT_PAGE_SIZE];
}

void *xp_frame_ptr(uint64_t pa)
{
	uint64_t at = pa - XP_RAM;

	if (pa - XP_OUTSIDE < XP_OUTSIDE_PAGES * VMT_PAGE_SIZE && !(pa & VMT_PAGE_MASK))
		return &memory.outside[(pa - XP_OUTSIDE) / VMT_PAGE_SIZE];
	return at < sizeof(memory.frame) ? &memory.frame[0][0] + at : NULL;
}

_Atomic uint64_t *xp_local_word(unsigned page)
{
	return &memory.local[page];
}

void xp_memory_name(uint32_t place, char *text, size_t size)
{
	static const char *const fields[] = {[0] = "lock", [4] = "refs", [8] = "live", [10] = "level", [11] = "state",
					     [12] = "id", [16] = "breaks", [18] = "gap", [24] = "table", [32] = "tree",
					     [40] = "base", [48] = "parent", [56] = "ids"};
	unsigned frame = xp_place_frame(place);

	if (place < XP_PLACE_META) {
		snprintf(text, size, "word %u of frame %u", place % (unsigned)(VMT_PAGE_SIZE / 8), frame);
	} else if (place < XP_PLACE_HEAP) {
		unsigned at = (place - XP_PLACE_META) % (unsigned)sizeof(struct vmt_frame);

		snprintf(text, size, "%s (%u) of frame %u's metadata", at < 57 && fields[at] ? fields[at] : "byte", at,
			 frame);
	} else if (place >= XP_PLACE_OUTSIDE && place < XP_PLACE_OTHER) {
		snprintf(text, size, "page %u outside", (place - XP_PLACE_OUTSIDE) / 8);
	} else if (place < XP_PLACE_LOCAL) {
		snprintf(text, size, "byte %u of the heap", place - XP_PLACE_HEAP);
	} else if (place < XP_PLACE_OTHER) {
		snprintf(text, size, "page %u of device memory", (place - XP_PLACE_LOCAL) / 8);
	} else {
		snprintf(text, size, "%s", "");
	}
}

// ---- Frames ------------------------------------------------------------------------------------------------------

static unsigned take_frame(bool reuse)
{
	unsigned part = xp_self();

	if (reuse && xp_exploring())
		xp_event(XP_ALLOC, XP_PLACE_FRAMES, 1, XP_BOTH, true, __builtin_return_address(0));
	if (reuse && xp_exploring())
		xp_happened(XP_PLACE_FRAMES, XP_BOTH);
	if (reuse && returned_count)
		return returned[--returned_count];
	if (next_frame[part] == first_frame(part) + frames_of(part))
		return XP_FRAMES;
	return next_frame[part]++;
}

uint64_t xp_frame_alloc(bool zero, bool reuse)
{
	unsigned frame = take_frame(reuse);

	if (frame == XP_FRAMES)
		return VMT_NO_FRAME;
	taken[frame] = true;
	// The allocator's own lock orders the free before this.
	if (xp_exploring()) {
		xp_clock_join(xp_clock(xp_clock_self()), &freed_at[frame]);
		xp_clocks_fill(xp_clock_self(), frame);
	}
	xp_weak_frame(frame);
	memset(memory.frame[frame], zero ? 0 : 0xa5, VMT_PAGE_SIZE);
	return XP_RAM + frame * VMT_PAGE_SIZE;
}

// CPU 0 has it, once, so that it depends on nobody else.
uint64_t xp_block_alloc(void)
{
	if ((xp_self() && xp_self() != XP_BOOT) || block_used)
		return VMT_NO_FRAME;
	block_used = true;
	memset(&taken[XP_BLOCK], true, XP_FRAMES - XP_BLOCK);
	memset(memory.frame[XP_BLOCK], 0, (XP_FRAMES - XP_BLOCK) * VMT_PAGE_SIZE);
	for (unsigned frame = XP_BLOCK; frame < XP_FRAMES; frame++) {
		if (xp_exploring())
			xp_clocks_fill(xp_clock_self(), frame);
		xp_weak_frame(frame);
	}
	return XP_RAM + XP_BLOCK * VMT_PAGE_SIZE;
}

void xp_frame_free(uint64_t pa)
{
	unsigned frame = (unsigned)((pa - XP_RAM) / VMT_PAGE_SIZE);

	if (xp_frame_is_free(pa) || pa % VMT_PAGE_SIZE)
		xp_fail_frame(XP_FREED, frame, "a frame is freed that is free: %#llx", (unsigned long long)pa);
	if (xp_exploring()) {
		xp_mmu_free(pa);
		xp_clocks_free(xp_clock_self(), frame);
		xp_freed(frame * WORDS, WORDS);
		xp_freed(XP_PLACE_META + frame * (uint32_t)sizeof(struct vmt_frame), sizeof(struct vmt_frame));
		freed_at[frame] = *xp_clock(xp_clock_self());
		xp_clock_tick(xp_clock_self());
	}
	taken[frame] = false;
	memset(memory.frame[frame], 0xdb, VMT_PAGE_SIZE);
	if (frame < SMALL)
		returned[returned_count++ % XP_FRAMES] = frame;
}

struct vmt_frame *xp_frame_meta(uint64_t pa)
{
	uint64_t frame = (pa - XP_RAM) / VMT_PAGE_SIZE;

	return pa >= XP_RAM && frame < XP_FRAMES ? &memory.meta[frame] : NULL;
}

// ---- Heap --------------------------------------------------------------------------------------------------------

void *xp_heap_alloc(size_t bytes)
{
	unsigned part = xp_self();
	uint32_t at = next_heap[part], size = (uint32_t)((bytes + 63) / 64 * 64);

	if (at + size > first_heap(part) + (part == XP_BOOT ? BOOT_HEAP : CPU_HEAP))
		return NULL;
	next_heap[part] += size;
	memset(&line[at / 64], USED, size / 64);
	memset(&memory.heap[at], 0xa5, size);
	return &memory.heap[at];
}

void xp_heap_free(void *p, size_t bytes)
{
	uint32_t at = (uint32_t)((uint8_t *)p - memory.heap), size = (uint32_t)((bytes + 63) / 64 * 64);

	for (uint32_t i = at / 64; i < (at + size) / 64; i++) {
		if (line[i] != USED)
			xp_fail("memory is freed that is free: byte %u of the heap", i * 64);
		line[i] = FREED;
	}
	if (xp_exploring()) {
		xp_clocks_access(xp_clock_self(), XP_PLACE_HEAP + at, (unsigned)bytes, XP_WRITE, false);
		xp_freed(XP_PLACE_HEAP + at, (unsigned)bytes);
	}
}

void xp_memory_end(void)
{
	for (unsigned frame = 0; frame < XP_FRAMES; frame++) {
		if (taken[frame])
			xp_fail("a frame is left over: %#llx", (unsigned long long)(XP_RAM + frame * VMT_PAGE_SIZE));
	}
	for (unsigned i = 0; i < LINES; i++) {
		if (line[i] == USED)
			xp_fail("memory is left over: byte %u of the heap", i * 64);
	}
}
