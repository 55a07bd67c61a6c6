// SPDX-License-Identifier: MIT
// Whether KVM truly works on this host.
#ifndef VMTREE_TOOLS_PROBE_H
#define VMTREE_TOOLS_PROBE_H

#include "base.h"

// Boots the reference kernel with KVM and lets it run a program of four instructions. Returns NULL
// when that worked, or why it did not, in a few words; the caller frees them. Takes a tenth of a
// second where KVM works, a second at most where it does not.
char *probe_kvm(const char *qemu, const char *kernel);

#endif
