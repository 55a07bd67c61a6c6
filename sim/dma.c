// SPDX-License-Identifier: MIT
// The copying engine of a device: between RAM and its own memory, by physical address, in pieces, late, in no order
// among copies. What a copy may rely on is checked where it begins, at each piece and where it ends: its frames of RAM
// stay allocated; nobody can reach what it writes; the bytes that it reads in device memory stand still.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// The most pieces of a copy; one step copies up to two of them.
#define PIECES 8

static _Noreturn void stop(struct sim_device *device, const struct sim_copy *copy, uint64_t frame, const char *what)
{
	sim_stopf(device->mmu.machine, 0, frame, "%s copies %s [%#llx, %#llx), device address %#llx: %s",
		  device->mmu.name, copy->to_device ? "from" : "to", (unsigned long long)copy->pa,
		  (unsigned long long)(copy->pa + copy->bytes), (unsigned long long)copy->at, what);
}

// ---- What must hold ----------------------------------------------------------------------------------------------

static void check_ram(struct sim_device *device, const struct sim_copy *copy, uint64_t from, uint64_t bytes)
{
	for (uint64_t pa = copy->pa + (from & ~SIM_FRAME_MASK); pa < copy->pa + from + bytes; pa += SIM_FRAME_SIZE)
		if (sim_frame_changed(device->mmu.machine, pa, copy->clock))
			stop(device, copy, pa, "its frame of RAM has been freed");
}

struct search {
	struct sim_device *device;
	uint64_t pa;
	bool writable;	// only those
};

static bool leads_to(struct sim_item *item, void *arg)
{
	const struct search *search = arg;

	return !item->level && (!search->writable || item->may & SIM_MAY_WRITE) &&
	       sim_item_reaches(&search->device->context.tlb, item, search->pa);
}

// The device's pages of a part of the copy: what is to be filled it has no translation cached for, and what is read
// none to write to: unless it is silent, when nothing could take that away. A source that was filled anew since the
// copy began is no source any more: what is read there is of no use, and whoever asked for it has to know.
static void check_local(struct sim_device *device, const struct sim_copy *copy, uint64_t from, uint64_t bytes)
{
	struct sim_machine *machine = device->mmu.machine;
	struct search search = { .device = device, .writable = !copy->to_device };

	if (!copy->to_device && device->silent)
		return;
	for (uint64_t at = copy->at + (from & ~SIM_FRAME_MASK); at < copy->at + from + bytes; at += SIM_FRAME_SIZE) {
		search.pa = at;
		if (!sim_cached_count(machine, at) || !device->mmu.context ||
		    (!copy->to_device && sim_frame_changed(machine, at, copy->clock)) ||
		    !sim_tlb_each(&device->context.tlb, leads_to, &search))
			continue;
		stop(device, copy, at, copy->to_device ? "it has a translation cached for a page that it fills" :
			       "it has a writable translation cached for a page that it reads");
	}
}

static bool overlap(uint64_t a, uint64_t b, uint64_t a_bytes, uint64_t b_bytes)
{
	return a < b + b_bytes && b < a + a_bytes;
}

static void check_new(struct sim_device *device, const struct sim_copy *copy)
{
	const struct sim_local *local = &device->local;

	if (!copy->bytes || (copy->pa | copy->at | copy->bytes) & SIM_FRAME_MASK)
		stop(device, copy, copy->pa, "not whole pages");
	if (!sim_in_ram(device->mmu.machine, copy->pa) ||
	    !sim_in_ram(device->mmu.machine, copy->pa + copy->bytes - 1))
		stop(device, copy, 0, "there is no such RAM");
	if (copy->at < local->base || copy->bytes > local->bytes || copy->at - local->base > local->bytes - copy->bytes)
		stop(device, copy, 0, "the device has no such memory");
	for (const struct sim_copy *other = device->copies; other; other = other->next) {
		if (copy->to_device && other->to_device && overlap(copy->at, other->at, copy->bytes, other->bytes))
			stop(device, copy, copy->at, "another copy fills the same device page");
		if (!copy->to_device && !other->to_device && overlap(copy->pa, other->pa, copy->bytes, other->bytes))
			stop(device, copy, copy->pa, "another copy fills the same frame");
	}
	check_ram(device, copy, 0, copy->bytes);
	check_local(device, copy, 0, copy->bytes);
}

bool sim_dma_uses(const struct sim_device *device, uint64_t pa)
{
	for (const struct sim_copy *copy = device->copies; copy; copy = copy->next)
		if (pa >= copy->pa && pa - copy->pa < copy->bytes)
			return true;
	return false;
}

// ---- Copying -----------------------------------------------------------------------------------------------------

static void record(struct sim_device *device, const struct sim_copy *copy, enum sim_event_kind kind)
{
	sim_record(&device->mmu, &(struct sim_note){
		.kind = kind, .pa = copy->pa, .end = copy->pa + copy->bytes, .where = copy->at,
		.level = copy->to_device, .value = !copy->fails });
}

static bool is_to_fail(struct sim_device *device)
{
	uint64_t nth = ++device->fail_counted;

	if (nth >= device->fail_first && nth - device->fail_first < device->fail_count)
		return true;
	return device->fail_per_million && sim_next_random(&device->mmu.random) % 1000000 < device->fail_per_million;
}

