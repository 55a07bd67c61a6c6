// SPDX-License-Identifier: MIT
// A Linux kernel's image in the form that boots fastest.
#ifndef VMTREE_TOOLS_IMAGE_H
#define VMTREE_TOOLS_IMAGE_H

#include "base.h"

struct image {
	char *path; // for QEMU, as long as `fd` is open
	int fd;     // an unpacked kernel in memory, or -1
};

// Returns -1, or the status to exit with after one line.
int image_open(struct image *image, const char *path);
void image_close(struct image *image);

#endif
