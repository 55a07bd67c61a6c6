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

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool archive_holds(const struct archive *archive, const char *path)
{
	return tfind(path, &archive->names, compare);
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
static bool enter(struct archive *archive, const char *path)
{
	if (archive_holds(archive, path))
		return false;
	char *copy = must_copy(path);
	char *slash = strrchr(copy, '/');
	if (slash && slash != copy) {
		*slash = 0;
		archive_folder(archive, copy, 0755);
		*slash = '/';
	}
	if (!tsearch(copy, &archive->names, compare))
		archive->error = ENOMEM;
	return true;
}

void archive_start(struct archive *archive, int fd)
{
	*archive = (struct archive){.fd = fd, .next_inode = 1};
}

void archive_folder(struct archive *archive, const char *path, unsigned mode)
{
	if (strcmp(path, "/") && enter(archive, path))
		put_header(archive, path + 1, S_IFDIR | mode, 0, 0);
}

void archive_data(
	struct archive *archive, const char *path, unsigned mode, const void *data, size_t length)
{
	if (!enter(archive, path))
		return;
	put_header(archive, path + 1, S_IFREG | mode, length, 0);
	put(archive, data, length);
	pad(archive);
}

void archive_link(struct archive *archive, const char *path, const char *target)
{
	if (!enter(archive, path))
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
	if (!enter(archive, path))
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
