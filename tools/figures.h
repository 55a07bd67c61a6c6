// SPDX-License-Identifier: MIT
// What a comparison compares: for each figure where it comes from on either side.
#ifndef VMTREE_TOOLS_FIGURES_H
#define VMTREE_TOOLS_FIGURES_H

#include "compare.h"

#define FIGURE_STATS 9

struct figure {
	const char *name;  // in JSON
	const char *label; // for people
	enum { FIGURE_TIME, FIGURE_COUNT, FIGURE_BYTES } unit;
	unsigned factor;                              // what a stat's unit is in the figure's: 4096 for pages
	const char *stats[SIDES][FIGURE_STATS];       // summed; none: that side does not tell
	bool watched; // Linux tells only in the run that is watched
};

extern const struct figure figures[];
extern const size_t figure_count;

// Over the runs of one side.
struct spread {
	unsigned runs; // 0: not known, and nothing else here is set
	uint64_t lowest, median, highest;
};

void figure_spread(const struct comparison *comparison, const struct figure *figure, int side, struct spread *spread);

#endif
