// SPDX-License-Identifier: MIT
// The translation caches of one CPU for one address-space identifier: everything that was ever loaded, in a hash table
// by level and page, until a flush covers it. Several items may cover one address, stale ones among them. Guarded by
// the lock of the CPU.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define FIRST_BUCKETS 256

static size_t bucket_of(const struct sim_tlb *tlb, unsigned level, uint64_t page)
{
	uint64_t hash = (page * 8 + level) * UINT64_C(0x9e3779b97f4a7c15);

	return (hash >> 32) & (tlb->bucket_count - 1);
}

void sim_tlb_init(struct sim_tlb *tlb)
{
	*tlb = (struct sim_tlb){ .bucket_count = FIRST_BUCKETS };
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
	uint64_t page = va >> sim_shift(level);
	unsigned count = 0;

	for (struct sim_item *item = tlb->buckets[bucket_of(tlb, level, page)]; item; item = item->next) {
		if (item->page == page && item->level == level && count < SIM_TLB_MATCHES)
			found[count++] = item;
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
			struct sim_item **bucket = &tlb->buckets[bucket_of(tlb, item->level, item->page)];

			old[i] = item->next;
			item->next = *bucket;
			*bucket = item;
		}
	}
	free(old);
}

static bool same(const struct sim_item *a, const struct sim_item *b)
{
	return a->page == b->page && a->level == b->level && a->where == b->where && a->pa == b->pa &&
	       a->generation == b->generation && a->may == b->may && a->dirty == b->dirty &&
	       a->invalid == b->invalid && a->leaf_level == b->leaf_level;
}

struct sim_item *sim_tlb_add(struct sim_machine *machine, struct sim_tlb *tlb, const struct sim_item *item,
			     bool *is_new)
{
	struct sim_item **bucket = &tlb->buckets[bucket_of(tlb, item->level, item->page)];
	struct sim_item *kept;

	*is_new = false;
	for (kept = *bucket; kept; kept = kept->next) {
		if (same(kept, item))
			return kept;
	}
	*is_new = true;
	if (tlb->items >= tlb->bucket_count * 2) {
		grow(tlb);
		bucket = &tlb->buckets[bucket_of(tlb, item->level, item->page)];
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
	if (kept->generation)
		sim_count_cached(machine, kept->pa, 1);
	return kept;
}

// Takes the item at *link out.
static void drop(struct sim_machine *machine, struct sim_tlb *tlb, struct sim_item **link)
{
	struct sim_item *item = *link;

	*link = item->next;
	if (item->generation)
		sim_count_cached(machine, item->pa, -1);
	item->next = tlb->spare;
	tlb->spare = item;
	tlb->items--;
}

// Drops the items of one level for one page.
static void flush_page(struct sim_machine *machine, struct sim_tlb *tlb, unsigned level, uint64_t page)
{
	struct sim_item **link = &tlb->buckets[bucket_of(tlb, level, page)];

	while (*link) {
		if ((*link)->page == page && (*link)->level == level)
			drop(machine, tlb, link);
		else
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
			unsigned shift = sim_shift(item->level);

			if ((item->level == 0 || tables) && item->page >= start >> shift && item->page <= last >> shift)
				drop(machine, tlb, link);
			else
				link = &item->next;
		}
	}
}

void sim_tlb_flush(struct sim_machine *machine, struct sim_tlb *tlb, uint64_t start, uint64_t end, bool tables)
{
	uint64_t last = end - 1;

	if (start >= end || !tlb->items)
		return;
	if ((last >> 12) - (start >> 12) >= tlb->items / 2) {
		flush_scan(machine, tlb, start, last, tables);
		return;
	}
	for (unsigned level = 0; level <= (tables ? 4 : 0); level++) {
		for (uint64_t page = start >> sim_shift(level); page <= last >> sim_shift(level); page++)
			flush_page(machine, tlb, level, page);
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
