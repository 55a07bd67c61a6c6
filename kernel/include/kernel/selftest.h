// SPDX-License-Identifier: MIT
/*
 * The core's tests inside the kernel: `selftest 1` in the configuration. The core runs them before
 * kernel_main, prints `log ... N passed, N failed`, and ends the machine.
 */
#ifndef KERNEL_SELFTEST_H
#define KERNEL_SELFTEST_H

void selftest_run(void);

#endif
