// SPDX-License-Identifier: MIT
// The memory that the port hands out (memory.c).
#ifndef EXPLORER_PORT_H
#define EXPLORER_PORT_H

#include "explore.h"

// Of VMT_PAGE_SIZE bytes. With `reuse` the frame that was freed last. VMT_NO_FRAME.
uint64_t xp_frame_alloc(bool zero, bool reuse);
// The memory for a huge page, zeroed.
uint64_t xp_block_alloc(void);
void xp_frame_free(uint64_t pa);
struct vmt_frame *xp_frame_meta(uint64_t pa);	// NULL: no RAM
void *xp_heap_alloc(size_t bytes);
void xp_heap_free(void *p, size_t bytes);

// One execution begins. Read-side sections and requests of the one before are forgotten.
void xp_port_reset(const struct scenario *scenario);

#endif
