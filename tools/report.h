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

// Figures for people.
const char *report_grouped(uint64_t value, char *text, size_t room); // "1,234,567", somewhere in `text`
void report_size(struct text *text, uint64_t bytes);                  // "48.2 MiB"

void report_print(const struct report *report);

// Writes the file whole or not at all. Returns 0, or -1 after one line.
int report_write_json(const struct report *report, const char *path);

#endif
