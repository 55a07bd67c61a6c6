// SPDX-License-Identifier: MIT
/*
 * Figures of the whole machine: sums over all spaces that live or have lived.
 *
 * dead_lock guards the sums of the dead, the peaks and the last sums. Nothing is locked under it.
 */
#include "mm_internal.h"
#include <kernel/spinlock.h>
#include <kernel/string.h>

static struct spinlock dead_lock = SPINLOCK_INIT;
static struct vmt_space_stats dead; /* what only grows, of spaces that are gone */
static uint64_t resident_peak, table_bytes_peak, array_bytes_peak;
static uint64_t resident_last, table_bytes_last, array_bytes_last;
static uint64_t created, ended;

/* Adds what only grows. */
static void add_counters(struct vmt_space_stats *to, const struct vmt_space_stats *s)
{
	to->tables_allocated += s->tables_allocated;
	to->tables_freed += s->tables_freed;
	to->faults_read_zero += s->faults_read_zero;
	to->faults_write_zero += s->faults_write_zero;
	to->faults_cow_copy += s->faults_cow_copy;
	to->faults_cow_reuse += s->faults_cow_reuse;
	to->faults_object_private += s->faults_object_private;
	to->faults_object_shared += s->faults_object_shared;
	to->faults_spurious += s->faults_spurious;
	to->faults_refused += s->faults_refused;
	to->flushes += s->flushes;
	to->flushes_all += s->flushes_all;
	to->flush_ranges += s->flush_ranges;
	to->flush_pages += s->flush_pages;
	to->flushes_skipped += s->flushes_skipped;
	to->transactions += s->transactions;
	to->retries += s->retries;
}

/* Adds what is true at the moment, and a space's own peaks. */
static void add_present(struct vmt_space_stats *to, const struct vmt_space_stats *s)
{
	to->mapped_bytes += s->mapped_bytes;
	to->resident_pages += s->resident_pages;
	to->resident_anon += s->resident_anon;
	to->resident_peak += s->resident_peak;
	to->tables += s->tables;
	to->tables_peak += s->tables_peak;
	to->table_bytes += s->table_bytes;
	to->array_bytes += s->array_bytes;
	to->array_bytes_peak += s->array_bytes_peak;
}

/* dead_lock is held. */
static void raise_peaks(uint64_t resident, uint64_t table_bytes, uint64_t array_bytes)
{
	resident_peak = MAX(resident_peak, resident);
	table_bytes_peak = MAX(table_bytes_peak, table_bytes);
	array_bytes_peak = MAX(array_bytes_peak, array_bytes);
}

static void raise_own_peaks(const struct vmt_space_stats *s)
{
	uint64_t table_bytes = s->tables_peak * (PAGE_SIZE + sizeof(struct vmt_node));

	raise_peaks(s->resident_peak, table_bytes, s->array_bytes_peak);
}

/* Sums the living into *sum and raises the peaks. */
static void sum_living(struct vmt_space_stats *sum)
{
	struct mm *mm = NULL;
	struct vmt_space_stats s;

	while ((mm = mm_next(mm)) != NULL) {
		vmt_space_stats(mm->space, &s);
		add_counters(sum, &s);
		add_present(sum, &s);
		spin_lock(&dead_lock);
		raise_own_peaks(&s);
		spin_unlock(&dead_lock);
	}
	spin_lock(&dead_lock);
	raise_peaks(sum->resident_pages, sum->table_bytes, sum->array_bytes);
	spin_unlock(&dead_lock);
}

void totals_sample(void)
{
	struct vmt_space_stats sum;

	memset(&sum, 0, sizeof(sum));
	sum_living(&sum);
}

void totals_space_begins(void)
{
	spin_lock(&dead_lock);
	created++;
	spin_unlock(&dead_lock);
}

void totals_space_ends(struct mm *mm)
{
	struct vmt_space_stats s, sum;

	vmt_space_stats(mm->space, &s);
	/* Without a reference it is not among the living any more, but its memory is still there.
	 */
	sum = s;
	sum_living(&sum);
	s.tables_freed += s.tables; /* the ones that go with the space */
	spin_lock(&dead_lock);
	ended++;
	add_counters(&dead, &s);
	raise_own_peaks(&s);
	spin_unlock(&dead_lock);
}

void mm_totals_note_last(void)
{
	struct vmt_space_stats sum;

	memset(&sum, 0, sizeof(sum));
	sum_living(&sum);
	spin_lock(&dead_lock);
	resident_last = sum.resident_pages;
	table_bytes_last = sum.table_bytes;
	array_bytes_last = sum.array_bytes;
	spin_unlock(&dead_lock);
}

void mm_totals_get(struct mm_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	sum_living(&totals->sum);
	spin_lock(&dead_lock);
	add_counters(&totals->sum, &dead);
	totals->spaces_created = created;
	totals->spaces_live = created - ended;
	totals->resident_pages_peak = resident_peak;
	totals->table_bytes_peak = table_bytes_peak;
	totals->array_bytes_peak = array_bytes_peak;
	totals->resident_pages_last = resident_last;
	totals->table_bytes_last = table_bytes_last;
	totals->array_bytes_last = array_bytes_last;
	spin_unlock(&dead_lock);
	fault_totals(totals);
	tlb_totals(totals);
	port_totals(totals);
	oom_totals(totals);
}
