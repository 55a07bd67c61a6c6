// SPDX-License-Identifier: MIT
// Output, counts, and the C library that a bare machine does not have.
#include <stdarg.h>

#include "judge.h"

#define SAID_MAX 4 // lines about one case

static unsigned passed, failed;
static unsigned said; // of the current case; 0: it has not failed
static bool open_case;
static char name[120];

// ---- What compilers call -----------------------------------------------------------------------------------------

void *memset(void *to, int byte, size_t bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

void *memset(void *to, int byte, size_t bytes)
{
	volatile unsigned char *at = to;

	while (bytes--)
		*at++ = (unsigned char)byte;
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	volatile unsigned char *at = to;
	const unsigned char *source = from;

	while (bytes--)
		*at++ = *source++;
	return to;
}

// ---- Formatting --------------------------------------------------------------------------------------------------

struct sink {
	char *to; // NULL: the machine's console
	size_t left;
};

static void put(struct sink *sink, char c)
{
	if (!sink->to) {
		machine_put(c);
	} else if (sink->left > 1) {
		*sink->to++ = c;
		sink->left--;
	}
}

static void put_string(struct sink *sink, const char *string)
{
	while (*string)
		put(sink, *string++);
}

static void put_number(struct sink *sink, uint64_t n, unsigned base)
{
	char digits[24];
	unsigned count = 0;

	do
		digits[count++] = "0123456789abcdef"[n % base];
	while (n /= base);
	while (count)
		put(sink, digits[--count]);
}

static void put_format(struct sink *sink, const char *format, va_list list)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(sink, *format);
			continue;
		}
		switch (*++format) {
		case 's':
			put_string(sink, va_arg(list, const char *));
			break;
		case 'u':
			put_number(sink, va_arg(list, unsigned), 10);
			break;
		case 'x':
			put_number(sink, va_arg(list, unsigned), 16);
			break;
		default: // X
			put_number(sink, va_arg(list, uint64_t), 16);
			break;
		}
	}
}

void judge_print(const char *format, ...)
{
	struct sink sink = {0};
	va_list list;

	va_start(list, format);
	put_format(&sink, format, list);
	va_end(list);
}

// ---- Cases -------------------------------------------------------------------------------------------------------

static void close_case(void)
{
	if (!open_case)
		return;
	open_case = false;
	if (said) {
		failed++;
		return;
	}
	passed++;
	judge_print("ok      %s\n", name);
}

void judge_case(const char *format, ...)
{
	struct sink sink = {name, sizeof(name)};
	va_list list;

	close_case();
	va_start(list, format);
	put_format(&sink, format, list);
	va_end(list);
	*sink.to = 0;
	open_case = true;
	said = 0;
}

void judge_fail(const char *format, ...)
{
	struct sink sink = {0};
	va_list list;

	if (!said)
		judge_print("FAILED  %s\n", name);
	if (said++ >= SAID_MAX)
		return;
	judge_print("        ");
	va_start(list, format);
	put_format(&sink, format, list);
	va_end(list);
	judge_print("\n");
}

_Noreturn void judge_end(void)
{
	close_case();
	judge_print("%u accesses judged\n%u passed, %u failed\n", (unsigned)judge_accesses(), passed, failed);
	machine_end(!failed);
}

_Noreturn void judge_skip(const char *why)
{
	judge_print("skipped: %s\n0 passed, 0 failed, 1 skipped\n", why);
	machine_end(true);
}

int judge_main(void);

int judge_main(void)
{
	machine_start();
	cases_leaves();
	cases_marks();
	cases_markers();
	cases_edits();
	cases_runs();
	cases_memory();
	cases_random();
#if JUDGE_DEVICE
	cases_device();
#endif
	judge_end();
}
