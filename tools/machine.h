// SPDX-License-Identifier: MIT
// A QEMU process with a kernel in it, the reference kernel or Linux, and the descriptors that lead to it.
#ifndef VMTREE_TOOLS_MACHINE_H
#define VMTREE_TOOLS_MACHINE_H

#include "options.h"

#include <sys/types.h>

struct machine_setup {
	const char *qemu;   // path of qemu-system-x86_64
	const char *kernel; // path of the kernel's image
	int ramdisk;        // an open file with the RAM disk
	bool kvm;           // else TCG
	bool icount;
	bool edu; // the device, with an IOMMU
	bool rtc; // a clock that Linux waits a second for where there is none
	const char *parameters; // the kernel's command line; NULL: none
	unsigned cpus;
	uint64_t memory_bytes;
	bool one_output; // standard output and error come through `output`, in the order they were
			 // written
};

// Descriptors are -1 where there is none. All are closed by machine_stop.
struct machine {
	pid_t pid;
	int output;  // read: the program's standard output
	int error;   // read: its standard error; -1 with one_output
	int control; // read: the control stream
	int input;   // write: frames of standard input; read: what the kernel says on its console
	int qemu;    // read: what QEMU itself says
};

// Paths of QEMU, of the reference kernel's image, and of the first process on Linux. The caller frees them. NULL after
// one line said what is missing.
char *machine_find_qemu(void);
char *machine_find_kernel(void);
char *machine_find_linux_init(void);

// Returns 0, or -1 after one line.
int machine_start(struct machine *machine, const struct machine_setup *setup);
// Ends the process; what it wrote before can still be read.
void machine_kill(const struct machine *machine);
// Ends the process if it still runs, waits for it, and closes everything.
void machine_stop(struct machine *machine);

#endif
