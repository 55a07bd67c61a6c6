// SPDX-License-Identifier: MIT
// What the programs that compare kernels have in common.
#include "conform.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf back;
static volatile sig_atomic_t caught, caught_code;
static void *volatile caught_address;

void answer(const char *what, long result)
{
	printf("%s: %s\n", what, result == -1 ? strerrorname_np(errno) : "ok");
}

void figure(const char *what, long value)
{
	printf("%s: %ld\n", what, value);
}

void word(const char *what, const char *value)
{
	printf("%s: %s\n", what, value);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	caught = number;
	caught_code = info->si_code;
	caught_address = info->si_addr;
	siglongjmp(back, 1);
}

void catch_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGILL, &action, NULL);
}

static const char *code_name(int number, int code)
{
	if (number == SIGSEGV && code == SEGV_MAPERR)
		return "SEGV_MAPERR";
	if (number == SIGSEGV && code == SEGV_ACCERR)
		return "SEGV_ACCERR";
	if (number == SIGBUS && code == BUS_ADRERR)
		return "BUS_ADRERR";
	if (code == SI_KERNEL)
		return "SI_KERNEL";
	return "another code";
}

static void print_fault(const char *what, const char *base)
{
	printf("%s: SIG%s %s at %+ld\n", what, sigabbrev_np(caught), code_name(caught, caught_code),
		(long)((char *)caught_address - base));
}

void try_read(const char *what, void *base, size_t offset)
{
	volatile unsigned char *at = (unsigned char *)base + offset;

	if (sigsetjmp(back, 1) == 0)
		printf("%s: reads %d\n", what, *at);
	else
		print_fault(what, base);
}

void try_write(const char *what, void *base, size_t offset)
{
	volatile unsigned char *at = (unsigned char *)base + offset;

	if (sigsetjmp(back, 1) == 0) {
		*at = *at;
		printf("%s: written\n", what);
	} else {
		print_fault(what, base);
	}
}

void try_run(const char *what, void *base, size_t offset)
{
	uintptr_t entry = (uintptr_t)base + offset;
	void (*function)(void);

	memcpy(&function, &entry, sizeof(function));
	if (sigsetjmp(back, 1) == 0) {
		function();
		printf("%s: runs\n", what);
	} else {
		print_fault(what, base);
	}
}

char *must_map(size_t size, int protection)
{
	void *base = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return base;
}

void residency(const char *what, void *base, size_t pages)
{
	unsigned char *resident = malloc(pages);

	if (mincore(base, pages * PAGE, resident)) {
		answer(what, -1);
	} else {
		printf("%s: ", what);
		for (size_t i = 0; i < pages; i++)
			putchar(resident[i] & 1 ? 'R' : '.');
		putchar('\n');
	}
	free(resident);
}

long status_kb(const char *name)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long value = -1;

	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtol(line + strlen(name) + 1, NULL, 10);
	if (status)
		fclose(status);
	return value;
}

void areas(const char *what, void *base, size_t size)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uintptr_t first = (uintptr_t)base;
	unsigned long start, end, last_start = 0, last_end = 0;
	char line[512], rights[8], last_rights[8] = "";

	printf("%s:", what);
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || end <= first ||
			start >= first + size)
			continue;
		// What lies next to the range may have joined with it: show only the part inside.
		start = start < first ? first : start;
		end = end > first + size ? first + size : end;
		if (start == last_end && !strcmp(rights, last_rights)) {
			last_end = end;
			continue;
		}
		if (last_end)
			printf(" +%lu-%lu %s,", last_start - first, last_end - first, last_rights);
		last_start = start;
		last_end = end;
		strcpy(last_rights, rights);
	}
	if (last_end)
		printf(" +%lu-%lu %s\n", last_start - first, last_end - first, last_rights);
	else
		puts(" none");
	if (maps)
		fclose(maps);
}
