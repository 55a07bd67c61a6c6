// SPDX-License-Identifier: MIT
// The accelerator's inside. The bits of its tables are from the "AMD I/O Virtualization Technology (IOMMU)
// Specification", 2.2.3.
//
// One lock guards what CPUs and the unit share. Posting something *rings*: the unit looks for that between two accesses
// and wherever it waits, so an invalidation is never done in the middle of an access.
#include "accelerator.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PAGE	      UINT64_C(4096)
#define REGION	      (512 * PAGE) // what one table of the lowest level translates
#define ENTRY_PRESENT UINT64_C(0x1)
#define ENTRY_NEXT    UINT64_C(0xe00) // the next table's level; 0: a page
#define ENTRY_READ    (UINT64_C(1) << 61)
#define ENTRY_WRITE   (UINT64_C(1) << 62)
#define ENTRY_ADDRESS UINT64_C(0x000ffffffffff000)

#define TRANSLATIONS  64
#define WALKS	      8
#define INVALIDATIONS 16
#define COPIES	      32

struct invalidation {
	uint64_t start, end;
	bool tables;
};

struct accelerator {
	char *ram, *local;
	uint64_t ram_base, ram_bytes, local_bytes;
	pthread_t thread;
	_Atomic bool rung;	// set under the lock; a hint to take it
	_Atomic uint64_t done;	// invalidations
	pthread_mutex_t lock;
	pthread_cond_t bell;	// for the unit: it was rung
	pthread_cond_t news;	// from the unit: a request, an end
	uint64_t root;
	bool hung, reset, unplugged, masked, stop, break_off;
	struct invalidation invalidation[INVALIDATIONS];
	unsigned invalidations;
	uint64_t posted;
	struct accelerator_copy copy[COPIES];
	unsigned first_copy, copies;
	struct accelerator_request request;
	enum { NO_REQUEST, ASKED, TAKEN, ANSWERED_GOOD, ANSWERED_BAD } asked;
	struct accelerator_job *job;
	struct accelerator_counts counts;
	// The unit's own.
	uint64_t tables;
	bool broken;
	struct { uint64_t addr, size, pa; bool write; } translation[TRANSLATIONS]; // size 0: unused
	struct { uint64_t addr, table; bool valid; } walk[WALKS]; // where the lowest table for a region lies
	unsigned next;
};

// ---- Forgetting --------------------------------------------------------------------------------------------------

static void forget(struct accelerator *accelerator, const struct invalidation *what)
{
	for (unsigned i = 0; i < TRANSLATIONS; i++) {
		uint64_t addr = accelerator->translation[i].addr;

		if (addr < what->end && what->start < addr + accelerator->translation[i].size)
			accelerator->translation[i].size = 0;
	}
	for (unsigned i = 0; i < WALKS && what->tables; i++) {
		uint64_t addr = accelerator->walk[i].addr;

		if (addr < what->end && what->start < addr + REGION)
			accelerator->walk[i].valid = false;
	}
}

static void forget_all(struct accelerator *accelerator)
{
	forget(accelerator, &(struct invalidation){0, UINT64_MAX, true});
}

// ---- What was posted ---------------------------------------------------------------------------------------------
// The lock is held, but while a copy is made and while it is reported.

static void *local_at(const struct accelerator *accelerator, uint64_t at)
{
	if (at - LOCAL_BASE >= accelerator->local_bytes)
		abort(); // nothing there: the tables, or a copy, are broken
	return accelerator->local + (at - LOCAL_BASE);
}

static void *ram_at(const struct accelerator *accelerator, uint64_t at)
{
	if (at - accelerator->ram_base >= accelerator->ram_bytes)
		abort();
	return accelerator->ram + (at - accelerator->ram_base);
}

static void end_copy(struct accelerator *accelerator, bool good)
{
	struct accelerator_copy copy = accelerator->copy[accelerator->first_copy++ % COPIES];

	accelerator->copies--;
	accelerator->counts.copies += good;
	pthread_cond_broadcast(&accelerator->news);
	pthread_mutex_unlock(&accelerator->lock);
	if (good && copy.to_local)
		memcpy(local_at(accelerator, copy.local), ram_at(accelerator, copy.ram), copy.bytes);
	else if (good)
		memcpy(ram_at(accelerator, copy.ram), local_at(accelerator, copy.local), copy.bytes);
	copy.ended(copy.arg, good);
	pthread_mutex_lock(&accelerator->lock);
}

static void do_reset(struct accelerator *accelerator)
{
	accelerator->hung = false;
	accelerator->root = 0;
	accelerator->break_off = true;
	while (accelerator->copies)
		end_copy(accelerator, false);
	accelerator->reset = false;
	pthread_cond_broadcast(&accelerator->news);
}

