// SPDX-License-Identifier: MIT
// The reader of the control stream. Every record is checked: the kernel is what is being tried
// here, and a line that is not of the protocol must be seen, not guessed at.
#include "control.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 4096 // bytes; a longer one is a fault

// The next word of the line, or NULL at its end.
static char *word(char **rest)
{
	char *start = *rest;
	size_t length = strcspn(start, " ");

	if (length == 0)
		return NULL;
	*rest = start + length;
	if (**rest)
		*(*rest)++ = 0;
	return start;
}

static bool number(char **rest, uint64_t max, uint64_t *value)
{
	const char *digits = word(rest);
	char *end;

	if (!digits || !isdigit((unsigned char)*digits))
		return false;
	errno = 0;
	unsigned long long parsed = strtoull(digits, &end, 10);
	if (*end || errno || parsed > max)
		return false;
	*value = parsed;
	return true;
}

static bool end_with(
	struct control *control, enum ending ending, uint64_t value, const char *reason)
{
	if (control->ending != ENDING_NONE && ending != ENDING_PANIC)
		return false;
	control->ending = ending;
	control->value = (unsigned)value;
	free(control->reason);
	control->reason = reason ? must_copy(reason) : NULL;
	return true;
}

static bool on_boot(struct control *control, const char *rest)
{
	if (control->booted)
		return false;
	control->booted = true;
	control->version = must_copy(rest);
	return true;
}

static bool on_exit_line(struct control *control, char *rest)
{
	uint64_t status;

	return number(&rest, 255, &status) && !*rest &&
	       end_with(control, ENDING_EXIT, status, NULL);
}

static bool on_signal(struct control *control, char *rest)
{
	uint64_t signal, core;

	if (!number(&rest, 64, &signal) || signal == 0 || !number(&rest, 1, &core) || *rest)
		return false;
	control->core = core;
	return end_with(control, ENDING_SIGNAL, signal, NULL);
}

static bool on_noexec(struct control *control, char *rest)
{
	uint64_t error;

	return number(&rest, 4095, &error) && end_with(control, ENDING_NOEXEC, error, rest);
}

static bool on_stat(struct control *control, char *rest)
{
	const char *name = word(&rest);
	uint64_t value;

	if (!name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) ||
		!number(&rest, UINT64_MAX, &value) || *rest || control_stat(control, name))
		return false;
	control->stats =
		must_grow(control->stats, (control->stat_count + 1) * sizeof(*control->stats));
	control->stats[control->stat_count++] =
		(struct stat_record){.name = must_copy(name), .value = value};
	return true;
}

static bool on_syscall(struct control *control, char *rest)
{
	struct syscall_record record = {0};

	if (!number(&rest, UINT64_MAX, &record.number))
		return false;
	const char *name = word(&rest);
	if (!name || !number(&rest, UINT64_MAX, &record.count) || *rest)
		return false;
	record.name = must_copy(name);
	control->syscalls =
		must_grow(control->syscalls, (control->syscall_count + 1) * sizeof(record));
	control->syscalls[control->syscall_count++] = record;
	return true;
}

static bool on_killed(struct control *control, char *rest, bool show)
{
	struct killed_record record = {0};

	if (!number(&rest, UINT64_MAX, &record.pid))
		return false;
	record.name = must_copy(rest);
	control->killed = must_grow(control->killed, (control->killed_count + 1) * sizeof(record));
	control->killed[control->killed_count++] = record;
	if (show)
		say("the machine's memory ran out: process %llu (%s) was killed",
			(unsigned long long)record.pid, record.name);
	return true;
}

static bool on_line(struct control *control, char *line, bool show)
{
	char *rest = line;
	const char *kind = word(&rest);

	if (!kind || control->done)
		return false;
	if (!strcmp(kind, "boot"))
		return on_boot(control, rest);
	if (!strcmp(kind, "exit"))
		return on_exit_line(control, rest);
	if (!strcmp(kind, "signal"))
		return on_signal(control, rest);
	if (!strcmp(kind, "noexec"))
		return on_noexec(control, rest);
	if (!strcmp(kind, "stat"))
		return on_stat(control, rest);
	if (!strcmp(kind, "syscall"))
		return on_syscall(control, rest);
	if (!strcmp(kind, "killed"))
		return on_killed(control, rest, show);
	if (!strcmp(kind, "panic"))
		return end_with(control, ENDING_PANIC, 0, rest);
	if (!strcmp(kind, "done"))
		return !*rest && (control->done = true);
	if (!strcmp(kind, "dump")) {
		if (show)
			fprintf(stderr, "%s\n", rest);
		return true;
	}
	if (!strcmp(kind, "log")) {
		if (show)
			say("kernel: %s", rest);
		return true;
	}
	return false;
}

void control_feed(struct control *control, const char *data, size_t length, bool show)
{
	while (length) {
		const char *newline = memchr(data, '\n', length);
		size_t piece = newline ? (size_t)(newline - data) : length;
		if (control->line.length + piece <= MAX_LINE)
			text_add(&control->line, data, piece);
		else if (!control->fault)
			control->fault = must_copy("a line that does not end");
		if (newline) {
			char *copy = must_copy(control->line.data ? control->line.data : "");
			if (!on_line(control, control->line.data ? control->line.data : copy,
				    show) &&
				!control->fault)
				control->fault = must_copy(copy);
			free(copy);
			control->line.length = 0;
			if (control->line.data)
				control->line.data[0] = 0;
			piece++;
		}
		data += piece;
		length -= piece;
	}
}

const uint64_t *control_stat(const struct control *control, const char *name)
{
	for (size_t i = 0; i < control->stat_count; i++)
		if (!strcmp(control->stats[i].name, name))
			return &control->stats[i].value;
	return NULL;
}

void control_free(struct control *control)
{
	text_free(&control->line);
	free(control->version);
	free(control->reason);
	free(control->fault);
	for (size_t i = 0; i < control->stat_count; i++)
		free(control->stats[i].name);
	for (size_t i = 0; i < control->syscall_count; i++)
		free(control->syscalls[i].name);
	for (size_t i = 0; i < control->killed_count; i++)
		free(control->killed[i].name);
	free(control->stats);
	free(control->syscalls);
	free(control->killed);
	*control = (struct control){0};
}
