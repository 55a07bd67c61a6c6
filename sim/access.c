// SPDX-License-Identifier: MIT
// Accesses of user programs. One try of an access is one step between two scheduler points: it happens wholly under the
// CPU's own lock, and the CPU answers flush requests before and after it but not within, so that a flusher which has
// its answer knows that no access that used the old translation is under way.
//
// A try uses a cached translation, however stale, or walks from a cached intermediate entry, however stale, or walks
// afresh; chance decides. That is what hardware may do until a flush covers what it has cached.
#include <string.h>

#include "internal.h"

// How often an access may fault although vmt_fault said VMT_OK, before the test stops.
#define MAX_TRIES 10000

struct access {
	struct sim_want want;
	unsigned size;
	uint64_t value;	// to write, or that was read
	bool add;	// value is added, and becomes what had been there
	unsigned tries;
};

// A cached translation for the access, NULL if the MMU is to walk. *refused: it faults without a walk.
static struct sim_item *choose_cached(struct sim_cpu *cpu, const struct access *access, bool *refused)
{
	struct sim_machine *machine = cpu->machine;
	const struct sim_want *want = &access->want;
	bool keeps = machine->decoder->fault_keeps;
	struct sim_item *found[SIM_TLB_MATCHES], *item;
	unsigned count = sim_tlb_find(&cpu->active->tlb, 0, want->va, found);

	*refused = false;
	// Where a fault drops nothing it comes back while the handler does not ask for the flush of what caused it.
	if (keeps && access->tries) {
		for (unsigned i = 0; i < count; i++) {
			item = found[i];
			if (item->invalid || !sim_allowed(item->may, want->access, want->user) ||
			    (machine->fault_ad && want->access == VMT_WRITE && !item->dirty)) {
				*refused = true;
				return NULL;
			}
		}
	}
	if (!count || !sim_chance(&cpu->random, machine->hostility.cached))
		return NULL;
	item = found[sim_next_random(&cpu->random) % count];
	*refused = item->invalid;
	if (*refused)
		return NULL;
	if (!sim_allowed(item->may, want->access, want->user)) {
		*refused = keeps || sim_chance(&cpu->random, machine->hostility.refuse);
		return NULL;
	}
	if (want->access == VMT_WRITE && !item->dirty) {
		*refused = machine->fault_ad;
		return NULL;
	}
	sim_check_item(cpu, item, want->va);
	cpu->hits++;
	return item;
}

// A cached intermediate entry to walk from, NULL for the root.
static struct sim_item *choose_structure(struct sim_cpu *cpu, uint64_t va)
{
	struct sim_machine *machine = cpu->machine;
	struct sim_item *found[5 * SIM_TLB_MATCHES];
	unsigned count = 0;

	if (!sim_chance(&cpu->random, machine->hostility.structure))
		return NULL;
	for (unsigned level = 1; level < machine->decoder->levels; level++)
		count += sim_tlb_find(&cpu->active->tlb, level, va, found + count);
	return count ? found[sim_next_random(&cpu->random) % count] : NULL;
}

static struct sim_item *translate(struct sim_cpu *cpu, const struct access *access)
{
	bool refused;
	struct sim_item *item = choose_cached(cpu, access, &refused), *from;

	if (item || refused)
		return item;
	from = choose_structure(cpu, access->want.va);
	if (from)
		sim_check_item(cpu, from, access->want.va);
	return sim_walk(cpu, &access->want, from);
}

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

static void transfer_bytes(struct access *access, uint8_t *at)
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

