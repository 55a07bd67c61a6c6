// SPDX-License-Identifier: MIT
// The devices of hammer_devices.h: their mirrors, their memories, and the one that is driven by commands.
#include <sched.h>

#include "hammer_devices.h"

#define MEMORY ((HUGE_FITS ? 2 * SLOTS : 64) * PAGE)

// ---- A table that only commands change ---------------------------------------------------------------------------
//
// Tables of VT-d's format, made in advance for all of the zone. Commands and invalidations are executed in the order in
// which they were posted, late. Only where the space's pages have the same size.

#define COMMANDS 64
#define CELLS	 ((ZONE_END - ZONE) / PAGE)
#define LEAF	 UINT64_C(0x30)	// write-back
#define READS	 UINT64_C(1)
#define WRITES	 UINT64_C(2)

struct commands {
	_Atomic uint32_t lock;	// held for posting and executing; who holds it waits for nobody
	struct dev *dev;
	uint64_t root;
	_Atomic(uint64_t) **table; // the lowest, from that of the zone's first page on
	unsigned tables;
	uint64_t *frame;	// all
	unsigned frames;
	uint64_t *cell;		// what each entry will say when all is executed
	unsigned posted;
	struct {
		bool invalidate, whole;	// of tables too
		uint64_t start, end;	// of an invalidation; else the address and the entry
	} queue[COMMANDS];
};

static void commands_lock(struct commands *commands)
{
	// Acquire and release: the queue and the tables are the holder's.
	while (atomic_exchange_explicit(&commands->lock, 1, memory_order_acquire))
		sched_yield();
}

static void commands_unlock(struct commands *commands)
{
	atomic_store_explicit(&commands->lock, 0, memory_order_release);
}

static uint64_t commands_first(const struct commands *commands)
{
	return (ZONE + commands->dev->offset) & ~(HUGE - 1);
}

static void commands_execute(struct commands *commands, unsigned count)
{
	count = count < commands->posted ? count : commands->posted;
	for (unsigned i = 0; i < count; i++) {
		uint64_t addr = commands->queue[i].start;

		if (commands->queue[i].invalidate)
			sim_device_issue(commands->dev->device, addr, commands->queue[i].end, commands->queue[i].whole);
		else // Release: the device reads the entry while it changes, as a whole.
			atomic_store_explicit(&commands->table[(addr - commands_first(commands)) / HUGE]
							      [addr / PAGE % SLOTS],
					      commands->queue[i].end, memory_order_release);
	}
	commands->posted -= count;
	memmove(commands->queue, commands->queue + count, commands->posted * sizeof(*commands->queue));
}

static void commands_post(struct commands *commands, bool invalidate, bool whole, uint64_t start, uint64_t end)
{
	if (commands->posted == COMMANDS)
		commands_execute(commands, COMMANDS / 2);
	commands->queue[commands->posted].invalidate = invalidate;
	commands->queue[commands->posted].whole = whole;
	commands->queue[commands->posted].start = start;
	commands->queue[commands->posted++].end = end;
}

static uint64_t *command_cell(struct commands *commands, uint64_t addr)
{
	return &commands->cell[(addr - commands->dev->offset - ZONE) / PAGE];
}

// The page asked for and some that follow.
static enum vmt_status commands_map(void *target, const struct vmt_grant *grant, uint64_t addr,
				    struct vmt_reserve *reserve, uint64_t *end)
{
	struct commands *commands = target;
	uint64_t last = grant->addr + grant->length;
	enum vmt_status status = VMT_OK;

	(void)reserve;
	*end = last - addr > 4 * PAGE ? addr + 4 * PAGE : last;
	commands_lock(commands);
	for (; addr < *end && status == VMT_OK; addr += PAGE) {
		uint64_t *cell = command_cell(commands, addr), pa = grant->pa + (addr - grant->addr);
		uint64_t entry = pa | LEAF | READS | (grant->prot & VMT_WRITE ? WRITES : 0);

		if (*cell && !(entry & WRITES & ~*cell))
			continue; // it allows as much; it may be the page itself, where this is a copy of it
		if (*cell && (*cell & ~WRITES) != (entry & ~WRITES)) {
			status = VMT_ERR_EXISTS;
			continue;
		}
		*cell = entry;
		commands_post(commands, false, false, addr, entry);
	}
	commands_unlock(commands);
	return status;
}

