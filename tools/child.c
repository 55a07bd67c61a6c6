// SPDX-License-Identifier: MIT
// Running a program of the host and keeping what it says.
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT, ERROR, STATUS, STREAMS };

struct streams {
	int near[STREAMS], far[STREAMS];
	struct text line; // of the status, so far
};

static void __attribute__((noreturn)) become(const struct child *child, const struct streams *streams)
{
	static const int places[STREAMS] = {STDOUT_FILENO, STDERR_FILENO, CHILD_STATUS};
	int high[STREAMS];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	// Out of the way first: a pipe may have the number that another shall have.
	for (int i = 0; i < STREAMS; i++)
		high[i] = fcntl(streams->far[i], F_DUPFD_CLOEXEC, CHILD_STATUS + 1);
	for (int i = 0; i < STREAMS; i++)
		dup2(high[i], places[i]);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null, STDIN_FILENO);
	setenv("LC_ALL", "C", 1);
	if (!child->folder || chdir(child->folder) == 0)
		execvp(child->words[0], (char *const *)child->words);
	_exit(EXIT_NOT_FOUND);
}

static void take_status(struct child *child, struct text *line, const char *data, size_t length)
{
	while (length) {
		size_t piece = 0;
		while (piece < length && data[piece] != '\n')
			piece++;
		text_add(line, data, piece);
		if (piece == length)
			return;
		if (child->on_status)
			child->on_status(line->data, child->context);
		line->length = 0;
		line->data[0] = 0;
		data += piece + 1;
		length -= piece + 1;
	}
}

// False at the end of the stream.
static bool take(struct child *child, struct streams *streams, int stream)
{
	char data[4096];
	ssize_t got = read(streams->near[stream], data, sizeof(data));

	if (got < 0 && errno == EINTR)
		return true;
	if (got <= 0)
		return false;
	if (stream == STATUS)
		take_status(child, &streams->line, data, (size_t)got);
	else
		text_add(stream == OUTPUT ? &child->output : &child->error, data, (size_t)got);
	return true;
}

static void take_all(struct child *child, struct streams *streams)
{
	struct pollfd polls[STREAMS];
	int open = STREAMS;

	for (int i = 0; i < STREAMS; i++)
		polls[i] = (struct pollfd){.fd = streams->near[i], .events = POLLIN};
	while (open) {
		if (poll(polls, STREAMS, -1) < 0 && errno != EINTR)
			return;
		for (int i = 0; i < STREAMS; i++) {
			if (polls[i].fd < 0 || !polls[i].revents || take(child, streams, i))
				continue;
			polls[i].fd = -1;
			open--;
		}
	}
}

static bool make_streams(struct streams *streams)
{
	for (int i = 0; i < STREAMS; i++) {
		int ends[2];
		if (pipe2(ends, O_CLOEXEC))
			return false;
		streams->near[i] = ends[0];
		streams->far[i] = ends[1];
	}
	return true;
}

static void close_ends(int *ends)
{
	for (int i = 0; i < STREAMS; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
		ends[i] = -1;
	}
}

int child_run(struct child *child)
{
	struct streams streams = {.near = {-1, -1, -1}, .far = {-1, -1, -1}};
	int status = -1;
	pid_t pid = make_streams(&streams) ? fork() : -1;

	if (pid == 0)
		become(child, &streams);
	close_ends(streams.far);
	if (pid > 0) {
		take_all(child, &streams);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close_ends(streams.near);
	text_free(&streams.line);
	if (pid < 0)
		return EXIT_NOT_FOUND;
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

void child_free(struct child *child)
{
	text_free(&child->output);
	text_free(&child->error);
}

char *first_line(const struct text *text, const char *start)
{
	size_t length = strlen(start);

	for (const char *line = text->data; line && *line;) {
		size_t size = strcspn(line, "\n");
		if (size >= length && !strncmp(line, start, length))
			return must_format("%.*s", (int)(size - length), line + length);
		line += size + (line[size] == '\n');
	}
	return NULL;
}
