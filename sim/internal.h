// SPDX-License-Identifier: MIT
// The machine's own structures. Locks, each a leaf but for the order given:
//
//	cpu->lock	 the CPU's translation caches, its active space and whether it is running. Held by the CPU's
//			 thread over one access, and by those who serve an idle CPU's requests. Never held while the
//			 library is called. Two are never held at once.
//	machine->frames_lock	the stack of free frames. Taken alone.
//	machine->memory_lock	the list of blocks. Taken alone.
//	machine->fail_lock	the requests for failure. Taken alone.
//	machine->log_lock	the log. Taken alone.
//	cpu->grace.lock		the lists of deferred items of one CPU. Taken alone.
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "decode.h"
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
	uint64_t clock;		// of a run: machine->frame_clock before it was loaded
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

// ---- CPUs --------------------------------------------------------------------------------------------------------

struct sim_request {
	const struct vmt_flush *flush;
	_Atomic unsigned pending;	// CPUs that have not served it yet
};

struct sim_asid {
	struct vmt_space *space;
	uint64_t generation;	// of vmt_activate
	uint64_t root, root_generation;
	struct sim_tlb tlb;
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

#define SIM_RECENT 64

struct sim_cpu {
	struct sim_machine *machine;
	unsigned number;
	// Of the CPU's thread alone.
	int preempt, read;
	bool lock_held;
	bool joining;
	uint64_t yield_random, test_random;
	pthread_t thread;
	void (*body)(struct sim_cpu *cpu, void *arg);
	void *body_arg;

	_Alignas(64) pthread_mutex_t lock;
	bool running;
	struct sim_asid *asids;
	struct sim_asid *active;	// or NULL
	struct vmt_space *entering;	// sim_activate has announced it and not loaded its root yet
	uint64_t random;
	uint64_t recent[SIM_RECENT];	// addresses used lately, for prefetches
	unsigned recent_next;
	uint64_t accesses, hits, walks, prefetches, faults;

	// Requests from other CPUs. Posted with release in the mask, taken with acquire.
	_Alignas(64) _Atomic uint64_t mail_mask;
	_Atomic(struct sim_request *) mail[SIM_MAX_CPUS];

	// The epoch in which the outermost read-side section began, 0 outside; see grace.c.
	_Alignas(64) _Atomic uint64_t epoch;
	struct sim_grace grace;
	struct sim_history *history;
};

struct sim_frame_state {
	_Atomic uint64_t generation;	// odd: allocated; grows by one at each allocation and each free
	_Atomic uint32_t cached;	// how many cached items and roots of all CPUs lead to it
	uint32_t cpu;			// who allocated it
	_Atomic uint64_t changed;	// machine->frame_clock when it was allocated or freed last
};

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
	_Atomic unsigned running;	// CPUs with a thread
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

// ---- cpu.c -------------------------------------------------------------------------------------------------------

// The calling thread's CPU of this machine; the test stops if it is none.
struct sim_cpu *sim_current(struct sim_machine *machine, const char *function);
// Unbinds the calling thread, if it is bound, from a machine that a test left in the middle of something.
void sim_forget_binding(void);
void sim_lock(struct sim_cpu *cpu);
void sim_unlock(struct sim_cpu *cpu);
// The test stops unless the CPU may sleep: preemption on, no read-side section.
void sim_check_sleepable(struct sim_cpu *cpu, const char *function);

// ---- flush.c -----------------------------------------------------------------------------------------------------

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

// ---- walk.c ------------------------------------------------------------------------------------------------------

struct sim_want {
	uint64_t va;
	vmt_prot access;
	bool user;
	bool speculative;
};

// The bits of an address that lie within a page of the machine's format.
static inline uint64_t sim_page_mask(const struct sim_machine *machine)
{
	return (UINT64_C(1) << sim_shift(machine->decoder, 0)) - 1;
}

bool sim_allowed(unsigned may, vmt_prot access, bool user);
// Walks the tables of the active space for cpu, from the root or from a cached intermediate entry. Returns the
// translation, kept in the TLB, or NULL: a page fault. The CPU's lock is held.
struct sim_item *sim_walk(struct sim_cpu *cpu, const struct sim_want *want, const struct sim_item *from);
// The test stops if the frame that the item leads to is not the one that it was loaded for.
void sim_check_item(struct sim_cpu *cpu, const struct sim_item *item, uint64_t va);
// Translates another address now and then. The CPU's lock is held, a space is active.
void sim_wander(struct sim_cpu *cpu);

// ---- frames.c ----------------------------------------------------------------------------------------------------

#define SIM_POISON UINT64_C(0xdeadf4a3e5dead01)	// a word of a freed frame
#define SIM_UNSET  UINT64_C(0xa110ca7ed0bad002)	// a word of a frame allocated without `zero`

void sim_frames_init(struct sim_machine *machine, const struct sim_config *config);
void sim_frames_destroy(struct sim_machine *machine);
bool sim_in_ram(const struct sim_machine *machine, uint64_t pa);
uint8_t *sim_ram(struct sim_machine *machine, uint64_t pa);
// The frame's generation word; 0 if the address is not RAM.
uint64_t sim_generation(struct sim_machine *machine, uint64_t pa);
void sim_count_cached(struct sim_machine *machine, uint64_t pa, int change);
// The same for all frames of RAM in [pa, end) at which a page may begin.
void sim_count_cached_run(struct sim_machine *machine, uint64_t pa, uint64_t end, int change);
// Whether the frame has been freed, or freed and allocated again, since the clock showed `clock`.
bool sim_frame_changed(struct sim_machine *machine, uint64_t pa, uint64_t clock);
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
void sim_record(struct sim_cpu *recorder, const struct sim_note *note);
// Appends the history of an address and a frame (0: none; both 0: the latest events of all) as text.
void sim_history_text(struct sim_machine *machine, uint64_t va, uint64_t pa, char *text, size_t size);
_Noreturn void sim_stopf(struct sim_machine *machine, uint64_t va, uint64_t pa, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
// Whoever was inside sim_stops has been left by other means.
void sim_forget_catcher(void);
void sim_logf(struct sim_machine *machine, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
