// SPDX-License-Identifier: MIT
// RAM: an arena of frames with their metadata. A frame carries a generation that grows when it is allocated and when
// it is freed; its bytes and its metadata are overwritten when it is freed and verified when it is allocated again. A
// frame that is freed while a CPU or a device can still reach it through its caches stops the test there and then.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

// GCC says it by a macro, clang by a feature.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define HIDE(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define SHOW(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define HIDE(at, size) ((void)(at), (void)(size))
#define SHOW(at, size) ((void)(at), (void)(size))
#endif

// Bytes that differ, so that the compiler does not make a memset of the stores: one that it expands in place would be
// hidden from ThreadSanitizer, and with it the races between a free and those who still use the metadata.
#define META_POISON UINT32_C(0xdb5a11d3)
#define META_UNSET  UINT32_C(0xa75a11a4)

// The metadata in words, and which of them counts references.
#define META_WORDS (sizeof(struct vmt_frame) / sizeof(uint32_t))
#define META_REFS  (offsetof(struct vmt_data, refs) / sizeof(uint32_t))

// Frames freed last are used first, one of this many by chance: reuse comes soon.
#define REUSE_WINDOW 8

bool sim_in_ram(const struct sim_machine *machine, uint64_t pa)
{
	return pa >= SIM_RAM_BASE && (pa - SIM_RAM_BASE) >> SIM_FRAME_SHIFT < machine->frame_count;
}

uint8_t *sim_ram(struct sim_machine *machine, uint64_t pa)
{
	return machine->ram + (pa - SIM_RAM_BASE);
}

static struct vmt_frame *meta_of(struct sim_machine *machine, uint64_t pa)
{
	return &machine->meta[(pa - SIM_RAM_BASE) >> SIM_FRAME_SHIFT];
}

// The state of a frame of RAM or of a device's memory, or NULL.
static struct sim_frame_state *state_of(struct sim_machine *machine, uint64_t pa)
{
	uint64_t number = (pa - SIM_DEVICE_BASE) / SIM_DEVICE_SPAN;
	const struct sim_local *local;

	if (sim_in_ram(machine, pa))
		return &machine->frames[(pa - SIM_RAM_BASE) >> SIM_FRAME_SHIFT];
	if (pa < SIM_DEVICE_BASE || number >= sim_device_total(machine))
		return NULL;
	local = &sim_device_at(machine, (unsigned)number)->local;
	return pa - local->base < local->bytes ? &local->frames[(pa - local->base) >> SIM_FRAME_SHIFT] : NULL;
}

uint64_t sim_generation(struct sim_machine *machine, uint64_t pa)
{
	struct sim_frame_state *state = state_of(machine, pa);

	// Acquire pairs with the release in change().
	return state ? atomic_load_explicit(&state->generation, memory_order_acquire) : 0;
}

bool sim_frame_allocated(struct sim_machine *machine, uint64_t pa, uint64_t *generation)
{
	uint64_t now = sim_generation(machine, pa);

	if (generation)
		*generation = (now + 1) / 2;
	return now & 1;
}

// Relaxed, all of these: the count is a hint for the free; what it must see is ordered by the flush before it.
void sim_count_cached(struct sim_machine *machine, uint64_t pa, int change)
{
	atomic_fetch_add_explicit(&state_of(machine, pa)->cached, (uint32_t)change, memory_order_relaxed);
}

uint32_t sim_cached_count(struct sim_machine *machine, uint64_t pa)
{
	return atomic_load_explicit(&state_of(machine, pa)->cached, memory_order_relaxed);
}

// The frames of one memory.
static void count_part(struct sim_machine *machine, uint64_t base, uint64_t bytes, uint64_t pa, uint64_t end,
		       int change)
{
	pa = pa > base ? pa : base;
	for (end = end < base + bytes ? end : base + bytes; pa < end; pa += sim_page_mask(machine->decoder) + 1)
		sim_count_cached(machine, pa, change);
}

