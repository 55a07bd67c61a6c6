// SPDX-License-Identifier: MIT
// Threads that allocate, grow, free and check blocks of many sizes, and pass some to each other.
// Linked with several allocators. The checksum depends on nothing but the arguments.
//
//   churn [THREADS [ROUNDS [SEED]]]
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS       512
#define MAX_THREADS 64
#define EXCHANGES   64

struct block {
	unsigned char *data;
	size_t size;
	unsigned char mark;
};

struct worker {
	pthread_t thread;
	uint64_t random;
	long rounds;
	uint64_t checksum;
	long bad;
	struct block slots[SLOTS];
};

// A block put here by one thread is freed by whichever takes it: allocators find this hard.
static _Atomic(unsigned char *) exchange[EXCHANGES];

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

// Mostly small, sometimes up to a MiB, as programs do.
static size_t random_size(uint64_t *state)
{
	uint64_t kind = next_random(state) % 100;

	if (kind < 70)
		return 1 + next_random(state) % 512;
	if (kind < 95)
		return 1 + next_random(state) % 16384;
	if (kind < 99)
		return 1 + next_random(state) % 262144;
	return 1 + next_random(state) % 1048576;
}

// Writes the ends and one byte in each page: enough to see a page that was lost or mixed up.
static void paint(struct block *block)
{
	for (size_t i = 0; i < block->size; i += 4096)
		block->data[i] = block->mark;
	block->data[block->size - 1] = block->mark;
}

static long damaged(const struct block *block)
{
	long bad = block->data[block->size - 1] != block->mark;

	for (size_t i = 0; i < block->size; i += 4096)
		bad += block->data[i] != block->mark;
	return bad;
}

static void *must(void *data)
{
	if (!data) {
		fputs("churn: out of memory\n", stderr);
		exit(1);
	}
	return data;
}

static void take(struct worker *worker, struct block *block)
{
	block->size = random_size(&worker->random);
	block->mark = (unsigned char)next_random(&worker->random);
	block->data = must(
		next_random(&worker->random) % 8 ? malloc(block->size) : calloc(1, block->size));
	paint(block);
}

static void grow(struct worker *worker, struct block *block)
{
	size_t size = random_size(&worker->random);

	unsigned char *data = must(realloc(block->data, size));
	// What both sizes have must have been kept: the first byte always is.
	worker->bad += data[0] != block->mark;
	for (size_t i = 4096; i < size && i < block->size; i += 4096)
		worker->bad += data[i] != block->mark;
	block->data = data;
	block->size = size;
	paint(block);
}

static void give_away(struct worker *worker)
{
	size_t size = 64 + next_random(&worker->random) % 8192;
	unsigned char *data = must(malloc(size));

	memset(data, 0x5a, size);
	// Acquire and release: the one who takes the block out reads what the one who put it in
	// wrote.
	unsigned char *old = atomic_exchange_explicit(
		&exchange[next_random(&worker->random) % EXCHANGES], data, memory_order_acq_rel);
	if (old) {
		for (size_t i = 0; i < 64; i++)
			worker->bad += old[i] != 0x5a;
		free(old);
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (long round = 0; round < worker->rounds; round++) {
		struct block *block = &worker->slots[next_random(&worker->random) % SLOTS];
		unsigned kind = next_random(&worker->random) % 16;

		if (!block->data) {
			take(worker, block);
		} else if (kind < 4) {
			grow(worker, block);
		} else {
			worker->bad += damaged(block);
			worker->checksum =
				(worker->checksum ^ block->size ^ block->mark) * 1099511628211u;
			free(block->data);
			block->data = NULL;
		}
		if (kind == 15)
			give_away(worker);
	}
	for (size_t i = 0; i < SLOTS; i++) {
		if (worker->slots[i].data)
			worker->bad += damaged(&worker->slots[i]);
		free(worker->slots[i].data);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long threads = argc > 1 ? atol(argv[1]) : 4;
	long rounds = argc > 2 ? atol(argv[2]) : 100000;
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	uint64_t checksum = 0;
	long bad = 0;

	if (threads < 1 || threads > MAX_THREADS || rounds < 1) {
		fprintf(stderr, "churn: wants 1 to %d threads and at least 1 round\n", MAX_THREADS);
		return 2;
	}
	struct worker *workers = must(calloc((size_t)threads, sizeof(*workers)));
	for (long i = 0; i < threads; i++) {
		workers[i].random = (seed + (uint64_t)i) * 0x9e3779b97f4a7c15u + 1;
		workers[i].rounds = rounds;
		workers[i].checksum = 14695981039346656037u;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
			fputs("churn: no thread\n", stderr);
			return 1;
		}
	}
	for (long i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		checksum += workers[i].checksum;
		bad += workers[i].bad;
	}
	for (size_t i = 0; i < EXCHANGES; i++)
		free(exchange[i]);
	free(workers);
	printf("churn: %ld threads, %ld rounds each: checksum %016llx, %ld damaged\n", threads,
		rounds, (unsigned long long)checksum, bad);
	return bad ? 1 : 0;
}
