// SPDX-License-Identifier: MIT
#include "fake.h"


const struct sim_hostility fake_always_cached = { .cached = 100, .structure = 100, .refuse = 100 };
const struct sim_hostility fake_always_walk = { .cached = 0 };

static _Atomic uint64_t generations;

static uint64_t root_of(const struct vmt_space *space)
{
	return space->root;
}

static uint64_t activate(struct vmt_space *space)
{
	atomic_fetch_or_explicit(&space->cpus, UINT64_C(1) << vmt_port_cpu(space->machine), memory_order_acq_rel);
	return atomic_load_explicit(&space->generation, memory_order_acquire);
}

static void deactivate(struct vmt_space *space)
{
	atomic_fetch_and_explicit(&space->cpus, ~(UINT64_C(1) << vmt_port_cpu(space->machine)),
				  memory_order_acq_rel);
}

static enum vmt_status fault(struct vmt_space *space, uint64_t addr, vmt_prot access, struct vmt_fault_info *info)
{
	(void)info;
	atomic_fetch_add_explicit(&space->faults, 1, memory_order_relaxed);
	return space->handler ? space->handler(space, addr, access) : VMT_ERR_UNMAPPED;
}

#define FAKE(format_, name_)                                                                                           \
	{                                                                                                              \
		.format = format_, .name = name_, .space_root = root_of, .activate = activate,                         \
		.deactivate = deactivate, .fault = fault,                                                              \
	}

const struct sim_ops fake_x86_4 = FAKE(SIM_X86_64_4, "x86_64_4");
const struct sim_ops fake_x86_5 = FAKE(SIM_X86_64_5, "x86_64_5");
const struct sim_ops fake_sv39 = FAKE(SIM_RISCV_SV39, "riscv_sv39");
const struct sim_ops fake_sv48 = FAKE(SIM_RISCV_SV48, "riscv_sv48");
const struct sim_ops fake_ept = FAKE(SIM_EPT, "ept");
const struct sim_ops fake_aarch64_s1 = FAKE(SIM_AARCH64_S1, "aarch64_s1");
const struct sim_ops fake_aarch64_s2 = FAKE(SIM_AARCH64_S2, "aarch64_s2");
const struct sim_ops fake_aarch64_s1_64k = FAKE(SIM_AARCH64_S1_64K, "aarch64_s1_64k");
const struct sim_ops fake_vtd_ss = FAKE(SIM_VTD_SS, "vtd_ss");

struct sim_machine *fake_machine(const struct sim_ops *ops, unsigned cpus, const struct sim_hostility *hostility)
{
	return sim_machine_create(&(struct sim_config){
		.ops = ops, .cpus = cpus, .frames = 256, .seed = 7, .hostility = hostility });
}

uint64_t fake_frame(struct sim_machine *machine)
{
	uint64_t pa = vmt_port_frame_alloc(machine, SIM_FRAME_SIZE, true);

	assert_int_not_equal(pa, VMT_NO_FRAME);
	return pa;
}

static _Atomic(uint64_t) *slot(struct sim_machine *machine, uint64_t table, unsigned index)
{
	return (_Atomic(uint64_t) *)vmt_port_frame_ptr(machine, table) + index;
}

void fake_set(struct sim_machine *machine, uint64_t table, unsigned index, uint64_t entry)
{
	atomic_store_explicit(slot(machine, table, index), entry, memory_order_release);
}

uint64_t fake_get(struct sim_machine *machine, uint64_t table, unsigned index)
{
	return atomic_load_explicit(slot(machine, table, index), memory_order_acquire);
}

void fake_space(struct sim_machine *machine, struct vmt_space *space)
{
	memset(space, 0, sizeof(*space));
	space->machine = machine;
	space->root = fake_frame(machine);
	atomic_init(&space->generation,
		    atomic_fetch_add_explicit(&generations, 1000000, memory_order_relaxed) + 1000000);
}

uint64_t fake_map_x86(struct vmt_space *space, uint64_t va, uint64_t pa, uint64_t bits)
{
	uint64_t table = space->root;

	for (unsigned level = 3; level > 0; level--) {
		unsigned index = va >> (12 + 9 * level) & 511;

		if (!(fake_get(space->machine, table, index) & X86_P))
			fake_set(space->machine, table, index, fake_frame(space->machine) | X86_P | X86_W | X86_U);
		table = fake_get(space->machine, table, index) & UINT64_C(0xffffffffff000);
	}
	fake_set(space->machine, table, va >> 12 & 511, pa | bits);
	return table;
}

uint64_t fake_map_sv39(struct vmt_space *space, uint64_t va, uint64_t pa, uint64_t bits)
{
	uint64_t table = space->root;

	for (unsigned level = 2; level > 0; level--) {
		unsigned index = va >> (12 + 9 * level) & 511;

		if (!(fake_get(space->machine, table, index) & RV_V))
			fake_set(space->machine, table, index, fake_frame(space->machine) >> 2 | RV_V);
		table = fake_get(space->machine, table, index) >> 10 << 12;
	}
	fake_set(space->machine, table, va >> 12 & 511, pa >> 2 | bits);
	return table;
}

uint64_t fake_map_4(struct vmt_space *space, uint64_t va, uint64_t leaf, uint64_t bits)
{
	uint64_t table = space->root;

	for (unsigned level = 3; level > 0; level--) {
		unsigned index = va >> (12 + 9 * level) & 511;

		if (!fake_get(space->machine, table, index))
			fake_set(space->machine, table, index, fake_frame(space->machine) | bits);
		table = fake_get(space->machine, table, index) & UINT64_C(0xfffffffff000);
	}
	fake_set(space->machine, table, va >> 12 & 511, leaf);
	return table;
}

static void flush(struct vmt_space *space, struct vmt_flush *request)
{
	request->space = space;
	request->generation = atomic_fetch_add_explicit(&space->generation, 1, memory_order_acq_rel) + 1;
	request->cpus[0] = atomic_load_explicit(&space->cpus, memory_order_acquire);
	vmt_port_flush(space->machine, request);
}

void fake_flush(struct vmt_space *space, uint64_t start, uint64_t end, bool tables)
{
	flush(space, &(struct vmt_flush){ .tables = tables, .count = 1, .ranges = { { start, end } } });
}

void fake_flush_all(struct vmt_space *space, bool tables)
{
	flush(space, &(struct vmt_flush){ .tables = tables, .all = true });
}

uint64_t fake_read(struct sim_cpu *cpu, uint64_t va)
{
	uint64_t value = 0;

	assert_int_equal(sim_read(cpu, va, 8, &value), VMT_OK);
	return value;
}
