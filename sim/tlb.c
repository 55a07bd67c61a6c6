// SPDX-License-Identifier: MIT
// The translation caches of one context: of a CPU for one address-space identifier, of a device. Everything that was
// ever loaded, in a hash table by level and page, until a flush covers it. Several items may cover one address, stale
// ones among them. Guarded by the lock of the MMU.
//
// The translation of a run of entries (struct sim_entry) is one item for all of its addresses. A flush of a part of
// them leaves the rest: hardware may have cached the run in pieces. The item then has a hole.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_BUCKETS 256

// What items are found by beside the page: their level, or the size of their run, which is greater than any level.
static unsigned class_of(const struct sim_item *item)
{
	return item->run_shift ? item->run_shift : item->level;
}

static size_t bucket_of(const struct sim_tlb *tlb, unsigned class, uint64_t page)
{
	uint64_t hash = (page * 64 + class) * UINT64_C(0x9e3779b97f4a7c15);

	return (hash >> 32) & (tlb->bucket_count - 1);
}

unsigned sim_item_shift(const struct sim_tlb *tlb, const struct sim_item *item)
{
	return item->run_shift ? item->run_shift : sim_shift(tlb->decoder, item->level);
}

uint64_t sim_item_pa(const struct sim_tlb *tlb, const struct sim_item *item, uint64_t va)
{
	uint64_t page = UINT64_C(1) << sim_shift(tlb->decoder, 0);

	if (!item->run_shift)
		return item->pa;
	return item->pa + (va & ((UINT64_C(1) << item->run_shift) - 1) & ~(page - 1));
}

static bool in_hole(const struct sim_item *item, uint64_t va)
{
	return va >= item->hole && va < item->hole_end;
}

bool sim_item_leads(const struct sim_item *item, uint64_t pa)
{
	uint64_t offset = pa - item->pa;

	return item->run_shift && !(offset >> item->run_shift) &&
	       !in_hole(item, (item->page << item->run_shift) + offset);
}

void sim_tlb_init(struct sim_tlb *tlb, const struct sim_decoder *decoder)
{
	*tlb = (struct sim_tlb){ .bucket_count = FIRST_BUCKETS, .decoder = decoder };
	tlb->buckets = sim_host_alloc(FIRST_BUCKETS * sizeof(*tlb->buckets));
	memset(tlb->buckets, 0, FIRST_BUCKETS * sizeof(*tlb->buckets));
}

void sim_tlb_destroy(struct sim_machine *machine, struct sim_tlb *tlb)
{
	sim_tlb_flush_all(machine, tlb, true);
	while (tlb->spare) {
		struct sim_item *item = tlb->spare;

		tlb->spare = item->next;
		free(item);
	}
	free(tlb->buckets);
}

unsigned sim_tlb_find(struct sim_tlb *tlb, unsigned level, uint64_t va, struct sim_item **found)
{
	uint64_t page = va >> sim_shift(tlb->decoder, level);
	uint64_t runs = level ? 0 : tlb->run_shifts;
	unsigned count = 0;

	for (struct sim_item *item = tlb->buckets[bucket_of(tlb, level, page)]; item; item = item->next) {
		if (item->page == page && item->level == level && !item->run_shift && count < SIM_TLB_MATCHES)
			found[count++] = item;
	}
	for (; runs; runs &= runs - 1) {
		unsigned shift = (unsigned)__builtin_ctzll(runs);

		page = va >> shift;
		for (struct sim_item *item = tlb->buckets[bucket_of(tlb, shift, page)]; item; item = item->next) {
			if (item->page == page && item->run_shift == shift && !in_hole(item, va) &&
			    count < SIM_TLB_MATCHES)
				found[count++] = item;
		}
	}
	return count;
}

static void grow(struct sim_tlb *tlb)
{
	struct sim_item **old = tlb->buckets;
	size_t old_count = tlb->bucket_count;

	tlb->bucket_count *= 4;
	tlb->buckets = sim_host_alloc(tlb->bucket_count * sizeof(*tlb->buckets));
	memset(tlb->buckets, 0, tlb->bucket_count * sizeof(*tlb->buckets));
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct sim_item *item = old[i];
			struct sim_item **bucket = &tlb->buckets[bucket_of(tlb, class_of(item), item->page)];

			old[i] = item->next;
			item->next = *bucket;
			*bucket = item;
		}
	}
	free(old);
}

// The entries of a run stand for one translation, whichever of them was loaded, and when.
static bool same(const struct sim_item *a, const struct sim_item *b)
{
	return a->page == b->page && a->level == b->level && a->run_shift == b->run_shift && a->pa == b->pa &&
	       (a->run_shift || (a->where == b->where && a->generation == b->generation)) && a->may == b->may &&
	       a->dirty == b->dirty && a->invalid == b->invalid && a->leaf_level == b->leaf_level &&
	       a->hole_end == b->hole_end;
}

// How many bytes of memory the item leads to: a table counts by its first frame.
static uint64_t span(const struct sim_tlb *tlb, const struct sim_item *item)
{
	return UINT64_C(1) << (item->level ? SIM_FRAME_SHIFT : sim_item_shift(tlb, item));
}

bool sim_item_reaches(const struct sim_tlb *tlb, const struct sim_item *item, uint64_t pa)
{
	return item->run_shift ? sim_item_leads(item, pa) : item->generation && pa - item->pa < span(tlb, item);
}

