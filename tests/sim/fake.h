// SPDX-License-Identifier: MIT
// The few functions of the library that the simulated machine calls, over tables that a test writes entry by entry with
// raw values. What the tests say about the machine does not depend on the library.
#ifndef FAKE_H
#define FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim.h"
#include "sim_ops.h"

struct vmt_space {
	struct sim_machine *machine;
	uint64_t root;
	_Atomic uint64_t generation;
	_Atomic uint64_t cpus;			// that it is active on
	_Atomic unsigned faults;
	// Answers the faults of this space; NULL: VMT_ERR_UNMAPPED.
	enum vmt_status (*handler)(struct vmt_space *space, uint64_t addr, vmt_prot access);
	void *arg;
};

extern const struct sim_ops fake_x86_4, fake_x86_5, fake_sv39, fake_sv48;
extern const struct sim_ops fake_ept, fake_aarch64_s1, fake_aarch64_s1_64k, fake_aarch64_s2, fake_vtd_ss;

// Chooses for sim_hostility: always the cached translation and entry; always a new walk.
extern const struct sim_hostility fake_always_cached, fake_always_walk;

struct sim_machine *fake_machine(const struct sim_ops *ops, unsigned cpus, const struct sim_hostility *hostility);

// A space with an empty root; space->generation begins at a number used never before.
void fake_space(struct sim_machine *machine, struct vmt_space *space);

uint64_t fake_frame(struct sim_machine *machine);
void fake_set(struct sim_machine *machine, uint64_t table, unsigned index, uint64_t entry);
uint64_t fake_get(struct sim_machine *machine, uint64_t table, unsigned index);

// Maps the 4 KiB at va to pa in a 4-level x86-64 space, making tables; `bits` of the leaf. Returns the lowest table.
uint64_t fake_map_x86(struct vmt_space *space, uint64_t va, uint64_t pa, uint64_t bits);
// The same for Sv39.
uint64_t fake_map_sv39(struct vmt_space *space, uint64_t va, uint64_t pa, uint64_t bits);
// The same for a format with four levels and the address in bits 47:12, whose entries are given: `leaf`, and `bits` for
// tables.
uint64_t fake_map_4(struct vmt_space *space, uint64_t va, uint64_t leaf, uint64_t bits);

// Flushes [start, end) of the space on all CPUs where it is active, and moves its generation on.
void fake_flush(struct vmt_space *space, uint64_t start, uint64_t end, bool tables);
void fake_flush_all(struct vmt_space *space, bool tables);

// The 64-bit word that the program on the CPU reads; the test fails if it cannot.
uint64_t fake_read(struct sim_cpu *cpu, uint64_t va);

#define X86_P  UINT64_C(1)
#define X86_W  UINT64_C(2)
#define X86_U  UINT64_C(4)
#define X86_A  UINT64_C(0x20)
#define X86_D  UINT64_C(0x40)
#define X86_PS UINT64_C(0x80)
#define X86_G  UINT64_C(0x100)
#define X86_XD (UINT64_C(1) << 63)

#define A64_RO	UINT64_C(0x80)
#define A64_AF	UINT64_C(0x400)
#define A64_DBM (UINT64_C(1) << 51)
// A user's page that is read-only and was accessed.
#define A64_PAGE UINT64_C(0x0060000000000fc3)

#define RV_V UINT64_C(1)
#define RV_R UINT64_C(2)
#define RV_W UINT64_C(4)
#define RV_X UINT64_C(8)
#define RV_U UINT64_C(0x10)
#define RV_G UINT64_C(0x20)
#define RV_A UINT64_C(0x40)
#define RV_D UINT64_C(0x80)

#endif
