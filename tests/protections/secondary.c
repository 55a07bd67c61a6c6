// SPDX-License-Identifier: MIT
// Cases for secondaries: a cache of one translation.
#include "spaces.h"

static struct {
	uint64_t pa;	// or VMT_NO_FRAME
	unsigned id;
	bool detached, stops;
} cache;

static void commit(void *arg, uint64_t page, uint64_t pa, vmt_prot prot)
{
	(void)arg, (void)page, (void)prot;
	cache.pa = pa;
}

static void issue(void *owner, const struct vmt_change *change)
{
	(void)owner, (void)change;
	cache.pa = VMT_NO_FRAME;
	if (cache.stops)
		race_here();
}

static void wait(void *owner, const struct vmt_change *change)
{
	(void)owner, (void)change;
	demand(!cache.detached, "a secondary was called after it had been detached");
}

static void begin_with_cache(uint64_t seed)
{
	static const struct vmt_secondary_ops cache_ops = {.issue = issue, .wait = wait};
	struct vmt_secondary_config config = {.ops = &cache_ops};

	begin_with_page(seed, PAGE);
	cache.pa = VMT_NO_FRAME;
	cache.detached = cache.stops = false;
	OK(ops->secondary_attach(env.space, &config, &cache.id));
	OK(ops->secondary_fault(env.space, cache.id, A, VMT_WRITE, commit, NULL));
}

static void secondary_unmap(uint64_t seed)
{
	begin_with_cache(seed);
	OK(ops->unmap(env.space, A, PAGE));
	demand(cache.pa == VMT_NO_FRAME, "a secondary has a translation of what was unmapped");
	ops->secondary_detach(env.space, cache.id);
	end();
}

static void unmap_a(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->unmap(env.space, A, PAGE);
}

static void detach(struct sim_cpu *cpu)
{
	(void)cpu;
	ops->secondary_detach(env.space, cache.id);
	cache.detached = true;
}

// CPU 1 detaches while CPU 0 is between asking for a flush and waiting for it.
static void secondary_detach(uint64_t seed)
{
	begin_with_cache(seed);
	cache.stops = true;
	race_run(&(struct race){.place = AT_HERE, .first = unmap_a, .between = detach});
	end();
}

const struct protection_case secondary_cases[] = {
	{"secondary-unmap", secondary_unmap},
	{"secondary-detach", secondary_detach},
};

const unsigned secondary_case_count = sizeof(secondary_cases) / sizeof(*secondary_cases);
