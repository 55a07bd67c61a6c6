// SPDX-License-Identifier: MIT
// Devices: making them, what moves them on, their accesses and their programs. A device is an MMU (mmu.c) with queues.
// All that happens in it happens under the MMU's lock, a step at a time, by whichever thread is at one of its scheduler
// points; its program, where it has one, is just another such thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

// How often an access may fault although the page request was granted, before the test stops.
#define MAX_TRIES 10000

// Beyond this lateness (%) nothing would end where somebody waits for it.
#define MAX_LATENESS 90

static _Thread_local struct sim_device *self;

struct sim_device *sim_self_device(void)
{
	return self;
}

// ---- Making and ending -------------------------------------------------------------------------------------------

static void local_init(struct sim_device *device, uint64_t bytes)
{
	struct sim_local *local = &device->local;
	uint64_t frames = bytes >> SIM_FRAME_SHIFT;

	local->base = SIM_DEVICE_BASE + device->number * SIM_DEVICE_SPAN;
	local->bytes = bytes;
	if (!bytes)
		return;
	local->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	local->frames = calloc(frames, sizeof(*local->frames));
	if (local->memory == MAP_FAILED || !local->frames)
		abort();
	for (uint64_t i = 0; i < frames; i++)
		atomic_init(&local->frames[i].generation, 1);
	for (uint64_t i = 0; i < bytes / 8; i++)
		((uint64_t *)(void *)local->memory)[i] = SIM_UNSET;
	device->mmu.local = local;
}

static void check_config(const struct sim_machine *machine, const struct sim_device_config *config)
{
	if (config->format >= SIM_FORMATS || config->bytes > SIM_DEVICE_SPAN || config->bytes & 0xffff ||
	    SIM_RAM_BASE + (machine->frame_count << SIM_FRAME_SHIFT) > SIM_DEVICE_BASE)
		abort();
}

struct sim_device *sim_device_create(struct sim_machine *machine, const struct sim_device_config *config)
{
	const struct sim_decoder *decoder;
	struct sim_device *device = aligned_alloc(64, (sizeof(*device) + 63) & ~(size_t)63);

	check_config(machine, config);
	if (!device)
		abort();
	memset((void *)device, 0, sizeof(*device));
	decoder = sim_decoders[config->format];
	pthread_mutex_lock(&machine->devices_lock);
	device->number = atomic_load_explicit(&machine->device_count, memory_order_relaxed);
	if (device->number == SIM_MAX_DEVICES)
		abort();
	sim_mmu_init(&device->mmu, machine, decoder,
		     machine->seed * 5 + (device->number + 1) * UINT64_C(0x300000007));
	snprintf(device->mmu.name, sizeof(device->mmu.name), "device %u", device->number);
	if (config->hostility)
		device->mmu.hostility = config->hostility;
	device->mmu.fault_ad = config->fault_ad && decoder->faults_ad;
	device->mmu.fault_keeps = config->sticky;
	device->mmu.keeps_absence = config->sticky && decoder->caches_absence;
	device->tree_owner = config->tree_owner;
	device->limit = config->limit ? config->limit : 200;
	device->yield_random = device->mmu.random ^ UINT64_C(0x7969656c64);
	device->test_random = device->mmu.random ^ UINT64_C(0x74657374);
	sim_tlb_init(&device->context.tlb, decoder);
	local_init(device, config->bytes);
	atomic_store_explicit(&machine->devices[device->number], device, memory_order_relaxed);
	// Release pairs with the acquire in sim_device_total.
	atomic_store_explicit(&machine->device_count, device->number + 1, memory_order_release);
	pthread_mutex_unlock(&machine->devices_lock);
	return device;
}

static void destroy(struct sim_device *device)
{
	struct sim_copy *copy;

	sim_queue_reset(device);
	while ((copy = sim_dma_abort(device)) != NULL)
		free(copy);
	sim_tlb_destroy(device->mmu.machine, &device->context.tlb);
	if (device->local.bytes)
		munmap(device->local.memory, device->local.bytes);
	free(device->local.frames);
	sim_mmu_destroy(&device->mmu);
	free(device);
}

void sim_devices_destroy(struct sim_machine *machine)
{
	unsigned count = sim_device_total(machine);

	// What one has cached is counted at the frames of another.
	for (unsigned i = 0; i < count; i++)
		sim_device_detach(sim_device_at(machine, i));
	for (unsigned i = 0; i < count; i++)
		destroy(sim_device_at(machine, i));
}

unsigned sim_device_number(const struct sim_device *device)
{
	return device->number;
}

