// SPDX-License-Identifier: MIT
// RISC-V Sv48: four levels.
#define FMT_TOP 3
#include "riscv.h"
