// SPDX-License-Identifier: MIT
// How fast the time stamp counter runs that a machine will see.
#ifndef VMTREE_TOOLS_TSC_H
#define VMTREE_TOOLS_TSC_H

// In kHz; 0: not known. Measures for a twentieth of a second.
unsigned long tsc_khz(void);

#endif