// Counts a cached item at the frames to which it leads, or no more.
static void count(struct sim_machine *machine, const struct sim_tlb *tlb, const struct sim_item *item, int change)
{
	uint64_t start = item->page << item->run_shift;

	if (!item->generation)
		return;
	sim_count_cached_run(machine, item->pa, item->pa + span(tlb, item), change);
	if (item->hole_end)
		sim_count_cached_run(machine, item->pa + (item->hole - start), item->pa + (item->hole_end - start),
				     -change);
}

struct sim_item *sim_tlb_add(struct sim_machine *machine, struct sim_tlb *tlb, const struct sim_item *item,
			     bool *is_new)
{
	struct sim_item **bucket = &tlb->buckets[bucket_of(tlb, class_of(item), item->page)];
	struct sim_item *kept;

	*is_new = false;
	for (kept = *bucket; kept; kept = kept->next) {
		if (same(kept, item))
			return kept;
	}
	*is_new = true;
	if (tlb->items >= tlb->bucket_count * 2) {
		grow(tlb);
		bucket = &tlb->buckets[bucket_of(tlb, class_of(item), item->page)];
	}
	kept = tlb->spare;
	if (kept)
		tlb->spare = kept->next;
	else
		kept = sim_host_alloc(sizeof(*kept));
	*kept = *item;
	kept->next = *bucket;
	*bucket = kept;
	tlb->items++;
	if (kept->run_shift)
		tlb->run_shifts |= UINT64_C(1) << kept->run_shift;
	count(machine, tlb, kept, 1);
	return kept;
}

// Takes the item at *link out.
static void drop(struct sim_machine *machine, struct sim_tlb *tlb, struct sim_item **link)
{
	struct sim_item *item = *link;

	*link = item->next;
	count(machine, tlb, item, -1);
	item->next = tlb->spare;
	tlb->spare = item;
	tlb->items--;
}

// Drops the item at *link, or of a run the part that the range covers, and what lies between that and an earlier hole.
// True: it is gone.
static bool drop_part(struct sim_machine *machine, struct sim_tlb *tlb, struct sim_item **link, uint64_t start,
		      uint64_t last)
{
	struct sim_item *item = *link;
	uint64_t first = item->page << item->run_shift, end = first + (UINT64_C(1) << item->run_shift);

	if (item->run_shift) {
		start = start > first ? start : first;
		last = last < end - 1 ? last : end - 1;
		if (item->hole_end && item->hole < start)
			start = item->hole;
		if (item->hole_end && item->hole_end - 1 > last)
			last = item->hole_end - 1;
	}
	if (!item->run_shift || (start == first && last == end - 1)) {
		drop(machine, tlb, link);
		return true;
	}
	count(machine, tlb, item, -1);
	item->hole = start;
	item->hole_end = last + 1;
	count(machine, tlb, item, 1);
	return false;
}

// Drops the items of one class for one page, of runs the part in the range.
static void flush_page(struct sim_machine *machine, struct sim_tlb *tlb, unsigned class, uint64_t page,
		       uint64_t start, uint64_t last)
{
	struct sim_item **link = &tlb->buckets[bucket_of(tlb, class, page)];

	while (*link) {
		if ((*link)->page != page || class_of(*link) != class || !drop_part(machine, tlb, link, start, last))
			link = &(*link)->next;
	}
}

// Drops what the range covers by looking at everything.
static void flush_scan(struct sim_machine *machine, struct sim_tlb *tlb, uint64_t start, uint64_t last, bool tables)
{
	for (size_t i = 0; i < tlb->bucket_count; i++) {
		struct sim_item **link = &tlb->buckets[i];

		while (*link) {
			struct sim_item *item = *link;
			unsigned shift = sim_item_shift(tlb, item);

			if ((item->level != 0 && !tables) || item->page < start >> shift ||
			    item->page > last >> shift || !drop_part(machine, tlb, link, start, last))
				link = &item->next;
		}
	}
}

void sim_tlb_flush(struct sim_machine *machine, struct sim_tlb *tlb, uint64_t start, uint64_t end, bool tables)
{
	unsigned levels = tables ? tlb->decoder->levels : 1, shift = sim_shift(tlb->decoder, 0);
	uint64_t last = end - 1;

	if (start >= end || !tlb->items)
		return;
	if ((last >> shift) - (start >> shift) >= tlb->items / 2) {
		flush_scan(machine, tlb, start, last, tables);
		return;
	}
	for (unsigned level = 0; level < levels; level++) {
		shift = sim_shift(tlb->decoder, level);
		for (uint64_t page = start >> shift; page <= last >> shift; page++)
			flush_page(machine, tlb, level, page, start, last);
	}
	for (uint64_t runs = tlb->run_shifts; runs; runs &= runs - 1) {
		shift = (unsigned)__builtin_ctzll(runs);
		for (uint64_t page = start >> shift; page <= last >> shift; page++)
			flush_page(machine, tlb, shift, page, start, last);
	}
}

void sim_tlb_flush_all(struct sim_machine *machine, struct sim_tlb *tlb, bool tables)
{
	if (tlb->items)
		flush_scan(machine, tlb, 0, UINT64_MAX, tables);
}

bool sim_tlb_each(struct sim_tlb *tlb, bool (*fn)(struct sim_item *item, void *arg), void *arg)
{
	for (size_t i = 0; tlb->items && i < tlb->bucket_count; i++) {
		for (struct sim_item *item = tlb->buckets[i]; item; item = item->next) {
			if (fn(item, arg))
				return true;
		}
	}
	return false;
}