struct sim_machine *sim_device_machine(const struct sim_device *device)
{
	return device->mmu.machine;
}

uint64_t sim_device_base(const struct sim_device *device)
{
	return device->local.base;
}

uint64_t sim_device_bytes(const struct sim_device *device)
{
	return device->local.bytes;
}

void *sim_device_memory(struct sim_device *device, uint64_t addr)
{
	if (addr - device->local.base >= device->local.bytes)
		sim_stopf(device->mmu.machine, 0, 0, "sim_device_memory: %s has no byte %#llx", device->mmu.name,
			  (unsigned long long)addr);
	return device->local.memory + (addr - device->local.base);
}

void sim_device_attach(struct sim_device *device, uint64_t root)
{
	struct sim_machine *machine = device->mmu.machine;

	sim_lock(&device->mmu);
	if (device->mmu.context || !sim_in_ram(machine, root) || !(sim_generation(machine, root) & 1))
		sim_stopf(machine, 0, root, "sim_device_attach: %s has tables, or %#llx is not an allocated frame",
			  device->mmu.name, (unsigned long long)root);
	device->context.root = root;
	device->context.root_generation = sim_generation(machine, root);
	device->mmu.context = &device->context;
	sim_count_cached(machine, root, 1);
	sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_ACTIVATE, .pa = root });
	sim_unlock(&device->mmu);
}

static void detach_locked(struct sim_device *device)
{
	if (!device->mmu.context)
		return;
	sim_tlb_flush_all(device->mmu.machine, &device->context.tlb, true);
	sim_count_cached(device->mmu.machine, device->context.root, -1);
	device->mmu.context = NULL;
	sim_record(&device->mmu, &(struct sim_note){ .kind = SIM_EVENT_DEACTIVATE });
}

void sim_device_detach(struct sim_device *device)
{
	sim_lock(&device->mmu);
	detach_locked(device);
	sim_unlock(&device->mmu);
}

void sim_device_reset(struct sim_device *device)
{
	struct sim_copy *copy;

	sim_lock(&device->mmu);
	detach_locked(device);
	sim_queue_reset(device);
	device->silent = false;
	device->mmu.break_first = device->mmu.decoder->break_first;
	copy = sim_dma_abort(device);
	sim_unlock(&device->mmu);
	while (copy) {
		sim_dma_end(device, copy);
		sim_lock(&device->mmu);
		copy = sim_dma_abort(device);
		sim_unlock(&device->mmu);
	}
}

// ---- Scheduler points --------------------------------------------------------------------------------------------

unsigned sim_device_lateness(const struct sim_device *device, bool waits)
{
	unsigned late = device->mmu.hostility->late;

	return waits && late > MAX_LATENESS ? MAX_LATENESS : late;
}

void sim_device_step(struct sim_device *device, bool waits)
{
	struct sim_copy *copy;

	sim_lock(&device->mmu);
	sim_queue_step(device, waits);
	if (device->mmu.context)
		sim_wander(&device->mmu);
	copy = sim_dma_step(device, waits);
	sim_unlock(&device->mmu);
	if (copy)
		sim_dma_end(device, copy);
}

// At a point where it does not wait a CPU moves a device on by this chance (%).
#define STEP_CHANCE 25

void sim_devices_point(struct sim_cpu *cpu, bool waits)
{
	unsigned devices = sim_device_total(cpu->machine);
	uint64_t *random = &cpu->yield_random;

	if (devices && (waits || sim_chance(random, STEP_CHANCE)))
		sim_device_step(sim_device_at(cpu->machine, sim_next_random(random) % devices), waits);
}

// Whoever makes an access of the device is at a point of its own.
static void point(struct sim_device *device)
{
	struct sim_cpu *cpu = sim_self();

	if (cpu)
		sim_point(cpu, SIM_POINT_ACCESS);
	else
		sim_give_way(device->mmu.machine, &device->yield_random, device->mmu.hostility->yield);
}

void sim_device_poll(struct sim_device *device)
{
	point(device);
	sim_device_step(device, false);
}

void sim_device_wait_point(struct sim_device *device)
{
	struct sim_cpu *cpu = sim_self();

	if (cpu)
		sim_point(cpu, SIM_POINT_WAIT);
	else if (self == device)
		sim_give_way(device->mmu.machine, &device->yield_random, 50);
	else
		sim_point_outside();
}

uint64_t sim_device_random(struct sim_device *device)
{
	return sim_next_random(&device->test_random);
}

