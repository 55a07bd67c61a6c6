// SPDX-License-Identifier: MIT
// One sequence of device_differential.h, from the machine it begins with to the last leak; and the comparison of the
// library with the model.
#include "device_differential.h"
#include "grace.h"
#include "starved.h"

_Noreturn void wrong(struct run *run, unsigned space, unsigned page, const char *what)
{
	printf("operation %u (%s), space %u, page %u: %s\n", run->at, op_names[run->ops[run->at].kind], space, page,
	       what);
	fflush(stdout);
	sim_stop(run->env.machine, page_addr(run, page), 0, what);
}

// ---- Comparing ---------------------------------------------------------------------------------------------------

// A device marker's payload says which memory, counted from the first, and which frame of it.
const void *bytes_of(struct run *run, unsigned space, unsigned page)
{
	uint64_t at = page_addr(run, page);
	struct vmt_run entry;

	if (run->env.ops->walk(run->space[space], at, at + PAGE, &entry) != VMT_OK)
		wrong(run, space, page, "vmt_walk refuses");
	if (entry.mapped != run->cell[space][page].mapped)
		wrong(run, space, page, "mapped or not?");
	if (run->cell[space][page].marker) {
		if (entry.marker != run->cell[space][page].marker || entry.payload != run->cell[space][page].payload)
			wrong(run, space, page, "another marker, or none");
		return NULL;
	}
	if (run->cell[space][page].pin && (entry.state == VMT_STATE_MARKER || entry.state == VMT_STATE_NONE ||
					   entry.pa != run->pin[run->cell[space][page].pin - 1].pa))
		wrong(run, space, page, "a pinned page is elsewhere");
	if (entry.state == VMT_STATE_PRESENT || entry.state == VMT_STATE_PARKED)
		return vmt_port_frame_ptr(sim_port(run->env.machine), entry.pa);
	if (entry.state != VMT_STATE_MARKER)
		return NULL;
	if (entry.marker != VMT_MARKER_DEVICE && entry.marker != VMT_MARKER_MIGRATION)
		wrong(run, space, page, "a marker that nobody set");
	// A huge one names its first frame.
	return run->vram[entry.payload >> 32].bytes + (entry.payload & UINT32_MAX) * PAGE + at % entry.size;
}

static bool bytes_say(struct cell *cell, const void *bytes)
{
	const uint64_t *word = bytes;

	if (!bytes) // what the object has comes with the next access
		return (cell->source && !cell->own) || cell_holds(cell, 0);
	if (!cell_holds(cell, word[0] / 3))
		return false;
	for (unsigned i = 0; i < 3; i++)
		if (word[places[i] / 8] != word_value(*cell_word(cell), i))
			return false;
	return true;
}

static void compare_pages(struct run *run, unsigned first, unsigned end)
{
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = first; i < end && run->space[s]; i++)
			if (!bytes_say(&run->cell[s][i], bytes_of(run, s, i)))
				wrong(run, s, i, "a page holds other bytes");
}

// What the device could do now with what it keeps: a lost one anything, but to nobody's harm.
static void compare_device(struct run *run, struct device *device, unsigned space)
{
	for (unsigned n = 0; n < device->count; n++) {
		const struct vmt_grant *grant = &device->held[n].grant;

		for (uint64_t at = grant->addr; at < grant->addr + grant->length; at += PAGE) {
			unsigned page = (unsigned)((at - run->base) / PAGE);
			const void *bytes = device_bytes(device, at, VMT_READ); // fails if the frame was freed
			struct cell *cell = &run->cell[space][page];

			if (device->mute)
				continue;
			if (!cell->mapped || cell->marker || (grant->prot & RW & ~cell->prot))
				wrong(run, space, page, "a device keeps more than is allowed");
			if (!bytes_say(cell, bytes))
				wrong(run, space, page, "a device keeps other bytes");
		}
	}
}

void compare_all(struct run *run)
{
	for (unsigned s = 0; s < SPACES; s++) {
		if (!run->space[s])
			continue;
		sim_log_clear(run->env.machine);
		if (run->env.ops->check(run->space[s]))
			wrong(run, s, 0, sim_log_line(run->env.machine, 0));
	}
	if (sim_audit(run->env.machine))
		wrong(run, 0, 0, "a CPU has cached what the tables do not say");
	compare_pages(run, 0, CELLS);
}

