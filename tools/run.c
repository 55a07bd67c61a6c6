// SPDX-License-Identifier: MIT
// `vmtree run`: prepares the machine, runs it, and judges how it ended.
#include "run.h"

#include "ending.h"
#include "file.h"
#include "guestfiles.h"
#include "host.h"
#include "probe.h"
#include "program.h"
#include "report.h"
#include "session.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct run {
	const struct options *options;
	struct program program;
	struct machine_setup setup;
	char *qemu;
	char *kernel;
};

static struct terminal find_terminal(void)
{
	struct terminal terminal = {0};
	struct winsize size;

	for (int fd = 0; fd <= 2; fd++) {
		if (!isatty(fd))
			continue;
		terminal.mask |= 1u << fd;
		if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
			terminal.rows = size.ws_row;
			terminal.columns = size.ws_col;
		}
	}
	return terminal;
}

static int make_ramdisk(struct run *run)
{
	const struct options *options = run->options;
	struct guest guest = {
		.options = options,
		.program = &run->program,
		.terminal = find_terminal(),
		.input = -1,
	};

	// Bytes that come while the machine runs come at moments that are never the same twice.
	if (options->icount) {
		guest.input = STDIN_FILENO;
		guest.terminal.mask &= ~1u;
	}
	return guestfiles_ramdisk(&run->setup.ramdisk, &guest);
}

static int conclude(const struct run *run, const struct session *session)
{
	static const struct kernel_name name = {.kernel = "the reference kernel", .where = ""};
	const struct options *options = run->options;
	const struct control *control = session->control;

	int status = ending_check(session, &name, run->program.typed, options->timeout_ns);
	if (status >= 0)
		return status;
	if (control->ending == ENDING_SIGNAL)
		say("%s: killed by signal %u (%s)", run->program.typed, control->value,
			signal_name((int)control->value));
	struct report report = {.options = options, .control = control, .kvm = run->setup.kvm};
	if (!options->quiet)
		report_print(&report);
	report.status = ending_check_losses(control, ending_status(control));
	if (options->json && report_write_json(&report, options->json) && report.status == 0)
		return EXIT_FAILED;
	return report.status;
}

static int run_machine(struct run *run)
{
	struct machine machine;
	struct control control = {0};
	struct session session = {
		.machine = &machine,
		.control = &control,
		.input = run->options->icount ? -1 : STDIN_FILENO,
		.output = STDOUT_FILENO,
		.error_output = STDERR_FILENO,
		.show = true,
	};

	run->setup.one_output = same_output();
	session.signals = catch_signals();
	if (run->options->timeout_ns)
		session.deadline = now_ns() + run->options->timeout_ns;
	if (machine_start(&machine, &run->setup))
		return EXIT_FAILED;
	session_run(&session);
	int status = conclude(run, &session);
	close(session.signals);
	session_free(&session);
	control_free(&control);
	return status;
}

static int prepare(struct run *run)
{
	const struct options *options = run->options;

	int status = program_find(&run->program, options->program[0]);
	if (status >= 0)
		return status;
	if (options->json && file_check("--json", options->json))
		return EXIT_FAILED;
	run->qemu = machine_find_qemu();
	run->kernel = run->qemu ? machine_find_kernel() : NULL;
	if (!run->kernel)
		return EXIT_FAILED;
	run->setup.qemu = run->qemu;
	run->setup.kernel = run->kernel;
	run->setup.icount = options->icount;
	run->setup.edu = options->edu;
	run->setup.cpus = options->cpus;
	run->setup.memory_bytes = options->memory_bytes;
	status = make_ramdisk(run);
	if (status < 0)
		run->setup.kvm = probe_accel(options, run->qemu, run->kernel);
	return status;
}

int run_program(const struct options *options)
{
	struct run run = {.options = options, .setup.ramdisk = -1};

	int status = prepare(&run);
	if (status < 0)
		status = run_machine(&run);
	if (run.setup.ramdisk >= 0)
		close(run.setup.ramdisk);
	program_free(&run.program);
	free(run.qemu);
	free(run.kernel);
	return status;
}
