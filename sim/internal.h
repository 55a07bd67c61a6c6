// SPDX-License-Identifier: MIT
// The machine's own structures. Locks, each a leaf but for the order given:
//
//	mmu->lock	 a CPU's translation caches, its active space and whether it is running; a device's caches, its
//			 queues and its memory. Held over one access, and by those who serve what was asked of the CPU
//			 or device. Never held while the library is called. Two are never held at once.
//	machine->frames_lock	the stack of free frames. Taken alone.
//	machine->memory_lock	the list of blocks. Taken alone.
//	machine->fail_lock	the requests for failure. Taken alone.
//	machine->log_lock	the log. Taken alone.
//	machine->devices_lock	the list of devices, while one is made. Taken alone.
//	cpu->grace.lock		the lists of deferred items of one CPU. Taken alone.
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "decode.h"
#include "device.h"
#include "sim.h"
#include "sim_ops.h"

// ---- History (history.c) -----------------------------------------------------------------------------------------

enum sim_event_kind {
	SIM_EVENT_LEAF,		// a translation was cached
	SIM_EVENT_TABLE,	// an intermediate entry was cached
	SIM_EVENT_INVALID,	// an invalid entry was cached
	SIM_EVENT_DIRTY,	// a dirty bit was set
	SIM_EVENT_WRITE,	// a write through a translation
	SIM_EVENT_FAULT,	// a page fault, before vmt_fault
	SIM_EVENT_FAULT_DONE,	// ... and its status
	SIM_EVENT_FLUSH,	// a range was flushed
	SIM_EVENT_FLUSH_ALL,
	SIM_EVENT_FLUSH_ASIDE,	// a flush was passed over: the space is not active, its generation tells later
	SIM_EVENT_ASK,		// vmt_port_flush was called, for a range
	SIM_EVENT_ASK_ALL,
	SIM_EVENT_ACTIVATE,
	SIM_EVENT_DEACTIVATE,
	SIM_EVENT_ASID_CLEAR,	// an identifier was flushed before its use
	SIM_EVENT_ALLOC,	// of a frame
	SIM_EVENT_FREE,
	SIM_EVENT_PUBLISH,	// vmt_port_publish
	SIM_EVENT_ISSUE,	// an invalidation was posted to the device
	SIM_EVENT_INVALIDATED,	// ... and executed
	SIM_EVENT_UNANSWERED,	// ... and somebody gave up waiting for it
	SIM_EVENT_REQUEST,	// a page request of the device
	SIM_EVENT_SERVED,	// ... and its status
	SIM_EVENT_COPY,		// a copy between RAM and the device's memory begins
	SIM_EVENT_COPY_DONE,
};

// One event. Written by one thread at a time, read while others write: every word is atomic (relaxed; a report made
// while others run may show a torn event, and only a report reads them).
struct sim_event {
	_Atomic uint64_t sequence;
	_Atomic uint64_t kind_level;	// kind | level << 8 | asid << 16 | may << 24 | tables << 32
	_Atomic uint64_t va, end;	// end: of a range; else 0
	_Atomic uint64_t pa;		// the frame meant
	_Atomic uint64_t where;		// the entry's own address
	_Atomic uint64_t value;		// the entry, or a status or generation
};

#define SIM_EVENTS 4096

struct sim_history {
	struct sim_event events[SIM_EVENTS];
	_Atomic uint64_t count;
};

// ---- Translation caches (tlb.c) ----------------------------------------------------------------------------------

struct sim_item {
	struct sim_item *next;
	uint64_t page;		// the address >> its shift (sim_item_shift)
	uint64_t va;		// the page for which it was first loaded: what a report is about
	uint64_t entry;		// as loaded
	uint64_t where;		// its physical address
	uint64_t pa;		// the page, the first byte of the run, or the table that it points to
	uint64_t generation;	// of the page's frame when it was loaded; 0: not a frame of RAM
	uint64_t hole, hole_end; // of a run: addresses that were flushed, not cached any more
	uint64_t clock;		// machine->frame_clock when the entry was loaded
	uint8_t level;		// 0: a translation; else an intermediate entry of that level
	uint8_t leaf_level;	// of a translation: the level of its entry
	uint8_t run_shift;	// of a translation of a run of entries: log2 of the bytes that it covers; else 0
	uint8_t may;
	bool dirty;
	bool invalid;		// a cached absence (where the format allows it)
};

