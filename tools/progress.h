// SPDX-License-Identifier: MIT
// How far something that takes its time has come: a bar on a terminal, else a line at its start.
#ifndef VMTREE_TOOLS_PROGRESS_H
#define VMTREE_TOOLS_PROGRESS_H

#include "base.h"

struct progress {
	bool quiet;
	char *what; // while it lasts
	int shown;  // percent; -1: nothing yet
};

// `what` becomes the progress's own.
void progress_start(struct progress *progress, char *what);
void progress_show(struct progress *progress, double percent);
void progress_end(struct progress *progress, bool good);

#endif