// Copies words, or writes garbage over them. RAM is accessed by relaxed atomics: programs may be reading, or writing,
// the frame that is copied, and their bytes are theirs.
static void transfer(struct sim_device *device, struct sim_copy *copy, uint64_t bytes, bool garbage)
{
	_Atomic(uint64_t) *ram = (_Atomic(uint64_t) *)(void *)sim_ram(device->mmu.machine, copy->pa + copy->copied);
	uint64_t *local = sim_device_memory(device, copy->at + copy->copied);

	for (uint64_t i = 0; i < bytes / 8; i++) {
		if (copy->to_device)
			local[i] = garbage ? SIM_UNSET : atomic_load_explicit(&ram[i], memory_order_relaxed);
		else
			atomic_store_explicit(&ram[i], garbage ? SIM_UNSET : local[i], memory_order_relaxed);
	}
}

// The next piece. True: the copy has ended.
static bool advance(struct sim_device *device, struct sim_copy *copy)
{
	uint64_t piece = copy->bytes / PIECES, left = copy->bytes - copy->copied;
	uint64_t bytes = piece + (sim_next_random(&device->mmu.random) % (piece + 1) / 8) * 8;

	bytes = bytes < left ? bytes : left;
	check_ram(device, copy, copy->copied, bytes);
	check_local(device, copy, copy->copied, bytes);
	if (copy->fails && copy->copied >= copy->bytes / 2) {
		transfer(device, copy, bytes, true);
		return true;
	}
	transfer(device, copy, bytes, false);
	copy->copied += bytes;
	return copy->copied == copy->bytes;
}

// Takes the copy at *link off.
static struct sim_copy *take_off(struct sim_device *device, struct sim_copy **link)
{
	struct sim_copy *copy = *link;

	*link = copy->next;
	device->copy_count--;
	sim_count_cached_run(device->mmu.machine, copy->pa, copy->pa + copy->bytes, -1);
	return copy;
}

struct sim_copy *sim_dma_step(struct sim_device *device, bool waits)
{
	struct sim_copy **link = &device->copies;

	if (!device->copies || sim_chance(&device->mmu.random, sim_device_lateness(device, waits)))
		return NULL;
	for (uint64_t skip = sim_next_random(&device->mmu.random) % device->copy_count; skip; skip--)
		link = &(*link)->next;
	return advance(device, *link) ? take_off(device, link) : NULL;
}

struct sim_copy *sim_dma_abort(struct sim_device *device)
{
	if (!device->copies)
		return NULL;
	device->copies->fails = true;
	return take_off(device, &device->copies);
}

void sim_dma_end(struct sim_device *device, struct sim_copy *copy)
{
	const struct sim_copy ended = *copy;
	struct sim_machine *machine = device->mmu.machine;

	free(copy);
	for (uint64_t at = 0; !ended.to_device && at < ended.bytes; at += SIM_FRAME_SIZE)
		if (sim_cached_count(machine, ended.pa + at))
			sim_check_unreachable(machine, ended.pa + at, "written by a copy");
	sim_lock(&device->mmu);
	device->copies_ended++;
	device->copies_failed += ended.fails;
	record(device, &ended, SIM_EVENT_COPY_DONE);
	sim_unlock(&device->mmu);
	ended.done(ended.copy, !ended.fails);
}

// Puts a copy that was found good among those under way.
static struct sim_copy *enter(struct sim_device *device, const struct sim_copy *new)
{
	struct sim_copy *copy = sim_host_alloc(sizeof(*copy));

	*copy = *new;
	copy->next = device->copies;
	device->copies = copy;
	device->copy_count++;
	sim_count_cached_run(device->mmu.machine, copy->pa, copy->pa + copy->bytes, 1);
	for (uint64_t at = 0; copy->to_device && at < copy->bytes; at += SIM_FRAME_SIZE)
		sim_frame_renew(device->mmu.machine, copy->at + at);
	record(device, copy, SIM_EVENT_COPY);
	return copy;
}

void sim_dma_begin(struct sim_device *device, struct vmt_copy *request,
		   void (*done)(struct vmt_copy *copy, bool good))
{
	struct sim_machine *machine = device->mmu.machine;
	struct sim_copy new = { .copy = request, .done = done, .pa = request->pa, .at = request->device,
				.bytes = request->bytes, .to_device = request->to_device };
	struct sim_copy *copy, *ended = NULL;

	sim_lock(&device->mmu);
	// Acquire pairs with the release of those who have allocated and freed before.
	new.clock = atomic_load_explicit(&machine->frame_clock, memory_order_acquire);
	check_new(device, &new);
	new.fails = is_to_fail(device);
	copy = enter(device, &new);
	if (!sim_chance(&device->mmu.random, sim_device_lateness(device, false))) {
		while (!advance(device, copy))
			;
		ended = take_off(device, &device->copies);
	}
	sim_unlock(&device->mmu);
	if (ended)
		sim_dma_end(device, ended);
}

// ---- Failing -----------------------------------------------------------------------------------------------------

void sim_dma_fail_nth(struct sim_device *device, uint64_t first, uint64_t count)
{
	sim_lock(&device->mmu);
	device->fail_counted = 0;
	device->fail_first = first;
	device->fail_count = count;
	sim_unlock(&device->mmu);
}

void sim_dma_fail_random(struct sim_device *device, uint32_t per_million)
{
	sim_lock(&device->mmu);
	device->fail_per_million = per_million;
	sim_unlock(&device->mmu);
}
