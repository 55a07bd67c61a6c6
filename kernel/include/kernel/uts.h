// SPDX-License-Identifier: MIT
/*
 * What the kernel calls itself: uname(2), /proc/version, /proc/sys/kernel. Programs compare the release
 * with versions of Linux, so it names one.
 */
#ifndef KERNEL_UTS_H
#define KERNEL_UTS_H

#define UTS_SYSNAME "Linux"
#define UTS_NODENAME "vmtree"
#define UTS_RELEASE "6.1.0-vmtree"
#define UTS_VERSION "vmtree reference kernel"

#endif