static void serve(struct accelerator *accelerator)
{
	while (accelerator->hung && !accelerator->reset)
		pthread_cond_wait(&accelerator->bell, &accelerator->lock);
	if (accelerator->reset)
		do_reset(accelerator);
	atomic_store_explicit(&accelerator->rung, false, memory_order_relaxed); // set and cleared under the lock
	if (accelerator->tables != accelerator->root)
		forget_all(accelerator);
	accelerator->tables = accelerator->root;
	accelerator->broken = accelerator->broken || accelerator->break_off;
	accelerator->break_off = false;
	if (accelerator->broken)
		accelerator->asked = NO_REQUEST;
	for (unsigned i = 0; i < accelerator->invalidations; i++)
		forget(accelerator, &accelerator->invalidation[i]);
	accelerator->invalidations = 0;
	// Release pairs with the load in accelerator_done: accesses that were made come before.
	atomic_store_explicit(&accelerator->done, accelerator->posted, memory_order_release);
	if (accelerator->copies)
		end_copy(accelerator, true);
	if (accelerator->copies) // one at a time
		atomic_store_explicit(&accelerator->rung, true, memory_order_relaxed);
}

static bool is_rung(struct accelerator *accelerator)
{
	return atomic_load_explicit(&accelerator->rung, memory_order_relaxed); // what was posted, the lock shows
}

// Until it is rung. The lock is held.
static void wait_for_bell(struct accelerator *accelerator)
{
	while (!is_rung(accelerator))
		pthread_cond_wait(&accelerator->bell, &accelerator->lock);
	serve(accelerator);
}

// ---- Translation -------------------------------------------------------------------------------------------------

static _Atomic uint64_t *bus(const struct accelerator *accelerator, uint64_t pa)
{
	return pa >= LOCAL_BASE ? local_at(accelerator, pa) : ram_at(accelerator, pa);
}

// Walks from the lowest table if its place is known, else from the root, and keeps what it finds. False: nothing is
// there that allows the access.
static bool walk(struct accelerator *accelerator, uint64_t addr, bool write, unsigned slot)
{
	unsigned level = 3, place = (unsigned)(addr / REGION % WALKS);
	uint64_t table = accelerator->tables, region = addr & ~(REGION - 1);
	bool may_write = true;

	if (accelerator->walk[place].valid && accelerator->walk[place].addr == region) {
		table = accelerator->walk[place].table;
		level = 0;
	}
	for (;; level--) {
		unsigned shift = 12 + 9 * level;
		// Acquire: hardware orders the reads of a walk by their addresses.
		uint64_t entry = atomic_load_explicit(bus(accelerator, table) + (addr >> shift & 511),
						      memory_order_acquire);

		may_write = may_write && entry & ENTRY_WRITE;
		if (!(entry & ENTRY_PRESENT) || !(entry & ENTRY_READ) || (write && !may_write))
			return false;
		table = entry & ENTRY_ADDRESS;
		if (!(entry & ENTRY_NEXT)) {
			accelerator->translation[slot].addr = addr & ~((UINT64_C(1) << shift) - 1);
			accelerator->translation[slot].size = UINT64_C(1) << shift;
			accelerator->translation[slot].pa = table;
			accelerator->translation[slot].write = may_write;
			return true;
		}
		if (level == 1) {
			accelerator->walk[place].addr = region;
			accelerator->walk[place].table = table;
			accelerator->walk[place].valid = true;
		}
	}
}

// What is kept but permits too little is walked for again.
static bool translate(struct accelerator *accelerator, uint64_t addr, bool write, uint64_t *pa)
{
	unsigned slot = 0;

	while (slot < TRANSLATIONS && addr - accelerator->translation[slot].addr >= accelerator->translation[slot].size)
		slot++;
	if (slot == TRANSLATIONS || (write && !accelerator->translation[slot].write)) {
		if (slot == TRANSLATIONS)
			slot = accelerator->next++ % TRANSLATIONS;
		accelerator->translation[slot].size = 0;
		if (!walk(accelerator, addr, write, slot))
			return false;
	}
	*pa = accelerator->translation[slot].pa + (addr - accelerator->translation[slot].addr);
	return true;
}

// Asks for the page and waits. False: the answer was no, or the program is to end.
static bool request(struct accelerator *accelerator, uint64_t addr, bool write)
{
	bool good;

	pthread_mutex_lock(&accelerator->lock);
	accelerator->request = (struct accelerator_request){addr, write, ++accelerator->counts.requests};
	accelerator->asked = ASKED;
	pthread_cond_broadcast(&accelerator->news);
	while (accelerator->asked == ASKED || accelerator->asked == TAKEN)
		wait_for_bell(accelerator);
	good = accelerator->asked == ANSWERED_GOOD;
	accelerator->asked = NO_REQUEST;
	pthread_mutex_unlock(&accelerator->lock);
	return good;
}

