// SPDX-License-Identifier: MIT
// Starting and stopping QEMU. The RAM disk and the channels reach it as open descriptors, so that
// no file is left behind however the command ends.
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU "qemu-system-x86_64"

char *machine_find_qemu(void)
{
	const char *folder = getenv("PATH");
	struct stat info;

	for (; folder && *folder; folder += strcspn(folder, ":"), folder += *folder == ':') {
		char *path = must_format("%.*s/" QEMU, (int)strcspn(folder, ":"), folder);
		if (access(path, X_OK) == 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode))
			return path;
		free(path);
	}
	say(QEMU " was not found in PATH: install QEMU (Debian's package qemu-system-x86)");
	return NULL;
}

// A file of ours, beside the command.
static char *find_own(const char *chosen, const char *place, const char *what)
{
	char self[PATH_MAX];
	char *path;

	if (chosen) {
		path = must_copy(chosen);
	} else {
		ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
		self[length < 0 ? 0 : length] = 0;
		path = must_format("%s/%s", dirname(self), place);
	}
	if (access(path, R_OK) == 0)
		return path;
	say("%s cannot be read at %s: %s", what, path, strerror(errno));
	free(path);
	return NULL;
}

char *machine_find_kernel(void)
{
	return find_own(getenv("VMTREE_KERNEL"), VMTREE_KERNEL_IMAGE, "the reference kernel");
}

char *machine_find_linux_init(void)
{
	return find_own(NULL, VMTREE_LINUX_INIT, "the first process on Linux");
}

// The far ends of the channels, and the words of QEMU's command line.
struct launch {
	int output, error, control, input, qemu, ramdisk;
	char *words[64];
	size_t count;
};

__attribute__((format(printf, 2, 3))) static void add(
	struct launch *launch, const char *format, ...)
{
	va_list arguments;
	char *word = NULL;

	va_start(arguments, format);
	if (vasprintf(&word, format, arguments) < 0 ||
		launch->count + 1 >= sizeof(launch->words) / sizeof(launch->words[0])) {
		say("QEMU's command line is too long");
		_exit(EXIT_FAILED);
	}
	va_end(arguments);
	launch->words[launch->count++] = word;
}

// A device that writes what the guest writes to a port into a pipe. QEMU opens the pipe anew by its
// name in /proc, which gives every port a descriptor of its own.
static void add_port(struct launch *launch, const char *name, unsigned port, int fd)
{
	add(launch, "-chardev");
	add(launch, "file,id=%s,path=/proc/self/fd/%d", name, fd);
	add(launch, "-device");
	add(launch, "isa-debugcon,iobase=0x%x,chardev=%s", port, name);
}

// microvm: an ISA bus and nothing else, which is all that the protocol needs and boots fastest. A device
// needs PCI, and the IOMMU a q35, of which is left out what can be.
static void add_board(struct launch *launch, const struct machine_setup *setup)
{
	add(launch, "-M");
	if (!setup->edu) {
		add(launch, "microvm,isa-serial=on,pit=on,pic=on,rtc=%s", setup->rtc ? "on" : "off");
		return;
	}
	add(launch, "q35,sata=off,usb=off,smbus=off,smm=off,vmport=off,hpet=off");
	// Before the device, so that it is behind it.
	add(launch, "-device");
	add(launch, "intel-iommu,intremap=off,caching-mode=off,aw-bits=48");
	add(launch, "-device");
	add(launch, "edu,dma_mask=0xffffffffffffffff");
}

static void add_machine(struct launch *launch, const struct machine_setup *setup)
{
	add(launch, "-nodefaults");
	add(launch, "-no-user-config");
	add(launch, "-no-reboot");
	add(launch, "-display");
	add(launch, "none");
	add_board(launch, setup);
	add(launch, "-accel");
	if (setup->kvm)
		add(launch, "kvm");
	else
		add(launch, "tcg,thread=%s", setup->icount ? "single" : "multi");
	add(launch, "-cpu");
	// Some hosts that are virtual themselves refuse the register behind that feature; the
	// kernel has no use for it.
	add(launch, "%s", setup->kvm ? "max,-arch-capabilities" : "max");
	add(launch, "-smp");
	add(launch, "%u", setup->cpus);
	add(launch, "-m");
	add(launch, "%lluM", (unsigned long long)(setup->memory_bytes >> 20));
	if (setup->icount) {
		// One instruction is one nanosecond, waiting takes no time, and the CPU's random
		// numbers repeat.
		add(launch, "-icount");
		add(launch, "shift=0,sleep=off");
		add(launch, "-seed");
		add(launch, "1");
	}
	if (setup->icount && setup->rtc) {
		// The same moment, that of docs/guest.md, whenever it is.
		add(launch, "-rtc");
		add(launch, "base=2026-01-01T00:00:00,clock=vm");
	}
}

