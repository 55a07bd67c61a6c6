// SPDX-License-Identifier: MIT
// One input in a process of its own.
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A machine that hangs is stopped by who started it; a process that waits for ever ends so. */
#define SECONDS_MAX 20
/* Far above what the arena needs and far below what a machine has. */
#define SPACE_MAX (1ul << 30)

bool on_linux;

void run_init(void)
{
	void *at = mmap((void *)RECORDS, sizeof(struct records), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (at == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
}

void record(uint32_t step, uint32_t depth, int64_t result, uint64_t detail)
{
	if (RECORDED->count < RECORDS_MAX)
		RECORDED->list[RECORDED->count++] = (struct record){step, depth, result, detail};
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	_exit(77);
}

static void prepare_files(void)
{
	static uint8_t bytes[FILE_BYTES];
	int fd = memfd_create("file", 0), ends[2];
	char name[40];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i % 64 ? (uint8_t)(i * 7 + i / PAGE) : 0xc3;
	must(fd >= 0 && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes), "memfd_create");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	must(dup2(fd, FD_BOTH) >= 0, "dup2");
	must(dup2(open(name, O_RDONLY), FD_READ) >= 0, "open for reading");
	must(dup2(open(name, O_WRONLY), FD_WRITE) >= 0, "open for writing");
	must(dup2(open("/dev/zero", O_RDWR), FD_ZERO) >= 0, "/dev/zero");
	must(pipe2(ends, O_NONBLOCK) == 0, "pipe2");
	must(dup2(ends[0], FD_PIPE_IN) >= 0 && dup2(ends[1], FD_PIPE_OUT) >= 0, "dup2");
	must(dup2(open("/", O_RDONLY | O_DIRECTORY), FD_FOLDER) >= 0, "a folder");
	for (int i = 3; i < FD_FIRST; i++)
		close(i);
}

static void limit_space(void)
{
	struct rlimit limit = {SPACE_MAX, SPACE_MAX};

	must(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
}

static void record_state(uint32_t depth)
{
	uint64_t rights = arena_rights();

	record(STEP_STATE, depth, 0, rights);
	record(STEP_STATE, depth, 1, arena_bytes());
}

/* The child carries out the next steps by itself; the parent does them after it. */
static void fork_steps(const struct input *input, uint32_t step, uint32_t to, uint32_t depth)
{
	uint32_t count = step_forks(input->bytes + (size_t)step * STEP_BYTES);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(SECONDS_MAX);
		run_steps(
			input, step + 1, step + 1 + count < to ? step + 1 + count : to, depth + 1);
		record_state(depth + 1);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	record(step, depth, pid > 0 ? 0 : -errno, (uint64_t)status);
}

void run_steps(const struct input *input, uint32_t from, uint32_t to, uint32_t depth)
{
	for (uint32_t i = from; i < to; i++) {
		const uint8_t *step = input->bytes + (size_t)i * STEP_BYTES;
		uint64_t detail = 0;
		int64_t result;

		if (step_forks(step)) {
			if (depth < 2)
				fork_steps(input, i, to, depth);
			continue;
		}
		result = step_call(step, &detail);
		record(i, depth, result, detail);
	}
}

void run_prepare(void)
{
	prepare_files();
	limit_space();
	catch_faults();
	calls_init();
}

static void run_here(const struct input *input)
{
	alarm(SECONDS_MAX);
	run_prepare();
	run_steps(input, 0, (uint32_t)(input->length / STEP_BYTES), 0);
	record_state(0);
	_exit(0);
}

int run_input(const struct input *input)
{
	int status = -1;
	pid_t pid;

	RECORDED->count = 0;
	pid = fork();
	if (pid == 0)
		run_here(input);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(2);
	}
	return status;
}

uint64_t run_digest(int status)
{
	uint64_t sum =
		mix(1, (uint64_t)status & 0xff7f); /* whether Linux would dump core is the same */

	for (uint32_t i = 0; i < RECORDED->count; i++) {
		const struct record *r = &RECORDED->list[i];

		sum = mix(mix(mix(sum, (uint64_t)r->step << 32 | r->depth), (uint64_t)r->result),
			r->detail);
	}
	return sum;
}
