// SPDX-License-Identifier: MIT
/*
 * What the machine was started with. Fixed before kernel_main, any context.
 */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include <kernel/types.h>

struct boot_memory {
	uint64_t start, end; /* physical bytes */
};

struct boot_info {
	struct boot_memory ram[32]; /* usable RAM as the machine reports it */
	unsigned int ram_count;
	uint64_t ram_bytes;
	const void *initrd; /* NULL without one; stays mapped and reserved until initrd_release */
	size_t initrd_size;
	char cmdline[256];
	bool acpi; /* there are ACPI tables: who is not in them is not there */
	uint64_t iommu; /* registers of the first VT-d unit in the table DMAR; 0: none */
};

extern struct boot_info boot_info;

/* One member of the newc archive. name and data point into it; name has no leading "./" or "/". */
struct cpio_member {
	const char *name;
	const char *data; /* the member's bytes */
	size_t size;
	uint32_t mode; /* S_IFMT and permissions */
	uint32_t mtime, ino, nlink, uid, gid, devmajor, devminor, rdevmajor, rdevminor;
};

/*
 * Iterates: *offset starts at 0. False at the trailer or where the archive is damaged (a klog line
 * says so).
 */
bool initrd_next(size_t *offset, struct cpio_member *m);

/* Finds a member by name. */
bool initrd_find(const char *name, struct cpio_member *m);

/*
 * Gives the archive's memory to the frame allocator (whole frames; the loader puts it at the start of
 * one); no pointer into it may be used afterwards. Call before the count of free frames is taken as a
 * baseline.
 */
void initrd_release(void);

/* `key value` lines of .vmtree/config: copies the value; false when the key is not there. */
bool config_get(const char *key, char *value, size_t size);
uint64_t config_get_u64(const char *key, uint64_t otherwise);

#endif
