// SPDX-License-Identifier: MIT
// What happened: a ring of events for each CPU and device, numbered through, and the report that picks those of one
// address and one frame out of all rings.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// The most events in a report, the latest ones.
#define REPORTED 60

void sim_record(struct sim_mmu *recorder, const struct sim_note *note)
{
	struct sim_history *history = recorder->history;
	uint64_t at = atomic_load_explicit(&history->count, memory_order_relaxed);
	struct sim_event *event = &history->events[at % SIM_EVENTS];
	uint64_t packed = note->kind | (uint64_t)note->level << 8 | (uint64_t)note->asid << 16 |
			  (uint64_t)note->may << 24 | (uint64_t)note->tables << 32;

	// All relaxed: only a report reads them, when the order no longer matters.
	atomic_store_explicit(&event->sequence,
			      atomic_fetch_add_explicit(&recorder->machine->sequence, 1, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&event->kind_level, packed, memory_order_relaxed);
	atomic_store_explicit(&event->va, note->va, memory_order_relaxed);
	atomic_store_explicit(&event->end, note->end, memory_order_relaxed);
	atomic_store_explicit(&event->pa, note->pa, memory_order_relaxed);
	atomic_store_explicit(&event->where, note->where, memory_order_relaxed);
	atomic_store_explicit(&event->value, note->value, memory_order_relaxed);
	atomic_store_explicit(&history->count, at + 1, memory_order_relaxed);
}

// ---- The report --------------------------------------------------------------------------------------------------

struct seen {
	const struct sim_mmu *mmu;	// whose ring it is in
	uint64_t sequence, va, end, pa, where, value;
	enum sim_event_kind kind;
	unsigned level, asid, may;
	bool tables;
};

static struct seen look(struct sim_event *event, const struct sim_mmu *mmu)
{
	uint64_t packed = atomic_load_explicit(&event->kind_level, memory_order_relaxed);

	return (struct seen){
		.sequence = atomic_load_explicit(&event->sequence, memory_order_relaxed),
		.va = atomic_load_explicit(&event->va, memory_order_relaxed),
		.end = atomic_load_explicit(&event->end, memory_order_relaxed),
		.pa = atomic_load_explicit(&event->pa, memory_order_relaxed),
		.where = atomic_load_explicit(&event->where, memory_order_relaxed),
		.value = atomic_load_explicit(&event->value, memory_order_relaxed),
		.kind = packed & 255, .level = packed >> 8 & 255, .asid = packed >> 16 & 255,
		.may = packed >> 24 & 255, .tables = packed >> 32 & 1, .mmu = mmu,
	};
}

static bool about_address(const struct seen *event, uint64_t va)
{
	const struct sim_decoder *decoder = event->mmu->decoder;
	unsigned page = sim_shift(decoder, 0);

	switch (event->kind) {
	case SIM_EVENT_FLUSH:
	case SIM_EVENT_ASK:
	case SIM_EVENT_ISSUE:
	case SIM_EVENT_INVALIDATED:
		return event->va <= va && va < event->end;
	case SIM_EVENT_TABLE:
		return event->va >> sim_shift(decoder, event->level) == va >> sim_shift(decoder, event->level);
	case SIM_EVENT_LEAF:
	case SIM_EVENT_DIRTY: // of a run: all that it covers
		return event->end ? event->va <= va && va < event->end : event->va >> page == va >> page;
	case SIM_EVENT_INVALID:
	case SIM_EVENT_WRITE:
	case SIM_EVENT_FAULT:
	case SIM_EVENT_FAULT_DONE:
	case SIM_EVENT_REQUEST:
	case SIM_EVENT_SERVED:
		return event->va >> page == va >> page;
	case SIM_EVENT_ALLOC:
	case SIM_EVENT_FREE:
	case SIM_EVENT_COPY:
	case SIM_EVENT_COPY_DONE:
		return false;
	default: // of a whole space
		return true;
	}
}

// Whether a published run of entries holds one that an address goes through, at whatever level the table is.
static bool goes_through(const struct sim_decoder *decoder, const struct seen *event, uint64_t va)
{
	unsigned first = (event->where & ((UINT64_C(1) << sim_shift(decoder, 0)) - 1)) / 8;

	for (unsigned level = 0; level < decoder->levels; level++) {
		unsigned index = sim_index(decoder, level, va);

		if (index >= first && index - first < event->level)
			return true;
	}
	return false;
}

// The same in any format that is walked here.
static bool goes_through_some(struct sim_machine *machine, const struct seen *event, uint64_t va)
{
	bool does = goes_through(machine->decoder, event, va);

	for (unsigned i = 0; i < sim_device_total(machine) && !does; i++)
		does = goes_through(sim_device_at(machine, i)->mmu.decoder, event, va);
	return does;
}

static bool wanted(struct sim_machine *machine, const struct seen *event, uint64_t va, uint64_t pa)
{
	uint64_t frame = pa & ~SIM_FRAME_MASK;

	if (!event->sequence)
		return false;
	if (!va && !pa)
		return true;
	if (event->kind == SIM_EVENT_PUBLISH)
		return pa && event->pa == frame && (!va || goes_through_some(machine, event, va));
	if (va && about_address(event, va))
		return true;
	if (event->kind == SIM_EVENT_COPY || event->kind == SIM_EVENT_COPY_DONE) {
		if (event->where <= frame && frame - event->where < event->end - event->pa)
			return pa;
		return pa && event->pa <= frame && frame < event->end;
	}
	if (event->kind == SIM_EVENT_ALLOC || event->kind == SIM_EVENT_FREE)
		return pa && event->pa <= frame && frame < event->end;
	return pa && event->pa == frame;
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t one = ((const struct seen *)a)->sequence, other = ((const struct seen *)b)->sequence;

	return (one > other) - (one < other);
}

static const char *const kind_names[] = {
	[SIM_EVENT_LEAF] = "cached translation", [SIM_EVENT_TABLE] = "cached intermediate entry",
	[SIM_EVENT_INVALID] = "cached invalid entry", [SIM_EVENT_DIRTY] = "cached translation, dirty set",
	[SIM_EVENT_WRITE] = "write", [SIM_EVENT_FAULT] = "page fault", [SIM_EVENT_FAULT_DONE] = "vmt_fault returned",
	[SIM_EVENT_FLUSH] = "flushed", [SIM_EVENT_FLUSH_ALL] = "flushed all",
	[SIM_EVENT_FLUSH_ASIDE] = "not active: flush left to the generation", [SIM_EVENT_ASK] = "asks to flush",
	[SIM_EVENT_ASK_ALL] = "asks to flush all", [SIM_EVENT_ACTIVATE] = "activated",
	[SIM_EVENT_DEACTIVATE] = "deactivated", [SIM_EVENT_ASID_CLEAR] = "identifier flushed before use",
	[SIM_EVENT_ALLOC] = "frame allocated", [SIM_EVENT_FREE] = "frame freed",
	[SIM_EVENT_PUBLISH] = "entries published", [SIM_EVENT_ISSUE] = "is asked to invalidate",
	[SIM_EVENT_INVALIDATED] = "invalidated", [SIM_EVENT_UNANSWERED] = "did not answer in time",
	[SIM_EVENT_REQUEST] = "page request",
	[SIM_EVENT_SERVED] = "page request served", [SIM_EVENT_COPY] = "copy begins",
	[SIM_EVENT_COPY_DONE] = "copy ended",
};

static int print_event(char *text, size_t size, const struct seen *event)
{
	const char *name = event->kind < sizeof(kind_names) / sizeof(*kind_names) ? kind_names[event->kind] : "?";
	unsigned long long va = event->va, end = event->end, pa = event->pa;
	unsigned long long where = event->where, value = event->value, sequence = event->sequence;
	int length = snprintf(text, size, "  #%-8llu %-6s %s", sequence, event->mmu->name, name);
	char *at = text + length;

	if (length < 0 || (size_t)length >= size)
		return 0;
	size -= (size_t)length;
	switch (event->kind) {
	case SIM_EVENT_LEAF:
	case SIM_EVENT_DIRTY:
	case SIM_EVENT_TABLE:
		return length + snprintf(at, size, " %#llx -> %#llx %s%s%s%s: entry %#llx at %#llx, level %u, "
					 "asid %u\n", va, pa, event->may & SIM_MAY_READ ? "r" : "-",
					 event->may & SIM_MAY_WRITE ? "w" : "-", event->may & SIM_MAY_EXEC ? "x" : "-",
					 event->may & SIM_MAY_USER ? "u" : "-", value, where, event->level,
					 event->asid);
	case SIM_EVENT_INVALID:
		return length + snprintf(at, size, " %#llx: entry %#llx at %#llx, level %u\n", va, value, where,
					 event->level);
	case SIM_EVENT_WRITE:
		return length + snprintf(at, size, " of %#llx at %#llx -> %#llx\n", value, va, pa);
	case SIM_EVENT_FAULT:
	case SIM_EVENT_REQUEST:
		return length + snprintf(at, size, " at %#llx, %s\n", va,
					 value == VMT_WRITE ? "write" : value == VMT_EXEC ? "fetch" : "read");
	case SIM_EVENT_FAULT_DONE:
	case SIM_EVENT_SERVED:
		return length + snprintf(at, size, " status %llu for %#llx\n", value, va);
	case SIM_EVENT_FLUSH:
		return length + snprintf(at, size, " [%#llx, %#llx)%s, asid %u, generation %llu\n", va, end,
					 event->tables ? " and tables" : "", event->asid, value);
	case SIM_EVENT_ASK:
		return length + snprintf(at, size, " [%#llx, %#llx)%s on CPUs %#llx\n", va, end,
					 event->tables ? " and tables" : "", value);
	case SIM_EVENT_ASK_ALL:
		return length + snprintf(at, size, "%s on CPUs %#llx\n", event->tables ? " and tables" : "", value);
	case SIM_EVENT_ISSUE:
	case SIM_EVENT_INVALIDATED:
		return length + snprintf(at, size, " [%#llx, %#llx)%s, request %llu\n", va, end,
					 event->tables ? " and tables" : "", value);
	case SIM_EVENT_UNANSWERED:
		return length + snprintf(at, size, ", request %llu\n", value);
	case SIM_EVENT_COPY:
	case SIM_EVENT_COPY_DONE:
		return length + snprintf(at, size, ": [%#llx, %#llx) %s %#llx%s\n", pa, end,
					 event->level ? "to" : "from", where,
					 event->kind == SIM_EVENT_COPY || value ? "" : ", badly");
	case SIM_EVENT_ALLOC:
	case SIM_EVENT_FREE:
		return length + snprintf(at, size, " %#llx, generation word %llu\n", pa, value);
	case SIM_EVENT_PUBLISH:
		return length + snprintf(at, size, " at %#llx: %u from %#llx\n", where, event->level, value);
	default:
		return length + snprintf(at, size, "%s, asid %u, generation %llu\n",
					 event->tables ? " and tables" : "", event->asid, value);
	}
}

// Picks what is wanted of one ring. Returns how many events.
static size_t pick(const struct sim_mmu *mmu, uint64_t va, uint64_t pa, struct seen *events)
{
	size_t count = 0;

	for (unsigned i = 0; i < SIM_EVENTS; i++) {
		events[count] = look(&mmu->history->events[i], mmu);
		count += wanted(mmu->machine, &events[count], va, pa);
	}
	return count;
}

void sim_history_text(struct sim_machine *machine, uint64_t va, uint64_t pa, char *text, size_t size)
{
	unsigned devices = sim_device_total(machine);
	struct seen *events = sim_host_alloc((size_t)(machine->cpu_count + devices) * SIM_EVENTS * sizeof(*events));
	size_t count = 0, at = 0;

	for (unsigned i = 0; i < machine->cpu_count; i++)
		count += pick(&machine->cpus[i].mmu, va, pa, events + count);
	for (unsigned i = 0; i < devices; i++)
		count += pick(&sim_device_at(machine, i)->mmu, va, pa, events + count);
	qsort(events, count, sizeof(*events), by_sequence);
	text[0] = '\0';
	for (size_t i = count > REPORTED ? count - REPORTED : 0; i < count && at < size; i++)
		at += (size_t)print_event(text + at, size - at, &events[i]);
	free(events);
}