struct sim_tlb {
	const struct sim_decoder *decoder;
	struct sim_item **buckets;
	size_t bucket_count;	// a power of two
	size_t items;
	struct sim_item *spare;
	uint64_t run_shifts;	// a bit for each run_shift that an item may have
};

#define SIM_TLB_MATCHES 32

// ---- MMUs (mmu.c) ------------------------------------------------------------------------------------------------

// One set of tables and what is cached of it.
struct sim_context {
	struct sim_tlb tlb;
	uint64_t root, root_generation;
	unsigned asid;		// of a CPU: which of its identifiers; for the history
};

#define SIM_RECENT 64

// What translates addresses for a CPU or for a device.
struct sim_mmu {
	_Alignas(64) pthread_mutex_t lock;
	struct sim_machine *machine;
	char name[16];			// "CPU 2"
	const struct sim_decoder *decoder;
	const struct sim_hostility *hostility;
	struct sim_history *history;
	bool fault_ad;			// marks pages as accessed and written by faults
	bool fault_keeps;		// a fault does not drop what caused it
	bool keeps_absence;
	bool break_first;		// stops where two translations of one address meet
	const struct sim_local *local;	// the memory that it reaches beside RAM, or NULL
	struct sim_context *context;	// what it uses now, or NULL
	uint64_t random;
	uint64_t recent[SIM_RECENT];	// addresses used lately, for prefetches
	unsigned recent_next;
	uint64_t accesses, hits, walks, prefetches, faults;
};

// ---- CPUs --------------------------------------------------------------------------------------------------------

struct sim_request {
	const struct vmt_flush *flush;
	_Atomic unsigned pending;	// CPUs that have not served it yet
};

struct sim_asid {
	struct vmt_space *space;
	uint64_t generation;	// of vmt_activate
	struct sim_context context;
};

struct sim_deferred_list {
	struct vmt_deferred *first, **last;
	uint64_t epoch;		// when its items were deferred
};

struct sim_grace {
	pthread_mutex_t lock;
	struct sim_deferred_list waiting[3];	// by epoch modulo 3
	struct sim_deferred_list ready;
	_Atomic uint64_t queued;
};

struct sim_cpu {
	struct sim_machine *machine;
	unsigned number;
	// Of the CPU's thread alone.
	int preempt, read;
	uint64_t yield_random, test_random;
	pthread_t thread;
	void (*body)(struct sim_cpu *cpu, void *arg);
	void *body_arg;

	struct sim_mmu mmu;
	// Guarded by the MMU's lock.
	bool running;
	struct sim_asid *asids;
	struct sim_asid *active;	// whose context the MMU uses, or NULL
	struct vmt_space *entering;	// sim_activate has announced it and not loaded its root yet

	// Requests from other CPUs. Posted with release in the mask, taken with acquire.
	_Alignas(64) _Atomic uint64_t mail_mask;
	_Atomic(struct sim_request *) mail[SIM_MAX_CPUS];

	// The epoch in which the outermost read-side section began, 0 outside; see grace.c.
	_Alignas(64) _Atomic uint64_t epoch;
	struct sim_grace grace;
};

// ---- RAM and the memory of devices -------------------------------------------------------------------------------

struct sim_frame_state {
	_Atomic uint64_t generation;	// odd: allocated; grows by one at each allocation and each free
	_Atomic uint32_t cached;	// how many cached items, roots and copies under way of all lead to it
	uint32_t cpu;			// who allocated it
	_Atomic uint64_t changed;	// machine->frame_clock when it was allocated or freed last
};

