// SPDX-License-Identifier: MIT
// All formats of the library in one table.
#include "sim_ops.h"

extern const struct sim_ops sim_ops_x86_64_4, sim_ops_x86_64_5;
extern const struct sim_ops sim_ops_riscv_sv39, sim_ops_riscv_sv48, sim_ops_riscv_sv57;
extern const struct sim_ops sim_ops_ept, sim_ops_aarch64_s1, sim_ops_aarch64_s2;
extern const struct sim_ops sim_ops_vtd_ss, sim_ops_amd_v1, sim_ops_amd_npt;

const struct sim_ops *sim_ops(enum sim_format format)
{
	static const struct sim_ops *const all[SIM_FORMATS] = {
		[SIM_X86_64_4] = &sim_ops_x86_64_4, [SIM_X86_64_5] = &sim_ops_x86_64_5,
		[SIM_RISCV_SV39] = &sim_ops_riscv_sv39, [SIM_RISCV_SV48] = &sim_ops_riscv_sv48,
		[SIM_RISCV_SV57] = &sim_ops_riscv_sv57, [SIM_EPT] = &sim_ops_ept,
		[SIM_AARCH64_S1] = &sim_ops_aarch64_s1, [SIM_AARCH64_S2] = &sim_ops_aarch64_s2,
		[SIM_VTD_SS] = &sim_ops_vtd_ss, [SIM_AMD_V1] = &sim_ops_amd_v1, [SIM_AMD_NPT] = &sim_ops_amd_npt,
	};

	return all[format];
}
