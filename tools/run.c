// SPDX-License-Identifier: MIT
// `vmtree run`: prepares the machine, runs it, and judges how it ended.
#include "run.h"

#include "guestfiles.h"
#include "probe.h"
#include "program.h"
#include "report.h"
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
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

// Whether both go to the same place, so that their order must be kept.
static bool same_output(void)
{
	struct stat out, error;

	return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &error) == 0 &&
	       out.st_dev == error.st_dev && out.st_ino == error.st_ino &&
	       out.st_rdev == error.st_rdev;
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
	uint64_t size = 0;

	// Bytes that come while the machine runs come at moments that are never the same twice.
	if (options->icount) {
		guest.input = STDIN_FILENO;
		guest.terminal.mask &= ~1u;
	}

	run->setup.ramdisk = memfd_create("vmtree-ramdisk", MFD_CLOEXEC);
	if (run->setup.ramdisk < 0) {
		say("no memory for the RAM disk: %s", strerror(errno));
		return EXIT_FAILED;
	}
	int status = guestfiles_write(run->setup.ramdisk, &guest, &size);
	// It is in memory twice while the kernel unpacks it.
	if (status < 0 && size > options->memory_bytes / 2 - (16 << 20)) {
		say("the program and its files have %llu MiB: --memory must be more than twice "
		    "that",
			(unsigned long long)(size >> 20));
		return EXIT_FAILED;
	}
	return status;
}

static void choose_accel(struct run *run)
{
	const struct options *options = run->options;

	run->setup.kvm = options->accel == ACCEL_KVM;
	if (options->accel != ACCEL_AUTO)
		return;
	char *reason = probe_kvm(run->qemu, run->kernel);
	run->setup.kvm = !reason;
	if (reason && !options->quiet)
		say("KVM does not work here (%s); using TCG", reason);
	free(reason);
}

// Signals that end the command are read from a descriptor, so that the machine is always stopped
// first.
static int catch_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

// What started the command sees that a signal ended it, as with any other program.
static void die_by(int number)
{
	sigset_t set;

	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	_exit(EXIT_SIGNAL + number);
}

static int not_started(const struct run *run, const struct control *control)
{
	const char *why = *control->reason ? control->reason : strerror((int)control->value);

	say("%s: could not be started: %s", run->program.typed, why);
	return control->value == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXEC;
}

static int incomplete(const struct session *session)
{
	const struct control *control = session->control;
	char *line = session_qemu_line(session);

	say("%s%s%s",
		control->booted ? "the machine ended before its report was complete"
				: "the reference kernel did not start",
		*line ? ": QEMU says: " : "", line);
	free(line);
	return EXIT_FAILED;
}

// Whether the machine's account of the run is there and whole. Returns -1, or the status to exit
// with after one line.
static int check_account(const struct run *run, const struct session *session)
{
	const struct control *control = session->control;

	if (control->ending == ENDING_PANIC) {
		say("the reference kernel stopped: %s", control->reason);
		return EXIT_FAILED;
	}
	if (control->fault) {
		say("the reference kernel said what is not in its protocol: \"%s\"",
			control->fault);
		return EXIT_FAILED;
	}
	if (!control->done)
		return incomplete(session);
	if (control->ending == ENDING_NOEXEC)
		return not_started(run, control);
	if (control->ending == ENDING_NONE) {
		say("the reference kernel did not say how the program ended");
		return EXIT_FAILED;
	}
	return -1;
}

// A kernel that lost memory did not do its work, whatever the program says; only the program's own
// failure goes first.
static int check_losses(const struct control *control, int status)
{
	static const char *const names[] = {"frames_lost", "kmem_lost_bytes"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const uint64_t *lost = control_stat(control, names[i]);
		if (lost && !*lost)
			continue;
		if (lost)
			say("MEMORY WAS LOST: %s is %llu at exit and must be 0", names[i],
				(unsigned long long)*lost);
		else
			say("the reference kernel's report lacks %s", names[i]);
		if (status == 0)
			status = EXIT_FAILED;
	}
	return status;
}

static int conclude(const struct run *run, const struct session *session)
{
	const struct options *options = run->options;
	const struct control *control = session->control;

	int status = check_account(run, session);
	if (status >= 0)
		return status;
	if (control->ending == ENDING_SIGNAL) {
		status = EXIT_SIGNAL + (int)control->value;
		say("%s: killed by signal %u (%s)", run->program.typed, control->value,
			signal_name((int)control->value));
	} else {
		status = (int)control->value;
	}
	struct report report = {.options = options, .control = control, .kvm = run->setup.kvm};
	if (!options->quiet)
		report_print(&report);
	report.status = check_losses(control, status);
	if (options->json && report_write_json(&report, options->json) && report.status == 0)
		return EXIT_FAILED;
	return report.status;
}

static int judge(const struct run *run, const struct session *session)
{
	switch (session->end) {
	case SESSION_SIGNAL:
		die_by(session->signal);
		break;
	case SESSION_BROKEN:
		die_by(SIGPIPE);
		break;
	case SESSION_FAILED:
		say("the program's output could not be written: %s", strerror(session->error));
		return EXIT_FAILED;
	case SESSION_TIMEOUT:
		say("%s: stopped after %g seconds (--timeout)", run->program.typed,
			(double)run->options->timeout_ns / 1e9);
		return EXIT_TIMEOUT;
	case SESSION_OVER:
		return conclude(run, session);
	}
	return EXIT_FAILED;
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
	int status = judge(run, &session);
	close(session.signals);
	text_free(&session.qemu);
	control_free(&control);
	return status;
}

static int prepare(struct run *run)
{
	const struct options *options = run->options;

	int status = program_find(&run->program, options->program[0]);
	if (status >= 0)
		return status;
	if (options->json && report_check_json(options->json))
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
		choose_accel(run);
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
