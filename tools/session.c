// SPDX-License-Identifier: MIT
// One loop around poll(). No descriptor of ours is made non-blocking, because the command shares
// them with whoever started it; instead nothing is written that poll() did not promise room for, so
// that a reader who is slow never keeps the command from seeing a signal or the deadline.
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND     1000000000LL
#define GRACE      (3 * SECOND) // for QEMU to end by itself after the kernel said that it is done
#define DRAIN      (SECOND / 2) // for delivering the last output after the machine was stopped
#define QEMU_LIMIT 65536        // bytes kept of what QEMU says
#define CONSOLE    16384        // bytes of the kernel's console of which at least the last half is kept
#define FRAME_DATA 4096         // bytes of standard input in a frame
#define FRAME_HEAD 2

// One direction of output: at most one buffer is in flight.
struct relay {
	int *from; // -1 once it ended
	int to;    // -1: thrown away
	size_t start, end;
	char data[1 << 16];
};

// Standard input on its way: one frame (docs/guest.md).
struct feeder {
	int from; // -1 once the end of file was sent
	size_t start, end;
	unsigned char data[FRAME_HEAD + FRAME_DATA];
};

struct loop {
	struct session *session;
	struct relay relays[2];
	struct feeder feeder;
	bool console_over;
	bool stopping; // the end is decided: only what is already there is still delivered
	// Moments on now_ns()'s clock; 0: not set.
	int64_t deadline, boot_deadline; // the caller's
	int64_t kill_at;  // QEMU should have ended by itself
	int64_t leave_at; // nothing is delivered any more
};

static void finish(struct loop *loop, enum session_end end)
{
	if (loop->stopping)
		return;
	loop->session->end = end;
	loop->stopping = true;
	loop->leave_at = now_ns() + DRAIN;
	machine_kill(loop->session->machine);
}

static void close_end(int *fd)
{
	close(*fd);
	*fd = -1;
}

// Reads what is there; 0 at the end of the stream.
static size_t read_some(int *fd, void *data, size_t room)
{
	ssize_t got = read(*fd, data, room);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0)
		close_end(fd);
	return got < 0 ? 0 : (size_t)got;
}

static void relay_read(struct relay *relay)
{
	relay->start = 0;
	relay->end = read_some(relay->from, relay->data, sizeof(relay->data));
	if (relay->to < 0)
		relay->end = 0;
}

// poll() promises room for PIPE_BUF bytes in a pipe.
static void relay_write(struct loop *loop, struct relay *relay)
{
	size_t length = relay->end - relay->start;

	ssize_t done =
		write(relay->to, relay->data + relay->start, length < PIPE_BUF ? length : PIPE_BUF);
	if (done >= 0) {
		relay->start += (size_t)done;
	} else if (errno != EINTR && errno != EAGAIN) {
		loop->session->error = errno;
		relay->to = -1;
		relay->start = relay->end;
		finish(loop, loop->session->error == EPIPE ? SESSION_BROKEN : SESSION_FAILED);
	}
}

static void feeder_read(struct feeder *feeder)
{
	ssize_t got = read(feeder->from, feeder->data + FRAME_HEAD, FRAME_DATA);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	size_t length = got < 0 ? 0 : (size_t)got;
	feeder->data[0] = (unsigned char)(length & 0xff);
	feeder->data[1] = (unsigned char)(length >> 8);
	feeder->start = 0;
	feeder->end = FRAME_HEAD + length;
	if (length == 0)
		feeder->from = -1;
}

