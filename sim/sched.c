// SPDX-License-Identifier: MIT
// Scheduler points and chance. A CPU gives way to others here and nowhere else: whoever wants to decide about the
// interleaving puts it in sim_point.
#include <sched.h>
#include <time.h>

#include "internal.h"

// splitmix64.
uint64_t sim_next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

bool sim_chance(uint64_t *state, unsigned percent)
{
	return percent && sim_next_random(state) % 100 < percent;
}

uint64_t sim_random(struct sim_cpu *cpu)
{
	return sim_next_random(&cpu->test_random);
}

// Gives way, mostly for a moment, sometimes for long enough that others do whole operations meanwhile.
static void give_way(struct sim_cpu *cpu, unsigned percent)
{
	if (!sim_chance(&cpu->yield_random, percent))
		return;
	// Relaxed: alone, there is nobody to give way to.
	if (atomic_load_explicit(&cpu->machine->running, memory_order_relaxed) < 2)
		return;
	if (sim_next_random(&cpu->yield_random) % 16)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

// Items to run at a point at most: deferred work is bounded, and early, so that a reader that is not covered is hit.
#define ITEMS_AT_A_POINT 16

static bool serve(struct sim_cpu *cpu)
{
	// Relaxed: a hint; the serving looks again.
	if (!atomic_load_explicit(&cpu->mail_mask, memory_order_relaxed))
		return false;
	sim_lock(cpu);
	sim_serve_locked(cpu);
	sim_unlock(cpu);
	return true;
}

void sim_point(struct sim_cpu *cpu, enum sim_point_kind kind)
{
	unsigned yield = cpu->machine->hostility.yield;

	serve(cpu);
	// Who waits for another lets it run, often enough where CPUs are more than the host's.
	if (kind == SIM_POINT_WAIT || kind == SIM_POINT_RELAX)
		yield = 50;
	give_way(cpu, yield);
	if (!cpu->preempt && !cpu->read)
		sim_grace_run(cpu, ITEMS_AT_A_POINT);
}

void sim_pause(void)
{
	struct sim_cpu *cpu = sim_self();

	if (!cpu)
		return;
	give_way(cpu, cpu->machine->hostility.yield);
	// Whoever has just got his answer goes on to free what he flushed: give him the time, while the library here
	// may still hold what it read before.
	if (serve(cpu))
		give_way(cpu, 30);
}

void sim_point_outside(void)
{
	sched_yield();
}

void sim_poll(struct sim_cpu *cpu)
{
	sim_point(cpu, SIM_POINT_POLL);
	sim_lock(cpu);
	if (cpu->active)
		sim_wander(cpu);
	sim_unlock(cpu);
}

void sim_barrier_wait(struct sim_cpu *cpu, struct sim_barrier *barrier, unsigned parties)
{
	unsigned round = atomic_load_explicit(&barrier->round, memory_order_relaxed);

	// The additions are a chain of acquire and release: the last to arrive has seen what all did before.
	if (atomic_fetch_add_explicit(&barrier->arrived, 1, memory_order_acq_rel) + 1 == parties) {
		atomic_store_explicit(&barrier->arrived, 0, memory_order_relaxed);
		// Release pairs with the acquire below.
		atomic_store_explicit(&barrier->round, round + 1, memory_order_release);
		return;
	}
	while (atomic_load_explicit(&barrier->round, memory_order_acquire) == round)
		sim_point(cpu, SIM_POINT_WAIT);
}

void vmt_port_relax(void *port, bool preemptible)
{
	struct sim_cpu *cpu = sim_current(port, "vmt_port_relax");

	if (preemptible)
		sim_check_sleepable(cpu, "vmt_port_relax(preemptible)");
	sim_point(cpu, SIM_POINT_RELAX);
}
