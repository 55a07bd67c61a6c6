// SPDX-License-Identifier: MIT
// The devices of device.h.
#include "device.h"

#include "decode.h"

// Of every device's memory; a multiple of the size of a huge page.
#define MEMORY_BASE (UINT64_C(1) << 38)

// A device that faults so often on one access faults for ever.
#define TRIES 100

// ---- What it keeps -----------------------------------------------------------------------------------------------

static void keep(struct device *device, const struct vmt_grant *grant)
{
	struct kept *place = NULL;

	for (unsigned i = 0; i < KEPT; i++)
		if (!place || device->kept[i].addr == grant->addr)
			place = !device->kept[i].prot || device->kept[i].addr == grant->addr ? &device->kept[i] : place;
	demand(place, "a device has no room for a translation");
	*place = (struct kept){grant->addr, grant->length, grant->pa, 0, grant->prot, grant->device};
	if (!grant->device)
		demand(sim_frame_allocated(env.machine, grant->pa, &place->generation),
		       "a device was handed a page that was freed");
}

static void commit(void *arg, const struct vmt_grant *grant)
{
	race_at(AT_COMMIT);
	keep(arg, grant);
}

void device_commit_range(void *device, const struct vmt_grant *grant, unsigned count, bool programmed)
{
	(void)programmed;
	for (unsigned i = 0; i < count; i++)
		keep(device, &grant[i]);
}

const struct kept *device_keeps(const struct device *device, uint64_t at, vmt_prot access)
{
	for (unsigned i = 0; i < KEPT; i++) {
		const struct kept *kept = &device->kept[i];

		if (kept->prot & access && at >= kept->addr && at - kept->addr < kept->length)
			return kept;
	}
	return NULL;
}

static void forget(struct device *device, const struct vmt_change *change)
{
	unsigned ways = 0;

	for (unsigned i = 0; i < KEPT; i++) {
		struct kept *kept = &device->kept[i];

		if (kept->addr < change->end && kept->addr + kept->length > change->start)
			kept->prot = 0;
	}
	for (unsigned i = 0; i < device->ways; i++)
		if (!change->tables || device->way[i].start >= change->end || device->way[i].end <= change->start)
			device->way[ways++] = device->way[i];
	device->ways = ways;
}

static void begins(void *owner, const struct vmt_change *change)
{
	(void)owner, (void)change;
	race_at(AT_BEGIN);
}

static void filled(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	(void)change;
	device->filled++;
}

static void issue(void *owner, const struct vmt_change *change)
{
	(void)owner, (void)change;
	race_at(AT_ISSUE);
}

static bool wait(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	demand(device->attached, "a secondary was called after it had been detached");
	if (!device->silent)
		forget(device, change);
	return !device->silent;
}

// ---- Accesses ----------------------------------------------------------------------------------------------------

static _Atomic uint64_t *device_word(struct device *device, const struct kept *kept, uint64_t at)
{
	uint64_t pa = kept->pa + (at - kept->addr), now;

	if (kept->device)
		return (_Atomic uint64_t *)(device->bytes + (pa - MEMORY_BASE));
	demand(sim_frame_allocated(env.machine, kept->pa, &now) && now == kept->generation,
	       "a device uses a page that was freed");
	return word_at(pa);
}

enum vmt_status device_fault(struct device *device, uint64_t at, vmt_prot access, uint32_t flags)
{
	struct vmt_secondary_request request = {
		.addr = at, .access = access, .flags = flags, .commit = commit, .arg = device,
	};

	return ops->secondary_fault(env.space, device->id, &request, NULL);
}

static _Atomic uint64_t *reach(struct device *device, uint64_t at, vmt_prot access)
{
	for (unsigned i = 0; i < TRIES; i++) {
		const struct kept *kept = device_keeps(device, at, access);

		if (kept)
			return device_word(device, kept, at);
		OK(device_fault(device, at, access, 0));
	}
	demand(false, "a device faults for ever on a page that it may use");
	return NULL;
}

void device_write(struct device *device, uint64_t at, uint64_t value)
{
	atomic_store_explicit(reach(device, at, VMT_WRITE), value, memory_order_relaxed);
}

uint64_t device_read(struct device *device, uint64_t at)
{
	return atomic_load_explicit(reach(device, at, VMT_READ), memory_order_relaxed);
}

bool device_try_write(struct device *device, uint64_t at, uint64_t value)
{
	const struct kept *kept = device_keeps(device, at, VMT_WRITE);

	if (kept)
		atomic_store_explicit(device_word(device, kept, at), value, memory_order_relaxed);
	return kept;
}

void device_walk(struct device *device, uint64_t at)
{
	const struct sim_decoder *decoder = &TEST_DECODER;
	uint64_t table = ops->space_root(env.space);

	for (unsigned level = decoder->levels - 1; level > 0; level--) {
		uint64_t *entries = vmt_port_frame_ptr(sim_port(env.machine), table);
		uint64_t size = UINT64_C(1) << sim_shift(decoder, level), generation;
		uint64_t start = at & ~(size - 1);
		struct sim_entry entry;

		decoder->decode(entries[sim_index(decoder, level, at)], level, &entry);
		if (entry.kind != SIM_ENTRY_TABLE)
			return;
		table = entry.pa;
		sim_frame_allocated(env.machine, table, &generation);
		device->way[device->ways++] = (struct way){start, start + size, table, generation};
	}
}

// ---- Life --------------------------------------------------------------------------------------------------------

static void copy(void *owner, struct vmt_copy *order)
{
	struct device *device = owner;
	void *ram = vmt_port_frame_ptr(sim_port(env.machine), order->pa);
	void *own = device->bytes + (order->device - MEMORY_BASE);

	if (device->fails)
		memset(order->to_device ? own : ram, 0xee, order->bytes);
	else
		memcpy(order->to_device ? own : ram, order->to_device ? ram : own, order->bytes);
	race_at(AT_COPY);
	vmt_copy_done(order, !device->fails);
}

void device_attach(struct device *device, uint64_t pages)
{
	static const struct vmt_secondary_ops secondary_ops = {
		.begin = begins, .issue = issue, .wait = wait, .filled = filled,
	};
	static const struct vmt_device_memory_ops memory_ops = {.copy = copy};

	*device = (struct device){.attached = true};
	if (pages) {
		struct vmt_device_memory_config memory = {
			.base = MEMORY_BASE, .bytes = pages * PAGE, .ops = &memory_ops, .owner = device,
		};

		device->bytes = calloc(pages, PAGE);
		OK(ops->device_memory_create(env.vmt, &memory, &device->memory));
	}
	OK(ops->secondary_attach(env.space, &(struct vmt_secondary_config){
		.ops = &secondary_ops, .owner = device, .memory = device->memory}, &device->id));
}

void device_detach(struct device *device)
{
	if (device->attached)
		ops->secondary_detach(env.space, device->id);
	device->attached = false;
	if (!device->memory)
		return;
	OK(ops->unmap(env.space, A, GIB(2))); // pages may live there
	OK(ops->device_memory_destroy(device->memory));
	free(device->bytes);
	device->memory = NULL;
}
