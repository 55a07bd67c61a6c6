// SPDX-License-Identifier: MIT
// Making and ending a machine, and its figures.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

const struct sim_hostility sim_hostility_default = {
	.cached = 60, .structure = 60, .prefetch = 10, .negative = 20, .refuse = 50, .yield = 2, .late = 60,
};

const struct sim_decoder *const sim_decoders[SIM_FORMATS] = {
	[SIM_X86_64_4] = &sim_decode_x86_4, [SIM_X86_64_5] = &sim_decode_x86_5,
	[SIM_RISCV_SV39] = &sim_decode_sv39, [SIM_RISCV_SV48] = &sim_decode_sv48,
	[SIM_RISCV_SV57] = &sim_decode_sv57, [SIM_EPT] = &sim_decode_ept,
	[SIM_AARCH64_S1] = &sim_decode_aarch64_s1, [SIM_AARCH64_S2] = &sim_decode_aarch64_s2,
	[SIM_VTD_SS] = &sim_decode_vtd_ss, [SIM_AMD_V1] = &sim_decode_amd_v1, [SIM_AMD_NPT] = &sim_decode_amd_npt,
	[SIM_AARCH64_S1_16K] = &sim_decode_aarch64_s1_16k,
	[SIM_AARCH64_S1_64K] = &sim_decode_aarch64_s1_64k,
	[SIM_AARCH64_S1_4K_52] = &sim_decode_aarch64_s1_4k_52,
	[SIM_AARCH64_S1_16K_52] = &sim_decode_aarch64_s1_16k_52,
	[SIM_AARCH64_S1_64K_52] = &sim_decode_aarch64_s1_64k_52,
	[SIM_AARCH64_S2_16K] = &sim_decode_aarch64_s2_16k,
	[SIM_AARCH64_S2_64K] = &sim_decode_aarch64_s2_64k,
	[SIM_AARCH64_S2_4K_52] = &sim_decode_aarch64_s2_4k_52,
	[SIM_AARCH64_S2_16K_52] = &sim_decode_aarch64_s2_16k_52,
	[SIM_AARCH64_S2_64K_52] = &sim_decode_aarch64_s2_64k_52,
};

static const char *const names[SIM_FORMATS] = {
	[SIM_X86_64_4] = "x86_64_4", [SIM_X86_64_5] = "x86_64_5", [SIM_RISCV_SV39] = "riscv_sv39",
	[SIM_RISCV_SV48] = "riscv_sv48", [SIM_RISCV_SV57] = "riscv_sv57", [SIM_EPT] = "ept",
	[SIM_AARCH64_S1] = "aarch64_s1", [SIM_AARCH64_S2] = "aarch64_s2", [SIM_VTD_SS] = "vtd_ss",
	[SIM_AMD_V1] = "amd_v1", [SIM_AMD_NPT] = "amd_npt",
	[SIM_AARCH64_S1_16K] = "aarch64_s1_16k",
	[SIM_AARCH64_S1_64K] = "aarch64_s1_64k",
	[SIM_AARCH64_S1_4K_52] = "aarch64_s1_4k_52",
	[SIM_AARCH64_S1_16K_52] = "aarch64_s1_16k_52",
	[SIM_AARCH64_S1_64K_52] = "aarch64_s1_64k_52",
	[SIM_AARCH64_S2_16K] = "aarch64_s2_16k",
	[SIM_AARCH64_S2_64K] = "aarch64_s2_64k",
	[SIM_AARCH64_S2_4K_52] = "aarch64_s2_4k_52",
	[SIM_AARCH64_S2_16K_52] = "aarch64_s2_16k_52",
	[SIM_AARCH64_S2_64K_52] = "aarch64_s2_64k_52",
};

const char *sim_format_name(enum sim_format format)
{
	return names[format];
}

uint64_t sim_format_end(enum sim_format format)
{
	return UINT64_C(1) << (sim_decoders[format]->va_bits - !sim_decoders[format]->unsigned_va);
}

bool sim_format_has_exec(enum sim_format format)
{
	return !sim_decoders[format]->no_exec;
}

bool sim_format_has_user(enum sim_format format)
{
	return !sim_decoders[format]->no_user;
}

bool sim_format_faults_ad(enum sim_format format)
{
	return sim_decoders[format]->faults_ad;
}

uint64_t sim_format_page(enum sim_format format)
{
	return UINT64_C(1) << sim_shift(sim_decoders[format], 0);
}

unsigned sim_format_levels(enum sim_format format)
{
	return sim_decoders[format]->levels;
}

static void cpu_init(struct sim_machine *machine, unsigned number, uint64_t seed)
{
	struct sim_cpu *cpu = &machine->cpus[number];

	cpu->machine = machine;
	cpu->number = number;
	sim_mmu_init(&cpu->mmu, machine, machine->decoder, seed * 3 + number * UINT64_C(0x100000001));
	snprintf(cpu->mmu.name, sizeof(cpu->mmu.name), "CPU %u", number);
	cpu->mmu.fault_ad = machine->fault_ad;
	cpu->mmu.fault_keeps = machine->decoder->fault_keeps;
	cpu->mmu.keeps_absence = machine->decoder->caches_absence;
	cpu->yield_random = cpu->mmu.random ^ UINT64_C(0x7969656c64);
	cpu->test_random = cpu->mmu.random ^ UINT64_C(0x74657374);
	cpu->asids = sim_host_alloc(machine->asid_count * sizeof(*cpu->asids));
	memset(cpu->asids, 0, machine->asid_count * sizeof(*cpu->asids));
	for (unsigned i = 0; i < machine->asid_count; i++) {
		sim_tlb_init(&cpu->asids[i].context.tlb, machine->decoder);
		cpu->asids[i].context.asid = i;
	}
	sim_grace_init(cpu);
}

