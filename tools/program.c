// SPDX-License-Identifier: MIT
// Finding the program on the host, as execvp() would.
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_file(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

// The first executable file of that name in PATH, or NULL.
static char *search_path(const char *name)
{
	const char *list = getenv("PATH");
	const char *folder = list ? list : "/usr/local/bin:/usr/bin:/bin";

	for (;;) {
		size_t length = strcspn(folder, ":");
		char *path = length ? must_format("%.*s/%s", (int)length, folder, name)
				    : must_format("./%s", name);
		if (is_file(path) && access(path, X_OK) == 0)
			return path;
		free(path);
		if (!folder[length])
			return NULL;
		folder += length + 1;
	}
}

// Absolute, with "." and empty parts taken out. A ".." stays: what it means depends on links.
static char *absolute(const char *path)
{
	struct text result = {0};
	char *whole;

	if (path[0] == '/') {
		whole = must_copy(path);
	} else {
		char *here = getcwd(NULL, 0);
		whole = must_format("%s/%s", here ? here : "", path);
		free(here);
	}
	char *rest = NULL;
	for (char *part = strtok_r(whole, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
		if (strcmp(part, "."))
			text_print(&result, "/%s", part);
	free(whole);
	return result.data ? result.data : must_copy("/");
}

static bool has_dotdot(const char *path)
{
	for (const char *at = strstr(path, "/.."); at; at = strstr(at + 1, "/.."))
		if (at[3] == '/' || !at[3])
			return true;
	return false;
}

static int check_file(const char *path, const char *typed)
{
	struct stat info;

	if (stat(path, &info)) {
		bool absent = errno == ENOENT || errno == ENOTDIR;
		say("%s: %s", typed, absent ? "not found" : strerror(errno));
		return absent ? EXIT_NOT_FOUND : EXIT_NOT_EXEC;
	}
	if (!S_ISREG(info.st_mode)) {
		say("%s: %s", typed,
			S_ISDIR(info.st_mode) ? "is a directory" : "is not a regular file");
		return EXIT_NOT_EXEC;
	}
	if (access(path, X_OK)) {
		say("%s: is not executable (no x permission)", typed);
		return EXIT_NOT_EXEC;
	}
	return -1;
}

int program_find(struct program *program, const char *typed)
{
	*program = (struct program){.typed = typed};
	if (!*typed) {
		say("the name of the program is empty");
		return EXIT_NOT_FOUND;
	}

	char *found = strchr(typed, '/') ? must_copy(typed) : search_path(typed);
	if (!found) {
		say("%s: not found in PATH", typed);
		return EXIT_NOT_FOUND;
	}
	int status = check_file(found, typed);
	if (status < 0)
		status = elf_check(found, typed);
	if (status < 0) {
		program->path = absolute(found);
		program->real = realpath(found, NULL);
		if (!program->real) {
			say("%s: %s", typed, strerror(errno));
			status = EXIT_NOT_EXEC;
		} else if (has_dotdot(program->path)) {
			free(program->path);
			program->path = must_copy(program->real);
		}
	}
	free(found);
	return status;
}

void program_free(struct program *program)
{
	free(program->path);
	free(program->real);
	*program = (struct program){0};
}
