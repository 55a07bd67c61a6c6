// SPDX-License-Identifier: MIT
// Device memory, and the engine that copies pages there and back. Of each page there is one word: the first, which is
// the one that programs access.
//
// A copy is over when the CPU that has asked for it waits for something. Nobody else looks whether it is, and others
// may be scheduled while it waits; so that is as late as anybody could notice. Its bytes are taken from the page when
// it begins or when it ends: in between nothing else can be seen.
#include "device.h"

#define COPIES	    48
#define GARBAGE	    UINT64_C(0xbadc0de)

static struct under_way {
	struct vmt_copy *copy;
	unsigned cpu;
	bool moved;
} copies[COPIES];
static unsigned copy_count, begun;
static bool may_fail;

void xp_copies_reset(void)
{
	copy_count = begun = 0;
	may_fail = false;
	for (unsigned i = 0; i < XP_LOCAL_PAGES; i++)
		atomic_store_explicit(xp_local_word(i), GARBAGE, memory_order_relaxed);
}

void xp_copies_fail(bool may)
{
	may_fail = may;
}

_Atomic uint64_t *xp_device_word(uint64_t pa)
{
	uint64_t page = (pa - XP_LOCAL) / VMT_PAGE_SIZE;

	return pa >= XP_LOCAL && page < XP_LOCAL_PAGES ? xp_local_word((unsigned)page) : NULL;
}

// ---- One copy ----------------------------------------------------------------------------------------------------

// What is copied, and where to, nobody else has.
static void check(const struct vmt_copy *copy)
{
	for (uint64_t at = 0; at < copy->bytes; at += VMT_PAGE_SIZE) {
		if (xp_frame_is_free(copy->pa + at))
			xp_fail("a page is copied that is free: %#llx", (unsigned long long)(copy->pa + at));
		if (!xp_device_word(copy->device + at))
			xp_fail("there is no device memory at %#llx", (unsigned long long)(copy->device + at));
		if (copy->to_device && xp_mmu_has(copy->device + at))
			xp_fail("a page is copied to where a device still finds another one");
		if (!copy->to_device && xp_mmu_has(copy->pa + at))
			xp_fail("a page comes back to where somebody still finds another one");
	}
}

static void move(const struct vmt_copy *copy, bool good)
{
	check(copy);
	for (uint64_t at = 0; at < copy->bytes; at += VMT_PAGE_SIZE) {
		_Atomic uint64_t *here = xp_frame_ptr(copy->pa + at), *there = xp_device_word(copy->device + at);
		_Atomic uint64_t *from = copy->to_device ? here : there, *to = copy->to_device ? there : here;
		uint64_t bytes = atomic_load_explicit(from, memory_order_relaxed);

		xp_happened(xp_place(from), XP_READ);
		atomic_store_explicit(to, good ? bytes : GARBAGE, memory_order_relaxed);
		xp_weak_plain(xp_place(to), 1);
		xp_happened(xp_place(to), XP_WRITE);
	}
}

static void end_copy(const struct under_way *way)
{
	bool good = !may_fail || !xp_either();

	if (!way->moved || !good)
		move(way->copy, good);
	check(way->copy);
	xp_trace_say("a copy ends%s", good ? "" : " badly");
	vmt_copy_done(way->copy, good);
}

static void start_copy(void *owner, struct vmt_copy *copy)
{
	struct under_way way = {.copy = copy, .cpu = xp_self()};

	(void)owner;
	if (!xp_exploring()) {
		end_copy(&way);
		return;
	}
	// No event: who would come in between comes before the end of one that takes its bytes late.
	check(copy);
	xp_trace_say("a copy begins, page %#llx, %s %#llx", (unsigned long long)copy->pa,
		     copy->to_device ? "to" : "from", (unsigned long long)copy->device);
	way.moved = !xp_either();
	if (way.moved)
		move(copy, true);
	if (copy_count == COPIES)
		xp_fail("too many copies are under way");
	copies[copy_count++] = way;
	begun++;
}

const struct vmt_device_memory_ops xp_copies = {.copy = start_copy};

// ---- Waiting -----------------------------------------------------------------------------------------------------

bool xp_copying(unsigned cpu)
{
	for (unsigned i = 0; i < copy_count; i++) {
		if (copies[i].cpu == cpu)
			return true;
	}
	return false;
}

unsigned xp_copies_begun(void)
{
	return begun;
}

void xp_copies_end(unsigned cpu)
{
	unsigned left = 0;

	for (unsigned i = 0; i < copy_count; i++) {
		struct under_way way = copies[i];

		if (way.cpu == cpu)
			end_copy(&way);
		else
			copies[left++] = way;
	}
	copy_count = left;
}
