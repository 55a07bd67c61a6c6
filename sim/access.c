// SPDX-License-Identifier: MIT
// Accesses of user programs on a CPU: tries (mmu.c) with page faults between them. The CPU answers flush requests
// before each try.
#include <string.h>

#include "internal.h"

// How often an access may fault although vmt_fault said VMT_OK, before the test stops.
#define MAX_TRIES 10000

// One try. False: a page fault.
static bool try_once(struct sim_cpu *cpu, struct sim_access *access)
{
	bool done;

	sim_lock(&cpu->mmu);
	sim_serve_locked(cpu);
	if (!cpu->active)
		sim_stopf(cpu->machine, access->want.va & ~sim_page_mask(cpu->machine->decoder), 0,
			  "CPU %u has no space active", cpu->number);
	done = sim_mmu_access(&cpu->mmu, access);
	sim_unlock(&cpu->mmu);
	return done;
}

static void check_context(struct sim_cpu *cpu, const char *when)
{
	if (sim_self() != cpu)
		sim_stopf(cpu->machine, 0, 0, "an access on CPU %u by a thread that is not that CPU", cpu->number);
	if (cpu->preempt || cpu->read)
		sim_stopf(cpu->machine, 0, 0, "%s: preemption off %d deep, read-side sections %d deep", when,
			  cpu->preempt, cpu->read);
}

// The access within one page.
static enum vmt_status access_page(struct sim_cpu *cpu, struct sim_access *access)
{
	struct sim_machine *machine = cpu->machine;
	uint64_t va = access->want.va;

	check_context(cpu, "an access");
	sim_say_it_in(machine->decoder, &access->want);
	if (!sim_canonical(machine->decoder, va))
		return VMT_ERR_OUTSIDE;
	for (access->tries = 0; access->tries < MAX_TRIES; access->tries++) {
		enum vmt_status status;

		sim_point(cpu, SIM_POINT_ACCESS);
		if (try_once(cpu, access))
			return VMT_OK;
		status = machine->ops->fault(sim_active(cpu), va, access->want.access, NULL);
		check_context(cpu, "after vmt_fault");
		sim_record(&cpu->mmu, &(struct sim_note){ .kind = SIM_EVENT_FAULT_DONE, .va = va, .value = status });
		if (status != VMT_OK)
			return status;
	}
	sim_stopf(machine, va, 0, "no progress: CPU %u faulted %u times at %#llx, and vmt_fault said VMT_OK each time",
		  cpu->number, MAX_TRIES, (unsigned long long)va);
}

// An access of 1 to 8 bytes, in two parts where it crosses pages.
static enum vmt_status access_any(struct sim_cpu *cpu, struct sim_access *access)
{
	uint64_t va = access->want.va, mask = sim_page_mask(cpu->machine->decoder);
	unsigned size = access->size, first = size;
	struct sim_access second = *access;
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
	struct sim_access access = { .want = { .va = va, .access = VMT_READ, .user = true }, .size = size };
	enum vmt_status status = access_any(cpu, &access);

	if (status == VMT_OK)
		*value = access.value;
	return status;
}

enum vmt_status sim_write(struct sim_cpu *cpu, uint64_t va, unsigned size, uint64_t value)
{
	struct sim_access access = { .want = { .va = va, .access = VMT_WRITE, .user = true }, .size = size,
				 .value = value };

	return access_any(cpu, &access);
}

enum vmt_status sim_exec(struct sim_cpu *cpu, uint64_t va, unsigned size)
{
	struct sim_access access = { .want = { .va = va, .access = VMT_EXEC, .user = true }, .size = size };

	return access_any(cpu, &access);
}

enum vmt_status sim_add(struct sim_cpu *cpu, uint64_t va, uint64_t delta, uint64_t *old)
{
	enum vmt_status status;
	struct sim_access access = { .want = { .va = va, .access = VMT_WRITE, .user = true }, .size = 8,
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
	struct sim_access access = { .want = { .va = va, .access = how, .user = user }, .size = size, .value = *value };

	check_context(cpu, "an access");
	sim_say_it_in(cpu->machine->decoder, &access.want);
	if (!size || (va & sim_page_mask(cpu->machine->decoder)) + size > sim_page_mask(cpu->machine->decoder) + 1)
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
	sim_lock(&cpu->mmu);
	sim_serve_locked(cpu);
	if (cpu->active)
		sim_mmu_prefetch(&cpu->mmu, va);
	sim_unlock(&cpu->mmu);
}
