// SPDX-License-Identifier: MIT
// The report on a run: for people on standard error, and as JSON. docs/report.md says what the
// figures mean.
#ifndef VMTREE_TOOLS_REPORT_H
#define VMTREE_TOOLS_REPORT_H

#include "control.h"
#include "options.h"

struct report {
	const struct options *options;
	const struct control *control; // complete
	bool kvm;
	int status; // that the command exits with
};

void report_print(const struct report *report);

// Whether a file could be written there, tried before the program runs. Returns 0, or -1 after one
// line.
int report_check_json(const char *path);
// Writes the file whole or not at all. Returns 0, or -1 after one line.
int report_write_json(const struct report *report, const char *path);

#endif
