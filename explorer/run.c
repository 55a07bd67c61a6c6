// SPDX-License-Identifier: MIT
// One execution: CPUs as fibers on one host thread, events as scheduling points, histories as the state.
//
// The *history* of a CPU is a hash of what it has done and from whose writes it has read. Memory is what the histories
// have made of it, so two executions with equal histories (and MMUs that keep the same) have the same future; search.c
// goes on with one of them.
//
// A loop that waits calls vmt_port_relax. A round in which nothing was written and everything read as before would be
// the same again, so the CPU goes on when something that it read has been written. If it has written itself, it goes on
// when each of the others that could has done something: so a schedule is fair, and a CPU that goes round for ever
// although all others are given their turn is a livelock.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "device.h"
#include "port.h"

#define STACK	   (256u << 10)
#define MOST_STEPS 20000	// in one execution; the longest that ends takes a tenth of it
#define WATCHES	   128
#define DEPTH	   64
#define LOG_BYTES  1024

enum state { READY, WAITING, RELAXING, DONE };

struct fiber {
	jmp_buf base, at;
	bool made, begun;
	void (*body)(void);
	enum state state;
	bool (*ready)(unsigned cpu);
	const char *waits_for;
	struct { uint32_t place; uint64_t version; } watch[WATCHES];
	unsigned watches;
	bool wrote;			// in this round of its loop
	unsigned lets_pass;		// a bit for each CPU that has to do something first
	uint64_t history, order;	// order: by interrupts
	uint32_t last;			// where its last event was
	const void *stack[DEPTH];
	unsigned depth;
	_Alignas(64) char memory[STACK];
};

static struct fiber fibers[XP_CPUS + 1];
static jmp_buf host;
static unsigned current, speaks_as, grace_of;
static bool exploring, in_grace, all_visible;
static xp_chooser *chooser;
static const struct scenario *scenario;
static struct xp_result *result;
static uint64_t points;

static uint64_t version[XP_PLACES];	// the history of who wrote there last
static uint32_t versioned[XP_PLACES], execution;

static char log_text[LOG_BYTES];

uint64_t xp_mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xff51afd7ed558ccdu;

	x = (x ^ x >> 32) * 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 29;
}

unsigned xp_self(void)
{
	return current;
}

unsigned xp_clock_self(void)
{
	return in_grace ? XP_GRACE : current;
}

void xp_as(unsigned cpu)
{
	speaks_as = cpu;
}

unsigned xp_cpu(void)
{
	return current == XP_BOOT ? speaks_as : current;
}

bool xp_exploring(void)
{
	return exploring;
}

unsigned xp_running_cpus(void)
{
	return scenario->cpus;
}

unsigned xp_freeing(void)
{
	return in_grace ? grace_of : current;
}

void xp_grace(bool on, unsigned cpu)
{
	in_grace = on;
	grace_of = cpu;
}

void xp_enter(const void *pc)
{
	struct fiber *fiber = &fibers[current];

	if (fiber->depth < DEPTH)
		fiber->stack[fiber->depth] = pc;
	fiber->depth++;
}

void xp_leave(void)
{
	fibers[current].depth--;
}

void xp_log(const char *line)
{
	size_t used = strlen(log_text);

	snprintf(log_text + used, sizeof(log_text) - used, "; %s", line);
}

// ---- Fibers ------------------------------------------------------------------------------------------------------

static void fiber_finished(void);

static void fiber_main(void)
{
	// Each execution begins here again, whatever the one before has left on the stack.
	_setjmp(fibers[current].base);
	fibers[current].body();
	fiber_finished();
}

static _Noreturn void go(unsigned next)
{
	struct fiber *fiber = &fibers[next];

	current = next;
	if (fiber->begun)
		_longjmp(fiber->at, 1);
	fiber->begun = true;
	if (!fiber->made) {
		ucontext_t context;

		fiber->made = true;
		getcontext(&context);
		context.uc_stack.ss_sp = fiber->memory;
		context.uc_stack.ss_size = sizeof(fiber->memory);
		context.uc_link = NULL;
		makecontext(&context, fiber_main, 0);
		setcontext(&context);
	}
	_longjmp(fiber->base, 1);
}

