// SPDX-License-Identifier: MIT
// A bar on standard error, drawn over itself.
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIDTH 30

static void draw(const struct progress *progress, int percent)
{
	char bar[WIDTH + 1];
	int full = percent * WIDTH / 100;

	memset(bar, '-', WIDTH);
	memset(bar, '#', (size_t)full);
	bar[WIDTH] = 0;
	fprintf(stderr, "\r\033[Kvmtree: %s [%s] %3d%%", progress->what, bar, percent);
	fflush(stderr);
}

void progress_start(struct progress *progress, char *what)
{
	progress->what = what;
	progress->shown = -1;
	if (progress->quiet)
		return;
	if (isatty(STDERR_FILENO))
		progress_show(progress, 0);
	else
		say("fetching %s", what);
}

void progress_show(struct progress *progress, double percent)
{
	int whole = percent < 0 ? 0 : percent > 100 ? 100 : (int)percent;

	// apt starts anew for each part: what goes back is not shown.
	if (progress->quiet || !progress->what || whole <= progress->shown || !isatty(STDERR_FILENO))
		return;
	progress->shown = whole;
	draw(progress, whole);
}

void progress_end(struct progress *progress, bool good)
{
	if (!progress->quiet && isatty(STDERR_FILENO)) {
		if (good)
			progress_show(progress, 100);
		fputc('\n', stderr);
	}
	free(progress->what);
	progress->what = NULL;
}
