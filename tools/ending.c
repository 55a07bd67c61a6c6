// SPDX-License-Identifier: MIT
// Judging the end of a machine.
#include "ending.h"

#include "host.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LAST_LINES 12

// The end of what the kernel said on its console.
static void show_console(const struct session *session)
{
	const char *data = session->console.data;
	size_t start = session->console.length, lines = 0;

	if (!start)
		return;
	while (start && (data[start - 1] != '\n' || start == session->console.length || ++lines < LAST_LINES))
		start--;
	for (const char *line = data + start; *line;) {
		size_t length = strcspn(line, "\r\n");
		if (length)
			say("console: %.*s", (int)length, line);
		line += length + strspn(line + length, "\r\n");
	}
}

static int not_started(const struct control *control, const struct kernel_name *name, const char *typed)
{
	const char *why = *control->reason ? control->reason : strerror((int)control->value);

	say("%s: could not be started%s: %s", typed, name->where, why);
	return control->value == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXEC;
}

static int incomplete(const struct session *session, const struct kernel_name *name)
{
	const struct control *control = session->control;
	char *line = session_qemu_line(session);

	if (control->booted)
		say("the machine ended before its report%s was complete%s%s", name->where,
			*line ? ": QEMU says: " : "", line);
	else
		say("%s did not start%s%s", name->kernel, *line ? ": QEMU says: " : "", line);
	free(line);
	show_console(session);
	return EXIT_FAILED;
}

static int check_account(const struct session *session, const struct kernel_name *name, const char *typed)
{
	const struct control *control = session->control;

	if (control->ending == ENDING_PANIC) {
		say("%s stopped: %s", name->kernel, control->reason);
		return EXIT_FAILED;
	}
	if (control->fault) {
		say("%s said what is not in its protocol: \"%s\"", name->kernel, control->fault);
		return EXIT_FAILED;
	}
	if (!control->done)
		return incomplete(session, name);
	if (control->ending == ENDING_NOEXEC)
		return not_started(control, name, typed);
	if (control->ending == ENDING_NONE) {
		say("%s did not say how the program ended", name->kernel);
		return EXIT_FAILED;
	}
	return -1;
}

int ending_check_losses(const struct control *control, int status)
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

int ending_status(const struct control *control)
{
	return (int)control->value + (control->ending == ENDING_SIGNAL ? EXIT_SIGNAL : 0);
}

int ending_check(
	const struct session *session, const struct kernel_name *name, const char *typed, int64_t timeout_ns)
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
		say("%s: stopped after %g seconds%s (--timeout)", typed, (double)timeout_ns / 1e9, name->where);
		return EXIT_TIMEOUT;
	case SESSION_NO_BOOT:
		say("%s did not boot in time", name->kernel);
		show_console(session);
		return EXIT_FAILED;
	case SESSION_OVER:
		return check_account(session, name, typed);
	}
	return EXIT_FAILED;
}
