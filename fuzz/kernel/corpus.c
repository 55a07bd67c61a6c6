// SPDX-License-Identifier: MIT
// Reading, writing and varying inputs.
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse(const char *line, struct input *input)
{
	input->length = 0;
	for (; digit(line[0]) >= 0 && digit(line[1]) >= 0 && input->length < INPUT_MAX; line += 2)
		input->bytes[input->length++] = (uint8_t)(digit(line[0]) << 4 | digit(line[1]));
	return *line == ' ' || *line == '\n' || *line == 0;
}

void corpus_load(struct corpus *corpus, const char *path)
{
	char line[2 * INPUT_MAX + 32];
	struct input input;
	FILE *file = fopen(path, "r");

	corpus->count = 0;
	corpus->inputs = calloc(CORPUS_MAX, sizeof(struct input));
	if (!file || !corpus->inputs) {
		perror(path);
		exit(2);
	}
	while (fgets(line, sizeof(line), file)) {
		if (!parse(line, &input) || !corpus_add(corpus, &input)) {
			fprintf(stderr, "%s: input %zu is none, or one too many\n", path,
				corpus->count + 1);
			exit(2);
		}
	}
	fclose(file);
}

int corpus_add(struct corpus *corpus, const struct input *input)
{
	if (corpus->count == CORPUS_MAX)
		return 0;
	corpus->inputs[corpus->count++] = *input;
	return 1;
}

void input_print(const struct input *input)
{
	for (size_t i = 0; i < input->length; i++)
		printf("%02x", input->bytes[i]);
}

uint64_t random_next(struct random *random)
{
	uint64_t x = random->state += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static size_t below(struct random *random, size_t limit)
{
	return (size_t)(random_next(random) % limit);
}

static void random_step(struct random *random, uint8_t *step)
{
	uint64_t bytes = random_next(random);

	memcpy(step, &bytes, STEP_BYTES);
	/* Hostile values at every place at once reach nothing: most of them in the tame half. */
	for (size_t i = 1; i < STEP_BYTES; i++)
		if (below(random, 4))
			step[i] %= 128;
	/* Near each other, so that steps meet. */
	if (below(random, 2))
		step[1] %= 8;
}

static void insert_steps(struct input *input, size_t at, const uint8_t *steps, size_t bytes)
{
	if (input->length + bytes > INPUT_MAX)
		bytes = INPUT_MAX - input->length;
	memmove(input->bytes + at + bytes, input->bytes + at, input->length - at);
	memcpy(input->bytes + at, steps, bytes);
	input->length += bytes;
}

static void mutate_once(const struct corpus *corpus, struct random *random, struct input *input)
{
	size_t steps = input->length / STEP_BYTES, at = below(random, steps + 1) * STEP_BYTES;
	uint8_t step[STEP_BYTES];

	switch (below(random, 7)) {
	case 0:
	case 1:
		random_step(random, step);
		insert_steps(input, at, step, STEP_BYTES);
		break;
	case 2:
		if (corpus->count) {
			const struct input *other = &corpus->inputs[below(random, corpus->count)];
			size_t from = below(random, other->length / STEP_BYTES + 1) * STEP_BYTES;

			insert_steps(input, at, other->bytes + from,
				(other->length - from) / STEP_BYTES * STEP_BYTES);
		}
		break;
	case 3:
		if (steps > 1 && at < input->length) {
			memmove(input->bytes + at, input->bytes + at + STEP_BYTES,
				input->length - at - STEP_BYTES);
			input->length -= STEP_BYTES;
		}
		break;
	default:
		for (size_t n = 1 + below(random, 3); n && input->length; n--)
			input->bytes[below(random, input->length)] = (uint8_t)random_next(random);
		break;
	}
}

void input_mutate(const struct corpus *corpus, struct random *random, struct input *input)
{
	input->length = 0;
	if (corpus->count)
		*input = corpus->inputs[below(random, corpus->count)];
	input->length -= input->length % STEP_BYTES;
	for (size_t n = 1 + below(random, 5); n; n--)
		mutate_once(corpus, random, input);
}
