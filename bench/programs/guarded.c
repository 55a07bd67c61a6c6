// SPDX-License-Identifier: MIT
// Guard pages by the million: every second page of a large range, as markers in the page tables, and as far as a kernel
// allows areas (30,000) as ranges without rights.
//
//   guarded [GUARDS]
#include "bench.h"

#define AREAS 30000UL

static void markers(size_t count)
{
	char *p = map(2 * count * PAGE);
	uint64_t before = status_bytes("VmPTE"), t = now();

	for (size_t i = 0; i < count; i++)
		advise(p + 2 * i * PAGE, PAGE, MADV_GUARD_INSTALL);
	figure((double)since(t) / (double)count, "ns", "guard-install/%lu", count);
	figure((double)status_bytes("VmPTE") - (double)before, "bytes", "guard-tables/%lu", count);
	t = now();
	advise(p, 2 * count * PAGE, MADV_GUARD_REMOVE);
	figure((double)since(t) / (double)count, "ns", "guard-remove-of/%lu", count);
	figure((double)status_bytes("VmPTE") - (double)before, "bytes", "guard-tables-removed/%lu", count);
	// In one call: how a runtime makes the guards of an arena.
	t = now();
	advise(p, 2 * count * PAGE, MADV_GUARD_INSTALL);
	figure((double)since(t) / (double)(2 * count), "ns", "guard-install-page-of/%lu", 2 * count);
	t = now();
	unmap(p, 2 * count * PAGE);
	figure((double)since(t) / (double)(2 * count), "ns", "guard-unmap-page-of/%lu", 2 * count);
}

static void areas(size_t count)
{
	char *p = map(2 * count * PAGE);
	uint64_t t = now();

	for (size_t i = 0; i < count; i++)
		protect(p + 2 * i * PAGE, PAGE, PROT_NONE);
	figure((double)since(t) / (double)count, "ns", "protect-none/%lu", count);
	t = now();
	unmap(p, 2 * count * PAGE);
	figure((double)since(t) / (double)count, "ns", "protect-none-unmap-of/%lu", count);
}

int main(int argc, char **argv)
{
	size_t most = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;

	for (size_t count = most < 10000 ? most : 10000; count <= most; count *= 10)
		markers(count);
	areas(most < AREAS ? most : AREAS);
	return 0;
}
