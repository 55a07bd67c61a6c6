// SPDX-License-Identifier: MIT
// x86-64 with five levels (CR4.LA57), 57-bit addresses.
#define FMT_TOP 4
#include "x86_64.h"