static void make_command(struct launch *launch, const struct machine_setup *setup)
{
	add(launch, "%s", setup->qemu);
	add_machine(launch, setup);
	add_port(launch, "output", 0xe9, launch->output);
	add_port(launch, "error", 0xea, setup->one_output ? launch->output : launch->error);
	add_port(launch, "control", 0xeb, launch->control);
	add(launch, "-chardev");
	add(launch, "socket,id=input,fd=%d", launch->input);
	add(launch, "-serial");
	add(launch, "chardev:input");
	add(launch, "-device");
	add(launch, "isa-debug-exit,iobase=0xf4,iosize=4");
	add(launch, "-kernel");
	add(launch, "%s", setup->kernel);
	add(launch, "-initrd");
	add(launch, "/proc/self/fd/%d", launch->ramdisk);
	if (setup->parameters) {
		add(launch, "-append");
		add(launch, "%s", setup->parameters);
	}
	launch->words[launch->count] = NULL;
}

static void keep_open(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

// In the child. Nothing here allocates: the parent may have threads one day.
static void become_qemu(struct launch *launch, pid_t parent)
{
	sigset_t none;

	// A group of its own, so that a terminal's interrupt reaches the command alone; and it does
	// not outlive it.
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILED);
	int null = open("/dev/null", O_RDONLY);
	dup2(null, STDIN_FILENO);
	dup2(launch->qemu, STDOUT_FILENO);
	dup2(launch->qemu, STDERR_FILENO);
	keep_open(launch->output);
	keep_open(launch->error);
	keep_open(launch->control);
	keep_open(launch->input);
	keep_open(launch->ramdisk);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(launch->words[0], launch->words);
	dprintf(STDERR_FILENO, "%s: %s\n", launch->words[0], strerror(errno));
	_exit(EXIT_FAILED);
}

static bool make_pipe(int *near, int *far)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return false;
	*near = ends[0];
	*far = ends[1];
	return true;
}

static bool make_channels(struct machine *machine, struct launch *launch, bool one_output)
{
	int ends[2];

	if (!make_pipe(&machine->output, &launch->output) ||
		!make_pipe(&machine->control, &launch->control) ||
		!make_pipe(&machine->qemu, &launch->qemu))
		return false;
	if (!one_output && !make_pipe(&machine->error, &launch->error))
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return false;
	machine->input = ends[0];
	launch->input = ends[1];
	return true;
}

static void close_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int machine_start(struct machine *machine, const struct machine_setup *setup)
{
	struct launch launch = {.output = -1, .error = -1, .control = -1, .input = -1, .qemu = -1};
	pid_t parent = getpid();

	*machine = (struct machine){
		.pid = -1, .output = -1, .error = -1, .control = -1, .input = -1, .qemu = -1};
	launch.ramdisk = setup->ramdisk;
	if (make_channels(machine, &launch, setup->one_output)) {
		make_command(&launch, setup);
		machine->pid = fork();
		if (machine->pid == 0)
			become_qemu(&launch, parent);
	}
	int error = errno;
	close_open(&launch.output);
	close_open(&launch.error);
	close_open(&launch.control);
	close_open(&launch.input);
	close_open(&launch.qemu);
	for (size_t i = 0; i < launch.count; i++)
		free(launch.words[i]);
	if (machine->pid > 0)
		return 0;
	say("QEMU could not be started: %s", strerror(error));
	machine_stop(machine);
	return -1;
}

void machine_kill(const struct machine *machine)
{
	if (machine->pid > 0)
		kill(machine->pid, SIGKILL);
}

void machine_stop(struct machine *machine)
{
	machine_kill(machine);
	if (machine->pid > 0) {
		while (waitpid(machine->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	machine->pid = -1;
	close_open(&machine->output);
	close_open(&machine->error);
	close_open(&machine->control);
	close_open(&machine->input);
	close_open(&machine->qemu);
}
