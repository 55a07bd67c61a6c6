// SPDX-License-Identifier: MIT
// Programs of the host that the command calls.
#ifndef VMTREE_TOOLS_CHILD_H
#define VMTREE_TOOLS_CHILD_H

#include "base.h"

struct child {
	const char *const *words; // the program, looked up in PATH, and its arguments; NULL at the end
	const char *folder;       // to run in; NULL: this one
	// Called for each line on descriptor CHILD_STATUS of the program; NULL: it has none.
	void (*on_status)(char *line, void *context);
	void *context;
	// Results.
	struct text output, error;
};

#define CHILD_STATUS 3

// Runs it to its end, with LC_ALL=C and no input. Returns its exit status, or EXIT_NOT_FOUND when it could not be
// started and EXIT_SIGNAL plus the number when a signal ended it.
int child_run(struct child *child);
void child_free(struct child *child);
// The first line of `text` that begins with `start`, without it; NULL when there is none. The caller frees it.
char *first_line(const struct text *text, const char *start);

#endif
