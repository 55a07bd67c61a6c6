// SPDX-License-Identifier: MIT
// The turns of race.h, and the program: CASE SEED, or nothing for all cases.
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "race.h"

// A CPU that has the turn alone and waits so often waits for ever.
#define PATIENCE 100000

void (*race_on_flush)(const struct vmt_flush *flush);
void (*race_on_publish)(void);
void (*race_on_meta)(uint64_t pa);

// Whose turn it is orders all the rest: written with release, waited for with acquire.
static struct {
	const struct race *race; // NULL: no race is on
	_Atomic unsigned turn;
	bool armed, flushed, met, stopped, done[2];
	unsigned skip, waits;
	uint64_t frame;
} state;

void demand(bool good, const char *what)
{
	if (!good)
		sim_stop(sim_cpu_machine(sim_self()), 0, 0, what);
}

uint64_t race_frame(void)
{
	return state.frame;
}

static void wait_turn(struct sim_cpu *cpu)
{
	while (atomic_load_explicit(&state.turn, memory_order_acquire) != sim_cpu_number(cpu)) {
		sim_poll(cpu);
		sched_yield();
	}
}

static void give_turn(struct sim_cpu *cpu)
{
	unsigned other = !sim_cpu_number(cpu);

	if (state.done[other])
		return;
	atomic_store_explicit(&state.turn, other, memory_order_release);
	wait_turn(cpu);
}

static void pass(enum place place, uint64_t frame)
{
	struct sim_cpu *cpu = sim_self();
	const struct race *race = state.race;

	if (!race || !cpu || sim_cpu_number(cpu) || !state.armed || race->place != place)
		return;
	if ((race->frame && race->frame != frame) || (race->when && !race->when()) || state.skip--)
		return;
	state.armed = false;
	state.met = state.stopped = true;
	state.skip = 0;
	state.frame = frame;
	give_turn(cpu);
}

void race_at(enum place place)
{
	pass(place, 0);
}

static void second(struct sim_cpu *cpu, void *arg)
{
	(void)arg;
	wait_turn(cpu);
	for (;;) {
		if (state.stopped) {
			state.race->between(cpu);
			state.stopped = false;
			state.armed = state.race->each;
			if (!state.race->each)
				break;
		}
		if (state.done[0])
			break;
		give_turn(cpu);
	}
	state.done[1] = true;
	atomic_store_explicit(&state.turn, 0, memory_order_release);
}

void race_run(const struct race *race)
{
	struct sim_cpu *cpu = sim_self();
	struct sim_machine *machine = sim_cpu_machine(cpu);

	state.race = race;
	state.met = state.stopped = state.done[0] = state.done[1] = false;
	state.skip = race->skip;
	state.waits = 0;
	state.armed = state.flushed = !race->after_flush;
	atomic_store_explicit(&state.turn, 0, memory_order_release);
	sim_cpu_run(machine, 1, second, NULL);
	race->first(cpu);
	demand(state.met, "the place in between was never reached");
	state.done[0] = true;
	if (!state.done[1])
		give_turn(cpu);
	sim_cpu_join(machine, 1);
	state.race = NULL;
}

static void call(struct sim_cpu *cpu, void *arg)
{
	(*(void (**)(struct sim_cpu *))arg)(cpu);
}

void on_second(void (*fn)(struct sim_cpu *cpu))
{
	sim_cpu_run(sim_cpu_machine(sim_self()), 1, call, &fn);
	sim_cpu_join(sim_cpu_machine(sim_self()), 1);
}

// ---- The port functions that the library calls (hooks.h) ---------------------------------------------------------

void race_flush(void *port, const struct vmt_flush *flush);
void race_publish(void *port, _Atomic(uint64_t) *first, unsigned count);
struct vmt_frame *race_frame_meta(void *port, uint64_t pa);
void race_read_enter(void *port);
void race_read_exit(void *port);
void race_relax(void *port, bool preemptible);
unsigned race_cpu(void *port);

void race_flush(void *port, const struct vmt_flush *flush)
{
	pass(AT_FLUSH, 0);
	if (race_on_flush)
		race_on_flush(flush);
	vmt_port_flush(port, flush);
	if (state.race && !state.flushed && sim_cpu_number(sim_self()) == 0)
		state.armed = state.flushed = true;
}

void race_publish(void *port, _Atomic(uint64_t) *first, unsigned count)
{
	vmt_port_publish(port, first, count);
	if (race_on_publish)
		race_on_publish();
	pass(AT_PUBLISH, 0);
}

struct vmt_frame *race_frame_meta(void *port, uint64_t pa)
{
	if (race_on_meta)
		race_on_meta(pa);
	pass(AT_META, pa);
	return vmt_port_frame_meta(port, pa);
}

void race_read_enter(void *port)
{
	pass(AT_READ, 0);
	vmt_port_read_enter(port);
}

void race_read_exit(void *port)
{
	pass(AT_EXIT, 0);
	vmt_port_read_exit(port);
}

// A CPU that waits lets the other one go on.
void race_relax(void *port, bool preemptible)
{
	if (state.race) {
		demand(state.waits++ < PATIENCE, "a CPU waits for what nobody will give it");
		give_turn(sim_self());
	}
	vmt_port_relax(port, preemptible);
}

unsigned race_cpu(void *port)
{
	pass(AT_CPU, 0);
	return vmt_port_cpu(port);
}

// ---- The program -------------------------------------------------------------------------------------------------

static unsigned run_cases(const struct protection_case *cases, unsigned count, const char *name, uint64_t seed)
{
	unsigned ran = 0;

	for (unsigned i = 0; i < count; i++) {
		if (name && strcmp(name, cases[i].name))
			continue;
		fprintf(stderr, "%s, seed %llu\n", cases[i].name, (unsigned long long)seed);
		cases[i].run(seed);
		ran++;
	}
	return ran;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	unsigned ran = run_cases(space_cases, space_case_count, name, seed);

	ran += run_cases(change_cases, change_case_count, name, seed);
	ran += run_cases(huge_cases, huge_case_count, name, seed);
	ran += run_cases(secondary_cases, secondary_case_count, name, seed);
	ran += run_cases(migration_cases, migration_case_count, name, seed);
	ran += run_cases(mirror_cases, mirror_case_count, name, seed);
	ran += run_cases(tree_cases, tree_case_count, name, seed);
	printf("%u passed, 0 failed\n", ran);
	return ran == 0;
}