// ---- Accesses ----------------------------------------------------------------------------------------------------

// One try. False: a fault.
static bool try_once(struct sim_device *device, struct sim_access *access)
{
	bool done;

	point(device);
	sim_lock(&device->mmu);
	sim_queue_step(device, false);
	done = device->mmu.context && sim_mmu_access(&device->mmu, access);
	sim_unlock(&device->mmu);
	return done;
}

static void check_access(struct sim_device *device, const struct sim_access *access, unsigned most)
{
	uint64_t va = access->want.va;

	if (access->size < 1 || access->size > most || (access->add && va & 7))
		sim_stopf(device->mmu.machine, va, 0, "%s: an access of %u bytes at %#llx", device->mmu.name,
			  access->size, (unsigned long long)va);
}

// One try within one page.
static bool try_page(struct sim_device *device, struct sim_access *access)
{
	uint64_t mask = sim_page_mask(device->mmu.decoder), left = mask + 1 - (access->want.va & mask);

	check_access(device, access, left < 8 ? (unsigned)left : 8);
	sim_say_it_in(device->mmu.decoder, &access->want);
	return sim_canonical(device->mmu.decoder, access->want.va) && try_once(device, access);
}

static struct sim_access access_of(uint64_t addr, vmt_prot access, unsigned size, uint64_t value)
{
	return (struct sim_access){ .want = { .va = addr, .access = access, .user = true }, .size = size,
				    .value = value };
}

bool sim_device_read(struct sim_device *device, uint64_t addr, unsigned size, uint64_t *value)
{
	struct sim_access access = access_of(addr, VMT_READ, size, 0);
	bool done = try_page(device, &access);

	if (done)
		*value = access.value;
	return done;
}

bool sim_device_write(struct sim_device *device, uint64_t addr, unsigned size, uint64_t value)
{
	struct sim_access access = access_of(addr, VMT_WRITE, size, value);

	return try_page(device, &access);
}

bool sim_device_exec(struct sim_device *device, uint64_t addr, unsigned size)
{
	struct sim_access access = access_of(addr, VMT_EXEC, size, 0);

	return try_page(device, &access);
}

bool sim_device_add(struct sim_device *device, uint64_t addr, uint64_t delta, uint64_t *old)
{
	struct sim_access access = access_of(addr, VMT_WRITE, 8, delta);
	bool done;

	access.add = access.in_two = true;
	done = try_page(device, &access);
	if (done && old)
		*old = access.value;
	return done;
}

void sim_device_prefetch(struct sim_device *device, uint64_t addr)
{
	sim_lock(&device->mmu);
	if (device->mmu.context && sim_canonical(device->mmu.decoder, addr))
		sim_mmu_prefetch(&device->mmu, addr);
	sim_unlock(&device->mmu);
}

// ---- Accesses with page requests ---------------------------------------------------------------------------------

// The device waits for a CPU, or the CPU that makes its accesses serves one of its requests.
static void wait_for_cpu(struct sim_device *device)
{
	struct sim_cpu *cpu = sim_self();

	if (cpu && device->handler && !sim_chance(&device->yield_random, sim_device_lateness(device, true)))
		sim_device_serve(device, cpu, device->handler, device->handler_arg);
	else
		sim_device_wait_point(device);
	sim_device_step(device, false);
}

// Asks for a page, and waits for the answer.
static enum vmt_status ask(struct sim_device *device, uint64_t addr, vmt_prot access)
{
	struct sim_patience patience = { 0 };
	uint64_t ticket = sim_device_request(device, addr, access);
	enum vmt_status status;

	while (!ticket || !sim_device_answer(device, ticket, &status)) {
		wait_for_cpu(device);
		if (!ticket)
			ticket = sim_device_request(device, addr, access);
		if (sim_impatient(&patience))
			sim_stopf(device->mmu.machine, addr, 0, "nobody serves the page request of %s for %#llx",
				  device->mmu.name, (unsigned long long)addr);
	}
	return status;
}

static enum vmt_status access_page(struct sim_device *device, struct sim_access *access)
{
	uint64_t va = access->want.va;

	for (access->tries = 0; access->tries < MAX_TRIES; access->tries++) {
		enum vmt_status status;

		if (try_page(device, access))
			return VMT_OK;
		status = ask(device, va, access->want.access);
		if (status != VMT_OK)
			return status;
	}
	sim_stopf(device->mmu.machine, va, 0, "no progress: %s faulted %u times at %#llx, and was granted the page "
		  "each time", device->mmu.name, MAX_TRIES, (unsigned long long)va);
}

