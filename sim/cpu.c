// SPDX-License-Identifier: MIT
// CPUs as threads: binding, running, idling, and what the library may ask of the CPU that it is on: its number,
// preemption, read-side sections' nesting. The nesting is checked as a kernel would be hurt by it.
#include "internal.h"

static _Thread_local struct sim_cpu *self;

struct sim_cpu *sim_self(void)
{
	return self;
}

unsigned sim_cpu_number(const struct sim_cpu *cpu)
{
	return cpu->number;
}

struct sim_machine *sim_cpu_machine(const struct sim_cpu *cpu)
{
	return cpu->machine;
}

struct sim_cpu *sim_current(struct sim_machine *machine, const char *function)
{
	if (!self || self->machine != machine)
		sim_stopf(machine, 0, 0, "%s: called by a thread that is no CPU of the machine", function);
	return self;
}

void sim_check_sleepable(struct sim_cpu *cpu, const char *function)
{
	if (cpu->preempt || cpu->read)
		sim_stopf(cpu->machine, 0, 0,
			  "%s on CPU %u where it may not sleep: preemption off %d deep, read-side sections %d deep",
			  function, cpu->number, cpu->preempt, cpu->read);
}

static void set_running(struct sim_cpu *cpu, bool running)
{
	sim_lock(&cpu->mmu);
	if (cpu->running == running)
		sim_stopf(cpu->machine, 0, 0, "CPU %u is %s already", cpu->number, running ? "running" : "idle");
	// In both directions: nothing that was asked of it stays behind.
	sim_serve_locked(cpu);
	cpu->running = running;
	atomic_fetch_add_explicit(&cpu->machine->running, running ? 1 : -1u, memory_order_relaxed);
	sim_unlock(&cpu->mmu);
}

struct sim_cpu *sim_bind(struct sim_machine *machine, unsigned number)
{
	if (self || number >= machine->cpu_count)
		sim_stopf(machine, 0, 0, "sim_bind: CPU %u of %u, and the thread is %s CPU", number,
			  machine->cpu_count, self ? "already a" : "no");
	set_running(&machine->cpus[number], true);
	self = &machine->cpus[number];
	return self;
}

void sim_forget_binding(void)
{
	if (!self)
		return;
	sim_unlock_held();
	self->preempt = self->read = 0;
	set_running(self, false);
	self = NULL;
	sim_forget_catcher();
}

void sim_unbind(void)
{
	sim_check_sleepable(self, "sim_unbind");
	set_running(self, false);
	self = NULL;
}

void sim_idle_begin(struct sim_cpu *cpu)
{
	sim_check_sleepable(cpu, "sim_idle_begin");
	set_running(cpu, false);
}

void sim_idle_end(struct sim_cpu *cpu)
{
	set_running(cpu, true);
}

static void *thread_main(void *arg)
{
	struct sim_cpu *cpu = arg;

	sim_bind(cpu->machine, cpu->number);
	cpu->body(cpu, cpu->body_arg);
	sim_unbind();
	return NULL;
}

void sim_cpu_run(struct sim_machine *machine, unsigned number, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg)
{
	struct sim_cpu *cpu = &machine->cpus[number];

	if (number >= machine->cpu_count)
		sim_stopf(machine, 0, 0, "sim_cpu_run: there is no CPU %u", number);
	cpu->body = fn;
	cpu->body_arg = arg;
	if (pthread_create(&cpu->thread, NULL, thread_main, cpu))
		sim_stopf(machine, 0, 0, "sim_cpu_run: the host has no thread for CPU %u", number);
}

void sim_cpu_join(struct sim_machine *machine, unsigned number)
{
	struct sim_cpu *me = self && self->machine == machine ? self : NULL;

	if (me)
		sim_idle_begin(me);
	pthread_join(machine->cpus[number].thread, NULL);
	if (me)
		sim_idle_end(me);
}

void sim_run_some(struct sim_machine *machine, unsigned count, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg)
{
	struct sim_cpu *me = self && self->machine == machine ? self : NULL;

	if (me)
		sim_unbind();
	for (unsigned i = 0; i < count; i++)
		sim_cpu_run(machine, i, fn, arg);
	for (unsigned i = 0; i < count; i++)
		pthread_join(machine->cpus[i].thread, NULL);
	if (me)
		sim_bind(machine, me->number);
}

void sim_run_all(struct sim_machine *machine, void (*fn)(struct sim_cpu *cpu, void *arg), void *arg)
{
	sim_run_some(machine, machine->cpu_count, fn, arg);
}

// ---- The port ----------------------------------------------------------------------------------------------------

