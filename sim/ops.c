// SPDX-License-Identifier: MIT
// All formats of the library that were built (formats.inc, made by meson.build), in one table.
#include "sim_ops.h"

#define FORMAT(name, member) extern const struct sim_ops sim_ops_##name;
#include "formats.inc"
#undef FORMAT

const struct sim_ops *sim_ops(enum sim_format format)
{
#define FORMAT(name, member) [member] = &sim_ops_##name,
	static const struct sim_ops *const all[SIM_FORMATS] = {
#include "formats.inc"
	};

	return all[format];
}
