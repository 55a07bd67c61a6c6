// SPDX-License-Identifier: MIT
// How a machine ended: whether its account of the program is there and whole.
#ifndef VMTREE_TOOLS_ENDING_H
#define VMTREE_TOOLS_ENDING_H

#include "session.h"

struct kernel_name {
	const char *kernel; // as a sentence begins or goes on: "the reference kernel"
	const char *where;  // what a message about the program adds: " on Linux", or ""
};

// Returns -1 when the program ran to its end, or the status to exit with after one line, or more with what the kernel
// said last on its console. Does not return when the command has to die by a signal of its own. `typed` is the
// program's name for messages.
int ending_check(
	const struct session *session, const struct kernel_name *name, const char *typed, int64_t timeout_ns);
// The program's exit status as a shell has it.
int ending_status(const struct control *control);
// A kernel that lost memory did not do its work, whatever the program says; only the program's own failure goes first.
// Returns the status to exit with.
int ending_check_losses(const struct control *control, int status);

#endif