// A machine that no longer listens is not an error: the program may end without reading its input.
static void feeder_write(struct loop *loop, struct feeder *feeder)
{
	ssize_t done = send(loop->session->machine->input, feeder->data + feeder->start,
		feeder->end - feeder->start, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (done >= 0) {
		feeder->start += (size_t)done;
	} else if (errno != EINTR && errno != EAGAIN) {
		feeder->from = -1;
		feeder->start = feeder->end;
	}
}

static void on_signal(struct loop *loop)
{
	struct signalfd_siginfo info;

	if (read(loop->session->signals, &info, sizeof(info)) != sizeof(info))
		return;
	loop->session->signal = (int)info.ssi_signo;
	finish(loop, SESSION_SIGNAL);
}

static void on_control(struct loop *loop)
{
	struct session *session = loop->session;
	char data[4096];
	bool was_done = session->control->done;

	size_t length = read_some(&session->machine->control, data, sizeof(data));
	control_feed(session->control, data, length, session->show);
	if (session->control->done && !was_done)
		loop->kill_at = now_ns() + GRACE;
}

static void on_qemu(struct session *session)
{
	char data[4096];

	size_t length = read_some(&session->machine->qemu, data, sizeof(data));
	if (session->qemu.length + length <= QEMU_LIMIT)
		text_add(&session->qemu, data, length);
}

// What the kernel says on its console comes out of the socket that takes its input. False when nothing more was there.
static bool on_console(struct loop *loop)
{
	struct text *console = &loop->session->console;
	char data[CONSOLE / 2];

	ssize_t got = recv(loop->session->machine->input, data, sizeof(data), MSG_DONTWAIT);
	if (got <= 0) {
		loop->console_over = got == 0 || (errno != EINTR && errno != EAGAIN);
		return false;
	}
	if (console->length + (size_t)got > CONSOLE) {
		memmove(console->data, console->data + console->length - CONSOLE / 2, CONSOLE / 2);
		console->length = CONSOLE / 2;
	}
	text_add(console, data, (size_t)got);
	return true;
}

enum { POLL_RELAY, POLL_CONTROL = POLL_RELAY + 2, POLL_QEMU, POLL_INPUT, POLL_CONSOLE, POLL_SIGNALS, POLLS };

static void prepare(struct loop *loop, struct pollfd *polls)
{
	struct session *session = loop->session;
	struct feeder *feeder = &loop->feeder;

	for (size_t i = 0; i < 2; i++) {
		struct relay *relay = &loop->relays[i];
		if (relay->start < relay->end)
			polls[POLL_RELAY + i] = (struct pollfd){.fd = relay->to, .events = POLLOUT};
		else
			polls[POLL_RELAY + i] =
				(struct pollfd){.fd = *relay->from, .events = POLLIN};
	}
	polls[POLL_CONTROL] = (struct pollfd){.fd = session->machine->control, .events = POLLIN};
	polls[POLL_QEMU] = (struct pollfd){.fd = session->machine->qemu, .events = POLLIN};
	if (feeder->start < feeder->end)
		polls[POLL_INPUT] =
			(struct pollfd){.fd = session->machine->input, .events = POLLOUT};
	else // not before the kernel is ready: what comes earlier is lost in the serial port
		polls[POLL_INPUT] = (struct pollfd){
			.fd = session->control->booted ? feeder->from : -1, .events = POLLIN};
	polls[POLL_CONSOLE] = (struct pollfd){
		.fd = loop->console_over ? -1 : session->machine->input, .events = POLLIN};
	polls[POLL_SIGNALS] =
		(struct pollfd){.fd = loop->stopping ? -1 : session->signals, .events = POLLIN};
}

static void serve(struct loop *loop, const struct pollfd *polls)
{
	struct feeder *feeder = &loop->feeder;

	if (polls[POLL_SIGNALS].revents)
		on_signal(loop);
	for (size_t i = 0; i < 2; i++) {
		struct relay *relay = &loop->relays[i];
		if (!polls[POLL_RELAY + i].revents)
			continue;
		if (relay->start < relay->end)
			relay_write(loop, relay);
		else
			relay_read(relay);
	}
	if (polls[POLL_CONTROL].revents)
		on_control(loop);
	if (polls[POLL_QEMU].revents)
		on_qemu(loop->session);
	if (polls[POLL_CONSOLE].revents)
		(void)on_console(loop);
	if (polls[POLL_INPUT].revents) {
		if (feeder->start < feeder->end)
			feeder_write(loop, feeder);
		else
			feeder_read(feeder);
	}
}

static int64_t earlier(int64_t a, int64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

// Milliseconds to the next moment that matters, rounded up; -1: there is none.
static int wait_time(const struct loop *loop)
{
	int64_t next = earlier(loop->leave_at, earlier(loop->kill_at, loop->deadline));

	next = earlier(next, loop->boot_deadline);
	if (!next)
		return -1;
	int64_t left = next - now_ns();
	if (left <= 0)
		return 0;
	left = (left + 999999) / 1000000;
	return left > INT_MAX ? INT_MAX : (int)left;
}

// False when it is time to leave.
static bool check_time(struct loop *loop)
{
	int64_t now = now_ns();

	if (loop->leave_at && now >= loop->leave_at)
		return false;
	if (loop->kill_at && now >= loop->kill_at) {
		// Everything was said: only the process is missing an end.
		loop->kill_at = 0;
		machine_kill(loop->session->machine);
	}
	if (loop->deadline && now >= loop->deadline) {
		loop->deadline = 0;
		finish(loop, SESSION_TIMEOUT);
	}
	if (loop->session->control->booted)
		loop->boot_deadline = 0;
	if (loop->boot_deadline && now >= loop->boot_deadline) {
		loop->boot_deadline = 0;
		finish(loop, SESSION_NO_BOOT);
	}
	return true;
}

// QEMU's end closes all of its pipes. Output that nobody takes yet is waited for.
static bool over(const struct loop *loop)
{
	const struct machine *machine = loop->session->machine;

	for (size_t i = 0; i < 2; i++)
		if (loop->relays[i].start < loop->relays[i].end)
			return false;
	return machine->output < 0 && machine->error < 0 && machine->control < 0 &&
	       machine->qemu < 0;
}

void session_run(struct session *session)
{
	struct loop *loop = must_alloc(sizeof(*loop));
	struct pollfd polls[POLLS];

	loop->session = session;
	loop->deadline = session->deadline;
	loop->boot_deadline = session->boot_deadline;
	loop->relays[0].from = &session->machine->output;
	loop->relays[0].to = session->output;
	loop->relays[1].from = &session->machine->error;
	loop->relays[1].to = session->error_output;
	loop->feeder.from = session->input;
	session->end = SESSION_OVER;
	while (!over(loop)) {
		prepare(loop, polls);
		int ready = poll(polls, POLLS, wait_time(loop));
		if (ready < 0 && errno != EINTR)
			break;
		if (ready > 0)
			serve(loop, polls);
		if (!check_time(loop))
			break;
	}
	// QEMU is gone or about to be: what the kernel said last lies in the socket.
	while (session->machine->input >= 0 && on_console(loop))
		;
	machine_stop(session->machine);
	free(loop);
}

void session_free(struct session *session)
{
	text_free(&session->qemu);
	text_free(&session->console);
}

char *session_qemu_line(const struct session *session)
{
	const char *line = session->qemu.data ? session->qemu.data : "";
	const char *colon = strstr(line, ": ");

	if (colon && !strncmp(line, "qemu", 4))
		line = colon + 2;
	return must_format("%.*s", (int)strcspn(line, "\n"), line);
}
