// SPDX-License-Identifier: MIT
// The library as struct sim_ops where memory may run out by request (sim_fail_nth): a call that says VMT_ERR_NO_MEMORY
// then is made a second time, with memory, and has to succeed as if nothing had happened. So the caller need not know.
#ifndef TESTS_LIB_STARVED_H
#define TESTS_LIB_STARVED_H

#include "lib.h"

// The functions of `ops`, those that can run out of memory wrapped so. `unchanged` is called in between for functions
// that have changed nothing when they fail: everything is what it was before the call.
const struct sim_ops *starved_ops(const struct sim_ops *ops, void (*unchanged)(void *arg), void *arg);

// The n-th allocation of either kind from now on fails (with `all` those that follow too). The first call that says so
// ends it; so does starved_end.
void starved_begin(struct sim_machine *machine, uint64_t n, bool all);
void starved_end(struct sim_machine *machine);

#endif