static void switch_to(unsigned next)
{
	if (next != current && !_setjmp(fibers[current].at))
		go(next);
}

static _Noreturn void end_execution(enum outcome outcome)
{
	result->outcome = outcome;
	_longjmp(host, 1);
}

// `own`: the scenario's words come first, and then in brackets what the explorer has to say.
static _Noreturn void fail(const char *own, const char *format, va_list arguments)
{
	char more[256];

	vsnprintf(more, sizeof(more), format, arguments);
	result->own = own;
	snprintf(result->message, sizeof(result->message), "%s%s%s%s%s", own ? own : "", own && more[0] ? " (" : "",
		 more, own && more[0] ? ")" : "", log_text);
	xp_trace_say("%s", "here");
	end_execution(XP_FAILED);
}

void xp_fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail(NULL, format, arguments);
}

void xp_fail_own(const char *words, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail(words, format, arguments);
}

void xp_fail_frame(enum xp_misuse misuse, unsigned frame, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fail(xp_claimed(misuse, frame), format, arguments);
}

bool xp_bytes_speak(void)
{
	return vmt_without && scenario->bytes;
}

// ---- Scheduling --------------------------------------------------------------------------------------------------

static uint64_t version_of(uint32_t place)
{
	return versioned[place] == execution ? version[place] : 0;
}

// Has somebody else written what the CPU has read in this round? More than fits was not all watched.
static bool has_changed(const struct fiber *fiber)
{
	for (unsigned i = 0; i < fiber->watches; i++) {
		if (version_of(fiber->watch[i].place) != fiber->watch[i].version)
			return true;
	}
	return false;
}

// `patient`: a loop that has only its own writes to go on for stands back.
static bool can_go_on(unsigned cpu, bool patient)
{
	const struct fiber *fiber = &fibers[cpu];

	switch (fiber->state) {
	case READY:
		return true;
	case WAITING:
		return fiber->ready(cpu);
	case RELAXING:
		return (fiber->ready && fiber->ready(cpu)) || has_changed(fiber) ||
		       ((fiber->wrote || fiber->watches == WATCHES) && (!patient || !fiber->lets_pass));
	default:
		return false;
	}
}

static uint8_t enabled_cpus(bool patient)
{
	uint8_t enabled = 0;

	for (unsigned cpu = 0; cpu < scenario->cpus; cpu++)
		enabled |= (uint8_t)(can_go_on(cpu, patient) << cpu);
	return enabled;
}

unsigned xp_default(const struct xp_choice *choice)
{
	unsigned next = choice->current;

	if (choice->goes_on)
		return choice->current;
	do
		next = (next + 1) % (XP_CPUS + 1);
	while (!(choice->enabled >> next & 1));
	return next;
}

// The table whose lock the CPU was refused last; XP_ANSWER: it waits for that; 0: for nothing.
static uint64_t waits_for(const struct fiber *fiber)
{
	unsigned frame = xp_place_frame(fiber->last);

	if (fiber->state == DONE)
		return 0;
	return fiber->state == WAITING || frame == XP_FRAMES ? XP_ANSWER : XP_RAM + frame * VMT_PAGE_SIZE;
}

static _Noreturn void deadlock(void)
{
	uint64_t circle[XP_CPUS] = {0};
	char text[256] = "", name[64];
	const char *words;
	size_t used = 0;

	for (unsigned cpu = 0; cpu < scenario->cpus; cpu++) {
		const struct fiber *fiber = &fibers[cpu];

		if (fiber->state == DONE)
			continue;
		circle[cpu] = waits_for(fiber);
		xp_memory_name(fiber->last, name, sizeof(name));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "; CPU %u waits for %s%s", cpu,
					 fiber->waits_for, fiber->state == RELAXING ? name : "");
	}
	words = xp_claimed_circle(circle);
	if (words)
		xp_fail_own(words, "nobody can go on%s", text);
	xp_fail("nobody can go on%s", text);
}

// Asks what decides, and writes down where that is not the usual.
static unsigned decide(const struct xp_choice *choice)
{
	unsigned next = chooser(choice);

	if (next == XP_CPUS)
		end_execution(XP_CUT);
	if (next != xp_default(choice)) {
		if (result->deviations < sizeof(result->deviation) / sizeof(*result->deviation))
			result->deviation[result->deviations] = (struct xp_deviation){choice->event, next};
		result->deviations++;
	}
	return next;
}

