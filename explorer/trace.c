// SPDX-License-Identifier: MIT
// The interleaving of an execution that failed, CPU by CPU, with source lines. Events are written down while the
// schedule is run again; printed are those that more than one CPU was concerned with. Source lines are addr2line's;
// without it addresses stand in their place.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"

#define NOTES 20001
#define LINES 8192

static struct xp_note notes[NOTES];
static unsigned count;
static bool tracing;

struct source {
	const void *pc;
	char function[48], line[80];
};

static struct source sources[LINES];
static unsigned source_count;

void xp_trace_start(void)
{
	tracing = true;
	count = 0;
}

void xp_trace_stop(void)
{
	tracing = false;
}

bool xp_tracing(void)
{
	return tracing;
}

void xp_trace_note(const struct xp_note *note)
{
	if (count < NOTES)
		notes[count++] = *note;
}

void xp_trace_say(const char *format, ...)
{
	struct xp_note *note = NULL;
	va_list arguments;
	size_t used;

	for (unsigned i = count; tracing && i-- > 0 && !note;) {
		if (notes[i].cpu == xp_self())
			note = &notes[i];
	}
	if (!note)
		return;
	used = strlen(note->text);
	if (used)
		used += (size_t)snprintf(note->text + used, sizeof(note->text) - used, "; ");
	va_start(arguments, format);
	if (used < sizeof(note->text))
		vsnprintf(note->text + used, sizeof(note->text) - used, format, arguments);
	va_end(arguments);
}

// ---- Source lines ------------------------------------------------------------------------------------------------

static struct source *source_of(const void *pc)
{
	for (unsigned i = 0; i < source_count; i++) {
		if (sources[i].pc == pc)
			return &sources[i];
	}
	if (source_count == LINES)
		return &sources[0];
	sources[source_count] = (struct source){.pc = pc, .function = "?"};
	snprintf(sources[source_count].line, sizeof(sources[0].line), "%p", pc);
	return &sources[source_count++];
}

// From the last folder's name on, so that a line says the same on every machine.
static const char *shorten(char *line)
{
	const char *const roots[] = {"/src/", "/explorer/", "/include/"};

	line[strcspn(line, "\n ")] = '\0';
	for (unsigned i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		char *root = strstr(line, roots[i]);

		if (root)
			return root + 1;
	}
	return line;
}

// An answer of addr2line is an address, and then for each function inlined there, the innermost first, two lines.
static void read_sources(FILE *answers)
{
	char line[1024], function[1024];
	struct source *source = NULL;

	while (fgets(line, sizeof(line), answers)) {
		if (!strncmp(line, "0x", 2)) {
			// What was asked for is the instruction before.
			source = source_of((const char *)(uintptr_t)strtoull(line, NULL, 16) + 1);
			source->function[0] = '\0';
			continue;
		}
		snprintf(function, sizeof(function), "%.*s", (int)strcspn(line, "\n"), line);
		if (!fgets(line, sizeof(line), answers) || !source)
			return;
		if (source->function[0])
			continue;
		snprintf(source->function, sizeof(source->function), "%.47s", function);
		snprintf(source->line, sizeof(source->line), "%.79s", shorten(line));
	}
}

static void find_sources(void)
{
	char name[] = "/tmp/explore-XXXXXX", program[512], command[700];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	int file = mkstemp(name);
	FILE *questions, *answers;

	if (length < 0 || file < 0)
		return;
	program[length] = '\0';
	questions = fdopen(file, "w");
	for (unsigned i = 0; i < source_count && questions; i++)
		fprintf(questions, "%p\n", (void *)((uintptr_t)sources[i].pc - 1));
	if (questions)
		fclose(questions);
	snprintf(command, sizeof(command), "addr2line -a -f -i -e '%s' @%s 2>/dev/null", program, name);
	answers = popen(command, "r");
	if (answers) {
		read_sources(answers);
		pclose(answers);
	}
	unlink(name);
}

// ---- What is printed ---------------------------------------------------------------------------------------------

// Has another CPU been there as well, and one of them written?
static bool concerns_others(const struct xp_note *note)
{
	bool written = note->access & XP_WRITE, other = false;

	if (note->place == XP_NOWHERE)
		return true;
	for (unsigned i = 0; i < count && !(written && other); i++) {
		if (notes[i].place != note->place)
			continue;
		written |= notes[i].access & XP_WRITE;
		other |= notes[i].cpu != note->cpu;
	}
	return written && other;
}

static bool is_last_of(unsigned n)
{
	for (unsigned i = n + 1; i < count; i++) {
		if (notes[i].cpu == notes[n].cpu)
			return false;
	}
	return true;
}

static const void *outermost(const struct xp_note *note)
{
	const void *pc = note->pc;

	for (unsigned i = 0; i < sizeof(note->stack) / sizeof(*note->stack) && note->stack[i]; i++)
		pc = note->stack[i];
	return pc;
}

static void print_note(const struct xp_note *note)
{
	const struct source *source = source_of(note->pc);
	char place[64] = "";

	if (note->place != XP_NOWHERE)
		xp_memory_name(note->place, place, sizeof(place));
	printf("  %5llu  %-28s %-24s %s%s%s\n", (unsigned long long)note->number, source->line, source->function, place,
	       place[0] && note->text[0] ? ": " : "", note->text);
}

void xp_trace_print(void)
{
	unsigned cpu = XP_CPUS;

	source_count = 0;
	for (unsigned i = 0; i < count; i++) {
		source_of(notes[i].pc);
		source_of(outermost(&notes[i]));
	}
	find_sources();
	for (unsigned i = 0; i < count; i++) {
		if (!concerns_others(&notes[i]) && !is_last_of(i))
			continue;
		if (notes[i].cpu != cpu) {
			const struct source *called = source_of(outermost(&notes[i]));

			cpu = notes[i].cpu;
			if (cpu == XP_BOOT)
				printf("In the end\n");
			else
				printf("CPU %u, called at %s\n", cpu, called->line);
		}
		print_note(&notes[i]);
	}
}
