// SPDX-License-Identifier: MIT
// The explorer: runs the library's own source under a scheduler of its own, on one host thread, and looks for an
// interleaving that goes wrong.
//
//	runtime.c	each access of the library comes by here (../instrument)
//	memory.c	frames, their metadata and the heap: what is free, what is poisoned, what is left over
//	clocks.c	happens-before: data races, and accesses that are not over when their memory is freed
//	weak.c		which stores an atomic load may read, and what is learned from them
//	litmus.c	tests of that
//	orders.c	which orders are asked for where
//	mmu.c, mmu_device.c	the hostile MMUs of the CPUs, and those of devices
//	device.c, copy.c	devices, and what copies pages to their memory and back (device.h)
//	port.c		the port that the library is given
//	run.c		fibers, and one execution from beginning to end
//	visible.c	where another CPU may be scheduled
//	search.c	which executions: exhaustive, random, replay
//	trace.c		what is printed of one that failed
//	claims.c	what a scenario asserts of things that only the explorer sees
//
// A CPU is a fiber. An *event* is a step of a CPU that others can notice: an atomic access to memory that is not its
// own stack, or a call of the port that concerns others. Before an event another CPU may be scheduled, if the event is
// *visible*: at a place that, in some execution so far, one CPU has written and another (or an MMU) has accessed. Other
// events commute with all that others do, so a schedule that stops at them says nothing new.
//
// An execution is deterministic but for the choices of the scheduler. Memory is sequentially consistent, or as weak as
// C11 permits (weak.c).
#ifndef EXPLORER_EXPLORE_H
#define EXPLORER_EXPLORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vmtree/tree.h>
#include <vmtree/vmtree.h>

#include "../instrument/hooks.h"
#include "../sim/decode.h"

#define XP_CPUS 3
#define XP_BOOT XP_CPUS		// the fiber that sets a scenario up and looks at it in the end
#define XP_GRACE XP_CPUS	// in clocks: what runs after a grace period
#define XP_CLOCKS (XP_CPUS + 1)

// ---- Scenarios ---------------------------------------------------------------------------------------------------

struct scenario {
	const char *name;	// its number in docs/races.md, those of the second list with an r; and what it is
	const char *about;	// one line
	const char *without;	// the protection whose absence must be found; NULL: none, but orders (orders.txt)
	const char *words;	// ... and what the scenario itself says then: xp_demand, or a claim
	bool bytes;		// with a protection off stale translations are used, and the bytes have to speak
	unsigned cpus;
	bool reuse;		// a frame that was freed is the next to be handed out; else it is the last
	unsigned scarce;	// so many allocations of the CPUs may fail; which ones is explored
	bool polled;		// flush requests wait for vmt_port_relax and preemption; else they interrupt
	void (*begin)(void);	// on the boot CPU, which may speak for others (xp_as)
	void (*cpu[XP_CPUS])(void);
	void (*end)(void);	// after all CPUs: asserts, and gives everything back
};

extern const struct scenario *const xp_scenarios[];
extern const unsigned xp_scenario_count;

// What can be done to a frame that must not be.
enum xp_misuse {
	XP_USED = 1,	// used by the library after it is free, or so that it might be
	XP_REACHED = 2,	// an MMU knows the way to it when it is freed, or later
	XP_FREED = 4,	// freed once more
	XP_RACED = 8,	// a data race for something in it, or in its metadata
};

// The protection that is off (src/tree/protections.h); 0: none.
extern unsigned vmt_without;

// Protections of the embedder's side, with numbers behind the library's.
enum { XP_RELAX_SERVES = 1000 };

