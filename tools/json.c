// SPDX-License-Identifier: MIT
// The report as JSON (RFC 8259).
#include "json.h"

#include "file.h"
#include "report.h"

#include <string.h>

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

void json_string(struct text *text, const char *string)
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

void json_ending(struct text *text, const struct control *control)
{
	if (control->ending == ENDING_SIGNAL)
		text_print(text,
			"{\"by\": \"signal\", \"signal\": %u, \"name\": \"%s\", \"core\": %s}",
			control->value, signal_name((int)control->value),
			control->core ? "true" : "false");
	else
		text_print(text, "{\"by\": \"exit\", \"status\": %u}", control->value);
}

void json_lists(struct text *text, const struct control *control)
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
		json_string(text, record->name);
		text_print(text, ", \"count\": %llu}", (unsigned long long)record->count);
	}
	text_print(text, "%s],\n  \"killed\": [", control->syscall_count ? "\n  " : "");
	for (size_t i = 0; i < control->killed_count; i++) {
		text_print(text, "%s\n    {\"pid\": %llu, \"name\": ", i ? "," : "",
			(unsigned long long)control->killed[i].pid);
		json_string(text, control->killed[i].name);
		text_add(text, "}", 1);
	}
	text_print(text, "%s]\n", control->killed_count ? "\n  " : "");
}

void json_head(struct text *text, const struct options *options, bool kvm)
{
	text_print(text, "{\n  \"vmtree\": \"%s\",\n  \"program\": [", VMTREE_VERSION);
	for (char **argument = options->program; *argument; argument++) {
		text_add(text, ", ", argument == options->program ? 0 : 2);
		json_string(text, *argument);
	}
	text_print(text,
		"],\n  \"machine\": {\"cpus\": %u, \"memory_bytes\": %llu, \"accel\": \"%s\", "
		"\"icount\": %s},\n",
		options->cpus, (unsigned long long)options->memory_bytes,
		kvm ? "kvm" : "tcg", options->icount ? "true" : "false");
}

static void make_json(struct text *text, const struct report *report)
{
	json_head(text, report->options, report->kvm);
	text_print(text, "  \"ended\": ");
	json_ending(text, report->control);
	text_print(text, ",\n  \"exit_status\": %d,\n", report->status);
	json_lists(text, report->control);
	text_print(text, "}\n");
}

int report_write_json(const struct report *report, const char *path)
{
	struct text text = {0};

	make_json(&text, report);
	int status = file_write("--json", path, &text);
	text_free(&text);
	return status;
}
