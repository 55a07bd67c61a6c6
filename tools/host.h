// SPDX-License-Identifier: MIT
// What the command shares with whoever started it: signals, descriptors.
#ifndef VMTREE_TOOLS_HOST_H
#define VMTREE_TOOLS_HOST_H

#include "base.h"

// Signals that end the command are read from a descriptor, so that the machine is always stopped first. Returns it.
int catch_signals(void);
// What started the command sees that a signal ended it, as with any other program.
void die_by(int number) __attribute__((noreturn));
// Whether standard output and error go to the same place, so that their order must be kept.
bool same_output(void);

#endif
