// SPDX-License-Identifier: MIT
// The port of the throughput benchmark: the part that is not inlined (threads_port.h) and not the same for all
// (native.c).
#define VMT_FORMAT x86_64_4
#include "threads_port.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vmtree/port.h>

// Pauses until a waiting thread lets others run. Its CPU may be needed for what it waits for.
#define SPINS 200

_Thread_local unsigned threads_cpu_number;

static struct threads_cpu *self(struct threads_port *port)
{
	return &port->cpu[threads_cpu_number];
}

// ---- Frames ------------------------------------------------------------------------------------------------------

bool threads_port_make(struct threads_port *port, unsigned count, unsigned cpus, bool answered)
{
	memset(port, 0, sizeof(*port));
	port->count = count;
	port->cpus = cpus;
	port->answered = answered;
	port->memory = mmap(NULL, (size_t)count << VMT_PAGE_SHIFT, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	port->metadata = aligned_alloc(64, count * sizeof(*port->metadata));
	port->pool = malloc(count * sizeof(*port->pool));
	if (port->memory == MAP_FAILED || !port->metadata || !port->pool)
		return false;
	memset(port->metadata, 0, count * sizeof(*port->metadata));
	for (unsigned i = 0; i < count; i++)
		port->pool[port->pooled++] = count - 1 - i;
	return pthread_mutex_init(&port->lock, NULL) == 0;
}

static void refill(struct threads_port *port, struct threads_cpu *cpu)
{
	pthread_mutex_lock(&port->lock);
	while (port->pooled && cpu->kept < THREADS_REFILL)
		cpu->frames[cpu->kept++] = port->pool[--port->pooled];
	pthread_mutex_unlock(&port->lock);
}

static void give_back(struct threads_port *port, struct threads_cpu *cpu, unsigned keep)
{
	pthread_mutex_lock(&port->lock);
	while (cpu->kept > keep)
		port->pool[port->pooled++] = cpu->frames[--cpu->kept];
	pthread_mutex_unlock(&port->lock);
}

uint64_t vmt_port_frame_alloc(void *port, uint64_t bytes, bool zero)
{
	struct threads_port *machine = port;
	struct threads_cpu *cpu = self(port);
	uint64_t pa;

	if (bytes != VMT_PAGE_SIZE)
		return VMT_NO_FRAME;
	if (!cpu->kept)
		refill(machine, cpu);
	if (!cpu->kept)
		return VMT_NO_FRAME;
	pa = (uint64_t)cpu->frames[--cpu->kept] << VMT_PAGE_SHIFT;
	if (zero)
		memset(machine->memory + pa, 0, VMT_PAGE_SIZE);
	return pa;
}

void vmt_port_frame_free(void *port, uint64_t pa, uint64_t bytes)
{
	struct threads_cpu *cpu = self(port);

	(void)bytes;
	if (cpu->kept == THREADS_KEPT)
		give_back(port, cpu, THREADS_KEPT - THREADS_REFILL);
	cpu->frames[cpu->kept++] = (uint32_t)(pa >> VMT_PAGE_SHIFT);
}

// ---- Waiting -----------------------------------------------------------------------------------------------------

static void pause_a_little(void)
{
	static _Thread_local unsigned spins;

	if (++spins % SPINS == 0)
		sched_yield();
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

void vmt_port_relax(void *port, bool preemptible)
{
	struct threads_port *machine = port;

	(void)preemptible; // nothing else could run on this thread
	if (machine->answered)
		threads_answer(machine);
	pause_a_little();
}

void threads_wait(struct threads_port *port)
{
	threads_between(port);
	pause_a_little();
}

// ---- Flushes -----------------------------------------------------------------------------------------------------

static bool is_asked(const struct vmt_flush *flush, unsigned cpu)
{
	return cpu != threads_cpu_number && (flush->cpus[cpu / 64] >> (cpu % 64) & 1);
}

void vmt_port_flush(void *port, const struct vmt_flush *flush)
{
	struct threads_port *machine = port;
	uint64_t tickets[VMT_MAX_CPUS];

	self(port)->flushes++;
	// What the caller changed comes before whatever it reads afterwards, as with a flush instruction.
	atomic_thread_fence(memory_order_seq_cst);
	if (!machine->answered)
		return;
	for (unsigned i = 0; i < machine->cpus; i++)
		// With the acquire in threads_answer.
		if (is_asked(flush, i))
			tickets[i] = atomic_fetch_add_explicit(&machine->cpu[i].asked, 1, memory_order_release) + 1;
	for (unsigned i = 0; i < machine->cpus; i++)
		// With the release in threads_answer.
		while (is_asked(flush, i) &&
		       atomic_load_explicit(&machine->cpu[i].answered, memory_order_acquire) < tickets[i])
			vmt_port_relax(port, false);
}

// ---- Grace periods -----------------------------------------------------------------------------------------------

static void run_all(struct threads_port *port, struct vmt_deferred *item)
{
	while (item) {
		struct vmt_deferred *next = item->next; // running it may free it

		item->run(port, item);
		item = next;
	}
}

static bool all_have_seen(const struct threads_port *port, uint64_t period)
{
	for (unsigned i = 0; i < port->cpus; i++)
		// With the release in threads_between.
		if (atomic_load_explicit(&port->cpu[i].seen, memory_order_acquire) < period)
			return false;
	return true;
}

void vmt_port_defer(void *port, struct vmt_deferred *item)
{
	struct threads_port *machine = port;
	struct threads_cpu *cpu = self(port);

	item->next = cpu->young;
	cpu->young = item;
	if (++cpu->young_count < THREADS_BATCH)
		return;
	if (cpu->old) {
		if (!all_have_seen(machine, cpu->old_period))
			return;
		run_all(machine, cpu->old);
	}
	cpu->old = cpu->young;
	cpu->young = NULL;
	cpu->young_count = 0;
	// With the acquire in threads_between: who sees this period finds nothing of what is old now.
	cpu->old_period = atomic_fetch_add_explicit(&machine->period, 1, memory_order_acq_rel) + 1;
}

unsigned threads_port_end(struct threads_port *port)
{
	unsigned missing;

	for (unsigned i = 0; i < port->cpus; i++) {
		run_all(port, port->cpu[i].old);
		run_all(port, port->cpu[i].young);
	}
	for (unsigned i = 0; i < port->cpus; i++)
		give_back(port, &port->cpu[i], 0);
	missing = port->count - port->pooled;
	pthread_mutex_destroy(&port->lock);
	munmap(port->memory, (size_t)port->count << VMT_PAGE_SHIFT);
	free(port->metadata);
	free(port->pool);
	return missing;
}
