// SPDX-License-Identifier: MIT
/*
 * The fuzzer of the reference kernel's system calls on memory, a Linux program. docs/fuzz-kernel.md
 *says what it is for.
 *
 *	replay linux|vmtree CORPUS [verbose]      each input once; a line for each says what came
 *out vary linux|vmtree CORPUS SEED COUNT       inputs made from the corpus; prints those and what
 *came out guide CORPUS SEED SECONDS                 on the kernel that tells its coverage: prints
 *inputs that reach new places storm CORPUS SEED ROUNDS                  inputs in several threads
 *of one process at once
 */
#include "corpus.h"
#include "coverage.h"
#include "run.h"
#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void print_records(const struct input *input, int status)
{
	for (uint32_t i = 0; i < RECORDED->count; i++) {
		const struct record *r = &RECORDED->list[i];
		bool state = r->step == STEP_STATE;

		printf("\t%u.%u %s: %ld %lx\n", r->depth, r->step,
			state ? "state" : step_name(input->bytes + (size_t)r->step * STEP_BYTES),
			(long)r->result, (long)r->detail);
	}
	printf("\tstatus %x\n", (unsigned)status & 0xff7f);
}

static void show(const struct input *input, bool verbose)
{
	int status = run_input(input);

	input_print(input);
	printf(" %016lx\n", (unsigned long)run_digest(status));
	if (verbose)
		print_records(input, status);
	fflush(stdout);
}

static int replay(const struct corpus *corpus, bool verbose)
{
	for (size_t i = 0; i < corpus->count; i++)
		show(&corpus->inputs[i], verbose);
	return 0;
}

static int vary(const struct corpus *corpus, uint64_t seed, unsigned long count)
{
	struct random random = {seed};
	struct input input;

	for (unsigned long i = 0; i < count; i++) {
		input_mutate(corpus, &random, &input);
		show(&input, false);
	}
	return 0;
}

/* ---- Guided by coverage ---- */

/* How often: a power of two is something new, one time more is not. */
static uint8_t class_of(uint32_t count)
{
	uint8_t class = 1;

	while (count >>= 1)
		class = (uint8_t)(class << 1);
	return class;
}

static uint8_t seen[COVERAGE_PLACES];
static uint32_t places[COVERAGE_PLACES];

/* Runs the input; how many places it passes that none has passed so often. `keep`: notes them. */
static unsigned news(const struct input *input, bool keep)
{
	unsigned found = 0;
	long count;

	if (syscall(COVERAGE_CALL, 0, 0, 0)) {
		fputs("this kernel does not tell its coverage\n", stderr);
		exit(2);
	}
	run_input(input);
	count = syscall(COVERAGE_CALL, 1, places, COVERAGE_PLACES);
	for (long i = 0; i < count; i++) {
		uint8_t class = class_of(places[i] & 0xff), *at = &seen[places[i] >> 8];

		if (*at & class)
			continue;
		found++;
		if (keep)
			*at |= class;
	}
	return found;
}

static size_t covered(void)
{
	size_t n = 0;

	for (size_t i = 0; i < COVERAGE_PLACES; i++)
		n += seen[i] != 0;
	return n;
}

/* Leaves out what is not needed for what is new. */
static void trim(struct input *input, unsigned wanted)
{
	struct input shorter;

	for (size_t at = 0; at + STEP_BYTES <= input->length && input->length > STEP_BYTES;) {
		shorter = *input;
		memmove(shorter.bytes + at, shorter.bytes + at + STEP_BYTES,
			shorter.length - at - STEP_BYTES);
		shorter.length -= STEP_BYTES;
		if (news(&shorter, false) >= wanted)
			*input = shorter;
		else
			at += STEP_BYTES;
	}
}

static int guide(struct corpus *corpus, uint64_t seed, long seconds)
{
	time_t end, said = 0;
	struct random random = {seed};
	unsigned long runs = 0;
	struct input input;

	for (size_t i = 0; i < corpus->count; i++)
		news(&corpus->inputs[i], true);
	end = time(NULL) + seconds;
	while (time(NULL) < end && corpus->count < CORPUS_MAX) {
		unsigned first, second;

		if (time(NULL) >= said + 10) {
			said = time(NULL);
			printf("# %lu runs, %zu inputs, %zu places\n", runs, corpus->count,
				covered());
			fflush(stdout);
		}
		input_mutate(corpus, &random, &input);
		runs++;
		first = news(&input, false);
		if (!first)
			continue;
		/* What a timer has brought is not there the second time. */
		second = news(&input, false);
		if (!second)
			continue;
		if (first > second)
			first = second;
		trim(&input, first);
		if (!news(&input, true))
			continue;
		corpus_add(corpus, &input);
		input_print(&input);
		printf("\n");
		fflush(stdout);
	}
	printf("# %lu runs, %zu inputs, %zu places\n", runs, corpus->count, covered());
	return 0;
}

static int usage(void)
{
	fputs("usage: fuzz replay linux|vmtree CORPUS [verbose] | vary linux|vmtree CORPUS SEED "
	      "COUNT |\n"
	      "       guide CORPUS SEED SECONDS | storm CORPUS SEED ROUNDS\n",
		stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	bool asks = !strcmp(mode, "replay") || !strcmp(mode, "vary");
	struct corpus corpus;

	if (argc < (asks ? 4 : 5))
		return usage();
	on_linux = asks && !strcmp(argv[2], "linux");
	corpus_load(&corpus, argv[asks ? 3 : 2]);
	run_init();
	if (!strcmp(mode, "replay"))
		return replay(&corpus, argc > 4);
	if (!strcmp(mode, "vary") && argc == 6)
		return vary(&corpus, strtoull(argv[4], NULL, 0), strtoul(argv[5], NULL, 0));
	if (!strcmp(mode, "guide"))
		return guide(&corpus, strtoull(argv[3], NULL, 0), strtol(argv[4], NULL, 0));
	if (!strcmp(mode, "storm"))
		return storm(&corpus, strtoull(argv[3], NULL, 0), strtoul(argv[4], NULL, 0));
	return usage();
}
