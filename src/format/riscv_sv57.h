// SPDX-License-Identifier: MIT
// RISC-V Sv57: five levels.
#define FMT_TOP 4
#include "riscv.h"
