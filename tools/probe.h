// SPDX-License-Identifier: MIT
// Whether KVM truly works on this host.
#ifndef VMTREE_TOOLS_PROBE_H
#define VMTREE_TOOLS_PROBE_H

#include "options.h"

// Whether to use KVM, by the options and, where they leave it open, by a try: the reference kernel is booted with KVM
// and runs a program of four instructions. That takes a tenth of a second where KVM works, a second at most where it
// does not; a line then says why.
bool probe_accel(const struct options *options, const char *qemu, const char *kernel);

#endif
