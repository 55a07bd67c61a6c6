// SPDX-License-Identifier: MIT
// Frames of device memory: vmtree/device.h. How pages come there and back is in mirror/migrate.h.
//
// A device marker's payload says which memory (the upper 8 of 40 bits) and which frame there. Each frame is counted:
// one reference for each page of an entry that names it (device or migration marker), one for each copy that is under
// way, one for the page in system memory that it is a read-only copy of. Only a frame with one reference is written:
// that is what makes a copy good whose frame is still named when it is done, for whoever copies holds a reference as
// well.
//
// Frames come in blocks of as many as a huge page has. A block counts the frames that are taken and has a bit for each.
// Whoever wants one adds to the count first and then finds a bit, which there must be; whoever frees one clears its bit
// first. So a count of zero means that all bits are clear, and adding all to it takes the block as a whole.
#ifndef VMT_SPACE_DEVICE_H
#define VMT_SPACE_DEVICE_H

#define DEVICE_PAYLOAD_SHIFT 32
#define DEVICE_WORDS	     (FMT_SLOTS / 64)

struct device_frame {
	struct vmt_device_memory *memory;
	struct device_frame *next;	// in a batch, whose the last reference is; in the quarantine
	_Atomic uint32_t refs;
	bool quarantined;		// under the quarantine's lock
};

struct device_block {
	_Atomic uint32_t used;
	_Atomic uint64_t map[DEVICE_WORDS];
};

struct vmt_device_memory {
	struct vmt *vmt;
	struct vmt_device_memory_config config;
	uint64_t pages, blocks;
	unsigned id;
	struct device_frame *frame;
	struct device_block *block;
	_Atomic uint64_t cursor;	// a block where there was room; a hint
	_Atomic uint64_t moved_in, moved_out, copies, failed; // relaxed: statistics
};

static uint64_t device_index(const struct device_frame *frame)
{
	return (uint64_t)(frame - frame->memory->frame);
}

static uint64_t device_payload(const struct device_frame *frame)
{
	return (uint64_t)frame->memory->id << DEVICE_PAYLOAD_SHIFT | device_index(frame);
}

static uint64_t device_address(const struct device_frame *frame)
{
	return frame->memory->config.base + (device_index(frame) << VMT_PAGE_SHIFT);
}

// The frame that the marker `e` names, or NULL: it is not the library's.
static struct device_frame *device_frame_of(struct vmt *vmt, uint64_t e)
{
	uint64_t payload = fmt_payload(e), id = payload >> DEVICE_PAYLOAD_SHIFT;
	struct vmt_device_memory *memory;

	if (fmt_is_present(e) || (fmt_kind(e) != MARKER_DEVICE && fmt_kind(e) != MARKER_MIGRATION) ||
	    id >= VMT_DEVICE_MEMORIES)
		return NULL;
	// Acquire pairs with the release in vmt_device_memory_create.
	memory = atomic_load_explicit(&vmt->memory[id], memory_order_acquire);
	return memory ? &memory->frame[payload & UINT32_MAX] : NULL;
}

static bool marker_counts(struct vmt *vmt, uint64_t e)
{
	return device_frame_of(vmt, e);
}

// Is there any?
static bool device_any(struct vmt *vmt)
{
	bool any = false;

	// Relaxed: it was made before whoever asks uses it.
	for (unsigned i = 0; i < VMT_DEVICE_MEMORIES; i++)
		any |= atomic_load_explicit(&vmt->memory[i], memory_order_relaxed) != NULL;
	return any;
}

static uint64_t device_marker(enum marker_kind kind, const struct device_frame *frame)
{
	return fmt_make_marker(kind, device_payload(frame));
}

// ---- References --------------------------------------------------------------------------------------------------

// Relaxed: the caller holds the lock of an entry that names the frame, or the frame is his.
static void device_ref(struct device_frame *frame)
{
	atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
}

// Acquire pairs with the release in device_unref: the others' uses are over.
static bool device_is_exclusive(struct device_frame *frame)
{
	return atomic_load_explicit(&frame->refs, memory_order_acquire) == 1 || !HOLDS(DEVICE_EXCLUSIVE);
}

static void device_free(struct device_frame *frame)
{
	struct vmt_device_memory *memory = frame->memory;
	uint64_t index = device_index(frame);
	struct device_block *block = &memory->block[index / FMT_SLOTS];

	// Release, both: see above; pairs with the acquire in device_take_bit and device_alloc_huge.
	atomic_fetch_and_explicit(&block->map[index % FMT_SLOTS / 64], ~(UINT64_C(1) << index % 64),
				  memory_order_release);
	atomic_fetch_sub_explicit(&block->used, 1, memory_order_release);
}

