// SPDX-License-Identifier: MIT
// Pieces of reports as JSON (RFC 8259).
#ifndef VMTREE_TOOLS_JSON_H
#define VMTREE_TOOLS_JSON_H

#include "control.h"
#include "options.h"

// With quotes. Bytes that are not UTF-8 become U+FFFD: an argument may hold any bytes, a JSON text may not.
void json_string(struct text *text, const char *string);
// The opening brace and the members `vmtree`, `program` and `machine`.
void json_head(struct text *text, const struct options *options, bool kvm);
// How the program ended, as an object.
void json_ending(struct text *text, const struct control *control);
// The members `stats`, `unsupported_syscalls` and `killed`.
void json_lists(struct text *text, const struct control *control);

#endif