// A device's own memory. Its frames are always allocated; one that is filled by a copy gets the next odd generation.
struct sim_local {
	uint64_t base, bytes;
	uint8_t *memory;
	struct sim_frame_state *frames;	// of 4 KiB
};

// ---- Devices -----------------------------------------------------------------------------------------------------

struct sim_invalidation {
	struct sim_invalidation *next;
	uint64_t number;	// the n-th that was posted
	uint64_t start, end;
	bool tables;
};

enum sim_page_state {
	SIM_PAGE_NONE,
	SIM_PAGE_WAITING,
	SIM_PAGE_SERVED,	// a CPU is at it
	SIM_PAGE_ANSWERED,
	SIM_PAGE_AGAIN,		// was answered, and is delivered once more
};

struct sim_page_request {
	enum sim_page_state state;
	uint64_t ticket, addr;
	vmt_prot access;
	enum vmt_status status;
};

#define SIM_PAGE_REQUESTS 64

// A copy under way (dma.c).
struct sim_copy {
	struct sim_copy *next;
	struct vmt_copy *copy;
	void (*done)(struct vmt_copy *copy, bool good);
	uint64_t pa, at, bytes;	// as asked for; `at` is the device address
	bool to_device;
	bool fails;
	uint64_t copied;
	uint64_t clock;		// machine->frame_clock when it began
};

struct sim_device {
	struct sim_mmu mmu;	// its lock guards all that follows, but for what is said to be the thread's
	unsigned number;
	struct sim_context context;
	struct sim_local local;
	void *tree_owner;
	unsigned limit;
	bool silent;
	struct sim_invalidation *pending;
	uint64_t posted, executed;

	struct sim_page_request requests[SIM_PAGE_REQUESTS];
	uint64_t tickets, served, late;
	enum vmt_status (*handler)(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access);
	void *handler_arg;

	struct sim_copy *copies;
	uint64_t copy_count, copies_ended, copies_failed;
	uint64_t fail_counted, fail_first, fail_count;
	uint32_t fail_per_million;

	// Of the device's thread alone.
	uint64_t yield_random, test_random;
	void (*body)(struct sim_device *device, void *arg);
	void *body_arg;
	pthread_t thread;
	_Atomic bool running;	// the thread has not returned yet
};

// ---- The machine -------------------------------------------------------------------------------------------------

struct sim_fail {
	unsigned kinds;
	uint64_t counted, first, count;
	unsigned random_kinds;
	uint32_t per_million;
	uint64_t random;
	uint64_t injected;
};

#define SIM_LOG_LINES 256
#define SIM_LOG_WIDTH 240

struct sim_log {
	char lines[SIM_LOG_LINES][SIM_LOG_WIDTH];
	unsigned count;
	bool print;
};

struct sim_machine {
	const struct sim_ops *ops;
	const struct sim_decoder *decoder;
	struct sim_hostility hostility;
	bool fault_ad, trees;
	unsigned cpu_count, asid_count;
	struct sim_cpu *cpus;
	uint64_t seed;
	pthread_mutex_t devices_lock;
	_Atomic(struct sim_device *) devices[SIM_MAX_DEVICES];
	_Atomic unsigned device_count;

	uint8_t *ram;
	struct vmt_frame *meta;
	struct sim_frame_state *frames;
	uint64_t frame_count;
	pthread_mutex_t frames_lock;
	uint32_t *free;
	uint32_t *place;	// of a frame in `free`
	uint64_t free_count, limit, peak, frame_allocs, frame_failures, frame_random;
	_Atomic uint64_t frame_clock; // moves at every allocation and every free

	pthread_mutex_t memory_lock;
	struct sim_block *blocks;
	uint64_t mems, mem_bytes, mem_allocs, mem_failures;

	pthread_mutex_t fail_lock;
	struct sim_fail fail;
	pthread_mutex_t log_lock;
	struct sim_log log;

