// SPDX-License-Identifier: MIT
// The port that the library is given.
//
// Flush requests. By default they *interrupt*: interrupts are on wherever the library is, so a CPU can answer at any
// moment; what others do while the sender still waits, they can do before it asks as well. So a flush is one event that
// acts on all CPUs. With `polled` they are put into boxes, which a CPU looks into where the contract asks for it at
// least: in vmt_port_relax, where preemption goes off or on, and while it waits itself.
//
// Grace periods end as early as they may, when the last section that was open has closed: freeing later hides more and
// shows nothing.
#include <vmtree/port.h>

#include "device.h"
#include "port.h"

static bool reuse, polled;
static unsigned scarce;		// how many allocations can still fail
static struct { unsigned depth, preempt; } cpus[XP_CPUS + 1];

struct waiting {
	struct vmt_deferred *item;
	unsigned cpu;		// who left it
	unsigned sections;	// a bit for each CPU whose section was open
	struct clock clock;
};

#define ITEMS 64

static struct waiting items[ITEMS];
static unsigned item_count;
static struct clock sections_over[XP_CPUS];
static struct clock deferred;	// what was known when items were handed over

// A request to flush, and who has still to answer.
static struct request { const struct vmt_flush *flush; unsigned pending; } requests[XP_CPUS];

void xp_port_reset(const struct scenario *scenario)
{
	reuse = scenario->reuse;
	polled = scenario->polled;
	scarce = scenario->scarce;
	item_count = 0;
	deferred = (struct clock){{0}};
	for (unsigned i = 0; i <= XP_CPUS; i++)
		cpus[i].depth = cpus[i].preempt = 0;
	for (unsigned i = 0; i < XP_CPUS; i++) {
		requests[i].pending = 0;
		sections_over[i] = (struct clock){{0}};
	}
}

// ---- Memory ------------------------------------------------------------------------------------------------------

// Does an allocation fail that need not? How many have is what the histories of the CPUs say.
static bool fails(void)
{
	if (!scarce || !xp_either())
		return false;
	scarce--;
	xp_trace_say("there is no memory");
	return true;
}

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	(void)port;
	if (fails())
		return VMT_NO_FRAME;
	return bytes == VMT_PAGE_SIZE ? xp_frame_alloc(zero, reuse) : xp_block_alloc();
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	(void)port;
	(void)bytes;
	if (reuse && xp_exploring())
		xp_event(XP_FREE, XP_PLACE_FRAMES, 1, XP_BOTH, true, __builtin_return_address(0));
	if (reuse && xp_exploring())
		xp_happened(XP_PLACE_FRAMES, XP_BOTH);
	xp_frame_free(pa);
}

void *vmt_port_frame_ptr(void *port, uint64_t pa)
{
	void *p = xp_frame_ptr(pa);

	(void)port;
	if (!p)
		xp_fail("there is no frame at %#llx", (unsigned long long)pa);
	return p;
}

struct vmt_frame *vmt_port_frame_meta(void *port, uint64_t pa)
{
	(void)port;
	return xp_frame_meta(pa);
}

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	(void)port;
	return fails() ? NULL : xp_heap_alloc(bytes);
}

void vmt_port_mem_free(void *port, void *p, size_t bytes)
{
	(void)port;
	xp_heap_free(p, bytes);
}

// ---- Flushing ----------------------------------------------------------------------------------------------------

// The one who asked knows what the ones who have answered did, and their MMUs see what he did. An interrupt shows it to
// the CPUs as well, but a flush need not be one (a broadcast): with weak memory they learn nothing.
static void answer(unsigned cpu, const struct vmt_flush *flush, unsigned sender)
{
	uint64_t sent = xp_history(sender);

	xp_mmu_flush(cpu, flush, sender);
	if (cpu != sender) {
		xp_ordered(sender, xp_history(cpu));
		xp_ordered(cpu, sent);
		if (!xp_stale)
			xp_clock_join(xp_clock(cpu), xp_clock(sender));
		xp_clock_join(xp_clock(sender), xp_clock(cpu));
		xp_clock_tick(cpu);
	}
	xp_clock_tick(sender);
}

static bool has_mail(unsigned cpu)
{
	for (unsigned sender = 0; sender < XP_CPUS; sender++) {
		if (requests[sender].pending >> cpu & 1)
			return true;
	}
	return false;
}

// The calling CPU looks into its box.
static void serve(const void *pc)
{
	unsigned self = xp_self();

	if (!polled || !xp_exploring())
		return;
	xp_event(XP_SERVE, XP_PLACE_MAIL + self, 1, XP_READ, false, pc);
	xp_happened(XP_PLACE_MAIL + self, XP_READ);
	for (unsigned sender = 0; sender < XP_CPUS; sender++) {
		if (!(requests[sender].pending >> self & 1))
			continue;
		answer(self, requests[sender].flush, sender);
		requests[sender].pending &= ~(1u << self);
		xp_trace_say("serves the flush of CPU %u", sender);
	}
}

static bool is_answered(unsigned cpu)
{
	return !requests[cpu].pending || has_mail(cpu);
}

static void ask(unsigned cpu, unsigned self, const void *pc)
{
	xp_event(XP_FLUSH, XP_PLACE_MAIL + cpu, 1, XP_WRITE, false, pc);
	xp_happened(XP_PLACE_MAIL + cpu, XP_WRITE);
	if (cpus[cpu].preempt) // else an interrupt comes through
		requests[self].pending |= 1u << cpu;
}

