// SPDX-License-Identifier: MIT
/*
 * The library, as this kernel uses it: x86-64 with four levels. Include this and not vmtree/
 * headers that need to know the format.
 */
#ifndef KERNEL_VMT_H
#define KERNEL_VMT_H

#ifndef VMT_FORMAT
#define VMT_FORMAT x86_64_4
#endif
#include <vmtree/vmtree.h>

/* The one machine. Set by mm_init, constant until mm_shutdown. */
extern struct vmt *the_vmt;

#endif
