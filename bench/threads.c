// SPDX-License-Identifier: MIT
// How many operations of a space are done in a second by 1, 2, 4, ... threads up to the machine's processors: in spaces
// of their own, on ranges of their own and on one range. threads_work.c does it; threads_port.h says what a flush is.
#include "threads_work.h"

#include "native.h"

static unsigned most, rounds = 200, flush;

static const char *const flushes[] = {"counted", "answered", NULL};
static const char *const ranges[] = {"separate", "disjoint", "shared"}; // enum threads_ranges

static const char usage[] =
	"usage: bench_threads [--threads N] [--rounds N] [--flush counted|answered]\n"
	"\n"
	"How many operations of a space are done in a second by 1, 2, 4, ... threads: each in a\n"
	"space of its own (separate); in one space on ranges without a common table (disjoint);\n"
	"on one range (shared). Prints lines\n"
	"  FLUSH/RANGES/OPERATION/all/THREADS VALUE per-second\n"
	"  FLUSH/RANGES/OPERATION/each/THREADS VALUE per-second\n"
	"  FLUSH/RANGES/OPERATION/share/THREADS VALUE ratio\n"
	"of all threads, of each, and each thread's share of what one thread does alone.\n"
	"\n"
	"  --threads N    up to N threads, 1 to 256 (default: the processors it may run on)\n"
	"  --rounds N     the best of N rounds (default 200)\n"
	"  --flush counted\n"
	"                 other CPUs are not asked for a flush (the default)\n"
	"  --flush answered\n"
	"                 other CPUs are asked by a flag, and waited for; there are no interrupts\n"
	"  --help         this text\n";

static const struct native_option options[] = {
	{"--threads", &most, 1, 256, NULL},
	{"--rounds", &rounds, 1, 1000000, NULL},
	{"--flush", &flush, 0, 0, flushes},
};

static void print(const struct threads_work *work, const char *what, double value, const char *unit)
{
	char name[80];

	snprintf(name, sizeof(name), "%s/%s/%s/%s/%u", flushes[work->answered], ranges[work->ranges],
		 threads_operations[work->operation], what, work->threads);
	figure(name, value, unit);
}

// 1, 2, 4, ..., and then as many as are wanted.
static void measure(struct threads_work *work)
{
	double alone = 0;

	for (unsigned next = 1, last = 0; last < most; next *= 2) {
		double all;

		work->threads = last = next < most ? next : most;
		all = threads_measure(work);
		alone = last == 1 ? all : alone;
		print(work, "all", all, "per-second");
		print(work, "each", all / last, "per-second");
		print(work, "share", all / last / alone, "ratio");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct threads_work work = {0};

	(void)argc;
	most = threads_processors();
	native_arguments(argv, usage, options, sizeof(options) / sizeof(options[0]));
	work.rounds = rounds;
	work.answered = flush;
	for (work.ranges = THREADS_SEPARATE; work.ranges <= THREADS_SHARED; work.ranges++)
		for (work.operation = 0; threads_operations[work.operation]; work.operation++)
			measure(&work);
	return 0;
}