void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	// Who uses a tree on its own only the port knows: all CPUs.
	uint64_t asked = flush->space ? flush->cpus[0] : (1u << xp_running_cpus()) - 1;
	const void *pc = __builtin_return_address(0);
	unsigned self = xp_self();

	(void)port;
	if (!xp_exploring()) {
		for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
			if (asked >> cpu & 1)
				xp_mmu_flush(cpu, flush, self);
		}
		return;
	}
	xp_event(XP_FLUSH, XP_NOWHERE, 0, XP_BOTH, true, pc);
	xp_trace_say("flushes %s%#llx, CPUs %#llx%s", flush->all ? "all from " : "",
		     (unsigned long long)(flush->all ? flush->start : flush->ranges[0].start),
		     (unsigned long long)asked, flush->tables ? ", tables" : "");
	requests[self].flush = flush;
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
		if (!(asked >> cpu & 1))
			continue;
		if (polled && cpu != self)
			ask(cpu, self, pc);
		if (!(requests[self].pending >> cpu & 1))
			answer(cpu, flush, self);
	}
	while (requests[self].pending) {
		xp_wait(is_answered, "the answer to a flush");
		serve(pc);
	}
}

// ---- CPUs --------------------------------------------------------------------------------------------------------

unsigned vmt_port_cpu(void *port)
{
	(void)port;
	return xp_cpu();
}

void vmt_port_preempt_off(void *port)
{
	(void)port;
	if (!cpus[xp_self()].preempt)
		serve(__builtin_return_address(0));
	cpus[xp_self()].preempt++;
}

void vmt_port_preempt_on(void *port)
{
	(void)port;
	if (!cpus[xp_self()].preempt--)
		xp_fail("preemption comes on that was not off");
	if (!cpus[xp_self()].preempt)
		serve(__builtin_return_address(0));
}

static bool may_go_on(unsigned cpu)
{
	return xp_copying(cpu) || (polled && vmt_without != XP_RELAX_SERVES && has_mail(cpu));
}

void vmt_port_relax(void *port, bool preemptible)
{
	const void *pc = __builtin_return_address(0);
	bool serves = vmt_without != XP_RELAX_SERVES;

	(void)port;
	if (preemptible && cpus[xp_self()].preempt)
		xp_fail("a CPU that may not be preempted lets itself be");
	if (!xp_exploring())
		xp_fail("a CPU waits for what nobody will give it");
	xp_relax(may_go_on, pc);
	xp_copies_end(xp_self());
	if (serves)
		serve(pc);
}

void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	// The walkers are coherent.
	(void)port;
	(void)first;
	(void)count;
}

// ---- Read-side sections ------------------------------------------------------------------------------------------

static void section_event(unsigned cpu, const void *pc)
{
	xp_event(XP_SECTION, XP_PLACE_SECTION + cpu, 1, XP_BOTH, false, pc);
	xp_happened(XP_PLACE_SECTION + cpu, XP_BOTH);
}

void vmt_port_read_enter(void *port)
{
	unsigned self = xp_self();

	(void)port;
	if (xp_exploring() && !cpus[self].depth) {
		section_event(self, __builtin_return_address(0));
		// What was handed over before does not wait for this section: so it must not be found in there.
		xp_clock_join(xp_clock(self), &deferred);
		xp_trace_say("begins to read");
	}
	cpus[self].depth++;
}

static void run_item(unsigned n)
{
	struct waiting item = items[n];

	items[n] = items[--item_count];
	xp_grace(true, item.cpu);
	xp_clock_join(xp_clock(XP_GRACE), &item.clock);
	item.item->run(NULL, item.item);
	xp_grace(false, item.cpu);
}

// What waits for nobody any more.
static void run_items(void)
{
	for (unsigned n = 0; n < item_count;) {
		if (items[n].sections)
			n++;
		else
			run_item(n);
	}
}

void vmt_port_read_exit(void *port)
{
	unsigned self = xp_self();

	(void)port;
	if (!cpus[self].depth)
		xp_fail("a read-side section ends that has not begun");
	if (cpus[self].depth == 1 && xp_exploring()) {
		section_event(self, __builtin_return_address(0));
		xp_trace_say("has read");
	}
	if (--cpus[self].depth || !xp_exploring())
		return;
	for (unsigned n = 0; n < item_count; n++) {
		if (items[n].sections >> self & 1)
			xp_clock_join(&items[n].clock, xp_clock(self));
		items[n].sections &= ~(1u << self);
	}
	sections_over[self] = *xp_clock(self);
	xp_clock_tick(self);
	run_items();
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	struct waiting *waiting;

	(void)port;
	if (!xp_exploring()) {
		item->run(NULL, item);
		return;
	}
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
		xp_event(XP_DEFER, XP_PLACE_SECTION + cpu, 1, XP_READ, false, __builtin_return_address(0));
		xp_happened(XP_PLACE_SECTION + cpu, XP_READ);
	}
	xp_trace_say("leaves a table to the grace period");
	if (item_count == ITEMS)
		xp_fail("too much waits for grace periods");
	waiting = &items[item_count++];
	waiting->item = item;
	waiting->cpu = xp_self();
	waiting->sections = 0;
	waiting->clock = *xp_clock(xp_self());
	xp_clock_join(&deferred, &waiting->clock);
	xp_clock_tick(xp_self());
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
		waiting->sections |= (unsigned)(cpus[cpu].depth > 0) << cpu;
		xp_clock_join(&waiting->clock, &sections_over[cpu]);
	}
	run_items();
}

// ---- The rest ----------------------------------------------------------------------------------------------------

void vmt_port_log(void *port, const char *line)
{
	(void)port;
	xp_log(line);
}

_Noreturn void vmt_port_fatal(void *port, const char *what)
{
	const char *words = xp_claimed_said(what);

	(void)port;
	if (words)
		xp_fail_own(words, "%s", what);
	xp_fail("%s", what);
}
