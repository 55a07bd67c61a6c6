// SPDX-License-Identifier: MIT
// Linux from Debian's packages: fetched by name, checked by apt, kept in the user's cache folder.
#ifndef VMTREE_TOOLS_PACKAGE_H
#define VMTREE_TOOLS_PACKAGE_H

#include "base.h"

#define LINUX_PACKAGE "linux-image-cloud-amd64"

// The kernel's image from that suite ("stable", "unstable"). What was fetched once is taken again without a look at
// the network, unless `again`. Sets `path`, which the caller frees. Returns -1, or the status to exit with after one
// line.
int package_find(const char *suite, bool again, bool quiet, char **path);

#endif