// The word at `addr`, for one access, which is over before the next call. NULL: the program is to end.
static _Atomic uint64_t *word_at(struct accelerator *accelerator, uint64_t addr, bool write)
{
	uint64_t pa;

	do {
		if (is_rung(accelerator)) {
			pthread_mutex_lock(&accelerator->lock);
			serve(accelerator);
			pthread_mutex_unlock(&accelerator->lock);
		}
		if (!accelerator->broken && translate(accelerator, addr, write, &pa))
			return bus(accelerator, pa);
	} while (!accelerator->broken && request(accelerator, addr, write));
	accelerator->broken = true;
	accelerator->job->at = addr;
	return NULL;
}

// ---- Programs ----------------------------------------------------------------------------------------------------
// Relaxed: what orders the accesses of a process and those of its programs is that jobs start and end.

static uint64_t load(struct accelerator *accelerator, uint64_t addr)
{
	_Atomic uint64_t *word = word_at(accelerator, addr, false);

	return word ? atomic_load_explicit(word, memory_order_relaxed) : 0;
}

static void store(struct accelerator *accelerator, uint64_t addr, uint64_t value)
{
	_Atomic uint64_t *word = word_at(accelerator, addr, true);

	if (word)
		atomic_store_explicit(word, value, memory_order_relaxed);
}

