// SPDX-License-Identifier: MIT
// Files that options name for results.
#ifndef VMTREE_TOOLS_FILE_H
#define VMTREE_TOOLS_FILE_H

#include "base.h"

// Whether a file could be written there, tried before the program runs. Returns 0, or -1 after one line.
int file_check(const char *option, const char *path);
// Writes the file whole or not at all. Returns 0, or -1 after one line.
int file_write(const char *option, const char *path, const struct text *text);

#endif
