// SPDX-License-Identifier: MIT
// One try of an access by an MMU, a CPU's or a device's: one step between two scheduler points, wholly under the MMU's
// lock. What was asked of its owner is served before and after it but not within, so that whoever has the answer knows
// that no access that used the old translation is under way.
//
// A try uses a cached translation, however stale, or walks from a cached intermediate entry, however stale, or walks
// afresh; chance decides. That is what hardware may do until a flush covers what it has cached.
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static _Thread_local struct sim_mmu *held;

void sim_lock(struct sim_mmu *mmu)
{
	pthread_mutex_lock(&mmu->lock);
	held = mmu;
}

void sim_unlock(struct sim_mmu *mmu)
{
	held = NULL;
	pthread_mutex_unlock(&mmu->lock);
}

void sim_unlock_held(void)
{
	if (held)
		sim_unlock(held);
}

void sim_mmu_init(struct sim_mmu *mmu, struct sim_machine *machine, const struct sim_decoder *decoder, uint64_t seed)
{
	mmu->machine = machine;
	mmu->decoder = decoder;
	mmu->hostility = &machine->hostility;
	mmu->break_first = decoder->break_first;
	mmu->random = seed;
	mmu->history = calloc(1, sizeof(*mmu->history));
	if (!mmu->history)
		abort();
	pthread_mutex_init(&mmu->lock, NULL);
}

void sim_mmu_destroy(struct sim_mmu *mmu)
{
	free(mmu->history);
	pthread_mutex_destroy(&mmu->lock);
}

// ---- Choosing a translation --------------------------------------------------------------------------------------

// A cached translation for the access, NULL if the MMU is to walk. *refused: it faults without a walk.
static struct sim_item *choose_cached(struct sim_mmu *mmu, const struct sim_access *access, bool *refused)
{
	const struct sim_want *want = &access->want;
	bool keeps = mmu->fault_keeps;
	struct sim_item *found[SIM_TLB_MATCHES], *item;
	unsigned count = sim_tlb_find(&mmu->context->tlb, 0, want->va, found);

	*refused = false;
	// Where a fault drops nothing it comes back while the handler does not ask for the flush of what caused it.
	if (keeps && access->tries) {
		for (unsigned i = 0; i < count; i++) {
			item = found[i];
			if (item->invalid || !sim_allowed(item->may, want->access, want->user) ||
			    (mmu->fault_ad && want->access == VMT_WRITE && !item->dirty)) {
				*refused = true;
				return NULL;
			}
		}
	}
	if (!count || !sim_chance(&mmu->random, mmu->hostility->cached))
		return NULL;
	item = found[sim_next_random(&mmu->random) % count];
	*refused = item->invalid;
	if (*refused)
		return NULL;
	if (!sim_allowed(item->may, want->access, want->user)) {
		*refused = keeps || sim_chance(&mmu->random, mmu->hostility->refuse);
		return NULL;
	}
	if (want->access == VMT_WRITE && !item->dirty) {
		*refused = mmu->fault_ad;
		return NULL;
	}
	sim_check_item(mmu, item, want->va);
	mmu->hits++;
	return item;
}

// A cached intermediate entry to walk from, NULL for the root.
static struct sim_item *choose_structure(struct sim_mmu *mmu, uint64_t va)
{
	struct sim_item *found[5 * SIM_TLB_MATCHES];
	unsigned count = 0;

	if (!sim_chance(&mmu->random, mmu->hostility->structure))
		return NULL;
	for (unsigned level = 1; level < mmu->decoder->levels; level++)
		count += sim_tlb_find(&mmu->context->tlb, level, va, found + count);
	return count ? found[sim_next_random(&mmu->random) % count] : NULL;
}

static struct sim_item *translate(struct sim_mmu *mmu, const struct sim_access *access)
{
	bool refused;
	struct sim_item *item = choose_cached(mmu, access, &refused), *from;

	if (item || refused)
		return item;
	from = choose_structure(mmu, access->want.va);
	if (from)
		sim_check_item(mmu, from, access->want.va);
	return sim_walk(mmu, &access->want, from);
}

// ---- The access --------------------------------------------------------------------------------------------------

// Reads, writes or adds at `at`; aligned accesses are one atomic step. Relaxed: what programs do to each other's memory
// is theirs, and whatever the library does with the frame is ordered by entries and flushes.
#define TRANSFER(type)                                                                                                 \
	do {                                                                                                           \
		_Atomic(type) *word = (_Atomic(type) *)(void *)at;                                                     \
		if (access->add)                                                                                       \
			access->value = atomic_fetch_add_explicit(word, (type)access->value, memory_order_relaxed);    \
		else if (access->want.access == VMT_WRITE)                                                             \
			atomic_store_explicit(word, (type)access->value, memory_order_relaxed);                        \
		else                                                                                                   \
			access->value = atomic_load_explicit(word, memory_order_relaxed);                              \
	} while (0)

static void transfer_bytes(struct sim_access *access, uint8_t *at)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < access->size; i++) {
		_Atomic(uint8_t) *byte = (_Atomic(uint8_t) *)at + i;

		if (access->want.access == VMT_WRITE)
			atomic_store_explicit(byte, (uint8_t)(access->value >> (8 * i)), memory_order_relaxed);
		else
			value |= (uint64_t)atomic_load_explicit(byte, memory_order_relaxed) << (8 * i);
	}
	if (access->want.access != VMT_WRITE)
		access->value = value;
}

