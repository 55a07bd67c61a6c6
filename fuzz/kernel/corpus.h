// SPDX-License-Identifier: MIT
/*
 * The corpus, a text file with one input in hexadecimal digits on each line, and new inputs made
 * from it. What follows the digits after a space is for others: the number that replaying the input
 * prints.
 */
#ifndef FUZZ_CORPUS_H
#define FUZZ_CORPUS_H

#include "input.h"

#define CORPUS_MAX 8192

struct corpus {
	size_t count;
	struct input *inputs; /* CORPUS_MAX */
};

/* Ends the program with a word where the file cannot be read. */
void corpus_load(struct corpus *corpus, const char *path);

/* False: full. */
int corpus_add(struct corpus *corpus, const struct input *input);

void input_print(const struct input *input);

struct random {
	uint64_t state;
};

uint64_t random_next(struct random *random);

/* A new input from one or two of the corpus, or from nothing where it is empty. */
void input_mutate(const struct corpus *corpus, struct random *random, struct input *input);

#endif
