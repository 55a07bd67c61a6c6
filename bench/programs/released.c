// SPDX-License-Identifier: MIT
// A large range touched and given back, as allocators do: a few pages of each 2 MiB, released together, then the same
// released one by one. What the page tables take is read after each GiB. programs/reclaim.c touches every page, and
// takes hours with a counting clock; the tables are the same, for each takes in 2 MiB.
//
//   released [GIB]
#include "bench.h"

#define STEP (2 * MIB)
#define PART (STEP / 4) // between the pages that are touched

static size_t size;

static void show(const char *way, size_t at)
{
	figure((double)status_bytes("VmPTE"), "bytes", "tables/%s/%lu", way, at);
	figure((double)status_bytes("VmRSS"), "bytes", "resident/%s/%lu", way, at);
}

static void release(char *p, size_t bytes)
{
	advise(p, bytes, MADV_DONTNEED);
}

static void pattern(char *base, const char *way, size_t at_once)
{
	uint64_t t = now(), shown = 0;

	for (size_t at = 0; at < size; at += at_once) {
		if (at % GIB == 0) {
			uint64_t start = now();

			show(way, at);
			shown += now() - start;
		}
		touch(base + at, at_once, PART);
		release(base + at, at_once == STEP ? STEP : PAGE);
	}
	t = since(t) - shown;
	show(way, size);
	figure((double)t / (double)(size / PART), "ns", "touch-release/%s", way);
}

int main(int argc, char **argv)
{
	size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 50) * GIB;

	char *base = map(size);

	advise(base, size, MADV_NOHUGEPAGE);
	status_bytes("VmPTE"); // what the C library needs for that is there from now on
	uint64_t before = status_bytes("VmPTE");

	pattern(base, "2MiB", STEP);
	figure((double)status_bytes("VmPTE") - (double)before, "bytes", "tables-left/2MiB");
	pattern(base, "page", PART);
	figure((double)status_bytes("VmPTE") - (double)before, "bytes", "tables-left/page");
	return 0;
}