static bool commands_unmap(void *target, uint64_t start, uint64_t end)
{
	struct commands *commands = target;
	bool any = false;

	commands_lock(commands);
	for (; start < end; start += PAGE) {
		uint64_t *cell = command_cell(commands, start);

		if (!*cell)
			continue;
		*cell = 0;
		commands_post(commands, false, false, start, 0);
		any = true;
	}
	commands_unlock(commands);
	return any;
}

static const struct vmt_target_ops commands_ops = {.map = commands_map, .unmap = commands_unmap};

static uint64_t commands_frame(struct commands *commands)
{
	uint64_t pa = vmt_port_frame_alloc(sim_port(commands->dev->zone->env->machine), PAGE, true);

	demand(sim_self(), pa != VMT_NO_FRAME && commands->frames < 64, 0, "no memory for a device's tables");
	commands->frame[commands->frames++] = pa;
	return pa;
}

// The entry of the level above, made if need be.
static uint64_t commands_below(struct commands *commands, uint64_t pa, unsigned slot)
{
	uint64_t *table = vmt_port_frame_ptr(sim_port(commands->dev->zone->env->machine), pa);

	if (!table[slot])
		table[slot] = commands_frame(commands) | READS | WRITES;
	return table[slot] & ~(PAGE - 1);
}

static void commands_open(struct dev *dev, struct vmt_target *target)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	commands->dev = dev;
	commands->tables = (unsigned)((ZONE_END - ZONE) / HUGE + 1);
	commands->table = calloc(commands->tables, sizeof(*commands->table));
	commands->frame = calloc(64, sizeof(*commands->frame));
	commands->cell = calloc(CELLS, sizeof(*commands->cell));
	commands->root = commands_frame(commands);
	for (unsigned i = 0; i < commands->tables; i++) {
		uint64_t addr = commands_first(commands) + i * HUGE, pa = commands->root;

		for (unsigned level = 3; level > 0; level--)
			pa = commands_below(commands, pa, (unsigned)(addr / PAGE >> 9 * level & (SLOTS - 1)));
		commands->table[i] = vmt_port_frame_ptr(sim_port(dev->zone->env->machine), pa);
	}
	dev->commands = commands;
	*target = (struct vmt_target){&commands_ops, commands, PAGE, ZONE + dev->offset, ZONE_END + dev->offset};
}

static void commands_close(struct dev *dev)
{
	struct commands *commands = dev->commands;

	commands_execute(commands, COMMANDS);
	for (uint64_t i = 0; i < CELLS; i++)
		demand(sim_self(), !commands->cell[i], ZONE + i * PAGE, "a mirror has ended, and left something");
	for (unsigned i = 0; i < commands->frames; i++)
		vmt_port_frame_free(sim_port(dev->zone->env->machine), commands->frame[i], PAGE);
	free(commands->table);
	free(commands->frame);
	free(commands->cell);
	free(commands);
}

// ---- The mirrors' ops --------------------------------------------------------------------------------------------

static void dev_issue(void *owner, uint64_t start, uint64_t end, bool tables)
{
	struct dev *dev = owner;

	if (!dev->commands) {
		sim_device_issue(dev->device, start, end, tables);
		return;
	}
	commands_lock(dev->commands);
	commands_post(dev->commands, true, tables, start, end);
	commands_unlock(dev->commands);
}

static bool dev_wait(void *owner)
{
	struct dev *dev = owner;

	if (dev->commands) {
		commands_lock(dev->commands);
		commands_execute(dev->commands, COMMANDS);
		commands_unlock(dev->commands);
	}
	return sim_device_wait(dev->device);
}

// Of its tree, about tables that have become empty.
static bool dev_flush(void *owner, const struct vmt_flush *flush)
{
	struct dev *dev = owner;

	if (flush->all)
		sim_device_issue(dev->device, 0, UINT64_MAX, true);
	for (unsigned i = 0; i < flush->count; i++)
		sim_device_issue(dev->device, flush->ranges[i].start, flush->ranges[i].end, flush->tables);
	return sim_device_wait(dev->device);
}

static const struct vmt_mirror_ops dev_ops = {.issue = dev_issue, .wait = dev_wait};
static const struct vmt_device_memory_ops memory_ops = {.copy = sim_dma_start};