static uint64_t next_point(void)
{
	if (++points > MOST_STEPS)
		xp_fail("no progress in %u steps", MOST_STEPS);
	return points;
}

// Who comes next. Each time has a number, by which schedules are written down.
static unsigned choose(bool goes_on, bool visible)
{
	struct xp_choice choice = {.current = current, .goes_on = goes_on, .event = next_point()};

	if (!visible && !all_visible)
		return current;
	choice.enabled = enabled_cpus(true);
	if (!choice.enabled)
		choice.enabled = enabled_cpus(false);
	if (!choice.enabled)
		deadlock();
	return decide(&choice);
}

unsigned xp_pick(unsigned ways)
{
	if (!exploring)
		return 0;
	return decide(&(struct xp_choice){.current = XP_CPUS, .either = true, .enabled = (uint8_t)((1u << ways) - 1),
					  .event = next_point()});
}

bool xp_either(void)
{
	bool second = xp_pick(2);

	if (exploring)
		xp_remember(current, second);
	return second;
}

static void fiber_finished(void)
{
	bool all = true;

	if (current == XP_BOOT)
		end_execution(XP_FINE);
	xp_note_event(current, XP_NOWHERE, 0, XP_READ);
	fibers[current].state = DONE;
	xp_remember(current, UINT64_MAX);
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++) {
		fibers[cpu].lets_pass &= ~(1u << current);
		all &= fibers[cpu].state == DONE;
	}
	if (all)
		end_execution(XP_FINE);
	go(choose(false, true));
}

void xp_wait(bool (*ready)(unsigned cpu), const char *for_what)
{
	struct fiber *fiber = &fibers[current];

	fiber->state = WAITING;
	fiber->ready = ready;
	fiber->waits_for = for_what;
	fiber->lets_pass = 0;
	xp_remember(current, UINT64_MAX - 1); // that it waits is more than what it has done
	switch_to(choose(false, true));
	xp_remember(current, WAITING);
	fiber->state = READY;
}

void xp_relax(bool (*also)(unsigned cpu), const void *pc)
{
	struct fiber *fiber = &fibers[current];

	if (xp_tracing())
		xp_trace_note(&(struct xp_note){.cpu = current, .place = XP_NOWHERE, .number = points + 1,
						.pc = pc});
	xp_trace_say("waits");
	fiber->state = RELAXING;
	fiber->ready = also;
	fiber->waits_for = "a change of what it has read, last ";
	fiber->lets_pass = 0;
	for (unsigned cpu = 0; cpu < scenario->cpus; cpu++)
		fiber->lets_pass |= (unsigned)(cpu != current && can_go_on(cpu, true)) << cpu;
	switch_to(choose(false, true));
	xp_remember(current, RELAXING);
	fiber->state = READY;
	fiber->watches = 0;
	fiber->wrote = false;
}

// ---- Events ------------------------------------------------------------------------------------------------------

static void trace_event(uint32_t place, enum access access, const void *pc)
{
	struct xp_note note = {.cpu = current, .place = place, .access = access, .number = points, .pc = pc};
	const struct fiber *fiber = &fibers[current];
	unsigned depth = fiber->depth < DEPTH ? fiber->depth : DEPTH;

	for (unsigned i = 0; i < sizeof(note.stack) / sizeof(*note.stack) && i < depth; i++)
		note.stack[i] = fiber->stack[depth - 1 - i];
	xp_trace_note(&note);
}

void xp_event(enum event event, uint32_t place, unsigned count, enum access access, bool always, const void *pc)
{
	if (in_grace || !exploring)
		return;
	switch_to(choose(true, xp_note_event(current, place, count, access) || always));
	// Whatever it is, the CPU has come further.
	xp_remember(current, place * UINT64_C(16) + event);
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++)
		fibers[cpu].lets_pass &= ~(1u << current);
	if (xp_tracing())
		trace_event(place, access, pc);
}

// What the CPU writes itself is no change for it to go on for.
static void write_version(struct fiber *fiber, uint32_t place)
{
	uint64_t old = version_of(place);

	version[place] = fiber->history;
	versioned[place] = execution;
	fiber->wrote = true;
	for (unsigned i = 0; i < fiber->watches; i++) {
		if (fiber->watch[i].place == place && fiber->watch[i].version == old)
			fiber->watch[i].version = fiber->history;
	}
}