static void device_unref(struct device_frame *frame)
{
	// Release and acquire as in frame_unref.
	if (atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) == 1)
		device_free(frame);
}

static void frame_drop_copy(struct vmt_data *data)
{
	struct device_frame *copy = atomic_exchange_explicit(&data->copy, NULL, memory_order_acquire);

	if (copy)
		device_unref(copy);
}

static struct device_frame *device_next(struct device_frame *frame)
{
	return frame->next;
}

static bool device_quarantine(struct quarantine *quarantine, struct device_frame *frame)
{
	if (frame->quarantined)
		return false;
	frame->quarantined = true;
	frame->next = quarantine->device;
	quarantine->device = frame;
	return true;
}

static struct device_frame *device_quarantine_pop(struct quarantine *quarantine)
{
	struct device_frame *frame = quarantine->device;

	if (frame) {
		quarantine->device = frame->next;
		frame->quarantined = false;
	}
	return frame;
}

// Takes over the references of `pages` pages from `frame` on, until the flush.
static void batch_add_device(struct batch *batch, struct device_frame *frame, uint64_t pages)
{
	batch->taken = true;
	for (; pages; pages--, frame++) {
		if (device_is_exclusive(frame)) {
			frame->next = batch->device;
			batch->device = frame;
			continue;
		}
		if (batch->device_shared_count == BATCH_SHARED)
			(HOLDS(FLUSH_OVERFLOW) ? batch_flush : batch_free_frames)(batch);
		batch->device_shared[batch->device_shared_count++] = frame;
	}
}

// ---- Allocation --------------------------------------------------------------------------------------------------

// A bit of a block in whose count we are.
static uint64_t device_take_bit(struct device_block *block)
{
	for (unsigned word = 0;; word = (word + 1) % DEVICE_WORDS) {
		uint64_t map = atomic_load_explicit(&block->map[word], memory_order_relaxed);

		while (~map) {
			unsigned bit = 0;

			while (map >> bit & 1)
				bit++;
			// Acquire pairs with the release in device_free: the last user is done.
			if (atomic_compare_exchange_weak_explicit(&block->map[word], &map, map | UINT64_C(1) << bit,
								  memory_order_acquire, memory_order_relaxed))
				return word * 64 + bit;
		}
	}
}

// Adds `n` to the block's count, if it is `from` for all of it, or there is room for one.
static bool device_count_in(struct device_block *block, bool whole)
{
	uint32_t used = atomic_load_explicit(&block->used, memory_order_relaxed);

	// Acquire as in device_take_bit.
	while (whole ? used == 0 : used < FMT_SLOTS)
		if (atomic_compare_exchange_weak_explicit(&block->used, &used, whole ? FMT_SLOTS : used + 1,
							  memory_order_acquire, memory_order_relaxed))
			return true;
	return false;
}

// The references of frames that nobody else has.
static struct device_frame *device_begin(struct vmt_device_memory *memory, uint64_t index, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		atomic_store_explicit(&memory->frame[index + i].refs, 1, memory_order_relaxed);
	return &memory->frame[index];
}

// A frame, or with `whole` one for each page of a huge page, in a row and aligned. NULL: there is no room.
static struct device_frame *device_alloc(struct vmt_device_memory *memory, bool whole)
{
	uint64_t first = atomic_load_explicit(&memory->cursor, memory_order_relaxed);

	if (whole && memory->config.base & (fmt_span(1) - 1))
		return NULL;
	for (uint64_t i = 0; i < memory->blocks; i++) {
		uint64_t n = (first + i) % memory->blocks;
		struct device_block *block = &memory->block[n];

		if (!device_count_in(block, whole))
			continue;
		atomic_store_explicit(&memory->cursor, n, memory_order_relaxed);
		if (!whole)
			return device_begin(memory, n * FMT_SLOTS + device_take_bit(block), 1);
		for (unsigned word = 0; word < DEVICE_WORDS; word++)
			atomic_store_explicit(&block->map[word], UINT64_MAX, memory_order_relaxed);
		return device_begin(memory, n * FMT_SLOTS, FMT_SLOTS);
	}
	return NULL;
}

// ---- Life --------------------------------------------------------------------------------------------------------

static size_t device_frame_bytes(const struct vmt_device_memory *memory)
{
	return memory->pages * sizeof(*memory->frame);
}

static size_t device_block_bytes(const struct vmt_device_memory *memory)
{
	return memory->blocks * sizeof(*memory->block);
}