// ---- Beginning and end -------------------------------------------------------------------------------------------

// A format for the tables of device `n`: not the space's, if there is another that fits.
static enum sim_format dev_format(struct zone *zone, unsigned n)
{
	static const enum sim_format all[] = {SIM_VTD_SS, SIM_EPT, SIM_AMD_V1, SIM_RISCV_SV39, SIM_AARCH64_S2,
					      SIM_AARCH64_S2_16K, SIM_AARCH64_S2_64K, SIM_X86_64_4};
	unsigned count = sizeof(all) / sizeof(*all), skip = (unsigned)(zone->env->seed + n) % 3;

	for (unsigned i = 0; i < 2 * count; i++) {
		enum sim_format format = all[(i + n) % count];

		if (format != zone->env->format && sim_ops(format) && sim_format_page(format) <= PAGE && !skip--)
			return format;
	}
	return zone->env->format;
}

static void dev_make_memory(struct dev *dev)
{
	struct vmt_device_memory_config config = {.base = sim_device_base(dev->device), .bytes = MEMORY, .ops = &memory_ops,
						  .owner = dev->device};

	expect(sim_self(), dev->zone->env->ops->device_memory_create(dev->zone->env->vmt, &config, &dev->memory), VMT_OK,
	       0, "device memory");
	sim_dma_fail_random(dev->device, 20000);
}

static void dev_make_tree(struct dev *dev, struct vmt_target *target)
{
	const struct sim_ops *ops = sim_ops(dev->format);
	struct vmt_tree_config config = {
		.end = sim_format_end(dev->format), .owner = dev, .flush = dev_flush, .cpus = CPUS, .user = true};

	expect(sim_self(), ops->tree_create(sim_port(dev->zone->env->machine), &config, &dev->tree), VMT_OK, 0, "a tree");
	ops->tree_target(dev->tree, target);
}

static void dev_attach(struct dev *dev)
{
	struct zone *zone = dev->zone;
	struct vmt_mirror_config config = {
		.start = ZONE, .end = ZONE_END, .ops = &dev_ops, .owner = dev, .memory = dev->memory, .offset = dev->offset,
		.target = dev->target.ops ? &dev->target : NULL,
		.mode = dev == &zone->dev[DEV_EAGER] ? VMT_MIRROR_EAGER : VMT_MIRROR_ON_DEMAND};

	sim_device_attach(dev->device, dev->tree     ? sim_ops(dev->format)->tree_root(dev->tree) :
				       dev->commands ? dev->commands->root :
						       zone->env->ops->space_root(zone->env->space));
	expect(sim_self(), zone->env->ops->mirror_create(zone->env->space, &config, &dev->mirror), VMT_OK, 0, "a mirror");
}

static void dev_open(struct zone *zone, unsigned kind)
{
	struct dev *dev = &zone->dev[kind];
	bool commanded = kind == DEV_COMMANDED && HUGE_FITS && sim_ops(SIM_VTD_SS), shared = kind == DEV_SHARED;
	bool memory = kind == DEV_DEMAND || kind == DEV_COMMANDED;

	dev->zone = zone;
	dev->format = shared ? zone->env->format : commanded ? SIM_VTD_SS : dev_format(zone, kind);
	dev->offset = shared ? 0 : kind * GIB(1) - GIB(2) + 5 * PAGE * (kind == DEV_EAGER);
	dev->device = sim_device_create(zone->env->machine, &(struct sim_device_config){
		.format = dev->format, .bytes = memory ? MEMORY : 0,
		.fault_ad = zone->env->seed % 2});
	if (memory)
		dev_make_memory(dev);
	if (commanded)
		commands_open(dev, &dev->target);
	else if (!shared)
		dev_make_tree(dev, &dev->target);
	dev_attach(dev);
}

void devs_open(struct zone *zone)
{
	for (unsigned i = 0; i < DEVS; i++)
		dev_open(zone, i);
	for (unsigned i = 0; i < DEVS; i++)
		sim_device_run(zone->dev[i].device, device_program, &zone->dev[i]);
}

