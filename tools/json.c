// SPDX-License-Identifier: MIT
// The report as JSON (RFC 8259), in a file that appears whole or not at all.
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The length of the UTF-8 sequence at `at`, or 0 when it is not well formed (RFC 3629).
static size_t utf8_length(const unsigned char *at)
{
	size_t length = at[0] < 0x80   ? 1
			: at[0] < 0xc2 ? 0
			: at[0] < 0xe0 ? 2
			: at[0] < 0xf0 ? 3
			: at[0] < 0xf5 ? 4
				       : 0;

	for (size_t i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
		(at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return length;
}

// Bytes that are not UTF-8 become U+FFFD: an argument may hold any bytes, a JSON text may not.
static void add_string(struct text *text, const char *string)
{
	const unsigned char *at = (const unsigned char *)string;

	text_add(text, "\"", 1);
	while (*at) {
		size_t length = utf8_length(at);
		if (*at == '"' || *at == '\\')
			text_print(text, "\\%c", *at);
		else if (*at < ' ' || *at == 127)
			text_print(text, "\\u%04x", *at);
		else if (length)
			text_add(text, at, length);
		else
			text_print(text, "\\ufffd");
		at += length ? length : 1;
	}
	text_add(text, "\"", 1);
}

static void add_ending(struct text *text, const struct control *control)
{
	if (control->ending == ENDING_SIGNAL)
		text_print(text,
			"{\"by\": \"signal\", \"signal\": %u, \"name\": \"%s\", \"core\": %s}",
			control->value, signal_name((int)control->value),
			control->core ? "true" : "false");
	else
		text_print(text, "{\"by\": \"exit\", \"status\": %u}", control->value);
}

static void add_lists(struct text *text, const struct control *control)
{
	text_print(text, "  \"stats\": {");
	for (size_t i = 0; i < control->stat_count; i++)
		text_print(text, "%s\n    \"%s\": %llu", i ? "," : "", control->stats[i].name,
			(unsigned long long)control->stats[i].value);
	text_print(text, "\n  },\n  \"unsupported_syscalls\": [");
	for (size_t i = 0; i < control->syscall_count; i++) {
		const struct syscall_record *record = &control->syscalls[i];
		text_print(text, "%s\n    {\"number\": %llu, \"name\": ", i ? "," : "",
			(unsigned long long)record->number);
		add_string(text, record->name);
		text_print(text, ", \"count\": %llu}", (unsigned long long)record->count);
	}
	text_print(text, "%s],\n  \"killed\": [", control->syscall_count ? "\n  " : "");
	for (size_t i = 0; i < control->killed_count; i++) {
		text_print(text, "%s\n    {\"pid\": %llu, \"name\": ", i ? "," : "",
			(unsigned long long)control->killed[i].pid);
		add_string(text, control->killed[i].name);
		text_add(text, "}", 1);
	}
	text_print(text, "%s]\n", control->killed_count ? "\n  " : "");
}

static void make_json(struct text *text, const struct report *report)
{
	const struct options *options = report->options;

	text_print(text, "{\n  \"vmtree\": \"%s\",\n  \"program\": [", VMTREE_VERSION);
	for (char **argument = options->program; *argument; argument++) {
		text_add(text, ", ", argument == options->program ? 0 : 2);
		add_string(text, *argument);
	}
	text_print(text,
		"],\n  \"machine\": {\"cpus\": %u, \"memory_bytes\": %llu, \"accel\": \"%s\", "
		"\"icount\": %s},\n",
		options->cpus, (unsigned long long)options->memory_bytes,
		report->kvm ? "kvm" : "tcg", options->icount ? "true" : "false");
	text_print(text, "  \"ended\": ");
	add_ending(text, report->control);
	text_print(text, ",\n  \"exit_status\": %d,\n", report->status);
	add_lists(text, report->control);
	text_print(text, "}\n");
}

// A pipe or a device takes the text directly: it cannot be replaced by a file. Nor can a name in
// /dev, even where it leads to a file, as /dev/stdout may.
static bool is_special(const char *path)
{
	struct stat info;

	return !strncmp(path, "/dev/", 5) || (stat(path, &info) == 0 && !S_ISREG(info.st_mode));
}

static int fail(const char *path, int error)
{
	say("--json %s: %s", path, strerror(error));
	return -1;
}

int report_check_json(const char *path)
{
	struct stat info;

	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return fail(path, EISDIR);
	if (is_special(path))
		return access(path, W_OK) ? fail(path, errno) : 0;
	char *copy = must_copy(path);
	int error = access(dirname(copy), W_OK | X_OK) ? errno : 0;
	free(copy);
	return error ? fail(path, error) : 0;
}

static int write_special(const char *path, const struct text *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = write_all(fd, text->data, text->length) ? errno : 0;
	if (close(fd) && !error)
		error = errno;
	return error;
}

// A link stays: what it leads to is replaced.
static int write_file(const char *path, const struct text *text)
{
	char *target = realpath(path, NULL);
	char *temporary = must_format("%s.XXXXXX", target ? target : path);
	int error = 0;

	int fd = mkstemp(temporary);
	if (fd < 0) {
		error = errno;
		free(target);
		free(temporary);
		return error;
	}
	mode_t mask = umask(0);
	umask(mask);
	if (write_all(fd, text->data, text->length) || fchmod(fd, 0666 & ~mask))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && rename(temporary, target ? target : path))
		error = errno;
	if (error)
		unlink(temporary);
	free(target);
	free(temporary);
	return error;
}

int report_write_json(const struct report *report, const char *path)
{
	struct text text = {0};

	make_json(&text, report);
	int error = is_special(path) ? write_special(path, &text) : write_file(path, &text);
	text_free(&text);
	return error ? fail(path, error) : 0;
}
