// SPDX-License-Identifier: MIT
// Devices behind mirrors beside CPUs that change the space. A device walks its tables as hardware does and uses what it
// has cached until it was waited for; what it uses then must still be the page's frame, and what it reads there what
// somebody wrote to that page.
#include <sched.h>

#include "hammer.h"
#include "mirror.h"

#define PAGES	24u
#define BASE	(REGION + MIB(1) - 12 * PAGE) // the border between two tables lies in the middle
#define DEVICES (CPUS / 2)
#define POSTED	64

struct machine {
	_Atomic uint32_t lock;	// held for an access with its walk, and while what was asked is done
	_Atomic uint32_t queue_lock;
	unsigned posted;	// under queue_lock
	struct {
		uint64_t start, end;
	} queue[POSTED];
	struct dev dev;		// its tables
	struct {
		uint64_t pa, generation;
		vmt_prot prot;	// 0: nothing
	} cache[PAGES];
};

static struct machine machines[DEVICES];

static void lock(_Atomic uint32_t *word)
{
	// Acquire and release: what it guards is the holder's. Nobody waits for anything else while holding it.
	while (atomic_exchange_explicit(word, 1, memory_order_acquire))
		sched_yield();
}

static void unlock(_Atomic uint32_t *word)
{
	atomic_store_explicit(word, 0, memory_order_release);
}

static void machine_issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	struct machine *machine = owner;

	(void)tables;
	lock(&machine->queue_lock);
	if (machine->posted == POSTED) { // the last one grows
		machine->posted--;
		start = start < machine->queue[POSTED - 1].start ? start : machine->queue[POSTED - 1].start;
		end = end > machine->queue[POSTED - 1].end ? end : machine->queue[POSTED - 1].end;
	}
	machine->queue[machine->posted].start = start - machine->dev.config.offset;
	machine->queue[machine->posted++].end = end - machine->dev.config.offset;
	unlock(&machine->queue_lock);
}

static bool machine_wait(void *owner)
{
	struct machine *machine = owner;

	lock(&machine->lock);
	lock(&machine->queue_lock);
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned q = 0; q < machine->posted; q++)
			if (BASE + i * PAGE >= machine->queue[q].start && BASE + i * PAGE < machine->queue[q].end)
				machine->cache[i].prot = 0;
	machine->posted = 0;
	unlock(&machine->queue_lock);
	unlock(&machine->lock);
	return true;
}

// One access, with what is cached or with what the tables say. False: they do not allow it.
static bool machine_access(struct sim_cpu *cpu, struct machine *machine, unsigned i, vmt_prot access, uint64_t value)
{
	struct sim_machine *sim = sim_cpu_machine(cpu);
	uint64_t generation = 0, addr = BASE + i * PAGE, read;
	struct vmt_translation translation;
	_Atomic uint64_t *word;
	bool able;

	lock(&machine->lock);
	if (!(machine->cache[i].prot & access) && dev_translate(&machine->dev, addr, &translation)) {
		machine->cache[i].pa = translation.pa;
		machine->cache[i].prot = translation.prot;
		demand(cpu, sim_frame_allocated(sim, translation.pa, &machine->cache[i].generation), addr,
		       "a device's tables lead to a frame that was freed");
	}
	able = machine->cache[i].prot & access;
	if (able) {
		demand(cpu, sim_frame_allocated(sim, machine->cache[i].pa, &generation) &&
				    generation == machine->cache[i].generation,
		       addr, "a device uses a frame that was freed");
		word = vmt_port_frame_ptr(sim_port(sim), machine->cache[i].pa);
		// Acquire and release: as CPUs access memory.
		read = atomic_load_explicit(word, memory_order_acquire);
		demand(cpu, stamped(read, addr), addr, "a device reads what nobody wrote there");
		if (access == VMT_WRITE)
			atomic_store_explicit(word, value, memory_order_release);
	}
	unlock(&machine->lock);
	return able;
}

static void machine_open(struct sim_cpu *cpu, struct world *w, struct machine *machine, enum vmt_mirror_mode mode)
{
	static const struct vmt_mirror_ops ops = {.issue = machine_issue, .wait = machine_wait};
	struct dev_config config = {.start = BASE, .end = BASE + PAGES * PAGE, .offset = (UINT64_C(8) << 30) - REGION};
	enum sim_format format = SIM_FORMATS;
	struct vmt_mirror_config mirror;

	for (uint64_t n = random_below(cpu, 6); n-- && dev_next_format(w->env, &format);)
		;
	config.format = format == SIM_FORMATS ? w->env->format : format;
	config.mode = mode;
	memset(machine, 0, sizeof(*machine));
	dev_make(&machine->dev, w->env, &config);
	mirror = (struct vmt_mirror_config){
		.start = config.start, .end = config.end, .offset = config.offset, .mode = mode, .ops = &ops,
		.owner = machine, .target = &machine->dev.target};
	expect(cpu, w->env->ops->mirror_create(w->env->space, &mirror, &machine->dev.mirror), VMT_OK, BASE, "create");
}