// This execution has failed. Callable anywhere.
_Noreturn void xp_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// ... at what the scenario itself asserts, and says in these words; what follows says more.
_Noreturn void xp_fail_own(const char *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
// ... by a misuse of this frame, which the scenario may have claimed.
_Noreturn void xp_fail_frame(enum xp_misuse misuse, unsigned frame, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The scenario's own assertion.
static inline void xp_demand(bool good, const char *words)
{
	if (!good)
		xp_fail_own(words, "%s", "");
}

// Stale translations are no failure now: `bytes` of the scenario, and a protection is off.
bool xp_bytes_speak(void);

// ---- Claims (claims.c) -------------------------------------------------------------------------------------------

void xp_claims_reset(void);
// Nobody misuses this frame (of XP_USED and the like, one or more).
#define XP_ANY_TABLE 0	// one that has been detached
void xp_claim(unsigned misuse, uint64_t pa, const char *words);
// The CPUs do not wait for each other in this way: each for the lock of a table, for an answer (XP_ANSWER), or for
// nothing (0).
#define XP_ANSWER 1
void xp_claim_circle(const uint64_t waits_for[XP_CPUS], const char *words);
// No MMU has two translations of this address at once, to two places or of two sizes.
void xp_claim_address(uint64_t va, const char *words);
const char *xp_claimed_address(uint64_t va);
// The library does not give up with this line.
void xp_claim_said(const char *line, const char *words);
// The words; NULL: nothing was claimed.
const char *xp_claimed(enum xp_misuse misuse, unsigned frame);
const char *xp_claimed_circle(const uint64_t waits_for[XP_CPUS]);
const char *xp_claimed_said(const char *line);

// ---- Memory (memory.c) -------------------------------------------------------------------------------------------

#define XP_RAM	  UINT64_C(0x80000000) // the physical address of the first frame
#define XP_FRAMES 1024
#define XP_BLOCK  512	// from this frame on there is memory for one huge page
#define XP_HEAP	  (512u << 10)
#define XP_LOCAL_PAGES 64	// of device memory, a word of each

// Memory that is not the library's, for trees on their own, as far as a program uses it: the first word of each page.
#define XP_OUTSIDE	 UINT64_C(0x100000000)
#define XP_OUTSIDE_PAGES 1024

// A *place* numbers what can be accessed: words of frames, bytes of metadata and heap, device memory, the memory
// outside, and what is no memory.
#define XP_PLACE_META	(XP_FRAMES * (unsigned)(VMT_PAGE_SIZE / 8))
#define XP_PLACE_HEAP	(XP_PLACE_META + XP_FRAMES * (unsigned)sizeof(struct vmt_frame))
#define XP_PLACE_LOCAL	(XP_PLACE_HEAP + XP_HEAP)
#define XP_PLACE_OUTSIDE (XP_PLACE_LOCAL + XP_LOCAL_PAGES * 8)
#define XP_PLACE_OTHER	(XP_PLACE_OUTSIDE + XP_OUTSIDE_PAGES * 8)
#define XP_PLACE_SECTION XP_PLACE_OTHER		// and CPU: its read-side section
#define XP_PLACE_MAIL	(XP_PLACE_SECTION + XP_CPUS) // and CPU: flush requests to it
#define XP_PLACE_FRAMES	(XP_PLACE_MAIL + XP_CPUS) // the free frames, where they are reused
#define XP_PLACES	(XP_PLACE_FRAMES + 1)
#define XP_NOWHERE	UINT32_MAX

void xp_memory_reset(void);
// The place of an address, XP_NOWHERE: not explored.
uint32_t xp_place(const volatile void *p);
// How many places an access of so many bytes has from there on.
unsigned xp_places(uint32_t place, size_t bytes);
// The frame that a place belongs to, as content or metadata; XP_FRAMES: none.
unsigned xp_place_frame(uint32_t place);
// The access must be to something that is allocated.
void xp_memory_check(uint32_t place, unsigned count);
bool xp_frame_is_free(uint64_t pa);
void *xp_frame_ptr(uint64_t pa);	// NULL: no RAM
_Atomic uint64_t *xp_local_word(unsigned page);
// Fails if something is left over.
void xp_memory_end(void);
// For a person: what is there.
void xp_memory_name(uint32_t place, char *text, size_t size);

// ---- Clocks (clocks.c) -------------------------------------------------------------------------------------------

#define XP_READ	 ACCESS_READ
#define XP_WRITE ACCESS_WRITE
#define XP_BOTH	 ACCESS_BOTH

struct clock {
	uint32_t at[XP_CLOCKS];
};

void xp_clocks_reset(void);
struct clock *xp_clock(unsigned who);
void xp_clock_join(struct clock *to, const struct clock *from);
// Everything so far comes before what joins this clock later.
void xp_clock_tick(unsigned who);
// A plain or an atomic access; fails if it races.
void xp_clocks_access(unsigned who, uint32_t place, unsigned count, enum access access, bool atomic);
// The frame's bytes have been written, for it was allocated.
void xp_clocks_fill(unsigned who, unsigned frame);
// An MMU leads there with this knowledge: what was written must be seen, and what was read must be over for a write.
void xp_clocks_hardware(const struct clock *knows, uint32_t place, enum access access);
// The frame is about to be freed: nobody may be in the middle of it.
void xp_clocks_free(unsigned who, unsigned frame);

// ---- Atomic accesses (weak.c) ------------------------------------------------------------------------------------

// So many loads of an execution may return an older value than the last; 0: sequential consistency.
extern unsigned xp_stale;
#define XP_OLDER 7 // values that a location remembers behind the last

struct xp_visible {
	uint64_t value;
	struct clock released;
};

void xp_weak_reset(void);
unsigned xp_stale_spent(void);
// An atomic load, where `last` is what memory has; a store, or with XP_BOTH a read-modify-write, after it. They do what
// xp_happened does.
uint64_t xp_weak_load(uint32_t place, unsigned bytes, uint64_t last, int order);
void xp_weak_store(uint32_t place, unsigned bytes, enum access access, int order, uint64_t old, uint64_t value);
// Does a compare-and-swap fail? Then it was a load. *seen is what memory has, and becomes what was read.
bool xp_weak_compare(uint32_t place, unsigned bytes, int order, uint64_t expected, uint64_t *seen);
void xp_weak_fence(int order);
// The first word of a page that is copied: the last value.
void xp_weak_copy(uint32_t place);
// By an access of a program, whose MMU knows this.
uint64_t xp_weak_load_hardware(uint32_t place, uint64_t last, const struct clock *knows);
// All that somebody with this knowledge may read, the oldest first, and what was released with it. How many.
unsigned xp_weak_visible(uint32_t place, uint64_t last, const struct clock *knows, struct xp_visible all[XP_OLDER + 1]);
// Something else sees an older value that it may see: true, if the scheduler wants it.
bool xp_weak_older(void);
// A plain write; a frame is allocated.
void xp_weak_plain(uint32_t place, unsigned count);
void xp_weak_frame(unsigned frame);

// Runs the litmus tests (litmus.c); 1: one ends as it must not.
int xp_litmus(void);

// ---- Orders (orders.c) -------------------------------------------------------------------------------------------

// The order of an atomic access that is called from pc, or of a compare-and-swap that has failed there: the one that
// was asked for, or a weaker one.
int xp_order(const void *pc, bool failed, int order);
const void *xp_order_at(void); // the last pc
// An acquire there has read what was released here.
void xp_order_pair(const void *released);
extern bool xp_orders_noted;
void xp_orders_print(void);
// [failed:]ADDRESS,...=ORDER. False: it is not of this form.
bool xp_orders_weaken(const char *text);

// ---- MMU (mmu.c) -------------------------------------------------------------------------------------------------

void xp_mmu_reset(void);
// The MMUs try to translate this address whenever they can. Before CPUs begin.
void xp_watch(uint64_t va);
// The calling CPU uses the space, or none.
void xp_activate(struct vmt_space *space);
void xp_deactivate(void);
// ... the tables of a tree on its own, which nobody else tells the CPU to flush than vmt_port_flush. An access that
// faults there is VMT_ERR_NOT_PRESENT.
void xp_use_tree(struct vmt_tree *tree);
// An access of the calling CPU, with faults. Eight bytes at the beginning of a page that is watched.
enum vmt_status xp_read(uint64_t va, uint64_t *value);
enum vmt_status xp_write(uint64_t va, uint64_t value);
// ... without: nothing is written where that would fault.
void xp_write_if(uint64_t va, uint64_t value);
// Tables have changed: the MMUs load what they can.
void xp_mmu_load(void);
void xp_mmu_flush(unsigned cpu, const struct vmt_flush *flush, unsigned sender);
// The frame is about to be freed: no MMU may know the way to it.
void xp_mmu_free(uint64_t pa);
uint64_t xp_mmu_hash(void);
// Has a CPU that is in a space a translation to this page?
bool xp_mmu_has(uint64_t pa);
// ... of this address?
bool xp_mmu_translates(uint64_t va);

// ---- Execution (run.c) -------------------------------------------------------------------------------------------

enum event { XP_ATOMIC, XP_SECTION, XP_DEFER, XP_FLUSH, XP_SERVE, XP_ACCESS, XP_FREE, XP_ALLOC };

// The calling CPU (0 to XP_CPUS - 1), or XP_BOOT. Grace periods' work: XP_GRACE in clocks.
unsigned xp_self(void);
unsigned xp_clock_self(void);
// The boot CPU speaks for another one, when it activates a space or touches memory.
void xp_as(unsigned cpu);
unsigned xp_cpu(void);
// CPUs are running, and what happens is explored.
bool xp_exploring(void);
unsigned xp_running_cpus(void);	// how many the scenario has

// An event of the calling CPU at a place is about to happen: another CPU may come first. `always`: visible whatever is
// known about the place.
void xp_event(enum event event, uint32_t place, unsigned count, enum access access, bool always, const void *pc);
// It has read or written: goes into the history of the CPU, and what was written into that of the place.
void xp_happened(uint32_t place, enum access access);
// What was written there last, as a number; it has read what was written there as this.
uint64_t xp_version(uint32_t place);
void xp_read_version(uint32_t place, uint64_t version);
// Something that has no place went into the history of a CPU.
void xp_remember(unsigned cpu, uint64_t what);
uint64_t xp_history(unsigned cpu);
// An interrupt has put what a CPU does behind what another one has done. It knows nothing new, but races differ.
void xp_ordered(unsigned cpu, uint64_t behind);

// The calling CPU waits. It goes on when `ready` says so.
void xp_wait(bool (*ready)(unsigned cpu), const char *for_what);
// The calling CPU goes round in a loop: it goes on when something that it read in this round has changed, or `also`.
void xp_relax(bool (*also)(unsigned cpu), const void *pc);
// Something that is no order of events can go in two ways; true: in the second.
bool xp_either(void);
// ... in so many, at most 8: in which, 0 the usual.
unsigned xp_pick(unsigned ways);
// While set, events are no scheduling points and belong to XP_GRACE, for what this CPU has left to it.
void xp_grace(bool on, unsigned cpu);
// Whose memory it is that is given back: the calling CPU's, or during xp_grace that one's.
unsigned xp_freeing(void);

void xp_enter(const void *pc);	// a function of the library, called from pc
void xp_leave(void);
// The port keeps a line that the library has logged.
void xp_log(const char *line);

uint64_t xp_mix(uint64_t a, uint64_t b);

// ---- One execution, for search.c ---------------------------------------------------------------------------------

enum outcome { XP_FINE, XP_FAILED, XP_CUT };

struct xp_choice {
	unsigned current;	// who was running; XP_CPUS: nobody can be said to be
	bool goes_on;		// ... and it can go on
	bool either;		// not a CPU is chosen, but one of several ways
	uint8_t enabled;	// a bit for each CPU that can, or each way
	uint64_t event;		// which event of the execution comes next
};

struct xp_deviation {
	uint64_t event;
	unsigned cpu;
};

struct xp_result {
	enum outcome outcome;
	bool own;		// failed, at what the scenario itself asserts
	char message[2048];
	uint64_t events;
	unsigned deviations;	// from what the default would have chosen; more than fit: no replay
	struct xp_deviation deviation[256];
};

// Who goes on: a CPU that is enabled; or XP_CPUS: the execution is cut off.
typedef unsigned xp_chooser(const struct xp_choice *choice);

unsigned xp_default(const struct xp_choice *choice);
void xp_run(const struct scenario *scenario, xp_chooser *choose, bool all_visible, struct xp_result *result);
uint64_t xp_state(void);	// of the execution: equal states, equal futures
uint64_t xp_end(void);		// what has happened in it

// ---- Search (search.c) -------------------------------------------------------------------------------------------

struct xp_plan {
	unsigned preemptions;	// at most so many
	bool random;
	bool plain;		// exhaustive without reductions
	uint64_t seed;
	uint64_t schedules;	// at most so many; 0: no limit
	double seconds;		// 0: no limit
	double progress;	// seconds between lines that say how far it is; 0: none
};

struct xp_report {
	uint64_t schedules, events;
	double seconds;
	bool exhausted;
	uint64_t ends;		// exhaustive: states in which it can end
	uint64_t seed;		// random: of the failure
	struct xp_result result;
};

void xp_explore(const struct scenario *scenario, const struct xp_plan *plan, struct xp_report *report);
void xp_random_once(const struct scenario *scenario, uint64_t seed, struct xp_result *result);
// Runs one schedule again.
void xp_replay(const struct scenario *scenario, const struct xp_deviation *deviation, unsigned count,
	       struct xp_result *result);

// ---- Visible places (visible.c) ----------------------------------------------------------------------------------

// The CPU accesses these places next (none: it goes on elsewhere). True: one of them is visible.
bool xp_note_event(unsigned cpu, uint32_t place, unsigned count, enum access access);
// An MMU has read there.
void xp_mmu_reads(uint32_t place);
// These places are free now: for whoever else accesses them in some execution it matters when.
void xp_freed(uint32_t place, unsigned count);
void xp_scans_reset(void); // an execution begins
// Whether a place has become visible since this was asked last.
bool xp_visible_grew(void);
void xp_forget_visible(void);

// ---- Trace (trace.c) ---------------------------------------------------------------------------------------------

struct xp_note {
	unsigned cpu;
	uint32_t place;
	enum access access;
	uint64_t number;
	const void *pc;
	const void *stack[8];	// callers, the innermost first
	char text[96];
};

void xp_trace_start(void);
void xp_trace_stop(void);
bool xp_tracing(void);
void xp_trace_note(const struct xp_note *note);
// Words about what the last event of the calling CPU did.
void xp_trace_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void xp_trace_print(void);

#endif