enum vmt_status sim_device_access(struct sim_device *device, uint64_t addr, vmt_prot how, unsigned size,
				  uint64_t *value)
{
	uint64_t mask = sim_page_mask(device->mmu.decoder), left = mask + 1 - (addr & mask);
	struct sim_access access = access_of(addr, how, size, how == VMT_WRITE ? *value : 0), second;
	enum vmt_status status;

	check_access(device, &access, 8);
	access.size = left < size ? (unsigned)left : size;
	status = access_page(device, &access);
	if (status == VMT_OK && left < size) {
		second = access_of(addr + left, how, size - (unsigned)left, how == VMT_WRITE ? *value >> 8 * left : 0);
		status = access_page(device, &second);
		access.value |= second.value << 8 * left;
	}
	if (status == VMT_OK && how != VMT_WRITE)
		*value = access.value;
	return status;
}

// Steps of up to 8 bytes, each within a word.
static enum vmt_status access_bytes(struct sim_device *device, uint64_t addr, vmt_prot how, uint8_t *to,
				    const uint8_t *from, size_t size, size_t *done)
{
	enum vmt_status status = VMT_OK;
	size_t at = 0;

	while (at < size && status == VMT_OK) {
		uint64_t value = 0;
		unsigned step = 8 - ((addr + at) & 7);

		step = step < size - at ? step : (unsigned)(size - at);
		if (from)
			memcpy(&value, from + at, step);
		status = sim_device_access(device, addr + at, how, step, &value);
		if (status != VMT_OK)
			break;
		if (to)
			memcpy(to + at, &value, step);
		at += step;
	}
	if (done)
		*done = at;
	return status;
}

enum vmt_status sim_device_read_bytes(struct sim_device *device, uint64_t addr, void *to, size_t size, size_t *done)
{
	return access_bytes(device, addr, VMT_READ, to, NULL, size, done);
}

enum vmt_status sim_device_write_bytes(struct sim_device *device, uint64_t addr, const void *from, size_t size,
				       size_t *done)
{
	return access_bytes(device, addr, VMT_WRITE, NULL, from, size, done);
}

// ---- Programs ----------------------------------------------------------------------------------------------------

static void *thread_main(void *arg)
{
	struct sim_device *device = arg;
	struct sim_machine *machine = device->mmu.machine;

	self = device;
	atomic_fetch_add_explicit(&machine->running, 1, memory_order_relaxed);
	device->body(device, device->body_arg);
	atomic_fetch_sub_explicit(&machine->running, 1, memory_order_relaxed);
	// Release pairs with the acquire in sim_device_running: what it did is done.
	atomic_store_explicit(&device->running, false, memory_order_release);
	return NULL;
}

void sim_device_run(struct sim_device *device, void (*fn)(struct sim_device *device, void *arg), void *arg)
{
	device->body = fn;
	device->body_arg = arg;
	atomic_store_explicit(&device->running, true, memory_order_relaxed);
	if (pthread_create(&device->thread, NULL, thread_main, device))
		sim_stopf(device->mmu.machine, 0, 0, "sim_device_run: the host has no thread for %s",
			  device->mmu.name);
}

bool sim_device_running(const struct sim_device *device)
{
	return atomic_load_explicit(&device->running, memory_order_acquire);
}

void sim_device_join(struct sim_device *device)
{
	struct sim_cpu *cpu = sim_self();

	if (cpu)
		sim_idle_begin(cpu);
	pthread_join(device->thread, NULL);
	if (cpu)
		sim_idle_end(cpu);
}

// ---- Judging -----------------------------------------------------------------------------------------------------

unsigned sim_device_cached(struct sim_device *device, uint64_t addr, bool tables)
{
	unsigned count;

	sim_lock(&device->mmu);
	count = sim_mmu_cached(&device->mmu, addr, tables);
	sim_unlock(&device->mmu);
	return count;
}

void sim_device_get_counts(struct sim_device *device, struct sim_device_counts *counts)
{
	sim_lock(&device->mmu);
	*counts = (struct sim_device_counts){
		.accesses = device->mmu.accesses, .hits = device->mmu.hits, .walks = device->mmu.walks,
		.prefetches = device->mmu.prefetches, .faults = device->mmu.faults,
		.cached = device->context.tlb.items, .posted = device->posted, .executed = device->executed,
		.requests = device->tickets, .served = device->served, .late = device->late,
		.copies = device->copies_ended, .failed = device->copies_failed, .copying = device->copy_count,
	};
	sim_unlock(&device->mmu);
}
