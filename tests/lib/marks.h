// SPDX-License-Identifier: MIT
// What the tests of markers in spaces share: an embedder that keeps an account of which page of which space says what.
// The account follows from what the test did itself and from the reports of the library (vmt_marker_ops), and is
// compared with what the spaces hold.
#ifndef TESTS_LIB_MARKS_H
#define TESTS_LIB_MARKS_H

#include "lib.h"

#define RW   (VMT_READ | VMT_WRITE)
#define HUGE (PAGE * SLOTS)	// what an entry of the second level covers
#define VAST (HUGE * SLOTS)	// and one of the third

// What the handler does when a fault has met a marker. Each time it remembers the fault.
enum marks_handler {
	MARKS_REFUSE,	// VMT_ERR_BUS
	MARKS_RESOLVE,	// puts a page there whose first word is the payload, after `wait` times of doing nothing
	MARKS_REMOVE,	// takes the marker away
};

struct marks {
	enum marks_handler handler;
	unsigned wait, calls;
	struct vmt_marker_fault last;
};

extern struct marks marks;

// The environment's space is made anew, with a handler. `ops` NULL: with the usual one.
void marks_open(struct env *env, const struct vmt_marker_ops *ops);
// A space that was forked and one that is no more are looked at, or no longer, by marks_check.
void marks_add_space(struct vmt_space *space);
void marks_destroy_space(struct env *env, struct vmt_space *space);

// What the library does not report, for the caller knows: the page of vmt_page_take (1) and vmt_marker_resolve (-1).
void marks_note(enum vmt_marker kind, uint64_t payload, int64_t pages);

// The account is what the spaces hold, and vmt_check finds nothing in any of them.
void marks_check(struct env *env);

// Marks, or guards.
void marks_set(struct env *env, uint64_t addr, uint64_t length, enum vmt_marker kind, uint64_t payload);

// The range says this, all of it.
void marks_expect(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t length, enum vmt_marker kind,
		  uint64_t payload);
void marks_expect_none(struct env *env, struct vmt_space *space, uint64_t addr, uint64_t length);

// Everything in the environment's space is unmapped and the account is empty.
void marks_close(struct env *env);

void *marks_bytes(struct env *env, uint64_t pa);

#endif
