// SPDX-License-Identifier: MIT
// Runs the machines of a comparison, one after the other, and compares what came out.
#include "compare.h"

#include "ending.h"
#include "file.h"
#include "guestfiles.h"
#include "host.h"
#include "image.h"
#include "package.h"
#include "probe.h"
#include "tsc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_DIFFERENT 3

// Quiet but for what a boot that fails has to show: the first process turns the console off before the program starts.
// Huge pages where they are asked for, as on the reference kernel. The machine has no keyboard controller, which is not
// seen but waited for; and where an image moves its kernel about, it shall not.
#define LINUX_PARAMETERS                                                                                  \
	"rdinit=/.vmtree/init console=ttyS0 earlyprintk=ttyS0 panic=-1 oops=panic nokaslr initcall_blacklist=i8042_init " \
	"mitigations=off transparent_hugepage=madvise"

#define BOOTS 4 // of Linux, as long as it stops with an oops

static const struct kernel_name names[SIDES] = {
	{.kernel = "the reference kernel", .where = " on the reference kernel"},
	{.kernel = "Linux", .where = " on Linux"},
};

// What the machines are made of.
struct compare {
	struct comparison result;
	struct options options; // with the clock that the machine has
	struct program program;
	struct image image;
	char *qemu, *kernel, *linux_init;
	int input;
	int ramdisks[SIDES], watched_ramdisk;
	int signals;
	bool one_output;
};

// ---- Preparing ----

// All of standard input, since each machine gets it from its beginning. Nothing of a terminal: it would be typed ahead
// of programs that cannot answer.
static int copy_input(struct compare *compare)
{
	static char block[1 << 16];
	ssize_t got = 0;

	compare->input = memfd_create("vmtree-input", MFD_CLOEXEC);
	if (compare->input >= 0 && !isatty(STDIN_FILENO)) {
		while ((got = read(STDIN_FILENO, block, sizeof(block))) > 0 || (got < 0 && errno == EINTR))
			if (got > 0 && write_all(compare->input, block, (size_t)got))
				break;
	}
	if (compare->input >= 0 && got <= 0)
		return -1;
	say("standard input could not be copied: %s", strerror(errno));
	return EXIT_FAILED;
}

static int make_ramdisk(struct compare *compare, int *ramdisk, bool linux_side, bool watch)
{
	struct guest guest = {
		.options = &compare->options,
		.program = &compare->program,
		.input = compare->input,
		.linux_init = linux_side ? compare->linux_init : NULL,
		.one_output = compare->one_output,
		.watch = watch,
	};

	lseek(compare->input, 0, SEEK_SET);
	return guestfiles_ramdisk(ramdisk, &guest);
}

static int make_ramdisks(struct compare *compare)
{
	int status = make_ramdisk(compare, &compare->ramdisks[SIDE_VMTREE], false, false);

	if (status < 0)
		status = make_ramdisk(compare, &compare->ramdisks[SIDE_LINUX], true, false);
	if (status < 0)
		status = make_ramdisk(compare, &compare->watched_ramdisk, true, true);
	return status;
}

static int find_linux(struct compare *compare)
{
	const struct options *options = &compare->options;
	bool stable = !strcmp(options->linux_kernel, "stable"), newest = !strcmp(options->linux_kernel, "newest");
	int status = -1;

	if (stable || newest)
		status = package_find(
			stable ? "stable" : "unstable", options->linux_again, options->quiet, &compare->result.image);
	else
		compare->result.image = must_copy(options->linux_kernel);
	return status < 0 ? image_open(&compare->image, compare->result.image) : status;
}

