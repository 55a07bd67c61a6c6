// SPDX-License-Identifier: MIT
// The end of a test: the report, and the way back for tests that expect it. And the log.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define REPORT_BYTES 16384

struct catcher {
	jmp_buf back;
	char *report;
	size_t size;
};

static _Thread_local struct catcher *catcher;

bool sim_stops(void (*fn)(void *arg), void *arg, char *report, size_t size)
{
	struct catcher here = { .report = report, .size = size }, *outer = catcher;

	if (setjmp(here.back)) {
		catcher = outer;
		return true;
	}
	catcher = &here;
	fn(arg);
	catcher = outer;
	return false;
}

void sim_forget_catcher(void)
{
	catcher = NULL;
}

// The message is written already; adds the history and leaves.
static _Noreturn void leave(struct sim_machine *machine, uint64_t va, uint64_t pa, char *text, size_t used)
{
	if (used < REPORT_BYTES)
		sim_history_text(machine, va, pa, text + used, REPORT_BYTES - used);
	sim_unlock_held();
	if (catcher) {
		if (catcher->size)
			snprintf(catcher->report, catcher->size, "%s", text);
		free(text);
		longjmp(catcher->back, 1);
	}
	fputs(text, stderr);
	fflush(stderr);
	abort();
}

static const char *who(void)
{
	if (sim_self())
		return sim_self()->mmu.name;
	return sim_self_device() ? sim_self_device()->mmu.name : "no CPU";
}

void sim_stopf(struct sim_machine *machine, uint64_t va, uint64_t pa, const char *format, ...)
{
	char *text = sim_host_alloc(REPORT_BYTES);
	int used = snprintf(text, REPORT_BYTES, "simulated machine (%s, %s) stops: ",
			    machine->ops ? machine->ops->name : "?", who());
	va_list args;

	va_start(args, format);
	used += vsnprintf(text + used, (size_t)(REPORT_BYTES - used), format, args);
	va_end(args);
	if (used < REPORT_BYTES)
		used += snprintf(text + used, (size_t)(REPORT_BYTES - used), "\nhistory:\n");
	leave(machine, va, pa, text, (size_t)used);
}

void sim_stop(struct sim_machine *machine, uint64_t va, uint64_t pa, const char *what)
{
	sim_stopf(machine, va, pa, "%s", what);
}

void vmt_port_fatal(void *port, const char *what)
{
	sim_stopf(port, 0, 0, "vmt_port_fatal: %s", what);
}

// ---- The log -----------------------------------------------------------------------------------------------------

static void log_line(struct sim_machine *machine, const char *line)
{
	pthread_mutex_lock(&machine->log_lock);
	snprintf(machine->log.lines[machine->log.count++ % SIM_LOG_LINES], SIM_LOG_WIDTH, "%s", line);
	if (machine->log.print)
		fprintf(stderr, "%s\n", line);
	pthread_mutex_unlock(&machine->log_lock);
}

void vmt_port_log(void *port, const char *line)
{
	log_line(port, line);
}

void sim_logf(struct sim_machine *machine, const char *format, ...)
{
	char line[SIM_LOG_WIDTH];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_line(machine, line);
}

unsigned sim_log_count(struct sim_machine *machine)
{
	return machine->log.count < SIM_LOG_LINES ? machine->log.count : SIM_LOG_LINES;
}

const char *sim_log_line(struct sim_machine *machine, unsigned n)
{
	unsigned kept = sim_log_count(machine);

	return n < kept ? machine->log.lines[(machine->log.count - kept + n) % SIM_LOG_LINES] : NULL;
}

void sim_log_clear(struct sim_machine *machine)
{
	pthread_mutex_lock(&machine->log_lock);
	machine->log.count = 0;
	pthread_mutex_unlock(&machine->log_lock);
}

void sim_log_print(struct sim_machine *machine, bool print)
{
	pthread_mutex_lock(&machine->log_lock);
	machine->log.print = print;
	pthread_mutex_unlock(&machine->log_lock);
}