static void cpu_destroy(struct sim_machine *machine, struct sim_cpu *cpu)
{
	for (unsigned i = 0; i < machine->asid_count; i++)
		sim_tlb_destroy(machine, &cpu->asids[i].context.tlb);
	free(cpu->asids);
	sim_mmu_destroy(&cpu->mmu);
	pthread_mutex_destroy(&cpu->grace.lock);
}

struct sim_machine *sim_machine_create(const struct sim_config *config)
{
	struct sim_machine *machine = calloc(1, sizeof(*machine));
	size_t bytes = config->cpus * sizeof(*machine->cpus);

	if (!machine || config->cpus < 1 || config->cpus > SIM_MAX_CPUS || !config->frames ||
	    config->frames >= UINT32_MAX || !config->ops || config->ops->format >= SIM_FORMATS)
		abort();
	machine->ops = config->ops;
	machine->decoder = sim_decoders[config->ops->format];
	machine->hostility = config->hostility ? *config->hostility : sim_hostility_default;
	machine->fault_ad = config->fault_ad && machine->decoder->faults_ad;
	machine->trees = config->trees;
	machine->cpu_count = config->cpus;
	machine->asid_count = config->asids ? config->asids : 4;
	machine->seed = config->seed;
	atomic_init(&machine->epoch, 3);
	pthread_mutex_init(&machine->memory_lock, NULL);
	pthread_mutex_init(&machine->fail_lock, NULL);
	pthread_mutex_init(&machine->log_lock, NULL);
	pthread_mutex_init(&machine->devices_lock, NULL);
	machine->cpus = aligned_alloc(64, bytes);
	if (!machine->cpus)
		abort();
	memset((void *)machine->cpus, 0, bytes);
	for (unsigned i = 0; i < config->cpus; i++)
		cpu_init(machine, i, config->seed);
	sim_frames_init(machine, config);
	sim_forget_binding();
	sim_bind(machine, 0);
	return machine;
}

void sim_machine_destroy(struct sim_machine *machine)
{
	if (sim_self() && sim_self()->machine == machine)
		sim_forget_binding();
	for (unsigned i = 0; i < machine->cpu_count; i++)
		cpu_destroy(machine, &machine->cpus[i]);
	sim_devices_destroy(machine);
	free(machine->cpus);
	sim_frames_destroy(machine);
	sim_memory_destroy(machine);
	pthread_mutex_destroy(&machine->memory_lock);
	pthread_mutex_destroy(&machine->fail_lock);
	pthread_mutex_destroy(&machine->log_lock);
	pthread_mutex_destroy(&machine->devices_lock);
	free(machine);
}

void *sim_port(struct sim_machine *machine)
{
	return machine;
}

const struct sim_ops *sim_machine_ops(const struct sim_machine *machine)
{
	return machine->ops;
}

unsigned sim_cpu_count(const struct sim_machine *machine)
{
	return machine->cpu_count;
}

void sim_set_hostility(struct sim_machine *machine, const struct sim_hostility *hostility)
{
	machine->hostility = *hostility;
}

void sim_get_counts(struct sim_machine *machine, struct sim_counts *counts)
{
	*counts = (struct sim_counts){
		.deferred = atomic_load_explicit(&machine->deferred, memory_order_relaxed),
		.flushes = atomic_load_explicit(&machine->flushes, memory_order_relaxed),
	};
	pthread_mutex_lock(&machine->frames_lock);
	counts->frames = machine->frame_count - machine->free_count;
	counts->frames_peak = machine->peak;
	counts->frame_allocs = machine->frame_allocs;
	counts->frame_failures = machine->frame_failures;
	pthread_mutex_unlock(&machine->frames_lock);
	pthread_mutex_lock(&machine->memory_lock);
	counts->mems = machine->mems;
	counts->mem_bytes = machine->mem_bytes;
	counts->mem_allocs = machine->mem_allocs;
	counts->mem_failures = machine->mem_failures;
	pthread_mutex_unlock(&machine->memory_lock);
	pthread_mutex_lock(&machine->fail_lock);
	counts->injected = machine->fail.injected;
	pthread_mutex_unlock(&machine->fail_lock);
	for (unsigned i = 0; i < machine->cpu_count; i++) {
		struct sim_cpu *cpu = &machine->cpus[i];

		sim_lock(&cpu->mmu);
		counts->accesses += cpu->mmu.accesses;
		counts->hits += cpu->mmu.hits;
		counts->walks += cpu->mmu.walks;
		counts->prefetches += cpu->mmu.prefetches;
		counts->faults += cpu->mmu.faults;
		sim_unlock(&cpu->mmu);
	}
}

uint64_t sim_leaks(struct sim_machine *machine)
{
	return sim_leaked_frames(machine) + sim_leaked_blocks(machine);
}
