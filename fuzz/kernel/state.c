// SPDX-License-Identifier: MIT
// What a program can see of its memory: by touching it, and in /proc/self/maps.
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static _Thread_local sigjmp_buf back;
static _Thread_local volatile uint64_t caught;
static _Thread_local volatile sig_atomic_t trying;

uint64_t mix(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15;
	return sum ^ sum >> 29;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (!trying) {
		/* Not one of our touches: the program has cut the branch that it sits on. */
		signal(number, SIG_DFL);
		return;
	}
	caught = (uint64_t)number << 56 | (uint64_t)(info->si_code & 0xff) << 48 |
		 ((uint64_t)info->si_addr & 0xffffffffffff);
	siglongjmp(back, 1);
}

void catch_faults(void)
{
	static uint8_t stack[32768];
	stack_t alternative = {.ss_sp = stack, .ss_size = sizeof(stack)};
	struct sigaction action = {
		.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};

	sigaltstack(&alternative, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

#define TRY(statement)                         \
	do {                                   \
		caught = 0;                    \
		trying = 1;                    \
		if (sigsetjmp(back, 0) == 0) { \
			statement;             \
		}                              \
		trying = 0;                    \
		return caught;                 \
	} while (0)

uint64_t try_load(uint64_t address, uint64_t *value)
{
	TRY(*value = *(volatile uint64_t *)address);
}

uint64_t try_store(uint64_t address, uint64_t value)
{
	TRY(*(volatile uint64_t *)address = value);
}

static void fill(uint64_t address, uint64_t length, uint64_t value)
{
	for (uint64_t at = 0; at + 8 <= length; at += 8)
		*(volatile uint64_t *)(address + at) = value;
}

uint64_t try_fill(uint64_t address, uint64_t length, uint64_t value)
{
	TRY(fill(address, length, value));
}

uint64_t try_call(uint64_t address)
{
	void (*function)(void);

	memcpy(&function, &address, sizeof(function));
	TRY(function());
}

static void add_page(uint64_t address, uint64_t *sum)
{
	const volatile uint64_t *words = (const volatile uint64_t *)address;

	for (size_t i = 0; i < PAGE / 8; i++)
		*sum = mix(*sum, words[i]);
}

static uint64_t try_page(volatile uint64_t address, uint64_t *sum)
{
	TRY(add_page(address, sum));
}

/* The pages that are looked at, one after the other: ARENA_PAGES, then the first page of each large
 * step. */
#define PAGES (ARENA_PAGES + LARGE_BYTES / LARGE_STEP)

static bool mapped[PAGES];

static uint64_t page_at(uint64_t n)
{
	return n < ARENA_PAGES ? ARENA + n * PAGE : LARGE + (n - ARENA_PAGES) * LARGE_STEP;
}

uint64_t arena_bytes(void)
{
	uint64_t sum = 0, page, fault;

	for (uint64_t n = 0; n < PAGES; n++) {
		if (!mapped[n])
			continue; /* a signal for each would be most of the work */
		page = 0;
		fault = try_page(page_at(n), &page);
		sum = mix(sum, fault ? fault : page);
	}
	return sum;
}

static int hex(const char **text, uint64_t *value)
{
	int digits = 0;

	for (*value = 0;; digits++, ++*text) {
		char c = **text;

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*value = *value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return digits;
	}
}

/* Page by page, since kernels join neighbours at other times. */
static uint64_t add_rights(const char *line, uint64_t sum)
{
	uint64_t start, end, rights;

	if (!hex(&line, &start) || *line++ != '-' || !hex(&line, &end) || *line++ != ' ')
		return sum;
	rights = (uint64_t)line[0] << 24 | (uint64_t)line[1] << 16 | (uint64_t)line[2] << 8 |
		 (uint64_t)line[3];
	for (uint64_t n = 0; n < PAGES; n++) {
		if (page_at(n) < start || page_at(n) >= end)
			continue;
		mapped[n] = true;
		sum = mix(sum, mix(n, rights));
	}
	return sum;
}

static const char *read_maps(void)
{
	static char text[65536];
	size_t have = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY);

	while (have < sizeof(text) - 1 && (n = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	text[have] = 0;
	return text;
}

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line ? line + 1 : "";
}

uint64_t arena_rights(void)
{
	uint64_t sum = 0;

	memset(mapped, 0, sizeof(mapped));
	for (const char *line = read_maps(); *line; line = next_line(line))
		sum = add_rights(line, sum);
	return sum;
}

bool in_one_area(uint64_t start, uint64_t length)
{
	uint64_t from, to;
	bool found = false;

	for (const char *line = read_maps(); *line; line = next_line(line)) {
		const char *at = line;

		if (hex(&at, &from) && *at++ == '-' && hex(&at, &to))
			found = found || (from <= start && start < to && length <= to - start);
	}
	return found;
}

/* Shared, or with an inode (which follows the device's number), which is 0 where there is no file.
 */
static bool line_is_file(const char *rights)
{
	const char *at = strchr(rights, ':');

	return rights[3] == 's' || (at && memcmp(at + 3, " 0 ", 3) && memcmp(at + 3, " 0\n", 3));
}

bool shows_file(uint64_t start, uint64_t length)
{
	uint64_t from, to, end = (start + length + PAGE - 1) & -PAGE;
	bool found = false;

	for (const char *line = read_maps(); *line; line = next_line(line)) {
		const char *at = line;

		if (hex(&at, &from) && *at++ == '-' && hex(&at, &to) && from < end && start < to)
			found = found || line_is_file(at + 1);
	}
	return found;
}
