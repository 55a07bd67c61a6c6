// SPDX-License-Identifier: MIT
// What the tests of the MMU share: a machine with one CPU and one space, two frames, and simple fault handlers.
#ifndef TLB_H
#define TLB_H

#include "fake.h"

#define VA  UINT64_C(0x7f1234567000)
#define RVA UINT64_C(0x1234567000)

#define LEAF_RO (X86_P | X86_U | X86_A)
#define LEAF_RW (X86_P | X86_U | X86_A | X86_W)

struct fixture {
	struct sim_machine *machine;
	struct sim_cpu *cpu;
	struct vmt_space space;
	uint64_t one, two;	// frames whose first words are 1 and 2
	uint64_t table;		// the lowest table
};

static inline void set_word(struct sim_machine *machine, uint64_t frame, uint64_t word)
{
	*(uint64_t *)vmt_port_frame_ptr(machine, frame) = word;
}

static inline void begin(struct fixture *f, const struct sim_ops *ops, const struct sim_hostility *hostility)
{
	f->machine = fake_machine(ops, 1, hostility);
	f->cpu = sim_self();
	fake_space(f->machine, &f->space);
	f->one = fake_frame(f->machine);
	f->two = fake_frame(f->machine);
	set_word(f->machine, f->one, 1);
	set_word(f->machine, f->two, 2);
	sim_activate(f->cpu, &f->space);
}

static inline void end(struct fixture *f)
{
	sim_deactivate(f->cpu);
	sim_machine_destroy(f->machine);
}

static inline unsigned faults(struct fixture *f)
{
	return atomic_load_explicit(&f->space.faults, memory_order_relaxed);
}

static inline enum vmt_status says_ok(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	(void)space, (void)addr, (void)access;
	return VMT_OK;
}

static inline enum vmt_status flushes_own(struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	(void)access;
	fake_flush(space, addr & ~SIM_FRAME_MASK, (addr & ~SIM_FRAME_MASK) + 0x1000, false);
	return VMT_OK;
}

static inline enum vmt_status try(struct fixture *f, vmt_prot access, bool user)
{
	uint64_t value = 0;

	return sim_try(f->cpu, VA, access, user, 8, &value);
}

#endif
