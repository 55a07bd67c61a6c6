// SPDX-License-Identifier: MIT
// What `/.vmtree` says (docs/guest.md). The folder is gone before the program starts.
#include "linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char folder[] = "/.vmtree";

char *read_file(const char *path, size_t *length)
{
	size_t room = 1 << 16, used = 0;
	char *data = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	while (fd >= 0 && data && (got = read(fd, data + used, room - used - 1)) > 0) {
		used += (size_t)got;
		if (used + 1 == room)
			data = realloc(data, room *= 2);
	}
	if (fd >= 0)
		close(fd);
	if (got < 0 || !data) {
		free(data);
		return NULL;
	}
	data[used] = 0;
	if (length)
		*length = used;
	return data;
}

static char *member(const char *name, size_t *length)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	char *data = read_file(path, length);
	if (!data)
		give_up("%s cannot be read: %s", path, strerror(errno));
	return data;
}

// A vector of the strings in a member, each of which ends in NUL. It lasts as long as the process.
static char **strings(const char *name)
{
	size_t length, count = 0;
	char *data = member(name, &length);

	for (size_t i = 0; i < length; i++)
		count += !data[i];
	char **vector = calloc(count + 1, sizeof(*vector));
	if (!vector)
		give_up("no memory for %s", name);
	for (size_t i = 0; i < count; i++) {
		vector[i] = data;
		data += strlen(data) + 1;
	}
	return vector;
}

static void read_config(struct orders *orders)
{
	char *rest = NULL;

	for (char *line = strtok_r(member("config", NULL), "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ' ');
		if (!value)
			continue;
		*value++ = 0;
		if (!strcmp(line, "exec"))
			orders->exec = value;
		else if (!strcmp(line, "cwd"))
			orders->cwd = value;
		else if (!strcmp(line, "epoch"))
			orders->epoch = strtoll(value, NULL, 10);
		else if (!strcmp(line, "one_output"))
			orders->one_output = *value == '1';
		else if (!strcmp(line, "watch"))
			orders->watch = *value == '1';
	}
	if (!orders->exec || !orders->cwd)
		give_up("%s/config is not complete", folder);
}

static void remove_member(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (unlink(path))
		give_up("%s cannot be removed: %s", path, strerror(errno));
}

void orders_read(struct orders *orders)
{
	static const char *const members[] = {"args", "env", "config", "stdin", "init"};

	*orders = (struct orders){.input = open("/.vmtree/stdin", O_RDONLY | O_CLOEXEC)};
	if (orders->input < 0)
		give_up("%s/stdin cannot be read: %s", folder, strerror(errno));
	orders->args = strings("args");
	orders->env = strings("env");
	read_config(orders);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		remove_member(members[i]);
	if (rmdir(folder))
		give_up("%s cannot be removed: %s", folder, strerror(errno));
}