	_Atomic uint64_t epoch;		// grace.c
	_Atomic uint64_t deferred;
	_Atomic uint64_t sequence;	// of events
	_Atomic uint64_t flushes;
	_Atomic unsigned running;	// CPUs and devices with a thread
};

// ---- sched.c: scheduler points, the only places where a CPU gives way --------------------------------------------

enum sim_point_kind {
	SIM_POINT_ACCESS, SIM_POINT_POLL, SIM_POINT_RELAX, SIM_POINT_WAIT, SIM_POINT_ALLOC, SIM_POINT_FREE,
	SIM_POINT_PREEMPT_ON, SIM_POINT_READ_EXIT,
};
void sim_point(struct sim_cpu *cpu, enum sim_point_kind kind);
// A point in the middle of what the library does, where a CPU may be slow and an interrupt may come: a flush request is
// served, and nothing else done.
void sim_pause(void);
// A thread outside of the machine waits.
void sim_point_outside(void);
uint64_t sim_next_random(uint64_t *state);
bool sim_chance(uint64_t *state, unsigned percent);
// Gives the host's CPU away with this probability, drawn from `state`.
void sim_give_way(struct sim_machine *machine, uint64_t *state, unsigned percent);

// How long somebody has waited: zero-initialise. True after a minute; looks at the clock now and then only.
struct sim_patience {
	unsigned rounds;
	struct timespec start;
};
bool sim_impatient(struct sim_patience *patience);

// ---- cpu.c -------------------------------------------------------------------------------------------------------

// The calling thread's CPU of this machine; the test stops if it is none.
struct sim_cpu *sim_current(struct sim_machine *machine, const char *function);
// Unbinds the calling thread, if it is bound, from a machine that a test left in the middle of something.
void sim_forget_binding(void);
// The test stops unless the CPU may sleep: preemption on, no read-side section.
void sim_check_sleepable(struct sim_cpu *cpu, const char *function);

// ---- machine.c ---------------------------------------------------------------------------------------------------

extern const struct sim_decoder *const sim_decoders[SIM_FORMATS];

// ---- device.c ----------------------------------------------------------------------------------------------------

// The device whose program the calling thread runs, or NULL.
struct sim_device *sim_self_device(void);
void sim_devices_destroy(struct sim_machine *machine);
static inline unsigned sim_device_total(struct sim_machine *machine)
{
	// Acquire pairs with the release in sim_device_create.
	return atomic_load_explicit(&machine->device_count, memory_order_acquire);
}
static inline struct sim_device *sim_device_at(struct sim_machine *machine, unsigned number)
{
	// Relaxed: there since before it was counted.
	return atomic_load_explicit(&machine->devices[number], memory_order_relaxed);
}
// A CPU is at a scheduler point, and waits for something or not: moves one of the devices on, perhaps.
void sim_devices_point(struct sim_cpu *cpu, bool waits);
// Moves the device on. `waits`: somebody waits for it.
void sim_device_step(struct sim_device *device, bool waits);
// What is posted is left for later by this chance (%).
unsigned sim_device_lateness(const struct sim_device *device, bool waits);
// Whoever waits for a device gives way: a CPU, a device's program, or a thread outside.
void sim_device_wait_point(struct sim_device *device);
// Flushes the devices that walk a tree of this owner.
void sim_devices_flush(struct sim_machine *machine, const struct vmt_flush *flush);

// ---- device_queue.c: the device's lock is held -------------------------------------------------------------------

// Executes some of the invalidations that are posted.
void sim_queue_step(struct sim_device *device, bool waits);
// Executes all of them, silent or not, and answers all page requests with VMT_ERR_DEVICE.
void sim_queue_reset(struct sim_device *device);

// ---- dma.c -------------------------------------------------------------------------------------------------------