// Eager mirrors that memory has failed make up for it now.
static void compare_mirror(struct run *run, struct dev *dev)
{
	bool eager = dev->config.mode == VMT_MIRROR_EAGER;
	struct vmt_mirror_counts counts = dev_counts(dev);

	if (counts.lost || dev->silent)
		return;
	if (counts.behind) {
		enum vmt_status status = run->env.ops->mirror_sync(
			dev->mirror, dev->config.start + dev->config.offset, dev->config.end - dev->config.start);

		if (status != VMT_OK && status != VMT_ERR_DEVICE)
			wrong(run, 0, 0, "a mirror that is behind stays so");
	}
	dev_judge(dev, eager);
}

void compare_devices(struct run *run)
{
	for (unsigned i = 0; i < DEVICES; i++)
		compare_device(run, &run->device[i], run->device_space[i]);
	for (unsigned i = 0; i < MIRRORS; i++)
		if (run->mirror[i].mirror)
			compare_mirror(run, &run->mirror[i]);
}

static void compare_some(struct run *run, const struct op *op)
{
	unsigned end = op->page + op->pages;

	compare_devices(run);
	compare_pages(run, op->page, end < CELLS ? end : CELLS);
	compare_pages(run, op->to, op->to + 4 < CELLS ? op->to + 4 : CELLS);
	record_check();
}

// A call has failed for want of memory, and the header says that it changed nothing then.
static void nothing_changed(void *arg)
{
	cells_settle(arg);
	compare_all(arg);
}

// If so, nobody does any more.
static bool has_refused(void *arg, enum vmt_status status)
{
	struct run *run = arg;
	bool fill = status == VMT_ERR_BUS && run->refused > run->refused_before;
	bool copy = status == VMT_ERR_DEVICE && run->vram[0].failed + run->vram[1].failed > run->failed_before;

	for (unsigned i = 0; i < MEMORIES && (fill || copy); i++)
		run->vram[i].fail_in = 0;
	run->fill_in = fill || copy ? 0 : run->fill_in;
	return fill || copy;
}

// What happens before a flush has got to anybody: CPUs load what they can, mirrors' devices use what they can.
static void before_flush(void *arg)
{
	struct run *run = arg;
	uint64_t pa;

	for (unsigned n = 0; n < run->late; n++) {
		uint64_t page = lib_random(&run->late_seed), at = page_addr(run, (unsigned)(page % CELLS));

		at = page & 1 ? at : page_addr(run, run->ops[run->at].page);
		for (unsigned i = 0; i < CPUS; i++)
			sim_prefetch(run->cpu[i], at);
		for (unsigned i = 0; i < MIRRORS; i++) {
			struct dev *dev = &run->mirror[i];

			if (dev->mirror && !dev->silent && at >= dev->config.start && at < dev->config.end)
				dev_uses(dev, at, VMT_READ, &pa);
		}
	}
}

// ---- A sequence --------------------------------------------------------------------------------------------------

static const struct sim_hostility hostilities[] = {
	{.cached = 60, .structure = 60, .prefetch = 10, .negative = 20, .refuse = 50},
	{.cached = 100, .structure = 100, .prefetch = 40, .negative = 60, .refuse = 100},
	{.cached = 0, .structure = 0},
};

// The second object's owner has something in each page, and may refuse to give it.
#define FILLED 3000000

static enum vmt_status fill(void *owner, uint64_t index, void *page)
{
	struct run *run = owner;

	if (run->fill_in && --run->fill_in == 0) {
		run->refused++;
		return VMT_ERR_BUSY;
	}
	for (unsigned i = 0; i < 3; i++)
		*(uint64_t *)((uint8_t *)page + places[i]) = word_value(FILLED + index, i);
	return VMT_OK;
}

static const struct vmt_object_ops filled = {.fill = fill};

