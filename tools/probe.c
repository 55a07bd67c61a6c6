// SPDX-License-Identifier: MIT
// Whether KVM truly works. That /dev/kvm opens says little: on a host that is virtual itself QEMU
// may fail to set a register, or the machine may hang at its first interrupt. So the whole way is
// tried, with a time limit.
#include "probe.h"

#include "guestfiles.h"
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIMIT (1000000000LL) // nanoseconds

static char *judge(const struct session *session)
{
	const struct control *control = session->control;

	if (session->end == SESSION_TIMEOUT)
		return must_copy("a first try was not done after a second");
	if (control->done && control->ending == ENDING_EXIT && control->value == 0)
		return NULL;
	if (control->ending == ENDING_PANIC)
		return must_format("the reference kernel stops: %s", control->reason);
	char *line = session_qemu_line(session);
	if (*line)
		return line;
	free(line);
	return must_copy("a machine ends before its program does");
}

static char *try_machine(const struct machine_setup *setup)
{
	struct machine machine;
	struct control control = {0};
	struct session session = {.machine = &machine,
		.control = &control,
		.input = -1,
		.output = -1,
		.error_output = -1,
		.signals = -1};

	if (machine_start(&machine, setup))
		return must_copy("QEMU does not start");
	session.deadline = now_ns() + LIMIT;
	session_run(&session);
	char *reason = judge(&session);
	session_free(&session);
	control_free(&control);
	return reason;
}

// NULL when KVM works, or why it does not, in a few words; the caller frees them.
static char *probe_kvm(const char *qemu, const char *kernel)
{
	int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return must_format("/dev/kvm: %s", strerror(errno));
	close(device);

	struct machine_setup setup = {
		.qemu = qemu,
		.kernel = kernel,
		.ramdisk = memfd_create("vmtree-probe", MFD_CLOEXEC),
		.kvm = true,
		.cpus = 2,
		.memory_bytes = 128ULL << 20,
	};
	if (setup.ramdisk < 0)
		return must_copy(strerror(errno));
	char *reason = guestfiles_write_probe(setup.ramdisk) < 0
			       ? try_machine(&setup)
			       : must_copy("no RAM disk to try it with");
	close(setup.ramdisk);
	return reason;
}

bool probe_accel(const struct options *options, const char *qemu, const char *kernel)
{
	if (options->accel != ACCEL_AUTO)
		return options->accel == ACCEL_KVM;
	char *reason = probe_kvm(qemu, kernel);
	bool works = !reason;
	if (reason && !options->quiet)
		say("KVM does not work here (%s); using TCG", reason);
	free(reason);
	return works;
}
