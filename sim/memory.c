// SPDX-License-Identifier: MIT
// vmt_port_mem_alloc on the host's allocator, with a header before each block that says what it is, and the requests
// that allocations of either kind fail.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MAGIC UINT64_C(0x73696d626c6f636b)

struct sim_block {
	_Alignas(64) uint64_t magic;
	size_t bytes;
	uint64_t number;	// it was the n-th allocation
	unsigned cpu;
	struct sim_block *next, **link;	// of the machine's list
};

void *sim_host_alloc(size_t bytes)
{
	void *memory = malloc(bytes ? bytes : 1);

	if (!memory) {
		fputs("simulated machine: the host has no memory\n", stderr);
		abort();
	}
	return memory;
}

// ---- Blocks ------------------------------------------------------------------------------------------------------

void *vmt_port_mem_alloc(void *port, size_t bytes)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_current(machine, "vmt_port_mem_alloc");
	struct sim_block *block = NULL;

	sim_check_sleepable(cpu, "vmt_port_mem_alloc");
	sim_point(cpu, SIM_POINT_ALLOC);
	if (!sim_fail_this(machine, SIM_FAIL_MEM))
		block = aligned_alloc(64, sizeof(*block) + ((bytes + 63) & ~(size_t)63));
	pthread_mutex_lock(&machine->memory_lock);
	machine->mem_allocs++;
	if (!block) {
		machine->mem_failures++;
		pthread_mutex_unlock(&machine->memory_lock);
		return NULL;
	}
	*block = (struct sim_block){ .magic = MAGIC, .bytes = bytes, .number = machine->mem_allocs,
				     .cpu = cpu->number, .next = machine->blocks, .link = &machine->blocks };
	if (block->next)
		block->next->link = &block->next;
	machine->blocks = block;
	machine->mems++;
	machine->mem_bytes += bytes;
	pthread_mutex_unlock(&machine->memory_lock);
	memset(block + 1, 0xa7, bytes);
	return block + 1;
}

void vmt_port_mem_free(void *port, void *memory, size_t bytes)
{
	struct sim_machine *machine = port;
	struct sim_block *block = (struct sim_block *)memory - 1;

	if (!memory || block->magic != MAGIC)
		sim_stopf(machine, 0, 0, "vmt_port_mem_free: %p is no block", memory);
	if (block->bytes != bytes)
		sim_stopf(machine, 0, 0, "vmt_port_mem_free: a block of %zu bytes is freed as one of %zu",
			  block->bytes, bytes);
	pthread_mutex_lock(&machine->memory_lock);
	*block->link = block->next;
	if (block->next)
		block->next->link = block->link;
	machine->mems--;
	machine->mem_bytes -= bytes;
	pthread_mutex_unlock(&machine->memory_lock);
	block->magic = ~MAGIC;
	memset(memory, 0xdb, bytes);
	free(block);
}

void sim_memory_destroy(struct sim_machine *machine)
{
	while (machine->blocks) {
		struct sim_block *block = machine->blocks;

		machine->blocks = block->next;
		free(block);
	}
}

uint64_t sim_leaked_blocks(struct sim_machine *machine)
{
	uint64_t leaked = 0;

	for (struct sim_block *block = machine->blocks; block; block = block->next) {
		if (leaked++ < 20)
			sim_logf(machine, "leaked: a block of %zu bytes, allocation number %llu, by CPU %u",
				 block->bytes, (unsigned long long)block->number, block->cpu);
	}
	return leaked;
}

// ---- Failures ----------------------------------------------------------------------------------------------------

bool sim_fail_this(struct sim_machine *machine, unsigned kind)
{
	struct sim_fail *fail = &machine->fail;
	bool fails = false;

	pthread_mutex_lock(&machine->fail_lock);
	if (fail->kinds & kind) {
		fail->counted++;
		fails = fail->counted >= fail->first && fail->counted - fail->first < fail->count;
	}
	if (fail->random_kinds & kind && sim_next_random(&fail->random) % 1000000 < fail->per_million)
		fails = true;
	fail->injected += fails;
	pthread_mutex_unlock(&machine->fail_lock);
	return fails;
}

void sim_fail_nth(struct sim_machine *machine, unsigned kinds, uint64_t first, uint64_t count)
{
	pthread_mutex_lock(&machine->fail_lock);
	machine->fail.kinds = count ? kinds : 0;
	machine->fail.first = first;
	machine->fail.count = count;
	machine->fail.counted = 0;
	pthread_mutex_unlock(&machine->fail_lock);
}

void sim_fail_random(struct sim_machine *machine, unsigned kinds, uint32_t per_million, uint64_t seed)
{
	pthread_mutex_lock(&machine->fail_lock);
	machine->fail.random_kinds = per_million ? kinds : 0;
	machine->fail.per_million = per_million;
	machine->fail.random = seed;
	pthread_mutex_unlock(&machine->fail_lock);
}

uint64_t sim_fail_counted(struct sim_machine *machine)
{
	uint64_t counted;

	pthread_mutex_lock(&machine->fail_lock);
	counted = machine->fail.counted;
	pthread_mutex_unlock(&machine->fail_lock);
	return counted;
}
