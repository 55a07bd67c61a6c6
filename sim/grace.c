// SPDX-License-Identifier: MIT
// Read-side sections and grace periods: epochs in plain C11 atomics, so that ThreadSanitizer sees every order that they
// make.
//
// The machine has an epoch, a number that grows. A CPU that enters a section writes the epoch that it read into its
// own word, and 0 when it leaves. The epoch may advance from e to e + 1 when every word is 0 or e. An item deferred in
// epoch t runs when the epoch is t + 2 or more.
//
// Why that is enough without fences. The one who advances reads each word by a read-modify-write, and a CPU enters by
// one: of two on one word, one comes first. If the entering comes first, the advance sees it and waits while it is
// older than e. If the look comes first, the entering CPU acquires what the advancing one knew, so it knows of
// everything that was unlinked before epoch e. And an item's epoch is taken by a read-modify-write on the machine's
// word, so whoever reads a later epoch knows of its unlinking. A section that can see an item therefore has an epoch of
// at most t in its word, and the step from t + 1 to t + 2 waits for it.
#include "internal.h"

static void list_init(struct sim_deferred_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void list_append(struct sim_deferred_list *list, struct vmt_deferred *item)
{
	item->next = NULL;
	*list->last = item;
	list->last = &item->next;
}

// Moves all of `from` to the end of `to`.
static void list_join(struct sim_deferred_list *to, struct sim_deferred_list *from)
{
	if (!from->first)
		return;
	*to->last = from->first;
	to->last = from->last;
	list_init(from);
}

void sim_grace_init(struct sim_cpu *cpu)
{
	pthread_mutex_init(&cpu->grace.lock, NULL);
	list_init(&cpu->grace.ready);
	for (unsigned i = 0; i < 3; i++)
		list_init(&cpu->grace.waiting[i]);
}

void vmt_port_read_enter(void *port)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_current(machine, "vmt_port_read_enter");

	sim_pause();
	if (cpu->read++)
		return;
	// Acquire pairs with the advance's release; acq_rel with the look in advance().
	atomic_exchange_explicit(&cpu->epoch, atomic_load_explicit(&machine->epoch, memory_order_acquire),
				 memory_order_acq_rel);
}

void vmt_port_read_exit(void *port)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_current(machine, "vmt_port_read_exit");

	if (cpu->read == 0)
		sim_stopf(machine, 0, 0, "vmt_port_read_exit: no section is open");
	if (--cpu->read)
		return;
	// Release pairs with the look in advance(): what the section read is behind.
	atomic_store_explicit(&cpu->epoch, 0, memory_order_release);
	if (!cpu->preempt)
		sim_point(cpu, SIM_POINT_READ_EXIT);
}

static void advance(struct sim_machine *machine)
{
	uint64_t epoch = atomic_load_explicit(&machine->epoch, memory_order_acquire);

	for (unsigned i = 0; i < machine->cpu_count; i++) {
		uint64_t seen = atomic_fetch_add_explicit(&machine->cpus[i].epoch, 0, memory_order_acq_rel);

		if (seen && seen != epoch)
			return;
	}
	// Release: whoever reads the new epoch knows what this CPU has seen. If another advanced it, that does as well.
	atomic_compare_exchange_strong_explicit(&machine->epoch, &epoch, epoch + 1, memory_order_acq_rel,
						memory_order_relaxed);
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	struct sim_machine *machine = port;
	struct sim_cpu *cpu = sim_current(machine, "vmt_port_defer");
	struct sim_deferred_list *list;
	uint64_t epoch;

	atomic_fetch_add_explicit(&machine->deferred, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&cpu->grace.queued, 1, memory_order_relaxed);
	pthread_mutex_lock(&cpu->grace.lock);
	// A read-modify-write, see above.
	epoch = atomic_fetch_add_explicit(&machine->epoch, 0, memory_order_acq_rel);
	list = &cpu->grace.waiting[epoch % 3];
	if (list->epoch != epoch) {
		// At least three epochs old.
		list_join(&cpu->grace.ready, list);
		list->epoch = epoch;
	}
	list_append(list, item);
	pthread_mutex_unlock(&cpu->grace.lock);
}

// Takes up to `limit` items that may run off the CPU's lists.
static struct vmt_deferred *collect(struct sim_cpu *cpu, unsigned limit, unsigned *count)
{
	struct sim_deferred_list batch, *ready = &cpu->grace.ready;
	uint64_t epoch;

	list_init(&batch);
	*count = 0;
	pthread_mutex_lock(&cpu->grace.lock);
	// Acquire pairs with the advance's release.
	epoch = atomic_load_explicit(&cpu->machine->epoch, memory_order_acquire);
	for (unsigned i = 0; i < 3; i++) {
		if (cpu->grace.waiting[i].epoch + 2 <= epoch)
			list_join(ready, &cpu->grace.waiting[i]);
	}
	while (ready->first && *count < limit) {
		struct vmt_deferred *item = ready->first;

		ready->first = item->next;
		if (!ready->first)
			list_init(ready);
		list_append(&batch, item);
		++*count;
	}
	pthread_mutex_unlock(&cpu->grace.lock);
	return batch.first;
}

void sim_grace_run(struct sim_cpu *cpu, unsigned limit)
{
	struct sim_machine *machine = cpu->machine;
	struct vmt_deferred *item;
	unsigned count;

	// Relaxed: a hint. Nothing of this CPU's: another will advance the epoch for its own.
	if (!atomic_load_explicit(&cpu->grace.queued, memory_order_relaxed))
		return;
	advance(machine);
	item = collect(cpu, limit, &count);
	for (unsigned i = 0; i < count; i++) {
		struct vmt_deferred *next = item->next;

		item->run(machine, item);
		item = next;
	}
	atomic_fetch_sub_explicit(&cpu->grace.queued, count, memory_order_relaxed);
	// Release pairs with the acquire in sim_grace_barrier: what ran, ran before.
	atomic_fetch_sub_explicit(&machine->deferred, count, memory_order_release);
}

void sim_grace_barrier(struct sim_machine *machine)
{
	struct sim_cpu *self = sim_self() && sim_self()->machine == machine ? sim_self() : NULL;

	if (self && self->read)
		sim_stopf(machine, 0, 0, "sim_grace_barrier inside a read-side section");
	while (atomic_load_explicit(&machine->deferred, memory_order_acquire)) {
		for (unsigned i = 0; i < machine->cpu_count; i++)
			sim_grace_run(&machine->cpus[i], 1024);
		if (self)
			sim_point(self, SIM_POINT_WAIT);
		else
			sim_point_outside();
	}
}
