// SPDX-License-Identifier: MIT
// Scheduler points and chance. A CPU gives way to others here and nowhere else: whoever wants to decide about the
// interleaving puts it in sim_point.
#include <sched.h>

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

// Mostly for a moment, sometimes for long enough that others do whole operations meanwhile.
void sim_give_way(struct sim_machine *machine, uint64_t *state, unsigned percent)
{
	if (!sim_chance(state, percent))
		return;
	// Relaxed: alone, there is nobody to give way to.
	if (atomic_load_explicit(&machine->running, memory_order_relaxed) < 2)
		return;
	if (sim_next_random(state) % 16)
		sched_yield();
	else
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

#define PATIENCE_SECONDS 60

bool sim_impatient(struct sim_patience *patience)
{
	struct timespec now;

	if (patience->rounds++ == 0)
		clock_gettime(CLOCK_MONOTONIC, &patience->start);
	if (patience->rounds % 4096)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - patience->start.tv_sec > PATIENCE_SECONDS;
}

// Items to run at a point at most: deferred work is bounded, and early, so that a reader that is not covered is hit.
#define ITEMS_AT_A_POINT 16

static bool serve(struct sim_cpu *cpu)
{
	// Relaxed: a hint; the serving looks again.
	if (!atomic_load_explicit(&cpu->mail_mask, memory_order_relaxed))
		return false;
	sim_lock(&cpu->mmu);
	sim_serve_locked(cpu);
	sim_unlock(&cpu->mmu);
	return true;
}

void sim_point(struct sim_cpu *cpu, enum sim_point_kind kind)
{
	bool waits = kind == SIM_POINT_WAIT || kind == SIM_POINT_RELAX;
	// Who waits for another lets it run, often enough where CPUs are more than the host's.
	unsigned yield = waits ? 50 : cpu->machine->hostility.yield;

	serve(cpu);
	sim_devices_point(cpu, waits);
	sim_give_way(cpu->machine, &cpu->yield_random, yield);
	if (!cpu->preempt && !cpu->read)
		sim_grace_run(cpu, ITEMS_AT_A_POINT);
}

void sim_pause(void)
{
	struct sim_cpu *cpu = sim_self();

	if (!cpu)
		return;
	sim_give_way(cpu->machine, &cpu->yield_random, cpu->machine->hostility.yield);
	// Whoever has just got his answer goes on to free what he flushed: give him the time, while the library here
	// may still hold what it read before.
	if (serve(cpu))
		sim_give_way(cpu->machine, &cpu->yield_random, 30);
}

void sim_point_outside(void)
{
	sched_yield();
}

void sim_poll(struct sim_cpu *cpu)
{
	sim_point(cpu, SIM_POINT_POLL);
	sim_lock(&cpu->mmu);
	if (cpu->active)
		sim_wander(&cpu->mmu);
	sim_unlock(&cpu->mmu);
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
