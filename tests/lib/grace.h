// SPDX-License-Identifier: MIT
// Grace periods that take long: the linker wraps vmt_port_defer for it. One thread uses this.
#ifndef TESTS_LIB_GRACE_H
#define TESTS_LIB_GRACE_H

#include <stdbool.h>

// From now on no grace period begins for what is deferred; false: those begin that were held back.
void grace_stretch(bool on);

#endif