// One instruction is one nanosecond: the counter runs at 1 GHz there.
static char *make_parameters(const struct compare *compare, unsigned boot)
{
	const struct options *options = &compare->options;
	unsigned long khz = options->icount ? 1000000 : tsc_khz();
	struct text text = {0};

	text_print(&text, LINUX_PARAMETERS);
	if (khz)
		text_print(&text, " tsc_early_khz=%lu", khz);
	// A parameter of a module that is not there: read and left alone, but everything after it comes a little later.
	if (boot > 1)
		text_print(&text, " vmtree.boot=%u", boot);
	if (options->linux_args)
		text_print(&text, " %s", options->linux_args);
	return text.data;
}

static int prepare(struct compare *compare)
{
	const struct options *options = &compare->options;

	int status = program_find(&compare->program, options->program[0]);
	if (status >= 0)
		return status;
	if ((options->json && file_check("--json", options->json)) ||
		(options->linux_output && file_check("--linux-output", options->linux_output)))
		return EXIT_FAILED;
	compare->qemu = machine_find_qemu();
	compare->kernel = compare->qemu ? machine_find_kernel() : NULL;
	compare->linux_init = compare->kernel ? machine_find_linux_init() : NULL;
	if (!compare->linux_init)
		return EXIT_FAILED;
	compare->one_output = same_output();
	// Time on TCG is that of the emulator unless it counts.
	compare->result.kvm = probe_accel(options, compare->qemu, compare->kernel);
	compare->options.icount = !compare->result.kvm;
	status = find_linux(compare);
	if (status < 0)
		status = copy_input(compare);
	return status < 0 ? make_ramdisks(compare) : status;
}

// ---- Running ----

static int make_output(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0) {
		say("no memory for the program's output: %s", strerror(errno));
		exit(EXIT_FAILED);
	}
	return fd;
}

static void free_outcome(struct outcome *outcome)
{
	control_free(&outcome->control);
	if (outcome->output > 0)
		close(outcome->output);
	if (outcome->error > 0)
		close(outcome->error);
}

// The program's own output, which is shown whatever the rest says.
static void deliver(int from, int to)
{
	static char block[1 << 16];
	ssize_t got;
	off_t at = 0;

	while ((got = pread(from, block, sizeof(block), at)) > 0) {
		if (write_all(to, block, (size_t)got)) {
			if (errno == EPIPE)
				die_by(SIGPIPE);
			say("the program's output could not be written: %s", strerror(errno));
			exit(EXIT_FAILED);
		}
		at += got;
	}
}

static void show_output(const struct outcome *outcome)
{
	deliver(outcome->output, STDOUT_FILENO);
	deliver(outcome->error, STDERR_FILENO);
}

static int start_session(struct compare *compare, int side, int ramdisk, unsigned boot, struct outcome *outcome,
	bool show, struct session *session)
{
	const struct options *options = &compare->options;
	char *parameters = side == SIDE_LINUX ? make_parameters(compare, boot) : NULL;
	struct machine_setup setup = {
		.qemu = compare->qemu,
		.kernel = side == SIDE_LINUX ? compare->image.path : compare->kernel,
		.ramdisk = ramdisk,
		.kvm = compare->result.kvm,
		.icount = options->icount,
		.rtc = true,
		.parameters = parameters,
		.cpus = options->cpus,
		.memory_bytes = options->memory_bytes,
		.one_output = compare->one_output,
	};
	struct machine machine;

	*outcome = (struct outcome){.output = make_output("output"), .error = make_output("error")};
	*session = (struct session){
		.machine = &machine,
		.control = &outcome->control,
		.input = -1,
		.output = outcome->output,
		.error_output = outcome->error,
		.signals = compare->signals,
		.show = show,
	};
	if (options->timeout_ns)
		session->deadline = now_ns() + options->timeout_ns;
	if (side == SIDE_LINUX)
		session->boot_deadline = now_ns() + options->boot_timeout_ns;
	int failed = machine_start(&machine, &setup);
	free(parameters);
	if (failed)
		return EXIT_FAILED;
	session_run(session);
	session->machine = NULL; // it is stopped
	return -1;
}

