// SPDX-License-Identifier: MIT
// `vmtree run`: from the options to the exit status.
#ifndef VMTREE_TOOLS_RUN_H
#define VMTREE_TOOLS_RUN_H

#include "options.h"

// Returns the status to exit with. Does not return when the command has to die by a signal of its
// own.
int run_program(const struct options *options);

#endif
