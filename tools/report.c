// SPDX-License-Identifier: MIT
// The report for people: a table on standard error.
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE        4096
#define MAX_NAMED   8 // system calls that are listed by name
#define LABEL_WIDTH 34
#define VALUE_WIDTH 16

struct row {
	const char *label; // indented by two more: a part of the row above
	const char *stat;
	enum { COUNT, BYTES, PAGES } unit;
};

static const struct row fault_rows[] = {
	{"first read: the zero page", "faults_read_zero", COUNT},
	{"first write: a fresh page", "faults_write_zero", COUNT},
	{"copy on write: copied", "faults_cow_copy", COUNT},
	{"copy on write: last owner", "faults_cow_reuse", COUNT},
	{"from a file", "faults_file", COUNT},
	{"shared memory", "faults_shared", COUNT},
	{"nothing left to do", "faults_spurious", COUNT},
	{"refused (signal)", "faults_refused", COUNT},
};

static const struct row memory_rows[] = {
	{"pages resident, peak", "pages_resident_peak", PAGES},
	{"pages resident, when it ends", "pages_resident_last", PAGES},
	{"page tables, peak", "table_bytes_peak", BYTES},
	{"page tables, when it ends", "table_bytes_last", BYTES},
	{"page tables, at the end", "table_bytes_end", BYTES},
	{"attribute arrays, peak", "id_array_bytes_peak", BYTES},
	{"attribute arrays, at the end", "id_array_bytes_end", BYTES},
	{"tables allocated", "tables_allocated", COUNT},
	{"tables freed", "tables_freed", COUNT},
	{"huge pages allocated", "huge_pages_allocated", COUNT},
};

static const struct row flush_rows[] = {
	{"on this CPU alone", "flush_local", COUNT},
	{"other CPUs interrupted", "flush_ipi", COUNT},
	{"whole address spaces", "flush_full", COUNT},
	{"pages flushed one by one", "flush_pages", COUNT},
};

static const struct row machine_rows[] = {
	{"address spaces", "spaces_created", COUNT},
	{"system calls", "syscalls", COUNT},
	{"context switches", "context_switches", COUNT},
	{"frames free at boot", "frames_free_boot", PAGES},
	{"frames not returned at exit", "frames_lost", PAGES},
};

const char *report_grouped(uint64_t value, char *text, size_t room)
{
	char *at = text + room - 1;

	*at = 0;
	for (unsigned digit = 0; at > text + 1; digit++) {
		if (digit && digit % 3 == 0)
			*--at = ',';
		*--at = (char)('0' + value % 10);
		value /= 10;
		if (!value)
			break;
	}
	return at;
}

void report_size(struct text *text, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	text_print(text, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static void print_row(struct text *text, const struct row *row, uint64_t value)
{
	char digits[40];

	text_print(text, "    %-*s%*s", LABEL_WIDTH, row->label, VALUE_WIDTH,
		report_grouped(value, digits, sizeof(digits)));
	if (row->unit != COUNT && value) {
		text_add(text, "   ", 3);
		report_size(text, row->unit == PAGES ? value * PAGE : value);
	}
	text_add(text, "\n", 1);
}

static void print_rows(struct text *text, const struct control *control, const char *title,
	const struct row *rows, size_t count)
{
	uint64_t sum = 0;
	bool all = true;
	char digits[40];

	for (size_t i = 0; i < count; i++) {
		const uint64_t *value = control_stat(control, rows[i].stat);
		all &= value && rows[i].unit == COUNT;
		sum += value ? *value : 0;
	}
	if (all && rows == fault_rows)
		text_print(text, "  %-*s%*s\n", LABEL_WIDTH + 2, title, VALUE_WIDTH,
			report_grouped(sum, digits, sizeof(digits)));
	else
		text_print(text, "  %s\n", title);
	for (size_t i = 0; i < count; i++) {
		const uint64_t *value = control_stat(control, rows[i].stat);
		// A kind of fault that did not happen is not worth a line.
		if (value && (*value || rows != fault_rows))
			print_row(text, &rows[i], *value);
	}
}

static void print_head(struct text *text, const struct report *report)
{
	const struct options *options = report->options;
	const struct control *control = report->control;
	const uint64_t *wall = control_stat(control, "wall_ns");

	text_print(text, "vmtree %s  %s on %u CPU%s, ", VMTREE_VERSION, options->program[0],
		options->cpus, options->cpus == 1 ? "" : "s");
	report_size(text, options->memory_bytes);
	text_print(text, ", %s%s\n", report->kvm ? "KVM" : "TCG",
		options->icount ? ", instructions counted" : "");
	if (control->ending == ENDING_SIGNAL)
		text_print(text, "  killed by signal %u (%s)", control->value,
			signal_name((int)control->value));
	else
		text_print(text, "  ended with status %u", control->value);
	if (wall)
		text_print(text, " after %.3f seconds", (double)*wall / 1e9);
	text_add(text, "\n", 1);
}

static void print_syscalls(struct text *text, const struct control *control)
{
	if (!control->syscall_count)
		return;
	text_print(text, "  System calls not supported (ENOSYS)\n   ");
	for (size_t i = 0; i < control->syscall_count && i < MAX_NAMED; i++)
		text_print(text, " %s (%llu)", control->syscalls[i].name,
			(unsigned long long)control->syscalls[i].count);
	if (control->syscall_count > MAX_NAMED)
		text_print(text, " and %zu more", control->syscall_count - MAX_NAMED);
	text_add(text, "\n", 1);
}

#define ROWS(rows) rows, sizeof(rows) / sizeof(rows[0])

void report_print(const struct report *report)
{
	const struct control *control = report->control;
	struct text text = {0};

	print_head(&text, report);
	print_rows(&text, control, "Page faults", ROWS(fault_rows));
	print_rows(&text, control, "Memory", ROWS(memory_rows));
	print_rows(&text, control, "Flushes of cached translations", ROWS(flush_rows));
	print_rows(&text, control, "Machine", ROWS(machine_rows));
	print_syscalls(&text, control);
	if (control->killed_count)
		text_print(&text, "  %zu process%s killed because memory ran out\n",
			control->killed_count, control->killed_count == 1 ? "" : "es");
	(void)write_all(STDERR_FILENO, text.data, text.length);
	text_free(&text);
}
