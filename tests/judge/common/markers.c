// SPDX-License-Identifier: MIT
// Entries that are not present, at every level: each access faults as absent, and the hardware writes nothing in them.
#include "judge.h"

static const char *const kinds[] = {
	"empty", "parked", "guard", "swap", "migration", "device", "poison", "busy",
	[MARKER_OWN] = "own", [MARKER_LAST] = "last",
};

static void one_entry(_Atomic(uint64_t) *entry, uint64_t value, uint64_t va, uint64_t end)
{
	judge_require(!fmt_is_present(value));
	judge_write(entry, value);
	judge_probe(va, NOWHERE, 0);
	if (end - va > PAGE)
		judge_probe(end - PAGE, NOWHERE, 0);
	if (atomic_load_explicit(entry, memory_order_relaxed) != value)
		judge_fail("%X became %X", value, atomic_load_explicit(entry, memory_order_relaxed));
}

// Payloads: none, all bits, each bit alone.
static void one_kind(_Atomic(uint64_t) *entry, enum marker_kind kind, uint64_t va, uint64_t end)
{
	one_entry(entry, fmt_make_marker(kind, 0), va, end);
	one_entry(entry, fmt_make_marker(kind, MARKER_PAYLOAD_MASK), va, end);
	for (unsigned bit = 0; bit < MARKER_PAYLOAD_BITS; bit++)
		one_entry(entry, fmt_make_marker(kind, UINT64_C(1) << bit), va, end);
}

// Parked leaves of memory that is there, and of the highest that can be.
static void parked(_Atomic(uint64_t) *entry, uint64_t va, uint64_t end)
{
	static const uint64_t frames[] = {0, JUDGE_MEMORY, ((UINT64_C(1) << 52) - 1) & ~VMT_PAGE_MASK};

	for (unsigned i = 0; i < COUNT(frames); i++)
		for (unsigned marks = 0; marks < 4; marks++) {
			uint64_t value = fmt_make_parked(frames[i], marks & 1, marks & 2);

			one_entry(entry, value, va, end);
			judge_require(fmt_kind(value) == MARKER_PARKED && fmt_parked_pa(value) == frames[i]);
		}
}

// A page in the next slot makes sure that there is a table of this level.
static void one_level(unsigned level)
{
	uint64_t va = judge_va(level, 2), span = fmt_span(level), beside = va ^ span;
	uint64_t pa = judge_pa(level < FMT_LEAF_LEVELS ? level : 0), held, at;
	_Atomic(uint64_t) *entry;
	unsigned found;

	judge_map(beside, PAGE, JUDGE_MEMORY + PAGE, VMT_READ, 0);
	// What is replaced has been used: the processor knows it.
	if (level < FMT_LEAF_LEVELS)
		judge_map(va, span, pa, VMT_READ, 0);
	at = va + (pa > JUDGE_MEMORY ? pa : JUDGE_MEMORY) - pa;
	entry = judge_entry(va, &found);
	held = atomic_load_explicit(entry, memory_order_relaxed);
	// Of the embedder's own kinds the first and the last have every bit that the others have.
	for (unsigned kind = MARKER_PARKED; kind <= MARKER_LAST; kind = kind == MARKER_OWN ? MARKER_LAST : kind + 1) {
		judge_case("marker %s at level %u faults (%s)", kinds[kind], level, judge_mode());
		judge_require(found == level);
		if (held)
			judge_probe(at, at - va + pa, VMT_READ);
		if (kind == MARKER_PARKED)
			parked(entry, va, va + span);
		one_kind(entry, kind, va, va + span);
		judge_probe(beside, JUDGE_MEMORY + PAGE, VMT_READ);
		judge_write(entry, held);
	}
	judge_unmap(beside, PAGE);
	if (held)
		judge_unmap(va, span);
	judge_require_empty();
}

void cases_markers(void)
{
	for (unsigned user = 0; user < MODES; user++) {
		judge_open(user);
		for (unsigned level = 0; level <= FMT_TOP && fmt_span(level) < VA_END; level++)
			one_level(level);
		judge_close();
	}
}