// QEMU's TCG (7.2) merges what cmpxchg16b says with flags that it has not brought up to date, and an interrupt before the
// next instruction that sets them hands Linux, whose allocator uses it, the bits of a pointer in place of its own flags:
// an oops in one boot of some ten, at the same instruction each time. No other kernel is needed, only another moment.
static bool linux_oopsed(const struct compare *compare, int side, const struct session *session)
{
	return side == SIDE_LINUX && !compare->result.kvm && session->end == SESSION_OVER &&
	       !session->control->done && session->console.length &&
	       strstr(session->console.data, "Kernel panic - not syncing: Fatal exception");
}

// One machine. `show`: the kernel's own messages and the program's output. Returns -1 when the program ran to its end.
static int run_one(struct compare *compare, int side, int ramdisk, struct outcome *outcome, bool show)
{
	struct session session;
	int status;

	for (unsigned boot = 1;; boot++) {
		status = start_session(compare, side, ramdisk, boot, outcome, show, &session);
		if (status >= 0)
			return status;
		if (boot == BOOTS || !linux_oopsed(compare, side, &session))
			break;
		if (!compare->options.quiet)
			say("Linux stopped with an oops and is booted again (docs/compare.md, Known)");
		session_free(&session);
		free_outcome(outcome);
	}
	if (show && side == SIDE_VMTREE)
		show_output(outcome);
	status = ending_check(&session, &names[side], compare->program.typed, compare->options.timeout_ns);
	session_free(&session);
	return status;
}

static void tell(const struct compare *compare, const char *what, unsigned run)
{
	if (compare->options.quiet || !isatty(STDERR_FILENO))
		return;
	if (compare->options.repeat > 1)
		say("%s, run %u of %u", what, run + 1, compare->options.repeat);
	else
		say("%s", what);
}

static int run_side(struct compare *compare, int side)
{
	static const char *const whats[SIDES] = {"on the reference kernel", "on Linux"};
	struct comparison *result = &compare->result;
	int status = -1;

	for (unsigned i = 0; i < compare->options.repeat && status < 0; i++) {
		tell(compare, whats[side], i);
		result->runs[side] = must_grow(result->runs[side], (i + 1) * sizeof(*result->runs[side]));
		result->counts[side] = i + 1;
		status = run_one(compare, side, compare->ramdisks[side], &result->runs[side][i], i == 0);
	}
	return status;
}

static int run_all(struct compare *compare)
{
	compare->signals = catch_signals();
	int status = run_side(compare, SIDE_VMTREE);
	if (status < 0)
		status = run_side(compare, SIDE_LINUX);
	if (status < 0) {
		if (!compare->options.quiet && isatty(STDERR_FILENO))
			say("on Linux once more, watched");
		status = run_one(compare, SIDE_LINUX, compare->watched_ramdisk, &compare->result.watched, false);
	}
	return status;
}

// ---- Comparing ----

static void *map_output(int fd, size_t *size)
{
	struct stat info;
	void *data = NULL;

	*size = fstat(fd, &info) == 0 ? (size_t)info.st_size : 0;
	if (*size)
		data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data != MAP_FAILED)
		return data;
	say("the outputs could not be compared: %s", strerror(errno));
	exit(EXIT_FAILED);
}

// The line that begins at `start`, as far as it is fit to be shown.
static void add_line(struct text *text, const char *side, const char *data, size_t start, size_t size)
{
	size_t length = 0;

	text_print(text, "    %-8s", side);
	if (start == size) {
		text_print(text, "(ends there)\n");
		return;
	}
	while (length < 100 && start + length < size && data[start + length] != '\n')
		length++;
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)data[start + i];
		text_print(text, byte < ' ' || byte == 127 ? "\\x%02x" : "%c", byte);
	}
	text_add(text, "\n", 1);
}

