// SPDX-License-Identifier: MIT
// All scenarios, in the order of the build file (explorer/names.py).
#include "explore.h"

#define SCENARIO(name) extern const struct scenario name;
#include "scenarios.inc"
#undef SCENARIO

const struct scenario *const xp_scenarios[] = {
#define SCENARIO(name) &name,
#include "scenarios.inc"
#undef SCENARIO
};

const unsigned xp_scenario_count = sizeof(xp_scenarios) / sizeof(*xp_scenarios);
