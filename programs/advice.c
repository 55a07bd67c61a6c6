// SPDX-License-Identifier: MIT
// madvise: releasing, freeing lazily, hints, and advice that does not exist.
#include "conform.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define READ_WRITE (PROT_READ | PROT_WRITE)

static void release(void)
{
	char *base = must_map(8 * PAGE, READ_WRITE);

	memset(base, 'A', 8 * PAGE);
	answer("release three", madvise(base + 2 * PAGE, 3 * PAGE, MADV_DONTNEED));
	residency("after it", base, 8);
	try_read("kept", base, PAGE);
	try_read("released", base, 3 * PAGE);
	try_write("written again", base, 3 * PAGE);
	answer("odd address", madvise(base + 1, PAGE, MADV_DONTNEED));
	answer("nothing", madvise(base, 0, MADV_DONTNEED));
	answer("wraps", madvise(base, -1ul, MADV_DONTNEED));
	munmap(base + 4 * PAGE, PAGE);
	answer("over a hole", madvise(base, 8 * PAGE, MADV_DONTNEED));
	try_read("before the hole", base, 0);
	try_read("after the hole", base, 7 * PAGE);
	mprotect(base, PAGE, PROT_NONE);
	answer("of a page without rights", madvise(base, PAGE, MADV_DONTNEED));
	munmap(base, 8 * PAGE);
}

static void lazy(void)
{
	char *base = must_map(4 * PAGE, READ_WRITE);

	memset(base, 'A', 4 * PAGE);
	answer("free lazily", madvise(base, 2 * PAGE, MADV_FREE));
	base[0] = 'B';
	try_read("written after it", base, 0);
	try_read("not advised", base, 2 * PAGE);
	// Before memory runs short either value is right.
	word("the other", base[PAGE] == 'A' || base[PAGE] == 0 ? "old or zero" : "wrong");
	munmap(base, 4 * PAGE);
}

static void hints(void)
{
	static const struct {
		const char *name;
		int advice;
	} all[] = {
		{"normal", MADV_NORMAL},
		{"random", MADV_RANDOM},
		{"sequential", MADV_SEQUENTIAL},
		{"will need", MADV_WILLNEED},
		{"advice 5", 5},
		{"advice 999", 999},
		{"advice -1", -1},
	};
	char *base = must_map(4 * PAGE, READ_WRITE);

	memset(base, 'A', 4 * PAGE);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		answer(all[i].name, madvise(base, 4 * PAGE, all[i].advice));
	try_read("after all of them", base, PAGE);
	munmap(base, 4 * PAGE);
}

int main(void)
{
	catch_faults();
	release();
	lazy();
	hints();
	return 0;
}
