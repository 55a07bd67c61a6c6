// SPDX-License-Identifier: MIT
// RISC-V Sv39: three levels.
#define FMT_TOP 2
#include "riscv.h"
