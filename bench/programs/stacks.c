// SPDX-License-Identifier: MIT
// Threads made and ended, each with a stack of its own that it uses a little or a lot, many of them alive at once.
// What a thread costs is the C library's mmap, guard and munmap (or what it keeps for the next one) and clone.
//
//   stacks
#include "bench.h"

#include <alloca.h>
#include <pthread.h>

#define MOST 512

static int gate[2]; // threads sleep here until all are there
static size_t used;

static void *live(void *argument)
{
	volatile char *stack = alloca(used);
	char byte;

	(void)argument;
	for (size_t i = 0; i < used; i += PAGE)
		stack[i] = 1;
	if (read(gate[0], &byte, 1) != 1)
		fail("read");
	return NULL;
}

static void round_of(unsigned count, size_t stack_size)
{
	static pthread_t threads[MOST];
	static char bytes[MOST];
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, stack_size);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], &attributes, live, NULL))
			fail("pthread_create");
	if (write(gate[1], bytes, count) != (ssize_t)count)
		fail("write");
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_attr_destroy(&attributes);
}

static void row(unsigned count, size_t stack_size, size_t use, unsigned rounds)
{
	uint64_t t;

	used = use;
	round_of(count, stack_size);
	t = now();
	for (unsigned i = 0; i < rounds; i++)
		round_of(count, stack_size);
	figure((double)since(t) / (count * rounds), "ns", "stack-%luK-used-%luK/%u", stack_size >> 10, use >> 10, count);
}

int main(void)
{
	must(pipe(gate), "pipe");
	for (unsigned count = 1; count <= MOST; count *= 8) {
		unsigned rounds = count < 64 ? 64 / count : 1;

		row(count, 8 * MIB, PAGE, rounds);
		row(count, 8 * MIB, 256 << 10, rounds);
		row(count, 256 << 10, PAGE, rounds);
	}
	return 0;
}
