// SPDX-License-Identifier: MIT
// Files of results, which appear whole or not at all.
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// A pipe or a device takes the text directly: it cannot be replaced by a file. Nor can a name in
// /dev, even where it leads to a file, as /dev/stdout may.
static bool is_special(const char *path)
{
	struct stat info;

	return !strncmp(path, "/dev/", 5) || (stat(path, &info) == 0 && !S_ISREG(info.st_mode));
}

static int fail(const char *option, const char *path, int error)
{
	say("%s %s: %s", option, path, strerror(error));
	return -1;
}

int file_check(const char *option, const char *path)
{
	struct stat info;

	if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return fail(option, path, EISDIR);
	if (is_special(path))
		return access(path, W_OK) ? fail(option, path, errno) : 0;
	char *copy = must_copy(path);
	int error = access(dirname(copy), W_OK | X_OK) ? errno : 0;
	free(copy);
	return error ? fail(option, path, error) : 0;
}

static int write_special(const char *path, const struct text *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = write_all(fd, text->data, text->length) ? errno : 0;
	if (close(fd) && !error)
		error = errno;
	return error;
}

// A link stays: what it leads to is replaced.
static int write_file(const char *path, const struct text *text)
{
	char *target = realpath(path, NULL);
	char *temporary = must_format("%s.XXXXXX", target ? target : path);
	int error = 0;

	int fd = mkstemp(temporary);
	if (fd < 0) {
		error = errno;
		free(target);
		free(temporary);
		return error;
	}
	mode_t mask = umask(0);
	umask(mask);
	if (write_all(fd, text->data, text->length) || fchmod(fd, 0666 & ~mask))
		error = errno;
	if (close(fd) && !error)
		error = errno;
	if (!error && rename(temporary, target ? target : path))
		error = errno;
	if (error)
		unlink(temporary);
	free(target);
	free(temporary);
	return error;
}

int file_write(const char *option, const char *path, const struct text *text)
{
	int error = is_special(path) ? write_special(path, text) : write_file(path, text);

	return error ? fail(option, path, error) : 0;
}
