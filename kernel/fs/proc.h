// SPDX-License-Identifier: MIT
/*
 * /proc: nodes are made when somebody looks them up and go with their last reference. What a node is
 * stands in a constant table; inode->private points to its row and inode->value is the process.
 */
#ifndef FS_PROC_H
#define FS_PROC_H

#include "fs.h"

#include <kernel/process.h>

struct mm;

/*
 * Text that grows as it is written. Without memory `failed` is set and the rest is dropped. A file
 * that may be very long makes about TEXT_PART bytes at a time: it leaves in `cursor` where to go on
 * and sets `more`; it begins with cursor 0.
 */
#define TEXT_PART 32768

struct text {
	char *buf;
	size_t len, size;
	uint64_t cursor;
	bool more;
	bool failed;
};

void text_add(struct text *t, const char *fmt, ...) __printf(2, 3);
void text_bytes(struct text *t, const void *bytes, size_t n);

struct proc_entry {
	const char *name;
	unsigned int mode;
	/* A file: writes the text, or its next part. 0 or a negated error. */
	int (*text)(struct text *t, struct inode *inode);
	/* A link: its text; and, for one that leads to an object, the object. */
	ssize_t (*readlink)(struct inode *inode, char *buf, size_t size);
	int (*follow)(struct inode *inode, struct dentry **target);
	/* A directory: its constant part, and what there is beside it. */
	const struct proc_entry *entries;
	unsigned int count;
	int (*lookup)(struct dentry *dir, const char *name, size_t len, struct dentry **found);
	int (*list)(struct file *f, struct dir_sink *sink);
};

/* Positions in a directory beyond its constant entries. */
#define PROC_LIST_BASE 0x10000UL

/* A node of `entry` called name in dir. -ENOMEM. */
int proc_node(struct dentry *dir, const char *name, size_t len, const struct proc_entry *entry,
	uint64_t value, struct dentry **made);
uint64_t proc_number(uint64_t dir, const char *name, size_t len);
/* A decimal number without sign or leading zeroes, else -1. */
int64_t proc_parse(const char *name, size_t len);
/* Emits a name that is a number. */
bool proc_emit_number(struct file *f, struct dir_sink *sink, uint64_t number, unsigned int mode);

extern const struct proc_entry proc_root_entry, proc_pid_entry;

/* The processes and tables that values name, with a reference; NULL: gone. */
struct process *proc_process(struct inode *inode);

/* proc_system.c */
int proc_cpuinfo(struct text *t, struct inode *inode);
int proc_meminfo(struct text *t, struct inode *inode);
int proc_uptime(struct text *t, struct inode *inode);
int proc_loadavg(struct text *t, struct inode *inode);
int proc_stat(struct text *t, struct inode *inode);
int proc_version(struct text *t, struct inode *inode);
int proc_filesystems(struct text *t, struct inode *inode);
int proc_mounts(struct text *t, struct inode *inode);
#define PROC_SYS_COUNT 3
extern const struct proc_entry proc_sys_entries[PROC_SYS_COUNT];
int sysfs_init(void); /* /sys, which is plain RAM files */

/* proc_status.c */
int proc_pid_status(struct text *t, struct inode *inode);
int proc_pid_stat(struct text *t, struct inode *inode);
int proc_pid_statm(struct text *t, struct inode *inode);
int proc_pid_limits(struct text *t, struct inode *inode);
int proc_pid_comm(struct text *t, struct inode *inode);
int proc_pid_cmdline(struct text *t, struct inode *inode);

/* proc_maps.c */
int proc_pid_maps(struct text *t, struct inode *inode);
int proc_pid_smaps(struct text *t, struct inode *inode);

#endif
