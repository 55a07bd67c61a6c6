// SPDX-License-Identifier: MIT
// The CPUs on which the process runs. Each access walks the process's tables, faults if need be, and tries again.
#ifndef CPU_H
#define CPU_H

#define VMT_FORMAT x86_64_4
#include <vmtree/space.h>

#include "../host/host.h"

void cpu_open(void);

// vmt_port_flush for a space.
void cpu_flush(const struct vmt_flush *flush);

enum cpu_access {
	CPU_LOAD,
	CPU_STORE,
	CPU_ADD, // atomically
};

// One access to the aligned word at `addr`, by the calling CPU (host_cpu), which has activated the space; its owner is
// the host. Anything but VMT_OK: the program would get a signal.
enum vmt_status cpu_try(struct vmt_space *space, uint64_t addr, enum cpu_access what, uint64_t *word);

// The same for accesses that must succeed.
uint64_t cpu_load(struct vmt_space *space, uint64_t addr);
void cpu_store(struct vmt_space *space, uint64_t addr, uint64_t word);
void cpu_add(struct vmt_space *space, uint64_t addr, uint64_t word);

#endif
