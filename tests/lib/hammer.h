// SPDX-License-Identifier: MIT
// Several CPUs in one space: what the scenarios share. A program defines `hammer_scenarios` and hammer.c runs them, in
// every format, all CPUs beginning at once.
//
//	PROGRAM ROUNDS [FORMAT or SCENARIO]
#ifndef TESTS_LIB_HAMMER_H
#define TESTS_LIB_HAMMER_H

#include "lib.h"

#define RW     (VMT_READ | VMT_WRITE)
#define CPUS   4
#define REGION (GIB(1) - MIB(1))	// a region that lies in two tables of each of two levels

struct world {
	struct env *env;
	unsigned rounds;
	struct vmt_object *object;	// of 16 pages
	struct vmt_space *second;	// another space, empty
	struct sim_barrier barrier;	// for the bodies
	_Atomic uint64_t sum;		// what was added to shared counters
	_Atomic unsigned busy;		// 1 until somebody says that the rounds are over
	struct sim_barrier turnstile;	// hammer.c's
};

struct hammer_scenario {
	const char *name;
	void (*run)(struct sim_cpu *cpu, struct world *world, unsigned number);
	uint64_t base, length;	// mapped before; 0: nothing
	bool object;		// the object, shared
	unsigned touched;	// pages written before, to 1000 + n
	void (*judge)(struct world *world); // afterwards; may be NULL
};

extern const struct hammer_scenario hammer_scenarios[];
extern const unsigned hammer_scenario_count;

_Noreturn void wrong(struct sim_cpu *cpu, uint64_t addr, const char *what);
void demand(struct sim_cpu *cpu, bool good, uint64_t addr, const char *what);
void expect(struct sim_cpu *cpu, enum vmt_status got, enum vmt_status want, uint64_t addr, const char *what);
// One of the statuses in the mask, bit n for status n.
void expect_one_of(struct sim_cpu *cpu, enum vmt_status got, unsigned mask, uint64_t addr, const char *what);

#define BIT(status) (1u << (status))
#define GONE	    (BIT(VMT_OK) | BIT(VMT_ERR_UNMAPPED) | BIT(VMT_ERR_ACCESS) | BIT(VMT_ERR_GUARD))

uint64_t random_below(struct sim_cpu *cpu, uint64_t n);

// What CPU `cpu` writes to the page at `addr`: it tells both. And whether a page may read so.
uint64_t stamp(unsigned cpu, uint64_t addr, uint64_t n);
bool stamped(uint64_t value, uint64_t addr);

void map_fixed(struct sim_cpu *cpu, struct world *w, uint64_t addr, uint64_t length, uint32_t flags);

#endif