void devs_close(struct zone *zone)
{
	for (unsigned i = 0; i < DEVS; i++) {
		struct dev *dev = &zone->dev[i];
		const struct sim_ops *ops = sim_ops(dev->format);

		expect(sim_self(), zone->env->ops->mirror_destroy(dev->mirror), VMT_OK, 0, "the end of a mirror");
		sim_device_detach(dev->device);
		if (dev->commands)
			commands_close(dev);
		if (!dev->tree)
			continue;
		demand(sim_self(), ops->tree_check(dev->tree) == 0 && ops->tree_tables(dev->tree) == 1, 0,
		       "a mirror has ended, and left tables");
		ops->tree_destroy(dev->tree);
	}
}

void devs_free_memory(struct zone *zone)
{
	for (unsigned i = 0; i < DEVS; i++)
		if (zone->dev[i].memory)
			expect(sim_self(), zone->env->ops->device_memory_destroy(zone->dev[i].memory), VMT_OK, 0,
			       "the end of device memory");
}

// ---- While they run ----------------------------------------------------------------------------------------------

bool dev_enter(struct dev *dev)
{
	// Sequentially consistent, all: whoever comes in sees that it is closed, or is seen.
	atomic_fetch_add_explicit(&dev->users, 1, memory_order_seq_cst);
	if (!atomic_load_explicit(&dev->closed, memory_order_seq_cst))
		return true;
	dev_leave(dev);
	return false;
}

void dev_leave(struct dev *dev)
{
	atomic_fetch_sub_explicit(&dev->users, 1, memory_order_seq_cst);
}

void dev_silence(struct zone *zone, unsigned kind)
{
	struct dev *dev = &zone->dev[kind];

	// Release: what the device does from now on counts for nothing; it begins to be silent afterwards.
	atomic_fetch_add_explicit(&dev->epoch, 1, memory_order_release);
	sim_device_silence(dev->device, true);
}

// Only CPU 0 does this.
void dev_reset(struct zone *zone, struct sim_cpu *cpu, unsigned kind)
{
	struct dev *dev = &zone->dev[kind];

	atomic_store_explicit(&dev->closed, 1, memory_order_seq_cst);
	while (atomic_load_explicit(&dev->users, memory_order_seq_cst))
		sim_poll(cpu);
	sim_device_reset(dev->device);
	expect(cpu, zone->env->ops->mirror_destroy(dev->mirror), VMT_OK, 0, "the end of a lost mirror");
	if (dev->commands) {
		commands_lock(dev->commands);
		commands_execute(dev->commands, COMMANDS);
		commands_unlock(dev->commands);
	}
	dev_attach(dev);
	// Release: the device's words are its own again.
	atomic_fetch_add_explicit(&dev->epoch, 1, memory_order_release);
	atomic_store_explicit(&dev->closed, 0, memory_order_seq_cst);
}

// Shared words are written by devices only on pages that they have for themselves: otherwise their additions would not
// be whole.
static enum vmt_status dev_handle(void *arg, struct sim_device *device, uint64_t addr, vmt_prot access)
{
	struct zone *zone = arg;
	struct dev *dev = zone->dev;
	enum vmt_status status;
	uint64_t at;

	while (dev->device != device)
		dev++;
	if (!dev_enter(dev))
		return VMT_ERR_DEVICE;
	at = addr - dev->offset;
	if (access == VMT_WRITE && at >= SHARED && at < SHARED + SHARED_PAGES * PAGE)
		status = zone->env->ops->mirror_exclusive(dev->mirror, addr);
	else
		status = zone->env->ops->mirror_fault(dev->mirror, addr, 1, access, NULL);
	dev_leave(dev);
	return status;
}

void devs_serve(struct zone *zone, struct sim_cpu *cpu)
{
	for (unsigned i = 0; i < DEVS; i++) {
		struct dev *dev = &zone->dev[i];

		if (dev->commands && random_below(cpu, 2)) {
			commands_lock(dev->commands);
			commands_execute(dev->commands, 1 + (unsigned)random_below(cpu, COMMANDS));
			commands_unlock(dev->commands);
		}
		if (random_below(cpu, 2))
			sim_device_serve(dev->device, cpu, dev_handle, zone);
	}
}

bool devs_running(struct zone *zone)
{
	bool running = false;

	for (unsigned i = 0; i < DEVS; i++)
		running |= sim_device_running(zone->dev[i].device);
	return running;
}