void sim_count_cached_run(struct sim_machine *machine, uint64_t pa, uint64_t end, int change)
{
	count_part(machine, SIM_RAM_BASE, machine->frame_count << SIM_FRAME_SHIFT, pa, end, change);
	if (end <= SIM_DEVICE_BASE)
		return;
	for (unsigned i = 0; i < sim_device_total(machine); i++) {
		const struct sim_local *local = &sim_device_at(machine, i)->local;

		count_part(machine, local->base, local->bytes, pa, end, change);
	}
}

bool sim_frame_changed(struct sim_machine *machine, uint64_t pa, uint64_t clock)
{
	struct sim_frame_state *state = state_of(machine, pa);

	if (!state)
		return false;
	// Acquire, both: pairs with the release in change().
	return !(atomic_load_explicit(&state->generation, memory_order_acquire) & 1) ||
	       atomic_load_explicit(&state->changed, memory_order_acquire) > clock;
}

// The frame's generation moves on: by one where it becomes allocated or free. Returns it.
static uint64_t change(struct sim_machine *machine, uint64_t pa, unsigned by)
{
	struct sim_frame_state *state = state_of(machine, pa);
	uint64_t clock = atomic_fetch_add_explicit(&machine->frame_clock, 1, memory_order_acq_rel) + 1;

	// Release pairs with the acquire in sim_frame_changed.
	atomic_store_explicit(&state->changed, clock, memory_order_release);
	// Release pairs with the acquire in sim_generation; acquire: two frees of one frame are told apart.
	return atomic_fetch_add_explicit(&state->generation, by, memory_order_acq_rel) + by;
}

void sim_frame_renew(struct sim_machine *machine, uint64_t pa)
{
	change(machine, pa, 2);
}