static void run_open(struct run *run)
{
	struct starved_hooks hooks = {.unchanged = nothing_changed, .refused = has_refused, .arg = run};
	struct env *env = &run->env;

	env_open_with(env, &(struct sim_config){
		.ops = starved_ops(sim_ops(run->format), &hooks), .cpus = CPUS, .frames = HUGE_FITS ? 32768 : 2048,
		.seed = run->seed, .fault_ad = run->seed % 2, .hostility = &hostilities[run->seed % 3]});
	devices_begin();
	devices_before_flush(before_flush, run);
	run->base = 4 * HUGE * SLOTS - HALF * PAGE;
	run->space[0] = env->space;
	run->object[0] = (struct object){.pages = SMALL};
	run->object[1] = (struct object){.pages = CELLS + SMALL};
	for (unsigned i = 0; i < CELLS + SMALL; i++)
		run->object[1].value[i] = FILLED + i;
	for (unsigned i = 0; i < 2; i++)
		OK(env->ops->object_create(env->vmt, run->object[i].pages * PAGE, i ? &filled : NULL, run,
					   &run->object[i].object));
	for (unsigned i = CPUS; i-- > 0;) {
		sim_unbind();
		run->cpu[i] = env->cpu = sim_bind(env->machine, i);
	}
	for (unsigned i = 0; i < MEMORIES; i++) {
		// Both may count from the same address. The second is small.
		vram_open(env, &run->vram[i], run->seed % 5 == 0 ? UINT64_C(1) << 40 : 0,
			  (i ? 40 : CELLS + HALF) * PAGE);
		run->vram[i].how = COPIES_WAITED_FOR;
		run->vram[i].seed = run->seed + i;
	}
	for (unsigned i = 0; i < DEVICES; i++)
		device_open(env, &run->device[i], env->space, 0, 0, i < MEMORIES ? &run->vram[i] : NULL);
}

static void run_close(struct run *run)
{
	struct env *env = &run->env;

	for (unsigned i = 0; i < MEMORIES; i++)
		run->vram[i].fail_one_in = 0;
	for (unsigned i = 0; i < MIGRATIONS; i++)
		if (run->migration[i].migration)
			env->ops->migration_finish(run->migration[i].migration, NULL);
	run->late = 0;
	compare_all(run);
	grace_stretch(false);
	if (run_hooks)
		run_hooks->end();
	for (unsigned i = 0; i < MIRRORS; i++)
		mirror_close(run, i);
	for (unsigned i = 0; i < PINS; i++)
		if (run->pin[i].pa)
			env->ops->page_unpin(env->vmt, run->pin[i].pa);
	for (unsigned i = 0; i < DEVICES; i++)
		device_close(&run->device[i]);
	for (unsigned i = 0; i < CPUS; i++) { // the last is the first, which keeps the first space
		sim_deactivate(env->cpu);
		sim_unbind();
		env->cpu = sim_bind(env->machine, CPUS - 1 - i);
	}
	sim_activate(env->cpu, run->space[0]);
	for (unsigned i = 0; i < 2; i++)
		env->ops->object_put(run->object[i].object);
	for (unsigned s = 1; s < SPACES; s++)
		if (run->space[s] && env->ops->space_destroy(run->space[s]) != VMT_OK)
			wrong(run, s, 0, "a space cannot be destroyed");
	lib_expect_bare(env, env->space);
	for (unsigned i = 0; i < MEMORIES; i++)
		vram_close(&run->vram[i]);
	env_close(env);
}

const struct run_hooks *run_hooks;

void run_sequence(enum sim_format format, uint64_t seed, const struct op *ops, unsigned count)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		abort();
	run->format = format;
	run->seed = seed;
	run->ops = ops;
	run->count = count;
	run_open(run);
	for (run->at = 0; run->at < count; run->at++) {
		unsigned at = run->at;

		if (run_hooks)
			run_hooks->before(run, at);
		do_op(run, &ops[at]);
		if (run_hooks)
			run_hooks->after(run, at);
		compare_some(run, &ops[at]);
		if (at % 16 == 15)
			compare_all(run);
	}
	run->at = count - 1;
	run_close(run);
	free(run);
}

