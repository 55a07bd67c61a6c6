// SPDX-License-Identifier: MIT
// `vmtree compare`: the same program on the reference kernel and on Linux. docs/compare.md says what the figures mean.
#ifndef VMTREE_TOOLS_COMPARE_H
#define VMTREE_TOOLS_COMPARE_H

#include "control.h"
#include "options.h"

enum { SIDE_VMTREE, SIDE_LINUX, SIDES };

// One machine that ran to the program's end.
struct outcome {
	struct control control;
	int output, error; // files with what the program wrote; -1: none
};

struct comparison {
	const struct options *options;
	bool kvm;
	char *image; // Linux's, as a person knows it
	struct outcome *runs[SIDES];
	unsigned counts[SIDES];  // runs that are there
	struct outcome watched;  // Linux once more, for what is not known of a run that is timed
	bool same_end, same_output;
	struct text difference; // the first one, in lines
	int status;             // that the command exits with
};

// Returns the status to exit with. Does not return when the command has to die by a signal of its own.
int compare_program(const struct options *options);

// ---- compare_report.c, compare_json.c ----
void comparison_print(const struct comparison *comparison);
// Returns 0, or -1 after one line.
int comparison_write_json(const struct comparison *comparison, const char *path);

#endif
