// SPDX-License-Identifier: MIT
// Takes more memory than there is, and says how it went.
//
//   eat map|touch MIB     map: asks for it at once; touch: asks in pieces and writes to each
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MIB (1ul << 20)

static char *take(size_t size)
{
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

int main(int argc, char **argv)
{
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) * MIB : 0;

	if (!size || (strcmp(argv[1], "map") && strcmp(argv[1], "touch"))) {
		fputs("eat: wants map|touch MIB\n", stderr);
		return 2;
	}
	if (!strcmp(argv[1], "map")) {
		char *base = take(size);
		printf("%s\n", base ? "granted" : strerror(errno));
		return base ? 0 : 1;
	}
	for (size_t at = 0; at < size; at += MIB) {
		char *base = take(MIB);
		if (!base) {
			printf("%s\n", strerror(errno));
			return 1;
		}
		memset(base, 1, MIB);
	}
	puts("all of it");
	return 0;
}