static void transfer(struct access *access, uint8_t *at)
{
	bool aligned = !((uintptr_t)at & (access->size - 1));

	if (access->size == 8 && aligned)
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

static void perform(struct sim_cpu *cpu, struct access *access, const struct sim_item *item)
{
	struct sim_machine *machine = cpu->machine;
	uint64_t va = access->want.va, pa = sim_item_pa(&cpu->active->tlb, item, va) + (va & sim_page_mask(machine));
	bool reads = access->want.access != VMT_WRITE || access->add;

	if (!sim_in_ram(machine, pa))
		sim_stopf(machine, va, pa & ~SIM_FRAME_MASK, "an access to %#llx reaches %#llx, where there is no RAM",
			  (unsigned long long)va, (unsigned long long)pa);
	if (access->want.access == VMT_WRITE)
		sim_record(cpu, &(struct sim_note){ .kind = SIM_EVENT_WRITE, .va = va, .pa = pa & ~sim_page_mask(machine),
						    .where = item->where, .value = access->value,
						    .asid = (unsigned)(cpu->active - cpu->asids) });
	transfer(access, sim_ram(machine, pa));
	if (reads && access->size == 8 && (access->value == SIM_POISON || access->value == SIM_UNSET))
		sim_stopf(machine, va, pa & ~SIM_FRAME_MASK, "a read of %#llx finds %s", (unsigned long long)va,
			  access->value == SIM_POISON ? "the bytes of a freed frame" : "a frame never filled");
}

// One try. False: a page fault.
static bool try_once(struct sim_cpu *cpu, struct access *access)
{
	struct sim_machine *machine = cpu->machine;
	struct sim_item *item;
	uint64_t page = access->want.va & ~sim_page_mask(machine);

	sim_lock(cpu);
	sim_serve_locked(cpu);
	if (!cpu->active)
		sim_stopf(machine, page, 0, "CPU %u has no space active", cpu->number);
	cpu->accesses++;
	item = translate(cpu, access);
	if (item) {
		perform(cpu, access, item);
		cpu->recent[cpu->recent_next++ % SIM_RECENT] = page;
		sim_wander(cpu);
	} else {
		cpu->faults++;
		sim_record(cpu, &(struct sim_note){ .kind = SIM_EVENT_FAULT, .va = access->want.va,
						    .value = access->want.access,
						    .asid = (unsigned)(cpu->active - cpu->asids) });
		// Intel SDM vol. 3A, 4.10.4.1, and vol. 3C, 29.4.3.1 (EPT): a fault drops what was cached for the
		// address, tables too.
		if (!machine->decoder->fault_keeps)
			sim_tlb_flush(machine, &cpu->active->tlb, page, page + sim_page_mask(machine) + 1, true);
	}
	sim_unlock(cpu);
	return item;
}

static void check_context(struct sim_cpu *cpu, const char *when)
{
	if (sim_self() != cpu)
		sim_stopf(cpu->machine, 0, 0, "an access on CPU %u by a thread that is not that CPU", cpu->number);
	if (cpu->preempt || cpu->read)
		sim_stopf(cpu->machine, 0, 0, "%s: preemption off %d deep, read-side sections %d deep", when,
			  cpu->preempt, cpu->read);
}

// A format without a permission to execute fetches as it reads, one without privileges asks for none.
static void say_it_in(const struct sim_decoder *decoder, struct sim_want *want)
{
	if (decoder->no_exec && want->access == VMT_EXEC)
		want->access = VMT_READ;
	if (decoder->no_user)
		want->user = true;
}

// The access within one page.
static enum vmt_status access_page(struct sim_cpu *cpu, struct access *access)
{
	struct sim_machine *machine = cpu->machine;
	uint64_t va = access->want.va;

	check_context(cpu, "an access");
	say_it_in(machine->decoder, &access->want);
	if (!sim_canonical(machine->decoder, va))
		return VMT_ERR_OUTSIDE;
	for (access->tries = 0; access->tries < MAX_TRIES; access->tries++) {
		enum vmt_status status;

		sim_point(cpu, SIM_POINT_ACCESS);
		if (try_once(cpu, access))
			return VMT_OK;
		status = machine->ops->fault(sim_active(cpu), va, access->want.access, NULL);
		check_context(cpu, "after vmt_fault");
		sim_record(cpu, &(struct sim_note){ .kind = SIM_EVENT_FAULT_DONE, .va = va, .value = status });
		if (status != VMT_OK)
			return status;
	}
	sim_stopf(machine, va, 0, "no progress: CPU %u faulted %u times at %#llx, and vmt_fault said VMT_OK each time",
		  cpu->number, MAX_TRIES, (unsigned long long)va);
}

// An access of 1 to 8 bytes, in two parts where it crosses pages.
static enum vmt_status access_any(struct sim_cpu *cpu, struct access *access)
{
	uint64_t va = access->want.va, mask = sim_page_mask(cpu->machine);
	unsigned size = access->size, first = size;
	struct access second = *access;
	enum vmt_status status;

	if (size < 1 || size > 8)
		sim_stopf(cpu->machine, va, 0, "an access of %u bytes", size);
	if ((va & mask) + size <= mask + 1)
		return access_page(cpu, access);
	first = (unsigned)(mask + 1 - (va & mask));
	access->size = first;
	status = access_page(cpu, access);
	if (status != VMT_OK)
		return status;
	second.want.va = va + first;
	second.size = size - first;
	second.value >>= 8 * first;
	status = access_page(cpu, &second);
	access->value |= second.value << (8 * first);
	return status;
}

enum vmt_status sim_read(struct sim_cpu *cpu, uint64_t va, unsigned size, uint64_t *value)
{
	struct access access = { .want = { .va = va, .access = VMT_READ, .user = true }, .size = size };
	enum vmt_status status = access_any(cpu, &access);

	if (status == VMT_OK)
		*value = access.value;
	return status;
}

enum vmt_status sim_write(struct sim_cpu *cpu, uint64_t va, unsigned size, uint64_t value)
{
	struct access access = { .want = { .va = va, .access = VMT_WRITE, .user = true }, .size = size,
				 .value = value };

	return access_any(cpu, &access);
}

enum vmt_status sim_exec(struct sim_cpu *cpu, uint64_t va, unsigned size)
{
	struct access access = { .want = { .va = va, .access = VMT_EXEC, .user = true }, .size = size };

	return access_any(cpu, &access);
}

enum vmt_status sim_add(struct sim_cpu *cpu, uint64_t va, uint64_t delta, uint64_t *old)
{
	enum vmt_status status;
	struct access access = { .want = { .va = va, .access = VMT_WRITE, .user = true }, .size = 8,
				 .value = delta, .add = true };

	if (va & 7)
		sim_stopf(cpu->machine, va, 0, "sim_add at %#llx, which is not aligned", (unsigned long long)va);
	status = access_page(cpu, &access);
	if (status == VMT_OK && old)
		*old = access.value;
	return status;
}

enum vmt_status sim_read_bytes(struct sim_cpu *cpu, uint64_t va, void *to, size_t size, size_t *done)
{
	enum vmt_status status = VMT_OK;
	size_t at = 0;

	while (at < size && status == VMT_OK) {
		uint64_t value = 0;
		unsigned step = 8 - ((va + at) & 7);

		step = step < size - at ? step : (unsigned)(size - at);
		status = sim_read(cpu, va + at, step, &value);
		if (status == VMT_OK) {
			memcpy((uint8_t *)to + at, &value, step);
			at += step;
		}
	}
	if (done)
		*done = at;
	return status;
}

enum vmt_status sim_write_bytes(struct sim_cpu *cpu, uint64_t va, const void *from, size_t size, size_t *done)
{
	enum vmt_status status = VMT_OK;
	size_t at = 0;

	while (at < size && status == VMT_OK) {
		uint64_t value = 0;
		unsigned step = 8 - ((va + at) & 7);

		step = step < size - at ? step : (unsigned)(size - at);
		memcpy(&value, (const uint8_t *)from + at, step);
		status = sim_write(cpu, va + at, step, value);
		if (status == VMT_OK)
			at += step;
	}
	if (done)
		*done = at;
	return status;
}

enum vmt_status sim_try(struct sim_cpu *cpu, uint64_t va, vmt_prot how, bool user, unsigned size, uint64_t *value)
{
	struct access access = { .want = { .va = va, .access = how, .user = user }, .size = size, .value = *value };

	check_context(cpu, "an access");
	say_it_in(cpu->machine->decoder, &access.want);
	if (!size || (va & sim_page_mask(cpu->machine)) + size > sim_page_mask(cpu->machine) + 1)
		sim_stopf(cpu->machine, va, 0, "sim_try of %u bytes at %#llx", size, (unsigned long long)va);
	if (!sim_canonical(cpu->machine->decoder, va) || !try_once(cpu, &access))
		return VMT_ERR_NOT_PRESENT;
	if (how != VMT_WRITE)
		*value = access.value;
	return VMT_OK;
}

void sim_prefetch(struct sim_cpu *cpu, uint64_t va)
{
	if (!sim_canonical(cpu->machine->decoder, va))
		return;
	sim_lock(cpu);
	sim_serve_locked(cpu);
	if (cpu->active) {
		cpu->prefetches++;
		sim_walk(cpu, &(struct sim_want){ .va = va, .access = VMT_READ, .user = true, .speculative = true },
			 NULL);
	}
	sim_unlock(cpu);
}