void xp_happened(uint32_t place, enum access access)
{
	struct fiber *fiber = &fibers[current];

	if (!exploring)
		return;
	if (!(access & XP_WRITE)) {
		xp_read_version(place, version_of(place));
		return;
	}
	fiber->history = xp_mix(xp_mix(fiber->history, place * UINT64_C(4) + access), version_of(place));
	fiber->last = place;
	write_version(fiber, place);
}

uint64_t xp_version(uint32_t place)
{
	return version_of(place);
}

void xp_read_version(uint32_t place, uint64_t read)
{
	struct fiber *fiber = &fibers[current];

	fiber->history = xp_mix(xp_mix(fiber->history, place * UINT64_C(4) + XP_READ), read);
	fiber->last = place;
	if (fiber->watches < WATCHES) {
		fiber->watch[fiber->watches].place = place;
		fiber->watch[fiber->watches++].version = read;
	}
}

void xp_remember(unsigned cpu, uint64_t what)
{
	fibers[cpu].history = xp_mix(fibers[cpu].history, what);
}

uint64_t xp_history(unsigned cpu)
{
	return fibers[cpu].history;
}

void xp_ordered(unsigned cpu, uint64_t behind)
{
	fibers[cpu].order = xp_mix(fibers[cpu].order, behind);
}

uint64_t xp_end(void)
{
	uint64_t hash = xp_mmu_hash();

	for (unsigned cpu = 0; cpu < scenario->cpus; cpu++)
		hash = xp_mix(hash, fibers[cpu].history);
	return hash;
}

uint64_t xp_state(void)
{
	uint64_t hash = xp_end();

	for (unsigned cpu = 0; cpu < scenario->cpus; cpu++)
		hash = xp_mix(hash, fibers[cpu].order);
	return hash;
}

// ---- One execution -----------------------------------------------------------------------------------------------

static void fiber_reset(struct fiber *fiber, void (*body)(void), unsigned number)
{
	fiber->begun = false;
	fiber->body = body;
	fiber->state = body ? READY : DONE;
	fiber->watches = fiber->depth = fiber->lets_pass = 0;
	fiber->wrote = false;
	fiber->history = fiber->order = number + 1;
}

static void first_choice(void)
{
	current = XP_CPUS;
	go(choose(false, true));
}

// Runs fibers until one of them ends it.
static enum outcome phase(void (*start)(void))
{
	result->outcome = XP_FINE;
	if (!_setjmp(host))
		start();
	return result->outcome;
}

static void start_boot(void)
{
	go(XP_BOOT);
}

static void boot_end(void)
{
	scenario->end();
	xp_memory_end();
}

static enum outcome run_phases(void)
{
	fiber_reset(&fibers[XP_BOOT], scenario->begin, XP_BOOT);
	if (phase(start_boot) != XP_FINE)
		return result->outcome;
	exploring = true;
	xp_mmu_load();
	for (unsigned cpu = 0; cpu < XP_CPUS; cpu++)
		fiber_reset(&fibers[cpu], cpu < scenario->cpus ? scenario->cpu[cpu] : NULL, cpu);
	phase(first_choice);
	exploring = in_grace = false;
	if (result->outcome != XP_FINE)
		return result->outcome;
	speaks_as = 0;
	fiber_reset(&fibers[XP_BOOT], boot_end, XP_BOOT);
	return phase(start_boot);
}

void xp_run(const struct scenario *which, xp_chooser *choose_next, bool everything_visible, struct xp_result *into)
{
	scenario = which;
	chooser = choose_next;
	all_visible = everything_visible;
	result = into;
	result->deviations = 0;
	result->message[0] = log_text[0] = '\0';
	result->own = false;
	execution++;
	xp_scans_reset();
	points = 0;
	speaks_as = 0;
	xp_memory_reset();
	xp_clocks_reset();
	xp_weak_reset();
	xp_mmu_reset();
	xp_device_reset();
	xp_claims_reset();
	xp_port_reset(scenario);
	run_phases();
	result->events = points;
}
