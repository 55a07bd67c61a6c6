// SPDX-License-Identifier: MIT
// The functions that no operation of device_differential.h calls, each with a fault at each of its places: machines,
// spaces, objects, trees, and those that take arguments the operations do not give.
#ifndef TESTS_LIB_FAULTS_ACTS_H
#define TESTS_LIB_FAULTS_ACTS_H

#include "lib.h"

// Returns how often one was called with a fault.
uint64_t faults_acts(enum sim_format format);

#endif
