// SPDX-License-Identifier: MIT
// Flushing other CPUs: a letter box at each CPU with one place for each sender. The receiver serves it at its scheduler
// points and around accesses; for a CPU that is not running the sender does, under that CPU's lock. A sender serves its
// own box while it waits, so that two that flush each other both get their answer. A CPU that neither comes to a
// scheduler point nor is idle for a minute stops the test: that is the deadlock of races.md 23.
#include "internal.h"

unsigned sim_flush_ranges(const struct vmt_flush *flush, struct vmt_flush_range *hull,
			  const struct vmt_flush_range **ranges)
{
	*hull = (struct vmt_flush_range){ flush->start, flush->end };
	*ranges = flush->all ? hull : flush->ranges;
	return flush->all ? flush->end != 0 : flush->count;
}

// Applies the request to one identifier. Hostile: nothing that the request does not name goes.
static void apply(struct sim_cpu *cpu, struct sim_asid *asid, const struct vmt_flush *flush)
{
	struct sim_note note = { .kind = SIM_EVENT_FLUSH_ALL, .asid = asid->context.asid,
				 .tables = flush->tables, .value = flush->generation };
	const struct vmt_flush_range *ranges;
	struct vmt_flush_range hull;
	unsigned count = sim_flush_ranges(flush, &hull, &ranges);

	if (!count) {
		sim_tlb_flush_all(cpu->machine, &asid->context.tlb, flush->tables);
		sim_record(&cpu->mmu, &note);
		return;
	}
	note.kind = SIM_EVENT_FLUSH;
	for (unsigned i = 0; i < count; i++) {
		note.va = ranges[i].start;
		note.end = ranges[i].end;
		sim_tlb_flush(cpu->machine, &asid->context.tlb, note.va, note.end, flush->tables);
		sim_record(&cpu->mmu, &note);
	}
}

static void serve(struct sim_cpu *cpu, const struct vmt_flush *flush)
{
	for (unsigned i = 0; i < cpu->machine->asid_count; i++) {
		struct sim_asid *asid = &cpu->asids[i];

		if (asid->space != flush->space)
			continue;
		// Not in use: the identifier is flushed when vmt_activate returns another generation. Relying on that
		// half of the time shows a library whose generation does not grow. (Trees have none.)
		if (flush->generation && cpu->active != asid && cpu->entering != flush->space &&
		    sim_chance(&cpu->mmu.random, 50)) {
			sim_record(&cpu->mmu, &(struct sim_note){ .kind = SIM_EVENT_FLUSH_ASIDE, .asid = i,
							    .value = flush->generation });
			continue;
		}
		apply(cpu, asid, flush);
	}
}

void sim_serve_locked(struct sim_cpu *cpu)
{
	// Relaxed: only a hint; the exchange decides.
	if (!atomic_load_explicit(&cpu->mail_mask, memory_order_relaxed))
		return;
	// Acquire pairs with the release in post(): the request and what the sender did to the tables are seen.
	uint64_t mask = atomic_exchange_explicit(&cpu->mail_mask, 0, memory_order_acquire);

	for (unsigned sender = 0; sender < SIM_MAX_CPUS; sender++) {
		struct sim_request *request;

		if (!(mask >> sender & 1))
			continue;
		request = atomic_load_explicit(&cpu->mail[sender], memory_order_relaxed);
		serve(cpu, request->flush);
		// Release pairs with the acquire in vmt_port_flush: this CPU's accesses before are over. The request is
		// the sender's again.
		atomic_fetch_sub_explicit(&request->pending, 1, memory_order_release);
	}
}

static void post(struct sim_cpu *to, unsigned sender, struct sim_request *request)
{
	atomic_store_explicit(&to->mail[sender], request, memory_order_relaxed);
	// Release pairs with the acquire in sim_serve_locked.
	atomic_fetch_or_explicit(&to->mail_mask, UINT64_C(1) << sender, memory_order_release);
}

// Serves the boxes of CPUs that have no thread to do it.
static void serve_idle(struct sim_machine *machine, const struct sim_cpu *self)
{
	for (unsigned i = 0; i < machine->cpu_count; i++) {
		struct sim_cpu *cpu = &machine->cpus[i];

		if (cpu == self || !atomic_load_explicit(&cpu->mail_mask, memory_order_relaxed))
			continue;
		sim_lock(&cpu->mmu);
		if (!cpu->running)
			sim_serve_locked(cpu);
		sim_unlock(&cpu->mmu);
	}
}

