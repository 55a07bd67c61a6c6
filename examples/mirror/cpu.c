// SPDX-License-Identifier: MIT
// An access happens with the CPU's own lock held, so a flush is over when it has had the lock of each CPU that it
// names: nothing is cached from one access to the next, and no access is under way then that began before.
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock[HOST_CPUS];

void cpu_open(void)
{
	for (unsigned i = 0; i < HOST_CPUS; i++)
		pthread_mutex_init(&lock[i], NULL);
}

void cpu_flush(const struct vmt_flush *flush)
{
	for (unsigned i = 0; i < HOST_CPUS; i++) {
		if (!(flush->cpus[i / 64] >> i % 64 & 1))
			continue;
		pthread_mutex_lock(&lock[i]);
		pthread_mutex_unlock(&lock[i]);
	}
}

// These CPUs do not mark pages as accessed and dirty; they fault where a mark is missing, and vmt_fault sets it.
static bool allows(const struct vmt_translation *translation, enum cpu_access what)
{
	return translation->accessed &&
	       (what == CPU_LOAD || (translation->prot & VMT_WRITE && translation->dirty));
}

static bool access_once(struct vmt_space *space, uint64_t addr, enum cpu_access what, uint64_t *word)
{
	struct vmt_translation translation;
	_Atomic uint64_t *at;

	if (vmt_translate(space, addr, &translation) != VMT_OK || !allows(&translation, what))
		return false;
	at = host_word(vmt_space_owner(space), translation.pa);
	// Relaxed: the programs order what they have to by starting and ending threads and jobs.
	if (what == CPU_LOAD)
		*word = atomic_load_explicit(at, memory_order_relaxed);
	else if (what == CPU_STORE)
		atomic_store_explicit(at, *word, memory_order_relaxed);
	else
		atomic_fetch_add_explicit(at, *word, memory_order_relaxed);
	return true;
}

enum vmt_status cpu_try(struct vmt_space *space, uint64_t addr, enum cpu_access what, uint64_t *word)
{
	enum vmt_status status = VMT_OK;

	while (status == VMT_OK || status == VMT_ERR_RETRY) {
		bool done;

		pthread_mutex_lock(&lock[host_cpu]);
		done = access_once(space, addr, what, word);
		pthread_mutex_unlock(&lock[host_cpu]);
		if (done)
			return VMT_OK;
		status = vmt_fault(space, addr, what == CPU_LOAD ? VMT_READ : VMT_WRITE, NULL);
	}
	return status;
}

static void must(struct vmt_space *space, uint64_t addr, enum cpu_access what, uint64_t *word)
{
	enum vmt_status status = cpu_try(space, addr, what, word);

	if (status == VMT_OK)
		return;
	fprintf(stderr, "CPU %u at 0x%llx: %s\n", host_cpu, (unsigned long long)addr, vmt_status_name(status));
	abort();
}

uint64_t cpu_load(struct vmt_space *space, uint64_t addr)
{
	uint64_t word;

	must(space, addr, CPU_LOAD, &word);
	return word;
}

void cpu_store(struct vmt_space *space, uint64_t addr, uint64_t word)
{
	must(space, addr, CPU_STORE, &word);
}

void cpu_add(struct vmt_space *space, uint64_t addr, uint64_t word)
{
	must(space, addr, CPU_ADD, &word);
}