static void device_memory_free(struct vmt_device_memory *memory)
{
	void *port = memory->vmt->port;

	if (memory->frame)
		vmt_port_mem_free(port, memory->frame, device_frame_bytes(memory));
	if (memory->block)
		vmt_port_mem_free(port, memory->block, device_block_bytes(memory));
	vmt_port_mem_free(port, memory, sizeof(*memory));
}

// All frames are free, and those that the last block lacks taken for ever.
static void device_memory_init(struct vmt_device_memory *memory)
{
	uint64_t lacking = memory->blocks * FMT_SLOTS - memory->pages;
	struct device_block *last = &memory->block[memory->blocks - 1];

	memset(memory->frame, 0, device_frame_bytes(memory));
	memset(memory->block, 0, device_block_bytes(memory));
	for (uint64_t i = 0; i < memory->pages; i++)
		memory->frame[i].memory = memory;
	for (uint64_t i = FMT_SLOTS - lacking; i < FMT_SLOTS; i++)
		last->map[i / 64] |= UINT64_C(1) << i % 64;
	atomic_store_explicit(&last->used, (uint32_t)lacking, memory_order_relaxed);
}

static enum vmt_status device_memory_register(struct vmt *vmt, struct vmt_device_memory *memory)
{
	for (memory->id = 0; memory->id < VMT_DEVICE_MEMORIES; memory->id++) {
		struct vmt_device_memory *none = NULL;

		// Release pairs with the acquire in device_frame_of.
		if (atomic_compare_exchange_strong_explicit(&vmt->memory[memory->id], &none, memory,
							    memory_order_acq_rel, memory_order_relaxed))
			return VMT_OK;
	}
	return VMT_ERR_LIMIT;
}

enum vmt_status vmt_device_memory_create(struct vmt *vmt, const struct vmt_device_memory_config *config,
					 struct vmt_device_memory **result)
{
	struct vmt_device_memory *memory;
	enum vmt_status status;

	if ((config->base | config->bytes) & VMT_PAGE_MASK)
		return VMT_ERR_UNALIGNED;
	if (!config->bytes)
		return VMT_ERR_EMPTY;
	if (config->base + config->bytes < config->base)
		return VMT_ERR_WRAPPED;
	if (config->bytes >> VMT_PAGE_SHIFT > UINT32_MAX)
		return VMT_ERR_LIMIT;
	if (!config->ops || !config->ops->copy)
		return VMT_ERR_ARGUMENT;
	memory = vmt_port_mem_alloc(vmt->port, sizeof(*memory));
	if (!memory)
		return VMT_ERR_NO_MEMORY;
	memset(memory, 0, sizeof(*memory));
	memory->vmt = vmt;
	memory->config = *config;
	memory->pages = config->bytes >> VMT_PAGE_SHIFT;
	memory->blocks = (memory->pages + FMT_SLOTS - 1) / FMT_SLOTS;
	memory->frame = vmt_port_mem_alloc(vmt->port, device_frame_bytes(memory));
	memory->block = vmt_port_mem_alloc(vmt->port, device_block_bytes(memory));
	status = VMT_ERR_NO_MEMORY;
	if (memory->frame && memory->block) {
		device_memory_init(memory);
		status = device_memory_register(vmt, memory);
	}
	if (status == VMT_OK)
		*result = memory;
	else
		device_memory_free(memory);
	return status;
}

static uint64_t device_used(const struct vmt_device_memory *memory)
{
	uint64_t used = 0;

	// Acquire pairs with the release in device_free.
	for (uint64_t i = 0; i < memory->blocks; i++)
		used += atomic_load_explicit(&memory->block[i].used, memory_order_acquire);
	return used - (memory->blocks * FMT_SLOTS - memory->pages);
}

enum vmt_status vmt_device_memory_destroy(struct vmt_device_memory *memory)
{
	if (device_used(memory))
		return VMT_ERR_BUSY;
	atomic_store_explicit(&memory->vmt->memory[memory->id], NULL, memory_order_relaxed);
	device_memory_free(memory);
	return VMT_OK;
}

void vmt_device_memory_stats(struct vmt_device_memory *memory, struct vmt_device_memory_counts *counts)
{
	*counts = (struct vmt_device_memory_counts){
		.pages = memory->pages,
		.used = device_used(memory),
		.moved_in = atomic_load_explicit(&memory->moved_in, memory_order_relaxed),
		.moved_out = atomic_load_explicit(&memory->moved_out, memory_order_relaxed),
		.copies = atomic_load_explicit(&memory->copies, memory_order_relaxed),
		.failed = atomic_load_explicit(&memory->failed, memory_order_relaxed),
	};
}

#endif