static void check_request(struct sim_machine *machine, const struct vmt_flush *flush)
{
	if (flush->all ? flush->count != 0 : flush->count == 0 || flush->count > VMT_FLUSH_RANGES)
		sim_stopf(machine, 0, 0, "vmt_port_flush: all is %d and count is %u", flush->all, flush->count);
	for (unsigned i = 0; i < flush->count; i++) {
		const struct vmt_flush_range *range = &flush->ranges[i];

		if (range->start >= range->end || (range->start | range->end) & sim_page_mask(machine->decoder))
			sim_stopf(machine, range->start, 0, "vmt_port_flush: the range [%#llx, %#llx)",
				  (unsigned long long)range->start, (unsigned long long)range->end);
	}
	for (unsigned i = machine->cpu_count; i < VMT_MAX_CPUS; i++) {
		if (flush->cpus[i / 64] >> (i % 64) & 1)
			sim_stopf(machine, 0, 0, "vmt_port_flush: there is no CPU %u", i);
	}
}

static void record_request(struct sim_cpu *self, const struct vmt_flush *flush)
{
	struct sim_note note = { .kind = SIM_EVENT_ASK_ALL, .tables = flush->tables, .value = flush->cpus[0] };

	if (flush->all)
		sim_record(&self->mmu, &note);
	note.kind = SIM_EVENT_ASK;
	for (unsigned i = 0; i < flush->count; i++) {
		note.va = flush->ranges[i].start;
		note.end = flush->ranges[i].end;
		sim_record(&self->mmu, &note);
	}
}

static void wait_for_answers(struct sim_machine *machine, struct sim_cpu *self, struct sim_request *request)
{
	struct sim_patience patience = { 0 };

	// Acquire pairs with the release in sim_serve_locked.
	while (atomic_load_explicit(&request->pending, memory_order_acquire)) {
		sim_point(self, SIM_POINT_WAIT);
		serve_idle(machine, self);
		if (sim_impatient(&patience))
			sim_stopf(machine, 0, 0, "CPU %u waits for %u CPUs to flush, and they do not answer",
				  self->number, atomic_load_explicit(&request->pending, memory_order_relaxed));
	}
}

static void ask(struct sim_machine *machine, struct sim_cpu *self, const struct vmt_flush *flush)
{
	struct sim_request request = { .flush = flush };
	uint64_t others = flush->cpus[0] & ~(UINT64_C(1) << self->number);

	check_request(machine, flush);
	record_request(self, flush);
	atomic_fetch_add_explicit(&machine->flushes, 1, memory_order_relaxed);
	atomic_store_explicit(&request.pending, (unsigned)__builtin_popcountll(others), memory_order_relaxed);
	for (unsigned i = 0; i < machine->cpu_count; i++) {
		if (others >> i & 1)
			post(&machine->cpus[i], self->number, &request);
	}
	if (flush->cpus[0] >> self->number & 1) {
		sim_lock(&self->mmu);
		serve(self, flush);
		sim_unlock(&self->mmu);
	}
	wait_for_answers(machine, self, &request);
}

void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	struct sim_machine *machine = port;
	struct sim_cpu *self = sim_current(machine, "vmt_port_flush");
	struct vmt_flush of_tree;

	if (!flush->space)
		sim_devices_flush(machine, flush);
	if (machine->trees && !flush->space) {
		of_tree = *flush;
		of_tree.space = flush->space_owner;
		of_tree.cpus[0] = UINT64_MAX >> (64 - machine->cpu_count);
		flush = &of_tree;
	}
	ask(machine, self, flush);
}

void vmt_port_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	struct sim_machine *machine = port;
	struct sim_cpu *self = sim_self();
	uint64_t where = (uint64_t)((uint8_t *)first - machine->ram) + SIM_RAM_BASE;

	// The walkers here are coherent; only the history is interested. And others: this is the middle of a change.
	sim_pause();
	if (self && self->machine == machine && count && sim_in_ram(machine, where))
		sim_record(&self->mmu, &(struct sim_note){
			.kind = SIM_EVENT_PUBLISH, .where = where, .level = count < 255 ? count : 255,
			.pa = where & ~SIM_FRAME_MASK,
			.value = atomic_load_explicit(first, memory_order_relaxed) });
}
