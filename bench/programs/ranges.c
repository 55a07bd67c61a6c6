// SPDX-License-Identifier: MIT
// What an operation costs against the size of its range: of ranges nobody has touched, from a page to 32 TiB, of halves
// of such, and of ranges with every page there, from a page to 64 MiB.
//
//   ranges
#include "bench.h"

#define ROUNDS 20U

static void untouched(size_t size)
{
	uint64_t mapping = 0, protecting = 0, releasing = 0, unmapping = 0, t;

	for (unsigned i = 0; i < ROUNDS; i++) {
		t = now();
		char *p = map(size);
		mapping += since(t);
		t = now();
		protect(p, size, PROT_READ);
		protecting += since(t);
		t = now();
		advise(p, size, MADV_DONTNEED);
		releasing += since(t);
		t = now();
		unmap(p, size);
		unmapping += since(t);
	}
	figure((double)mapping / ROUNDS, "ns", "untouched/mmap/%lu", size);
	figure((double)protecting / ROUNDS, "ns", "untouched/mprotect/%lu", size);
	figure((double)releasing / ROUNDS, "ns", "untouched/release/%lu", size);
	figure((double)unmapping / ROUNDS, "ns", "untouched/munmap/%lu", size);
}

static void touched(size_t size)
{
	unsigned rounds = size > MIB ? 1 : 4;
	uint64_t spent[5] = {0}, t;

	for (unsigned i = 0; i < rounds; i++) {
		char *p = map(size), *room = map(size);

		unmap(room, size);
		t = now();
		touch(p, size, PAGE);
		spent[0] += since(t);
		t = now();
		protect(p, size, PROT_READ);
		spent[1] += since(t);
		protect(p, size, READ_WRITE);
		t = now();
		char *q = mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, room);
		spent[2] += since(t);
		if (q == MAP_FAILED)
			fail("mremap");
		t = now();
		advise(q, size, MADV_DONTNEED);
		spent[3] += since(t);
		touch(q, size, PAGE);
		t = now();
		unmap(q, size);
		spent[4] += since(t);
	}
	static const char *const names[] = {"fault", "mprotect", "mremap", "release", "munmap"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		figure((double)spent[i] / rounds, "ns", "touched/%s/%lu", names[i], size);
}

// Nothing between the two, and one clock for all.
static void at_once(size_t size)
{
	uint64_t t = now();

	for (unsigned i = 0; i < 100 * ROUNDS; i++)
		unmap(map(size), size);
	figure((double)since(t) / (100 * ROUNDS), "ns", "untouched/mmap-munmap/%lu", size);
}

// A range that is half of another: a kernel whose tables describe it pays for where it begins and ends.
static void halves(size_t size)
{
	static const struct {
		const char *name;
		unsigned quarter;
	} halves[] = {{"lower", 0}, {"middle", 1}, {"upper", 2}};
	char *p = map(size);

	for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		char *half = p + halves[i].quarter * (size / 4);
		uint64_t t = now();

		for (unsigned round = 0; round < ROUNDS; round++) {
			protect(half, size / 2, PROT_READ);
			protect(half, size / 2, READ_WRITE);
		}
		figure((double)since(t) / (2 * ROUNDS), "ns", "untouched/mprotect-%s-half/%lu", halves[i].name, size);
	}
	unmap(p, size);
}

int main(void)
{
	for (size_t size = PAGE; size <= 32 * TIB; size *= 8)
		untouched(size);
	at_once(PAGE);
	halves(64 * MIB);
	halves(TIB);
	for (size_t size = PAGE; size <= 64 * MIB; size *= 4)
		touched(size);
	return 0;
}
