// SPDX-License-Identifier: MIT
// Devices with translation caches of their own beside CPUs that change the space. A device uses what it has until it is
// told; what it uses then must still be the page's frame, and what it reads there what somebody wrote to that page.
#include <sched.h>

#include "hammer.h"

#define PAGES 24
#define BASE  (REGION + MIB(1) - 12 * PAGE) // the border between two tables lies in the middle

struct device {
	_Atomic uint32_t lock;	// held for an access, and while entries go or come
	unsigned id;
	struct world *world;
	struct {
		uint64_t pa, generation;
		vmt_prot prot;	// 0: nothing
	} cache[PAGES];
	_Atomic uint64_t asked;	// calls of issue less calls of wait
};

static struct device devices[CPUS];

static void device_lock(struct device *device)
{
	// Acquire and release: the cache is the holder's. Nobody waits for anything while holding it.
	while (atomic_exchange_explicit(&device->lock, 1, memory_order_acquire))
		sched_yield();
}

static void device_unlock(struct device *device)
{
	atomic_store_explicit(&device->lock, 0, memory_order_release);
}

static void issue(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	device_lock(device);
	for (unsigned i = 0; i < PAGES; i++)
		if (BASE + i * PAGE >= change->start && BASE + i * PAGE < change->end)
			device->cache[i].prot = 0;
	device_unlock(device);
	atomic_fetch_add_explicit(&device->asked, 1, memory_order_relaxed);
}

static bool wait(void *owner, const struct vmt_change *change)
{
	struct device *device = owner;

	(void)change;
	atomic_fetch_sub_explicit(&device->asked, 1, memory_order_relaxed);
	return true;
}

static void commit(void *arg, const struct vmt_grant *grant)
{
	struct device *device = arg;
	unsigned i = (unsigned)((grant->addr - BASE) / PAGE);

	device_lock(device);
	device->cache[i].pa = grant->pa;
	device->cache[i].prot = grant->prot;
	sim_frame_allocated(sim_cpu_machine(sim_self()), grant->pa, &device->cache[i].generation);
	device_unlock(device);
}

// One access with what is cached. False: nothing is.
static bool device_access(struct sim_cpu *cpu, struct device *device, unsigned i, bool write, uint64_t value)
{
	struct sim_machine *machine = sim_cpu_machine(cpu);
	uint64_t generation = 0, addr = BASE + i * PAGE, read;
	_Atomic uint64_t *word;
	bool able;

	device_lock(device);
	able = device->cache[i].prot & (write ? VMT_WRITE : VMT_READ);
	if (able) {
		demand(cpu, sim_frame_allocated(machine, device->cache[i].pa, &generation) &&
				    generation == device->cache[i].generation, addr, "a device uses a frame that was freed");
		word = vmt_port_frame_ptr(sim_port(machine), device->cache[i].pa);
		// Acquire and release: as CPUs access memory.
		read = atomic_load_explicit(word, memory_order_acquire);
		demand(cpu, stamped(read, addr), addr, "a device reads what nobody wrote there");
		if (write)
			atomic_store_explicit(word, value, memory_order_release);
	}
	device_unlock(device);
	return able;
}

static void device_run(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	static const struct vmt_secondary_ops device_ops = {.issue = issue, .wait = wait};
	struct device *device = &devices[number];
	struct vmt_secondary_config config = {.ops = &device_ops, .owner = device};
	const struct sim_ops *ops = w->env->ops;

	for (unsigned round = 0; round < 4; round++) {
		memset(device, 0, sizeof(*device));
		expect(cpu, ops->secondary_attach(w->env->space, &config, &device->id), VMT_OK, BASE, "attach");
		for (unsigned n = 0; n < 4 * w->rounds; n++) {
			unsigned i = (unsigned)random_below(cpu, PAGES);
			bool write = random_below(cpu, 2);
			uint64_t addr = BASE + i * PAGE;

			struct vmt_secondary_request request = {
				.addr = addr, .access = write ? VMT_WRITE : VMT_READ, .commit = commit, .arg = device,
			};

			if (!device_access(cpu, device, i, write, stamp(number, addr, n)))
				expect_one_of(cpu, ops->secondary_fault(w->env->space, device->id, &request, NULL),
					      GONE | BIT(VMT_ERR_RETRY), addr, "a device's fault");
			sim_poll(cpu);
		}
		ops->secondary_detach(w->env->space, device->id);
		demand(cpu, atomic_load_explicit(&device->asked, memory_order_relaxed) == 0, BASE,
		       "a device was asked and not waited for");
	}
}

static void change(struct sim_cpu *cpu, struct world *w, unsigned n)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t addr = BASE + random_below(cpu, PAGES) * PAGE, length = (1 + random_below(cpu, 4)) * PAGE;
	unsigned part = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED);
	struct vmt_space *child;

	length = addr + length > BASE + PAGES * PAGE ? PAGE : length;
	switch (random_below(cpu, 8)) {
	case 0:
		expect(cpu, ops->unmap(w->env->space, addr, length), VMT_OK, addr, "unmap");
		break;
	case 1:
	case 2:
		map_fixed(cpu, w, addr, length, 0);
		break;
	case 3:
		expect_one_of(cpu, ops->protect(w->env->space, addr, length, n % 3 ? RW : VMT_READ), part, addr, "protect");
		break;
	case 4:
		expect_one_of(cpu, ops->release(w->env->space, addr, length), part, addr, "release");
		break;
	case 5:
		expect_one_of(cpu, ops->lazy_free(w->env->space, addr, length), part, addr, "lazy free");
		ops->reclaim(w->env->space, 2);
		break;
	case 6:
		if (n % 8 == 0 && ops->space_fork(w->env->space, NULL, &child) == VMT_OK)
			expect(cpu, ops->space_destroy(child), VMT_OK, addr, "destroy");
		break;
	default:
		sim_write(cpu, addr, 8, stamp(sim_cpu_number(cpu), addr, n));
	}
}

static void mirrored(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	if (number >= CPUS / 2) {
		device_run(cpu, w, number);
		return;
	}
	for (unsigned n = 0; n < 12 * w->rounds; n++)
		change(cpu, w, n);
}

const struct hammer_scenario hammer_scenarios[] = {
	{.name = "devices", .run = mirrored, .base = BASE, .length = PAGES * PAGE},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);