// Copies a piece of something, or does not. Returns a copy that has ended, for sim_dma_end. The device's lock is held.
struct sim_copy *sim_dma_step(struct sim_device *device, bool waits);
// Tells of the end of a copy. Nothing is held.
void sim_dma_end(struct sim_device *device, struct sim_copy *copy);
// Takes a copy off, unfinished. The device's lock is held.
struct sim_copy *sim_dma_abort(struct sim_device *device);
// Whether a copy under way reads or writes this frame of RAM. The device's lock is held.
bool sim_dma_uses(const struct sim_device *device, uint64_t pa);

// ---- flush.c -----------------------------------------------------------------------------------------------------

// The ranges of a flush, of a whole space what the request says that it is about. Returns how many; 0: everything.
unsigned sim_flush_ranges(const struct vmt_flush *flush, struct vmt_flush_range *hull,
			  const struct vmt_flush_range **ranges);
// Serves the CPU's requests; its lock is held.
void sim_serve_locked(struct sim_cpu *cpu);

// ---- grace.c -----------------------------------------------------------------------------------------------------

void sim_grace_init(struct sim_cpu *cpu);
// Advances the epoch if possible and runs up to `limit` items of the CPU. Not inside a read-side section.
void sim_grace_run(struct sim_cpu *cpu, unsigned limit);

// ---- tlb.c -------------------------------------------------------------------------------------------------------

void sim_tlb_init(struct sim_tlb *tlb, const struct sim_decoder *decoder);
void sim_tlb_destroy(struct sim_machine *machine, struct sim_tlb *tlb);
// An item covers 2^sim_item_shift bytes.
unsigned sim_item_shift(const struct sim_tlb *tlb, const struct sim_item *item);
// The page to which a translation leads from an address that it covers.
uint64_t sim_item_pa(const struct sim_tlb *tlb, const struct sim_item *item, uint64_t va);
// Whether the translation of a run leads to this page.
bool sim_item_leads(const struct sim_item *item, uint64_t pa);
// Up to SIM_TLB_MATCHES items of one level that cover the address; translations of runs are of level 0.
unsigned sim_tlb_find(struct sim_tlb *tlb, unsigned level, uint64_t va, struct sim_item **found);
// Keeps a copy of the item unless an equal one is there. Returns the kept one.
struct sim_item *sim_tlb_add(struct sim_machine *machine, struct sim_tlb *tlb, const struct sim_item *item,
			     bool *is_new);
void sim_tlb_flush(struct sim_machine *machine, struct sim_tlb *tlb, uint64_t start, uint64_t end, bool tables);
void sim_tlb_flush_all(struct sim_machine *machine, struct sim_tlb *tlb, bool tables);
// Calls fn for each item until it returns true.
bool sim_tlb_each(struct sim_tlb *tlb, bool (*fn)(struct sim_item *item, void *arg), void *arg);

// ---- mmu.c: the MMU's lock is held -------------------------------------------------------------------------------

// The lock of an MMU. A thread holds one at most; a test that stops lets go of it.
void sim_lock(struct sim_mmu *mmu);
void sim_unlock(struct sim_mmu *mmu);
void sim_unlock_held(void);

void sim_mmu_init(struct sim_mmu *mmu, struct sim_machine *machine, const struct sim_decoder *decoder, uint64_t seed);
void sim_mmu_destroy(struct sim_mmu *mmu);

struct sim_want {
	uint64_t va;
	vmt_prot access;
	bool user;
	bool speculative;
};

struct sim_access {
	struct sim_want want;
	unsigned size;
	uint64_t value;	// to write, or that was read
	bool add;	// value is added, and becomes what had been there
	bool in_two;	// ... by a read and a later write
	unsigned tries;	// before this one
};

// One try of an access within one page, at a canonical address. False: a fault.
bool sim_mmu_access(struct sim_mmu *mmu, struct sim_access *access);
// Says the access in terms of the format: one without a permission to execute fetches as it reads, one without
// privileges asks for none.
void sim_say_it_in(const struct sim_decoder *decoder, struct sim_want *want);
// Translates an address speculatively.
void sim_mmu_prefetch(struct sim_mmu *mmu, uint64_t va);
// The same for another address, now and then.
void sim_wander(struct sim_mmu *mmu);
// How many translations, or intermediate entries, are cached for the page of the address.
unsigned sim_mmu_cached(struct sim_mmu *mmu, uint64_t va, bool tables);

