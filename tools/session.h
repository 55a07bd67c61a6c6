// SPDX-License-Identifier: MIT
// Carries everything between the command's descriptors and a running machine until the machine
// ends.
#ifndef VMTREE_TOOLS_SESSION_H
#define VMTREE_TOOLS_SESSION_H

#include "control.h"
#include "machine.h"

enum session_end {
	SESSION_OVER,    // the machine stopped
	SESSION_TIMEOUT, // the deadline came first
	SESSION_NO_BOOT, // the kernel had not said that it runs at its own deadline
	SESSION_SIGNAL,  // the command was told to stop by `signal`
	SESSION_BROKEN,  // nobody reads the command's output any more
	SESSION_FAILED,  // writing the output failed; `error` is the errno value
};

struct session {
	// Set by the caller. Descriptors are -1 where there is nothing to read, or where output is
	// thrown away.
	struct machine *machine;
	struct control *control;
	int input;
	int output;
	int error_output;
	int signals;      // a signalfd, or -1
	int64_t deadline; // on now_ns()'s clock; 0: none
	int64_t boot_deadline; // the same, for the kernel to say that it runs
	bool show;        // show the kernel's messages
	// Results.
	enum session_end end;
	int signal;
	int error;
	struct text qemu; // what QEMU itself said, up to a limit
	struct text console; // the end of what the kernel said on its console
};

// Runs until the machine ended and its output was delivered, or until one of the other ends. Stops
// the machine.
void session_run(struct session *session);
// The first line that QEMU said, without its name in front; "" when it said nothing. The caller
// frees it.
char *session_qemu_line(const struct session *session);
void session_free(struct session *session); // what the session collected

#endif