// An addition that is one step to its own device alone.
static void add_in_two(struct sim_mmu *mmu, struct sim_access *access, uint8_t *at)
{
	_Atomic(uint64_t) *word = (_Atomic(uint64_t) *)(void *)at;
	uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

	sim_give_way(mmu->machine, &mmu->random, 50);
	atomic_store_explicit(word, old + access->value, memory_order_relaxed);
	access->value = old;
}

static void transfer(struct sim_mmu *mmu, struct sim_access *access, uint8_t *at)
{
	bool aligned = !((uintptr_t)at & (access->size - 1));

	if (access->in_two)
		add_in_two(mmu, access, at);
	else if (access->size == 8 && aligned)
		TRANSFER(uint64_t);
	else if (access->size == 4 && aligned)
		TRANSFER(uint32_t);
	else if (access->size == 2 && aligned)
		TRANSFER(uint16_t);
	else if (access->size == 1)
		TRANSFER(uint8_t);
	else
		transfer_bytes(access, at);
}

// Where the MMU finds physical memory.
static uint8_t *memory_at(struct sim_mmu *mmu, uint64_t va, uint64_t pa)
{
	const struct sim_local *local = mmu->local;

	if (local && pa >= local->base && pa - local->base < local->bytes)
		return local->memory + (pa - local->base);
	if (!sim_in_ram(mmu->machine, pa))
		sim_stopf(mmu->machine, va, pa & ~SIM_FRAME_MASK,
			  "an access of %s to %#llx reaches %#llx, where there is no memory", mmu->name,
			  (unsigned long long)va, (unsigned long long)pa);
	return sim_ram(mmu->machine, pa);
}

static void perform(struct sim_mmu *mmu, struct sim_access *access, const struct sim_item *item)
{
	uint64_t va = access->want.va, mask = sim_page_mask(mmu->decoder);
	uint64_t pa = sim_item_pa(&mmu->context->tlb, item, va) + (va & mask);
	bool reads = access->want.access != VMT_WRITE || access->add;
	uint8_t *at = memory_at(mmu, va, pa);

	if (access->want.access == VMT_WRITE)
		sim_record(mmu, &(struct sim_note){ .kind = SIM_EVENT_WRITE, .va = va, .pa = pa & ~mask,
						    .where = item->where, .value = access->value });
	transfer(mmu, access, at);
	if (reads && access->size == 8 && (access->value == SIM_POISON || access->value == SIM_UNSET))
		sim_stopf(mmu->machine, va, pa & ~SIM_FRAME_MASK, "a read of %#llx finds %s", (unsigned long long)va,
			  access->value == SIM_POISON ? "the bytes of a freed frame" : "a frame never filled");
}

void sim_say_it_in(const struct sim_decoder *decoder, struct sim_want *want)
{
	if (decoder->no_exec && want->access == VMT_EXEC)
		want->access = VMT_READ;
	if (decoder->no_user)
		want->user = true;
}

bool sim_mmu_access(struct sim_mmu *mmu, struct sim_access *access)
{
	uint64_t mask = sim_page_mask(mmu->decoder), page = access->want.va & ~mask;
	struct sim_item *item;

	mmu->accesses++;
	item = translate(mmu, access);
	if (item) {
		perform(mmu, access, item);
		mmu->recent[mmu->recent_next++ % SIM_RECENT] = page;
		sim_wander(mmu);
		return true;
	}
	mmu->faults++;
	sim_record(mmu, &(struct sim_note){ .kind = SIM_EVENT_FAULT, .va = access->want.va,
					    .value = access->want.access });
	// Intel SDM vol. 3A, 4.10.4.1, and vol. 3C, 29.4.3.1 (EPT): a fault drops what was cached for the address,
	// tables too.
	if (!mmu->fault_keeps)
		sim_tlb_flush(mmu->machine, &mmu->context->tlb, page, page + mask + 1, true);
	return false;
}

// ---- Without an access -------------------------------------------------------------------------------------------

void sim_mmu_prefetch(struct sim_mmu *mmu, uint64_t va)
{
	mmu->prefetches++;
	sim_walk(mmu, &(struct sim_want){ .va = va, .access = VMT_READ, .user = true, .speculative = true }, NULL);
}

void sim_wander(struct sim_mmu *mmu)
{
	unsigned shift = sim_shift(mmu->decoder, 0), table = sim_shift(mmu->decoder, 1) - shift;
	uint64_t random, va;

	if (!sim_chance(&mmu->random, mmu->hostility->prefetch))
		return;
	random = sim_next_random(&mmu->random);
	va = mmu->recent[random % SIM_RECENT];
	random >>= 8;
	switch (random & 3) {
	case 0: // a page near by, in either direction
		va += (((random >> 2) & 31) - 16) << shift;
		break;
	case 1: // as far as the next table, or the next but one level
		va += (((random >> 2) & ((UINT64_C(2) << table) - 1)) - (UINT64_C(1) << table)) << shift;
		break;
	case 2: // anywhere
		va = sim_next_random(&mmu->random) >> (65 - mmu->decoder->va_bits);
		break;
	default:
		break;
	}
	if (!sim_canonical(mmu->decoder, va) || va >> 63)
		return;
	sim_mmu_prefetch(mmu, va);
}

unsigned sim_mmu_cached(struct sim_mmu *mmu, uint64_t va, bool tables)
{
	struct sim_item *found[SIM_TLB_MATCHES];
	unsigned count = 0;

	if (!mmu->context)
		return 0;
	for (unsigned level = tables; level < (tables ? mmu->decoder->levels : 1); level++)
		count += sim_tlb_find(&mmu->context->tlb, level, va, found);
	return count;
}