// ---- walk.c ------------------------------------------------------------------------------------------------------

// The bits of an address that lie within a page of the format.
static inline uint64_t sim_page_mask(const struct sim_decoder *decoder)
{
	return (UINT64_C(1) << sim_shift(decoder, 0)) - 1;
}

bool sim_allowed(unsigned may, vmt_prot access, bool user);
// Walks the tables in use, from the root or from a cached intermediate entry. Returns the translation, kept in the TLB,
// or NULL: a page fault. The MMU's lock is held.
struct sim_item *sim_walk(struct sim_mmu *mmu, const struct sim_want *want, const struct sim_item *from);
// The test stops if the frame that the item leads to is not the one that it was loaded for.
void sim_check_item(struct sim_mmu *mmu, const struct sim_item *item, uint64_t va);

// ---- frames.c ----------------------------------------------------------------------------------------------------

#define SIM_POISON UINT64_C(0xdeadf4a3e5dead01)	// a word of a freed frame
#define SIM_UNSET  UINT64_C(0xa110ca7ed0bad002)	// a word of a frame allocated without `zero`

void sim_frames_init(struct sim_machine *machine, const struct sim_config *config);
void sim_frames_destroy(struct sim_machine *machine);
bool sim_in_ram(const struct sim_machine *machine, uint64_t pa);
uint8_t *sim_ram(struct sim_machine *machine, uint64_t pa);
// The generation word of the frame, in RAM or in a device's memory; 0 if the address is neither.
uint64_t sim_generation(struct sim_machine *machine, uint64_t pa);
// How many cached items and the like lead to the frame, in either; with identifiers not in use.
uint32_t sim_cached_count(struct sim_machine *machine, uint64_t pa);
void sim_count_cached(struct sim_machine *machine, uint64_t pa, int change);
// The same for all frames in [pa, end) at which a page may begin.
void sim_count_cached_run(struct sim_machine *machine, uint64_t pa, uint64_t end, int change);
// Whether the frame has been freed, or freed and allocated again, since the clock showed `clock`.
bool sim_frame_changed(struct sim_machine *machine, uint64_t pa, uint64_t clock);
// A frame of a device's memory gets another content: its generation moves on.
void sim_frame_renew(struct sim_machine *machine, uint64_t pa);
// Stops the test if a CPU or device can reach the frame by what it has cached of what it uses now.
void sim_check_unreachable(struct sim_machine *machine, uint64_t pa, const char *what);
// Whether the item leads to the frame.
bool sim_item_reaches(const struct sim_tlb *tlb, const struct sim_item *item, uint64_t pa);
uint64_t sim_leaked_frames(struct sim_machine *machine);

// ---- memory.c ----------------------------------------------------------------------------------------------------

void sim_memory_destroy(struct sim_machine *machine);
uint64_t sim_leaked_blocks(struct sim_machine *machine);
// Whether this allocation is one that has to fail.
bool sim_fail_this(struct sim_machine *machine, unsigned kind);
void *sim_host_alloc(size_t bytes);

// ---- history.c, stop.c -------------------------------------------------------------------------------------------

struct sim_note {
	enum sim_event_kind kind;
	unsigned level, asid, may;
	bool tables;
	uint64_t va, end, pa, where, value;
};
void sim_record(struct sim_mmu *recorder, const struct sim_note *note);
// Appends the history of an address and a frame (0: none; both 0: the latest events of all) as text.
void sim_history_text(struct sim_machine *machine, uint64_t va, uint64_t pa, char *text, size_t size);
_Noreturn void sim_stopf(struct sim_machine *machine, uint64_t va, uint64_t pa, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// Whoever was inside sim_stops has been left by other means.
void sim_forget_catcher(void);
void sim_logf(struct sim_machine *machine, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