static void machine_close(struct sim_cpu *cpu, struct world *w, struct machine *machine)
{
	expect(cpu, w->env->ops->mirror_destroy(machine->dev.mirror), VMT_OK, BASE, "destroy");
	demand(cpu, machine->posted == 0, BASE, "a device was asked and not waited for");
	for (unsigned i = 0; i < PAGES; i++)
		demand(cpu, machine->cache[i].prot == 0, BASE + i * PAGE, "a device has something cached in the end");
	dev_free(&machine->dev);
}

// The device's accesses, and its driver on the same CPU.
static void machine_run(struct sim_cpu *cpu, struct world *w, struct machine *machine, unsigned number)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t offset = machine->dev.config.offset;

	for (unsigned n = 0; n < 4 * w->rounds; n++) {
		unsigned i = (unsigned)random_below(cpu, PAGES);
		vmt_prot access = random_below(cpu, 2) ? VMT_WRITE : VMT_READ;
		uint64_t addr = BASE + i * PAGE;
		unsigned said = GONE | BIT(VMT_ERR_RETRY);

		if (!machine_access(cpu, machine, i, access, stamp(number, addr, n)))
			expect_one_of(cpu, ops->mirror_fault(machine->dev.mirror, addr + offset, 1, access, NULL), said,
				      addr, "a device's fault");
		if (n % 32 == 0)
			expect_one_of(cpu, ops->mirror_exclusive(machine->dev.mirror, addr + offset),
				      said | BIT(VMT_ERR_BUSY) | BIT(VMT_ERR_ARGUMENT), addr, "a page for itself");
		sim_poll(cpu);
	}
}

static void change(struct sim_cpu *cpu, struct world *w, unsigned n)
{
	const struct sim_ops *ops = w->env->ops;
	uint64_t addr = BASE + random_below(cpu, PAGES) * PAGE, length = (1 + random_below(cpu, 4)) * PAGE;
	unsigned part = BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED);
	struct vmt_space *child;

	length = addr + length > BASE + PAGES * PAGE ? PAGE : length;
	switch (random_below(cpu, 9)) {
	case 0:
		expect(cpu, ops->unmap(w->env->space, addr, length), VMT_OK, addr, "unmap");
		break;
	case 1:
	case 2:
		map_fixed(cpu, w, addr, length, 0);
		break;
	case 3:
		expect_one_of(cpu, ops->protect(w->env->space, addr, length, n % 3 ? RW : VMT_READ), part, addr,
			      "protect");
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
	case 7: // everything at once
		if (n % 16 == 0)
			expect(cpu, ops->unmap(w->env->space, BASE, PAGES * PAGE), VMT_OK, addr, "unmap");
		break;
	default:
		sim_write(cpu, addr, 8, stamp(sim_cpu_number(cpu), addr, n));
	}
}

// One device that faults and one that is kept up to date; at the end, with nothing under way, that one is complete.
static void mirrored(struct sim_cpu *cpu, struct world *w, unsigned number)
{
	struct machine *machine = &machines[number % DEVICES];
	enum vmt_mirror_mode mode = number % 2 ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND;

	if (number < DEVICES)
		for (unsigned n = 0; n < 12 * w->rounds; n++)
			change(cpu, w, n);
	for (unsigned round = 0; number >= DEVICES && round < 4; round++) {
		machine_open(cpu, w, machine, mode);
		machine_run(cpu, w, machine, number);
		if (round < 3)
			machine_close(cpu, w, machine);
	}
	sim_barrier_wait(cpu, &w->barrier, CPUS);
	if (number < DEVICES)
		return;
	dev_judge(&machine->dev, mode == VMT_MIRROR_EAGER);
	machine_close(cpu, w, machine);
}

const struct hammer_scenario hammer_scenarios[] = {
	{.name = "mirrors", .run = mirrored, .base = BASE, .length = PAGES * PAGE},
};

const unsigned hammer_scenario_count = sizeof(hammer_scenarios) / sizeof(*hammer_scenarios);
