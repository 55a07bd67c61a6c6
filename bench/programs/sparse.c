// SPDX-License-Identifier: MIT
// Huge and sparse mappings: one page touched in each 2 MiB and in each GiB of a large range, and huge pages, whole
// and in parts. A table is needed for each page that is alone: what it takes is reported.
//
//   sparse
#include "bench.h"

#define HUGE (2 * MIB)

static void alone(const char *name, size_t size, size_t step)
{
	char *p = map(size);
	size_t pages = size / step;
	uint64_t before = status_bytes("VmPTE"), t;

	advise(p, size, MADV_NOHUGEPAGE);
	t = now();
	touch(p, size, step);
	figure((double)since(t) / (double)pages, "ns", "%s/fault/%lu", name, pages);
	figure(((double)status_bytes("VmPTE") - (double)before) / (double)pages, "bytes", "%s/tables-of-page/%lu", name,
	       pages);
	t = now();
	protect(p, size, PROT_READ);
	figure((double)since(t) / (double)pages, "ns", "%s/protect-page-of/%lu", name, pages);
	t = now();
	advise(p, size, MADV_DONTNEED);
	figure((double)since(t) / (double)pages, "ns", "%s/release-page-of/%lu", name, pages);
	figure((double)status_bytes("VmPTE") - (double)before, "bytes", "%s/tables-left/%lu", name, pages);
	t = now();
	unmap(p, size);
	figure((double)since(t) / (double)pages, "ns", "%s/unmap-page-of/%lu", name, pages);
}

static void huge(size_t count)
{
	char *p = map((count + 1) * HUGE);
	char *at = (char *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
	uint64_t t;

	advise(at, count * HUGE, MADV_HUGEPAGE);
	t = now();
	touch(at, count * HUGE, HUGE);
	figure((double)since(t) / (double)count, "ns", "huge/fault/%lu", count);
	t = now();
	for (size_t i = 0; i < count; i++)
		protect(at + i * HUGE, HUGE, PROT_READ);
	figure((double)since(t) / (double)count, "ns", "huge/protect/%lu", count);
	protect(at, count * HUGE, READ_WRITE);
	t = now();
	for (size_t i = 0; i < count / 2; i++)
		advise(at + i * HUGE, HUGE, MADV_DONTNEED);
	figure((double)since(t) / (double)(count / 2), "ns", "huge/release/%lu", count / 2);
	t = now();
	for (size_t i = count / 2; i < count; i++)
		protect(at + i * HUGE + HUGE / 2, PAGE, PROT_READ);
	figure((double)since(t) / (double)(count - count / 2), "ns", "huge/protect-a-page/%lu", count - count / 2);
	t = now();
	unmap(p, (count + 1) * HUGE);
	figure((double)since(t), "ns", "huge/unmap-all/%lu", count);
}

int main(void)
{
	alone("each-2M", 16 * GIB, HUGE);
	alone("each-1G", 8 * TIB, GIB);
	huge(32);
	return 0;
}
