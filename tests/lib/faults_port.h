// SPDX-License-Identifier: MIT
// Included by the library where it takes port functions inline (VMT_PORT_INLINE): what can fail, or take long, is asked
// for through faults.h, which learns from which line.
#ifndef TESTS_LIB_FAULTS_PORT_H
#define TESTS_LIB_FAULTS_PORT_H

#include <vmtree/types.h>

struct vmt_flush;
struct vmt_deferred;

uint64_t faults_frame_alloc(void *port, uint64_t bytes, bool zero, const char *file, unsigned line);
void *faults_mem_alloc(void *port, size_t bytes, const char *file, unsigned line);
void faults_flush(void *port, const struct vmt_flush *flush, const char *file, unsigned line);
void faults_defer(void *port, struct vmt_deferred *item, const char *file, unsigned line);

#define VMT_PORT_FRAME_ALLOC
#define vmt_port_frame_alloc(port, bytes, zero) faults_frame_alloc(port, bytes, zero, __FILE__, __LINE__)
#define VMT_PORT_MEM_ALLOC
#define vmt_port_mem_alloc(port, bytes) faults_mem_alloc(port, bytes, __FILE__, __LINE__)
#define VMT_PORT_FLUSH
#define vmt_port_flush(port, flush) faults_flush(port, flush, __FILE__, __LINE__)
#define VMT_PORT_DEFER
#define vmt_port_defer(port, item) faults_defer(port, item, __FILE__, __LINE__)

#endif