// Adds the first difference. True: there is none.
static bool compare_files(struct comparison *result, const char *stream, int here, int there)
{
	size_t sizes[SIDES], at = 0, start = 0, line = 1;
	const char *data[SIDES] = {map_output(here, &sizes[0]), map_output(there, &sizes[1])};
	size_t common = sizes[0] < sizes[1] ? sizes[0] : sizes[1];

	while (at < common && data[0][at] == data[1][at]) {
		if (data[0][at++] == '\n') {
			start = at;
			line++;
		}
	}
	bool same = at == sizes[0] && at == sizes[1];
	if (!same && !result->difference.length) {
		text_print(&result->difference, "  %s differs first in line %zu, byte %zu\n", stream, line, at + 1);
		add_line(&result->difference, "vmtree", data[0], start, sizes[0]);
		add_line(&result->difference, "Linux", data[1], start, sizes[1]);
	}
	for (int i = 0; i < SIDES; i++)
		if (sizes[i])
			munmap((void *)data[i], sizes[i]);
	return same;
}

// Every run that was timed with the first one of the reference kernel.
static void compare_runs(struct comparison *result)
{
	const struct outcome *first = &result->runs[SIDE_VMTREE][0];

	result->same_end = result->same_output = true;
	for (int side = SIDES - 1; side >= 0; side--) {
		for (unsigned i = 0; i < result->counts[side]; i++) {
			const struct outcome *run = &result->runs[side][i];
			result->same_end &= ending_status(&run->control) == ending_status(&first->control);
			result->same_output &= compare_files(result, "standard output", first->output, run->output) &
					       compare_files(result, "standard error", first->error, run->error);
		}
	}
}

// What Linux's first run wrote to standard output, for whoever wants to see both. Returns 0, or -1 after one line.
static int write_linux_output(const struct compare *compare)
{
	const char *path = compare->options.linux_output;
	struct text text = {0};
	size_t size;
	void *data = map_output(compare->result.runs[SIDE_LINUX][0].output, &size);

	text_add(&text, data, size);
	int status = file_write("--linux-output", path, &text);
	text_free(&text);
	if (size)
		munmap(data, size);
	return status;
}

static int conclude(struct compare *compare)
{
	struct comparison *result = &compare->result;
	const struct options *options = &compare->options;
	int status;

	compare_runs(result);
	if (result->same_end && result->same_output)
		status = ending_status(&result->runs[SIDE_VMTREE][0].control);
	else
		status = EXIT_DIFFERENT;
	result->status = status;
	if (!options->quiet || status == EXIT_DIFFERENT)
		comparison_print(result);
	for (unsigned i = 0; i < result->counts[SIDE_VMTREE]; i++)
		result->status = ending_check_losses(&result->runs[SIDE_VMTREE][i].control, result->status);
	if (options->json && comparison_write_json(result, options->json) && result->status == 0)
		return EXIT_FAILED;
	if (options->linux_output && write_linux_output(compare) && result->status == 0)
		return EXIT_FAILED;
	return result->status;
}

static void free_all(struct compare *compare)
{
	struct comparison *result = &compare->result;

	for (int side = 0; side < SIDES; side++) {
		for (unsigned i = 0; i < result->counts[side]; i++)
			free_outcome(&result->runs[side][i]);
		free(result->runs[side]);
		close(compare->ramdisks[side]);
	}
	free_outcome(&result->watched);
	text_free(&result->difference);
	close(compare->watched_ramdisk);
	close(compare->input);
	image_close(&compare->image);
	program_free(&compare->program);
	free(result->image);
	free(compare->qemu);
	free(compare->kernel);
	free(compare->linux_init);
}

int compare_program(const struct options *options)
{
	struct compare compare = {
		.options = *options,
		.image.fd = -1,
		.input = -1,
		.ramdisks = {-1, -1},
		.watched_ramdisk = -1,
	};

	compare.result.options = &compare.options;
	int status = prepare(&compare);
	if (status < 0)
		status = run_all(&compare);
	if (status < 0)
		status = conclude(&compare);
	free_all(&compare);
	return status;
}
