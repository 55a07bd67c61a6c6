// SPDX-License-Identifier: MIT
// The library as struct sim_ops where something may fail by request: a call that says so (VMT_ERR_NO_MEMORY for want of
// memory; what a copy or an object's owner that refused gives) is made a second time, without the fault, and has to
// succeed as if nothing had happened. So the caller need not know.
#ifndef TESTS_LIB_STARVED_H
#define TESTS_LIB_STARVED_H

#include "lib.h"

struct starved_hooks {
	// For functions that have changed nothing when they fail, between the two calls: all is what it was.
	void (*unchanged)(void *arg);
	// Has somebody whom the library asks refused, so that a call may say this status?
	bool (*refused)(void *arg, enum vmt_status status);
	void *arg;
};

// The functions of `ops`, those that can fail wrapped so.
const struct sim_ops *starved_ops(const struct sim_ops *ops, const struct starved_hooks *hooks);

// The n-th allocation of these kinds (SIM_FAIL_FRAME, SIM_FAIL_MEM; 0: none) from now on fails, with `all` those that
// follow too. The first call that says so ends it; so does starved_end.
void starved_begin(struct sim_machine *machine, unsigned kinds, uint64_t n, bool all);
void starved_end(struct sim_machine *machine);

#endif
