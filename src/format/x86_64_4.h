// SPDX-License-Identifier: MIT
// x86-64 with four levels, 48-bit addresses.
#define FMT_TOP 3
#include "x86_64.h"