unsigned vmt_port_cpu(void *port)
{
	struct sim_cpu *cpu = sim_current(port, "vmt_port_cpu");

	if (!cpu->preempt)
		sim_stopf(port, 0, 0, "vmt_port_cpu with preemption on: the answer may be wrong already");
	return cpu->number;
}

void vmt_port_preempt_off(void *port)
{
	sim_current(port, "vmt_port_preempt_off")->preempt++;
}

void vmt_port_preempt_on(void *port)
{
	struct sim_cpu *cpu = sim_current(port, "vmt_port_preempt_on");

	if (cpu->preempt == 0)
		sim_stopf(port, 0, 0, "vmt_port_preempt_on: it is on");
	if (--cpu->preempt == 0)
		sim_point(cpu, SIM_POINT_PREEMPT_ON);
}

// ---- The active space --------------------------------------------------------------------------------------------

struct vmt_space *sim_active(const struct sim_cpu *cpu)
{
	return cpu->active ? cpu->active->space : NULL;
}

// The identifier for the space: the one that it had, else any. Its translations go unless it is the same space, not
// flushed since.
static struct sim_asid *choose_asid(struct sim_cpu *cpu, struct vmt_space *space, uint64_t generation)
{
	struct sim_machine *machine = cpu->machine;
	struct sim_asid *asid = &cpu->asids[sim_next_random(&cpu->mmu.random) % machine->asid_count];

	for (unsigned i = 0; i < machine->asid_count; i++) {
		if (cpu->asids[i].space == space)
			asid = &cpu->asids[i];
	}
	if (asid->space != space || asid->generation != generation) {
		sim_tlb_flush_all(machine, &asid->context.tlb, true);
		sim_record(&cpu->mmu, &(struct sim_note){ .kind = SIM_EVENT_ASID_CLEAR,
						    .asid = asid->context.asid, .value = generation });
	}
	asid->space = space;
	asid->generation = generation;
	return asid;
}

static void leave_root(struct sim_cpu *cpu)
{
	if (cpu->active)
		sim_count_cached(cpu->machine, cpu->active->context.root, -1);
	cpu->active = NULL;
	cpu->mmu.context = NULL;
}

static void load_root(struct sim_cpu *cpu, struct vmt_space *space, uint64_t generation)
{
	struct sim_machine *machine = cpu->machine;
	struct sim_asid *asid = choose_asid(cpu, space, generation);

	asid->context.root = machine->ops->space_root(space);
	asid->context.root_generation = sim_generation(machine, asid->context.root);
	if (!(asid->context.root_generation & 1))
		sim_stopf(machine, 0, asid->context.root, "sim_activate: the root is not an allocated frame");
	leave_root(cpu);
	cpu->active = asid;
	cpu->mmu.context = &asid->context;
	cpu->entering = NULL;
	sim_count_cached(machine, asid->context.root, 1);
	sim_record(&cpu->mmu, &(struct sim_note){ .kind = SIM_EVENT_ACTIVATE, .pa = asid->context.root,
						  .value = generation,
					    .asid = asid->context.asid });
}

void sim_activate(struct sim_cpu *cpu, struct vmt_space *space)
{
	struct sim_machine *machine = cpu->machine;
	struct vmt_space *before = sim_active(cpu);
	uint64_t generation;

	if (sim_self() != cpu)
		sim_stopf(machine, 0, 0, "sim_activate by a thread that is not CPU %u", cpu->number);
	if (before == space)
		return;
	vmt_port_preempt_off(machine);
	sim_lock(&cpu->mmu);
	cpu->entering = space;
	sim_unlock(&cpu->mmu);
	generation = machine->ops->activate(space);
	sim_point(cpu, SIM_POINT_ACCESS);
	sim_lock(&cpu->mmu);
	load_root(cpu, space, generation);
	sim_unlock(&cpu->mmu);
	sim_point(cpu, SIM_POINT_ACCESS);
	if (before)
		machine->ops->deactivate(before);
	vmt_port_preempt_on(machine);
}

void sim_deactivate(struct sim_cpu *cpu)
{
	struct sim_machine *machine = cpu->machine;
	struct vmt_space *before = sim_active(cpu);

	if (sim_self() != cpu)
		sim_stopf(machine, 0, 0, "sim_deactivate by a thread that is not CPU %u", cpu->number);
	if (!before)
		return;
	vmt_port_preempt_off(machine);
	sim_lock(&cpu->mmu);
	sim_serve_locked(cpu);
	sim_record(&cpu->mmu, &(struct sim_note){ .kind = SIM_EVENT_DEACTIVATE,
					    .asid = cpu->active->context.asid });
	leave_root(cpu);
	sim_unlock(&cpu->mmu);
	sim_point(cpu, SIM_POINT_ACCESS);
	machine->ops->deactivate(before);
	vmt_port_preempt_on(machine);
}
