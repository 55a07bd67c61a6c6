// SPDX-License-Identifier: MIT
// Messages, growing memory, time, names of signals.
#include "base.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void say(const char *format, ...)
{
	char line[2048] = "vmtree: ";
	size_t start = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line + start, sizeof(line) - start - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	size_t end = strlen(line);
	for (size_t i = start; i < end; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 127)
			line[i] = '?';
	line[end++] = '\n';
	// One write, so that lines of several processes do not mix. Nobody is left to tell when it
	// fails.
	(void)write_all(STDERR_FILENO, line, end);
}

static void no_memory(void)
{
	say("out of memory on the host");
	_exit(EXIT_FAILED);
}

void *must_alloc(size_t size)
{
	void *data = calloc(1, size);
	if (!data)
		no_memory();
	return data;
}

void *must_grow(void *data, size_t size)
{
	void *grown = realloc(data, size);
	if (!grown)
		no_memory();
	return grown;
}

char *must_copy(const char *string)
{
	char *copy = strdup(string);
	if (!copy)
		no_memory();
	return copy;
}

char *must_format(const char *format, ...)
{
	va_list arguments;
	char *result = NULL;

	va_start(arguments, format);
	if (vasprintf(&result, format, arguments) < 0)
		no_memory();
	va_end(arguments);
	return result;
}

void text_add(struct text *text, const void *data, size_t length)
{
	if (length >= text->room - text->length || text->room == 0) {
		size_t room = text->room ? text->room : 64;
		while (room - text->length <= length)
			room *= 2;
		text->data = must_grow(text->data, room);
		text->room = room;
	}
	if (length)
		memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = 0;
}

void text_print(struct text *text, const char *format, ...)
{
	va_list arguments;
	char *piece = NULL;

	va_start(arguments, format);
	int length = vasprintf(&piece, format, arguments);
	va_end(arguments);
	if (length < 0)
		no_memory();
	text_add(text, piece, (size_t)length);
	free(piece);
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}

int write_all(int fd, const void *data, size_t length)
{
	const char *next = data;

	while (length) {
		ssize_t done = write(fd, next, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN) {
			// Somebody else made this descriptor non-blocking: wait for room.
			struct pollfd room = {.fd = fd, .events = POLLOUT};
			if (poll(&room, 1, -1) < 0 && errno != EINTR)
				return -1;
			continue;
		}
		if (done < 0)
			return -1;
		next += done;
		length -= (size_t)done;
	}
	return 0;
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const char *signal_name(int number)
{
	static const char *const names[] = {
		[1] = "SIGHUP",
		[2] = "SIGINT",
		[3] = "SIGQUIT",
		[4] = "SIGILL",
		[5] = "SIGTRAP",
		[6] = "SIGABRT",
		[7] = "SIGBUS",
		[8] = "SIGFPE",
		[9] = "SIGKILL",
		[10] = "SIGUSR1",
		[11] = "SIGSEGV",
		[12] = "SIGUSR2",
		[13] = "SIGPIPE",
		[14] = "SIGALRM",
		[15] = "SIGTERM",
		[16] = "SIGSTKFLT",
		[17] = "SIGCHLD",
		[18] = "SIGCONT",
		[19] = "SIGSTOP",
		[20] = "SIGTSTP",
		[21] = "SIGTTIN",
		[22] = "SIGTTOU",
		[23] = "SIGURG",
		[24] = "SIGXCPU",
		[25] = "SIGXFSZ",
		[26] = "SIGVTALRM",
		[27] = "SIGPROF",
		[28] = "SIGWINCH",
		[29] = "SIGIO",
		[30] = "SIGPWR",
		[31] = "SIGSYS",
	};

	if (number > 0 && (size_t)number < sizeof(names) / sizeof(names[0]))
		return names[number];
	return "a real-time signal";
}
