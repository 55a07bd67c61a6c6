// SPDX-License-Identifier: MIT
// A cpio archive in the "newc" format: for each member a header of 6 + 13 * 8 hexadecimal digits,
// its name, its data, both padded to four bytes. The format is described in cpio(5).
#include "archive.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// By path; what is in front of it does not count.
static int compare(const void *a, const void *b)
{
	return strcmp((const char *)a + 1, (const char *)b + 1);
}

// The kind of what is there, or 0.
static char kind_of(const struct archive *archive, const char *path)
{
	char *key = must_format("?%s", path);
	char *const *found = tfind(key, &archive->names, compare);

	free(key);
	return found ? **found : 0;
}

bool archive_holds(const struct archive *archive, const char *path)
{
	return kind_of(archive, path);
}

static void put(struct archive *archive, const void *data, size_t length)
{
	if (!archive->error && length && write_all(archive->fd, data, length))
		archive->error = errno;
	archive->bytes += length;
}

static void pad(struct archive *archive)
{
	put(archive, "\0\0\0", (0 - archive->bytes) & 3);
}

static void put_header(
	struct archive *archive, const char *name, unsigned mode, uint64_t size, int64_t time)
{
	char header[6 + 13 * 8 + 1];
	size_t name_size = strlen(name) + 1;
	unsigned links = S_ISDIR(mode) ? 2 : 1;

	snprintf(header, sizeof(header),
		"070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", archive->next_inode++,
		mode, 0u, 0u, links, (uint32_t)time, (uint32_t)size, 0u, 0u, 0u, 0u,
		(uint32_t)name_size, 0u);
	put(archive, header, sizeof(header) - 1);
	put(archive, name, name_size);
	pad(archive);
}

// Makes the folders above `path`, then notes `path` itself. False when it is there already.
static bool enter(struct archive *archive, char kind, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (archive_holds(archive, path))
		return false;
	if (slash && slash != path) {
		char *above = must_format("%.*s", (int)(slash - path), path);
		archive_folder(archive, above, 0755);
		free(above);
	}
	if (!tsearch(must_format("%c%s", kind, path), &archive->names, compare))
		archive->error = ENOMEM;
	return true;
}

void archive_start(struct archive *archive, int fd)
{
	*archive = (struct archive){.fd = fd, .next_inode = 1};
}

bool archive_folder(struct archive *archive, const char *path, unsigned mode)
{
	if (!strcmp(path, "/"))
		return true;
	if (!enter(archive, 'd', path))
		return kind_of(archive, path) != 'f';
	put_header(archive, path + 1, S_IFDIR | mode, 0, 0);
	return true;
}

void archive_data(
	struct archive *archive, const char *path, unsigned mode, const void *data, size_t length)
{
	if (!enter(archive, 'f', path))
		return;
	put_header(archive, path + 1, S_IFREG | mode, length, 0);
	put(archive, data, length);
	pad(archive);
}

void archive_link(struct archive *archive, const char *path, const char *target)
{
	if (!enter(archive, 'l', path))
		return;
	put_header(archive, path + 1, S_IFLNK | 0777, strlen(target), 0);
	put(archive, target, strlen(target));
	pad(archive);
}

int archive_file(struct archive *archive, const char *path, int file)
{
	static char block[1 << 16];
	struct stat info;

	if (fstat(file, &info))
		return errno;
	if (info.st_size > INT32_MAX)
		return EFBIG;
	if (!enter(archive, 'f', path))
		return 0;
	put_header(archive, path + 1, S_IFREG | (info.st_mode & 07777), (uint64_t)info.st_size,
		info.st_mtime);
	for (uint64_t left = (uint64_t)info.st_size; left && !archive->error;) {
		size_t want = left < sizeof(block) ? left : sizeof(block);
		ssize_t got = read(file, block, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) // it shrank since the header was written
			return got < 0 ? errno : EIO;
		put(archive, block, (size_t)got);
		left -= (size_t)got;
	}
	pad(archive);
	return 0;
}

int archive_finish(struct archive *archive)
{
	put_header(archive, "TRAILER!!!", 0, 0, 0);
	while (archive->names) {
		char *name = *(char **)archive->names;
		tdelete(name, &archive->names, compare);
		free(name);
	}
	return archive->error;
}
