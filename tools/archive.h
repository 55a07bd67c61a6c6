// SPDX-License-Identifier: MIT
// A cpio archive ("newc" format) written to a file descriptor: the machine's initial RAM disk.
#ifndef VMTREE_TOOLS_ARCHIVE_H
#define VMTREE_TOOLS_ARCHIVE_H

#include "base.h"

struct archive {
	int fd;
	uint32_t next_inode;
	uint64_t bytes; // written so far
	void *names; // a tree (search.h) of what it holds: the kind ('d', 'f', 'l'), then the path
	int error;   // errno of the first write that failed; nothing is written after it
};

// Paths are absolute, without ".", ".." and empty parts. Folders above a path that are not there
// yet are made with mode 0755. Adding a path a second time changes nothing: the first one stays.
void archive_start(struct archive *archive, int fd);
// False when something else than a folder or a link is at that place.
bool archive_folder(struct archive *archive, const char *path, unsigned mode);
void archive_data(
	struct archive *archive, const char *path, unsigned mode, const void *data, size_t length);
void archive_link(struct archive *archive, const char *path, const char *target);
// An open regular file of the host. Returns 0, or an errno value when it cannot be read whole or is
// too large for the format; the archive is then not usable.
int archive_file(struct archive *archive, const char *path, int file);
bool archive_holds(const struct archive *archive, const char *path);
// Writes the end mark. Returns 0 or the errno value of the first write that failed.
int archive_finish(struct archive *archive);

#endif
