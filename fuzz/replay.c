// SPDX-License-Identifier: MIT
// The fuzzer's inputs without a fuzzer.
//
//	fuzz_replay CORPUS		each line of the file is an input, in hexadecimal: the regression run
//	fuzz_replay --show FILE		one input as it is (what the fuzzer leaves of a failure): prints its
//					operations, for `lib_device_differential_test replay`, and runs them
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "decode.h"

// Runs the input in a process of its own, where any way to end but the good one is a failure.
static bool passes(const uint8_t *bytes, size_t size)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(100); // an endless loop is a failure
		LLVMFuzzerTestOneInput(bytes, size);
		fflush(stdout);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

// The bytes of a line; false: it is none.
static bool parse(const char *line, uint8_t *bytes, size_t *size)
{
	unsigned byte;

	for (*size = 0; line[0] && line[0] != '\n'; line += 2)
		if (*size == FUZZ_BYTES || sscanf(line, "%2x", &byte) != 1 || !line[1])
			return false;
		else
			bytes[(*size)++] = (uint8_t)byte;
	return *size > 0;
}

static int run_corpus(const char *path)
{
	static char line[2 * FUZZ_BYTES + 16];
	static uint8_t bytes[FUZZ_BYTES];
	FILE *file = fopen(path, "r");
	unsigned number = 0, failed = 0;
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (parse(line, bytes, &size) && passes(bytes, size))
			continue;
		printf("line %u of %s fails\n", number, path);
		failed++;
	}
	fclose(file);
	printf("%u passed, %u failed\n", number - failed, failed);
	return failed || !number;
}

static int show(const char *path)
{
	static struct sequence sequence;
	static uint8_t bytes[FUZZ_BYTES];
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	if (!fuzz_decode(bytes, size, &sequence))
		return 1;
	fprintf(stderr, "format %s, seed %llu\n", sim_format_name(sequence.format), (unsigned long long)sequence.seed);
	print_ops(sequence.op, sequence.count);
	fflush(stdout);
	run_sequence(sequence.format, sequence.seed, sequence.op, sequence.count);
	fprintf(stderr, "it passes\n");
	return 0;
}

int main(int argc, char **argv)
{
	LLVMFuzzerInitialize(&argc, &argv);
	if (argc == 3 && strcmp(argv[1], "--show") == 0)
		return show(argv[2]);
	if (argc == 2)
		return run_corpus(argv[1]);
	fprintf(stderr, "usage: %s CORPUS, or %s --show FILE\n", argv[0], argv[0]);
	return 2;
}