static void add_one(struct accelerator *accelerator, uint64_t addr)
{
	_Atomic uint64_t *word = word_at(accelerator, addr, true);

	if (word)
		atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

static void run_list(struct accelerator *accelerator, struct accelerator_job *job)
{
	uint64_t at = job->a;

	for (uint64_t i = 0; at && i < job->count && !accelerator->broken; i++) {
		job->result += load(accelerator, at + 8);
		at = load(accelerator, at);
	}
}

static bool is_stopped(struct accelerator *accelerator)
{
	bool stopped;

	pthread_mutex_lock(&accelerator->lock);
	stopped = accelerator->stop;
	pthread_mutex_unlock(&accelerator->lock);
	return stopped;
}

static void run_tick(struct accelerator *accelerator, struct accelerator_job *job)
{
	while (!accelerator->broken && !is_stopped(accelerator)) {
		for (uint64_t i = 0; i < job->count && !accelerator->broken; i++)
			add_one(accelerator, job->to + i * job->stride);
		job->result++;
	}
}

static void run_add(struct accelerator *accelerator, struct accelerator_job *job)
{
	for (uint64_t i = 0; i < job->count && !accelerator->broken; i++) {
		uint64_t sum = load(accelerator, job->a + 8 * i) + load(accelerator, job->b + 8 * i);

		if (!accelerator->broken)
			store(accelerator, job->to + 8 * i, sum);
	}
}

static void run_count(struct accelerator *accelerator, struct accelerator_job *job)
{
	for (uint64_t i = 0; i < job->count && !accelerator->broken; i++) {
		uint64_t bin = load(accelerator, job->a + 8 * i);

		if (!accelerator->broken)
			add_one(accelerator, job->to + 8 * bin);
	}
}

static void *unit(void *arg)
{
	static void (*const run[])(struct accelerator *accelerator, struct accelerator_job *job) = {
		[ACCELERATOR_ADD] = run_add, [ACCELERATOR_COUNT] = run_count,
		[ACCELERATOR_LIST] = run_list, [ACCELERATOR_TICK] = run_tick,
	};
	struct accelerator *accelerator = arg;

	pthread_mutex_lock(&accelerator->lock);
	while (!accelerator->unplugged) {
		struct accelerator_job *job = accelerator->job;

		if (!job || is_rung(accelerator)) {
			wait_for_bell(accelerator);
			continue;
		}
		accelerator->broken = !accelerator->tables;
		pthread_mutex_unlock(&accelerator->lock);
		run[job->program](accelerator, job);
		pthread_mutex_lock(&accelerator->lock);
		job->broken = accelerator->broken;
		accelerator->job = NULL;
		pthread_cond_broadcast(&accelerator->news);
	}
	pthread_mutex_unlock(&accelerator->lock);
	return NULL;
}

// ---- What CPUs see -----------------------------------------------------------------------------------------------

static void ring(struct accelerator *accelerator)
{
	atomic_store_explicit(&accelerator->rung, true, memory_order_relaxed);
	pthread_cond_signal(&accelerator->bell);
}

void accelerator_set_tables(struct accelerator *accelerator, uint64_t root)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->root = root;
	accelerator->break_off = true;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_invalidate(struct accelerator *accelerator, uint64_t start, uint64_t end, bool tables)
{
	pthread_mutex_lock(&accelerator->lock);
	if (accelerator->invalidations < INVALIDATIONS)
		accelerator->invalidation[accelerator->invalidations++] = (struct invalidation){start, end, tables};
	else
		accelerator->invalidation[INVALIDATIONS - 1] = (struct invalidation){0, UINT64_MAX, true};
	accelerator->posted++;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
}

uint64_t accelerator_posted(struct accelerator *accelerator)
{
	uint64_t posted;

	pthread_mutex_lock(&accelerator->lock);
	posted = accelerator->posted;
	pthread_mutex_unlock(&accelerator->lock);
	return posted;
}

uint64_t accelerator_done(struct accelerator *accelerator)
{
	return atomic_load_explicit(&accelerator->done, memory_order_acquire); // pairs with the store in serve
}

bool accelerator_interrupt(struct accelerator *accelerator)
{
	bool masked;

	pthread_mutex_lock(&accelerator->lock);
	while (accelerator->asked != ASKED && !accelerator->masked)
		pthread_cond_wait(&accelerator->news, &accelerator->lock);
	masked = accelerator->masked;
	pthread_mutex_unlock(&accelerator->lock);
	return !masked;
}

bool accelerator_take_request(struct accelerator *accelerator, struct accelerator_request *taken)
{
	bool there;

	pthread_mutex_lock(&accelerator->lock);
	there = accelerator->asked == ASKED;
	if (there) {
		*taken = accelerator->request;
		accelerator->asked = TAKEN;
	}
	pthread_mutex_unlock(&accelerator->lock);
	return there;
}

void accelerator_answer(struct accelerator *accelerator, const struct accelerator_request *taken, bool good)
{
	pthread_mutex_lock(&accelerator->lock);
	if (accelerator->asked == TAKEN && accelerator->request.number == taken->number) {
		accelerator->asked = good ? ANSWERED_GOOD : ANSWERED_BAD;
		ring(accelerator);
	}
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_mask(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->masked = true;
	pthread_cond_broadcast(&accelerator->news);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_copy(struct accelerator *accelerator, const struct accelerator_copy *copy)
{
	pthread_mutex_lock(&accelerator->lock);
	while (accelerator->copies == COPIES)
		pthread_cond_wait(&accelerator->news, &accelerator->lock);
	accelerator->copy[(accelerator->first_copy + accelerator->copies++) % COPIES] = *copy;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_reset(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->reset = true;
	ring(accelerator);
	while (accelerator->reset)
		pthread_cond_wait(&accelerator->news, &accelerator->lock);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_start(struct accelerator *accelerator, struct accelerator_job *job)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->job = job;
	accelerator->stop = false;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_stop(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->stop = true;
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_finish(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	while (accelerator->job)
		pthread_cond_wait(&accelerator->news, &accelerator->lock);
	pthread_mutex_unlock(&accelerator->lock);
}

void accelerator_hang(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->hung = true;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
}

struct accelerator_counts accelerator_counts(struct accelerator *accelerator)
{
	struct accelerator_counts counts;

	pthread_mutex_lock(&accelerator->lock);
	counts = accelerator->counts;
	counts.invalidations = accelerator->posted;
	pthread_mutex_unlock(&accelerator->lock);
	return counts;
}

// ---- Plugging in -------------------------------------------------------------------------------------------------

struct accelerator *accelerator_new(char *ram, uint64_t ram_base, uint64_t ram_bytes, uint64_t local_bytes)
{
	struct accelerator *accelerator = calloc(1, sizeof(*accelerator));
	char *local = aligned_alloc(PAGE, local_bytes);

	if (!accelerator || !local)
		abort();
	accelerator->ram = ram;
	accelerator->ram_base = ram_base;
	accelerator->ram_bytes = ram_bytes;
	accelerator->local = local;
	accelerator->local_bytes = local_bytes;
	pthread_mutex_init(&accelerator->lock, NULL);
	pthread_cond_init(&accelerator->bell, NULL);
	pthread_cond_init(&accelerator->news, NULL);
	if (pthread_create(&accelerator->thread, NULL, unit, accelerator))
		abort();
	return accelerator;
}

void accelerator_free(struct accelerator *accelerator)
{
	pthread_mutex_lock(&accelerator->lock);
	accelerator->unplugged = true;
	ring(accelerator);
	pthread_mutex_unlock(&accelerator->lock);
	pthread_join(accelerator->thread, NULL);
	free(accelerator->local);
	free(accelerator);
}
