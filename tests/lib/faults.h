// SPDX-License-Identifier: MIT
// Where the library asks the port for something that can fail or take long (faults_port.h): each place with how often
// it was asked from, and whether the fault has happened there. One thread uses this.
#ifndef TESTS_LIB_FAULTS_H
#define TESTS_LIB_FAULTS_H

#include "lib.h"

enum fault_kind {
	FAULT_FRAME,	// vmt_port_frame_alloc finds none
	FAULT_MEM,	// vmt_port_mem_alloc
	FAULT_FLUSH,	// vmt_port_flush takes long
	FAULT_DEFER,	// vmt_port_defer: a grace period takes long
	FAULT_COPY,	// a copy to or from device memory fails
	FAULT_FILL,	// an object's owner refuses a page
	FAULT_KINDS
};

// The n-th flush from now on is preceded by `meanwhile`, or the n-th grace period does not begin before faults_release.
// Replaces what was asked for before; n 0: nothing.
void faults_delay(enum fault_kind kind, unsigned n, void (*meanwhile)(void *arg), void *arg);

// Whether that has happened.
bool faults_delayed(void);

// What was held back begins.
void faults_release(void);

// A line for each place: its file and line, the kind, calls, faults.
void faults_print(void);

#endif