void sim_frames_init(struct sim_machine *machine, const struct sim_config *config)
{
	uint64_t count = config->frames;

	machine->frame_count = machine->limit = machine->free_count = count;
	machine->frame_random = config->seed ^ 0x66726d73;
	machine->ram = mmap(NULL, count << SIM_FRAME_SHIFT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	machine->meta = mmap(NULL, count * sizeof(*machine->meta), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (machine->ram == MAP_FAILED || machine->meta == MAP_FAILED)
		sim_stopf(machine, 0, 0, "the host has no memory for %llu frames", (unsigned long long)count);
	machine->frames = calloc(count, sizeof(*machine->frames));
	machine->free = sim_host_alloc(count * sizeof(*machine->free));
	machine->place = sim_host_alloc(count * sizeof(*machine->place));
	if (!machine->frames)
		sim_stopf(machine, 0, 0, "the host has no memory for %llu frames", (unsigned long long)count);
	for (uint64_t i = 0; i < count; i++) {
		machine->free[i] = (uint32_t)(count - 1 - i);
		machine->place[count - 1 - i] = (uint32_t)i;
	}
	pthread_mutex_init(&machine->frames_lock, NULL);
}

void sim_frames_destroy(struct sim_machine *machine)
{
	SHOW(machine->ram, machine->frame_count << SIM_FRAME_SHIFT);
	SHOW(machine->meta, machine->frame_count * sizeof(*machine->meta));
	munmap(machine->ram, machine->frame_count << SIM_FRAME_SHIFT);
	munmap(machine->meta, machine->frame_count * sizeof(*machine->meta));
	free(machine->frames);
	free(machine->free);
	free(machine->place);
	pthread_mutex_destroy(&machine->frames_lock);
}

void sim_set_frame_limit(struct sim_machine *machine, uint64_t frames)
{
	pthread_mutex_lock(&machine->frames_lock);
	machine->limit = frames < machine->frame_count ? frames : machine->frame_count;
	pthread_mutex_unlock(&machine->frames_lock);
}

// ---- Allocation --------------------------------------------------------------------------------------------------

#define TAKEN UINT32_MAX

static bool is_free(const struct sim_machine *machine, uint64_t first, uint64_t frames)
{
	for (uint64_t i = 0; i < frames; i++)
		if (first + i >= machine->frame_count || machine->place[first + i] == TAKEN)
			return false;
	return true;
}

// The first frame of a free block that is aligned to its size: where a frame was freed lately, or else from the end of
// RAM on, where frames on their own are taken last. TAKEN: there is none.
static uint64_t find_block(struct sim_machine *machine, uint64_t frames)
{
	uint64_t window = REUSE_WINDOW * frames, first;

	window = machine->free_count < window ? machine->free_count : window;
	first = machine->free[machine->free_count - 1 - sim_next_random(&machine->frame_random) % window];
	first &= ~(frames - 1);
	if (is_free(machine, first, frames))
		return first;
	for (first = machine->frame_count & ~(frames - 1); first >= frames;) {
		first -= frames;
		if (is_free(machine, first, frames))
			return first;
	}
	return TAKEN;
}

// Takes frames that lie side by side off the stack.
static uint64_t take(struct sim_machine *machine, uint64_t frames)
{
	uint64_t pa = VMT_NO_FRAME, first = TAKEN, used;

	pthread_mutex_lock(&machine->frames_lock);
	used = machine->frame_count - machine->free_count + frames;
	if (used <= machine->limit)
		first = find_block(machine, frames);
	if (first != TAKEN) {
		for (uint64_t i = 0; i < frames; i++) {
			uint32_t last = machine->free[--machine->free_count];

			machine->free[machine->place[first + i]] = last;
			machine->place[last] = machine->place[first + i];
			machine->place[first + i] = TAKEN;
		}
		machine->peak = machine->peak > used ? machine->peak : used;
		pa = SIM_RAM_BASE + (first << SIM_FRAME_SHIFT);
	}
	pthread_mutex_unlock(&machine->frames_lock);
	return pa;
}

// As take, but waits a little for frames that are on their way through a grace period.
static uint64_t take_patiently(struct sim_machine *machine, struct sim_cpu *cpu, uint64_t frames)
{
	uint64_t pa = take(machine, frames);

	for (unsigned i = 0; pa == VMT_NO_FRAME && i < 1000; i++) {
		if (!atomic_load_explicit(&machine->deferred, memory_order_relaxed))
			break;
		sim_point(cpu, SIM_POINT_WAIT);
		pa = take(machine, frames);
	}
	return pa;
}

static void fill(void *at, size_t size, uint64_t word)
{
	uint64_t *words = at;

	for (size_t i = 0; i < size / 8; i++)
		words[i] = word;
}

// Overwrites the metadata, but for the count of references: that is zero while the frame is free, and a lock-free
// reader that comes late has to find it so (vmtree/frame.h).
static void fill_meta(struct sim_machine *machine, uint64_t pa, uint32_t word)
{
	uint32_t *words = (uint32_t *)(void *)meta_of(machine, pa);

	for (size_t i = 0; i < META_WORDS; i++) {
		if (i != META_REFS)
			words[i] = word;
	}
}

static uint32_t meta_refs(struct sim_machine *machine, uint64_t pa)
{
	// Acquire: a late reader's own taking and dropping is over, or this is a bug worth seeing.
	return atomic_load_explicit(&meta_of(machine, pa)->data.refs, memory_order_acquire);
}

// Nobody may have written to a frame, or to its metadata, while it was free.
static void verify(struct sim_machine *machine, uint64_t pa)
{
	const uint64_t *words = (const uint64_t *)(const void *)sim_ram(machine, pa);
	const uint32_t *meta = (const uint32_t *)(const void *)meta_of(machine, pa);

	for (unsigned i = 0; i < SIM_FRAME_SIZE / 8; i++) {
		if (words[i] != SIM_POISON)
			sim_stopf(machine, 0, pa, "the frame %#llx was written while it was free: %#llx at offset %u",
				  (unsigned long long)pa, (unsigned long long)words[i], i * 8);
	}
	if (meta_refs(machine, pa))
		sim_stopf(machine, 0, pa, "the free frame %#llx was given references", (unsigned long long)pa);
	for (unsigned i = 0; i < META_WORDS; i++) {
		if (i != META_REFS && meta[i] != META_POISON)
			sim_stopf(machine, 0, pa,
				  "the metadata of the frame %#llx was written while it was free: %#x at offset %u",
				  (unsigned long long)pa, meta[i], i * 4);
	}
}

// Gives a frame its content, its metadata and its next generation, which is returned.
static uint64_t hand_out(struct sim_machine *machine, uint64_t pa, unsigned cpu, bool zero)
{
	SHOW(sim_ram(machine, pa), SIM_FRAME_SIZE);
	SHOW(meta_of(machine, pa), sizeof(struct vmt_frame));
	if (sim_generation(machine, pa))
		verify(machine, pa);
	if (zero)
		memset(sim_ram(machine, pa), 0, SIM_FRAME_SIZE);
	else
		fill(sim_ram(machine, pa), SIM_FRAME_SIZE, SIM_UNSET);
	fill_meta(machine, pa, META_UNSET);
	state_of(machine, pa)->cpu = cpu;
	return change(machine, pa, 1);
}

// Whether a port function may be asked for a frame of this size: a power of two, the smallest page at least.
static bool is_size(uint64_t bytes)
{
	return bytes >= SIM_FRAME_SIZE && !(bytes & (bytes - 1));
}

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_current(machine, "vmt_port_frame_alloc");
	bool fails = sim_fail_this(machine, SIM_FAIL_FRAME);
	uint64_t pa, generation;

	if (!is_size(bytes))
		sim_stopf(machine, 0, 0, "vmt_port_frame_alloc: no frames of %llu bytes", (unsigned long long)bytes);
	sim_check_sleepable(cpu, "vmt_port_frame_alloc");
	sim_point(cpu, SIM_POINT_ALLOC);
	pa = fails ? VMT_NO_FRAME : take_patiently(machine, cpu, bytes >> SIM_FRAME_SHIFT);
	pthread_mutex_lock(&machine->frames_lock);
	machine->frame_allocs++;
	machine->frame_failures += pa == VMT_NO_FRAME;
	pthread_mutex_unlock(&machine->frames_lock);
	if (pa == VMT_NO_FRAME)
		return pa;
	generation = hand_out(machine, pa, cpu->number, zero);
	for (uint64_t at = SIM_FRAME_SIZE; at < bytes; at += SIM_FRAME_SIZE)
		hand_out(machine, pa + at, cpu->number, zero);
	sim_record(&cpu->mmu, &(struct sim_note){
		.kind = SIM_EVENT_ALLOC, .pa = pa, .end = pa + bytes, .value = generation });
	return pa;
}

// ---- Freeing -----------------------------------------------------------------------------------------------------

struct search {
	struct sim_mmu *mmu;
	uint64_t pa;
	struct sim_item found;
};

static bool leads_to(struct sim_item *item, void *arg)
{
	struct search *search = arg;

	if (!sim_item_reaches(&search->mmu->context->tlb, item, search->pa))
		return false;
	search->found = *item;
	return true;
}

static void check_mmu(struct sim_mmu *mmu, uint64_t pa, const char *what)
{
	struct search search = { .mmu = mmu, .pa = pa };
	const struct sim_item *item = &search.found;
	bool found = false, root = false;

	sim_lock(mmu);
	if (mmu->context) {
		root = mmu->context->root == pa;
		found = sim_tlb_each(&mmu->context->tlb, leads_to, &search);
	}
	sim_unlock(mmu);
	if (root)
		sim_stopf(mmu->machine, 0, pa, "the frame %#llx is %s while it is the root on %s",
			  (unsigned long long)pa, what, mmu->name);
	if (found)
		sim_stopf(mmu->machine, item->va, pa,
			  "the frame %#llx is %s while %s has %s of level %u cached for %#llx",
			  (unsigned long long)pa, what, mmu->name,
			  item->level ? "an intermediate entry" : "a translation",
			  item->level ? item->level : item->leaf_level,
			  (unsigned long long)(item->page << sim_item_shift(&mmu->context->tlb, item)));
}

// (What lies under identifiers not in use goes before they are used again.)
void sim_check_unreachable(struct sim_machine *machine, uint64_t pa, const char *what)
{
	for (unsigned i = 0; i < machine->cpu_count; i++)
		check_mmu(&machine->cpus[i].mmu, pa, what);
	for (unsigned i = 0; i < sim_device_total(machine); i++)
		check_mmu(&sim_device_at(machine, i)->mmu, pa, what);
}

// No device may be copying from or to a frame that is freed.
static void check_copies(struct sim_machine *machine, uint64_t pa)
{
	for (unsigned i = 0; i < sim_device_total(machine); i++) {
		struct sim_device *device = sim_device_at(machine, i);
		bool used;

		sim_lock(&device->mmu);
		used = sim_dma_uses(device, pa);
		sim_unlock(&device->mmu);
		if (used)
			sim_stopf(machine, 0, pa, "the frame %#llx is freed while %s copies it",
				  (unsigned long long)pa, device->mmu.name);
	}
}

// Takes a frame back. Returns its generation.
static uint64_t take_back(struct sim_machine *machine, uint64_t pa)
{
	uint64_t generation;

	if (sim_cached_count(machine, pa)) {
		sim_check_unreachable(machine, pa, "freed");
		check_copies(machine, pa);
	}
	generation = change(machine, pa, 1);
	if (generation & 1)
		sim_stopf(machine, 0, pa, "the frame %#llx is freed twice", (unsigned long long)pa);
	fill(sim_ram(machine, pa), SIM_FRAME_SIZE, SIM_POISON);
	if (meta_refs(machine, pa))
		sim_stopf(machine, 0, pa, "the frame %#llx is freed while somebody holds it", (unsigned long long)pa);
	fill_meta(machine, pa, META_POISON);
	HIDE(sim_ram(machine, pa), SIM_FRAME_SIZE);
	HIDE(meta_of(machine, pa)->bytes + 8, sizeof(struct vmt_frame) - 8); // the words before hold the count
	return generation;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_self();
	uint64_t generation;

	if (!is_size(bytes) || !sim_in_ram(machine, pa) || !sim_in_ram(machine, pa + bytes - 1) || pa & (bytes - 1))
		sim_stopf(machine, 0, pa, "vmt_port_frame_free: %#llx is no frame", (unsigned long long)pa);
	generation = take_back(machine, pa);
	for (uint64_t at = SIM_FRAME_SIZE; at < bytes; at += SIM_FRAME_SIZE)
		take_back(machine, pa + at);
	if (cpu && cpu->machine == machine)
		sim_record(&cpu->mmu, &(struct sim_note){
			.kind = SIM_EVENT_FREE, .pa = pa, .end = pa + bytes, .value = generation });
	pthread_mutex_lock(&machine->frames_lock);
	for (uint64_t at = 0; at < bytes; at += SIM_FRAME_SIZE) {
		uint32_t index = (uint32_t)((pa + at - SIM_RAM_BASE) >> SIM_FRAME_SHIFT);

		machine->place[index] = (uint32_t)machine->free_count;
		machine->free[machine->free_count++] = index;
	}
	pthread_mutex_unlock(&machine->frames_lock);
}

// ---- Looking -----------------------------------------------------------------------------------------------------

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	struct sim_machine *machine = port;

	if (!sim_in_ram(machine, pa))
		sim_stopf(machine, 0, pa, "vmt_port_frame_ptr: %#llx is not RAM", (unsigned long long)pa);
	return sim_ram(machine, pa);
}

struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	struct sim_machine *machine = port;

	sim_pause();
	return sim_in_ram(machine, pa) ? meta_of(machine, pa) : NULL;
}

uint64_t sim_leaked_frames(struct sim_machine *machine)
{
	uint64_t leaked = 0;

	for (uint64_t i = 0; i < machine->frame_count; i++) {
		uint64_t generation = atomic_load_explicit(&machine->frames[i].generation, memory_order_acquire);

		if (generation & 1 && leaked++ < 20)
			sim_logf(machine, "leaked: the frame %#llx, its allocation number %llu, by CPU %u",
				 (unsigned long long)(SIM_RAM_BASE + (i << SIM_FRAME_SHIFT)),
				 (unsigned long long)(generation + 1) / 2, machine->frames[i].cpu);
	}
	return leaked;
}
