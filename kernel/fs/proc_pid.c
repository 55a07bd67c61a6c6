// SPDX-License-Identifier: MIT
/*
 * /proc/PID: its directory, the threads in task/, the descriptors in fd/, and the links that lead to
 * files. inode->value is the pid; in fd/, the pid and, above it, the descriptor.
 */
#include "proc.h"

struct process *proc_process(struct inode *inode)
{
	return process_find((pid_t)(inode->value & INT32_MAX));
}

/* Text for a link to a file, or to nothing. */
static ssize_t path_of(struct dentry *d, char *buf, size_t size)
{
	ssize_t n = d ? dentry_path(d, buf, size) : -ENOENT;

	if (d)
		dentry_put(d);
	return n;
}

/* From a function that finds a dentry (with a reference), the two of a link. */
#define MAGIC_LINK(what) \
	static ssize_t what##_readlink(struct inode *inode, char *buf, size_t size) \
	{ \
		return path_of(what##_dentry(inode), buf, size); \
	} \
	static int what##_follow(struct inode *inode, struct dentry **target) \
	{ \
		*target = what##_dentry(inode); \
		return *target ? 0 : -ENOENT; \
	}

static struct dentry *exe_dentry(struct inode *inode)
{
	struct process *p = proc_process(inode);
	struct file *f = p ? process_exe_get(p) : NULL;
	struct dentry *d = f ? f->dentry : NULL;

	if (d)
		dentry_get(d);
	if (f)
		file_put(f);
	if (p)
		process_put(p);
	return d;
}

static struct dentry *cwd_dentry(struct inode *inode)
{
	struct process *p = proc_process(inode);
	struct fs_state *fs = p ? process_fs_get(p) : NULL;
	struct dentry *d = fs ? fs_state_cwd(fs) : NULL;

	if (fs)
		fs_put(fs);
	if (p)
		process_put(p);
	return d;
}

static struct dentry *root_dentry(struct inode *inode __unused)
{
	dentry_get(fs_root);
	return fs_root;
}

static struct dentry *fd_dentry(struct inode *inode)
{
	struct process *p = proc_process(inode);
	struct files *files = p ? process_files_get(p) : NULL;
	struct file *f = files ? files_file(files, (int)(inode->value >> 32)) : NULL;
	struct dentry *d = f ? f->dentry : NULL;

	if (d)
		dentry_get(d);
	if (f)
		file_put(f);
	if (files)
		files_put(files);
	if (p)
		process_put(p);
	return d;
}

MAGIC_LINK(exe)
MAGIC_LINK(cwd)
MAGIC_LINK(root)
MAGIC_LINK(fd)

/* ---- fd/ ---- */

static const struct proc_entry fd_entry = {
	.mode = S_IFLNK, .readlink = fd_readlink, .follow = fd_follow,
};

/* The link's permissions show how the file is open. */
static unsigned int fd_mode(struct inode *link)
{
	struct process *p = proc_process(link);
	struct files *files = p ? process_files_get(p) : NULL;
	struct file *f = files ? files_file(files, (int)(link->value >> 32)) : NULL;
	unsigned int mode = 0;

	if (f) {
		mode = S_IFLNK | S_IXUSR | (f->access & FILE_READ ? S_IRUSR : 0) |
		       (f->access & FILE_WRITE ? S_IWUSR : 0);
		file_put(f);
	}
	if (files)
		files_put(files);
	if (p)
		process_put(p);
	return mode;
}

static int fd_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **found)
{
	int64_t fd = proc_parse(name, len);
	unsigned int mode;
	int err;

	if (fd < 0)
		return -ENOENT;
	err = proc_node(dir, name, len, &fd_entry, (uint64_t)fd << 32 | dir->inode->value, found);
	if (err)
		return err;
	mode = fd_mode((*found)->inode);
	if (mode) {
		/* Relaxed: nobody else has the node yet. */
		atomic_store_explicit(&(*found)->inode->mode, mode, memory_order_relaxed);
		return 0;
	}
	dentry_put(*found);
	*found = NULL;
	return -ENOENT;
}

static int fd_list(struct file *f, struct dir_sink *sink)
{
	uint64_t pos = MAX(dir_position(sink), PROC_LIST_BASE);
	int from = (int)(pos - PROC_LIST_BASE), fds[32];
	struct process *p = proc_process(f->inode);
	struct files *files = p ? process_files_get(p) : NULL;
	unsigned int n = files ? 1 : 0;
	bool room = true;

	while (room && n) {
		n = files_list(files, from, fds, ARRAY_SIZE(fds));
		for (unsigned int i = 0; i < n && room; i++) {
			room = proc_emit_number(f, sink, (uint64_t)fds[i], S_IFLNK);
			from = fds[i] + 1;
		}
	}
	if (files)
		files_put(files);
	if (p)
		process_put(p);
	return p ? 0 : -ENOENT;
}

/* ---- task/ ---- */

#define COMMON_ENTRIES \
	{ .name = "maps", .mode = S_IFREG | 0444, .text = proc_pid_maps }, \
	{ .name = "smaps", .mode = S_IFREG | 0444, .text = proc_pid_smaps }, \
	{ .name = "status", .mode = S_IFREG | 0444, .text = proc_pid_status }, \
	{ .name = "statm", .mode = S_IFREG | 0444, .text = proc_pid_statm }, \
	{ .name = "stat", .mode = S_IFREG | 0444, .text = proc_pid_stat }, \
	{ .name = "cmdline", .mode = S_IFREG | 0444, .text = proc_pid_cmdline }, \
	{ .name = "comm", .mode = S_IFREG | 0444, .text = proc_pid_comm }, \
	{ .name = "limits", .mode = S_IFREG | 0444, .text = proc_pid_limits }, \
	{ .name = "mounts", .mode = S_IFREG | 0444, .text = proc_mounts }, \
	{ .name = "exe", .mode = S_IFLNK | 0777, .readlink = exe_readlink, .follow = exe_follow }, \
	{ .name = "cwd", .mode = S_IFLNK | 0777, .readlink = cwd_readlink, .follow = cwd_follow }, \
	{ .name = "root", .mode = S_IFLNK | 0777, .readlink = root_readlink, \
		.follow = root_follow }, \
	{ .name = "fd", .mode = S_IFDIR | 0500, .lookup = fd_lookup, .list = fd_list }

/* What is shown for a thread is what its process shows. */
static const struct proc_entry thread_entries[] = { COMMON_ENTRIES };

static const struct proc_entry thread_entry = {
	.mode = S_IFDIR | 0555, .entries = thread_entries, .count = ARRAY_SIZE(thread_entries),
};

static int task_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **found)
{
	int64_t tid = proc_parse(name, len);
	struct process *p = proc_process(dir->inode);
	bool there = p && tid > 0 && process_next_thread(p, (pid_t)tid - 1) == tid;

	if (p)
		process_put(p);
	return there ? proc_node(dir, name, len, &thread_entry, dir->inode->value, found) : -ENOENT;
}

static int task_list(struct file *f, struct dir_sink *sink)
{
	uint64_t pos = MAX(dir_position(sink), PROC_LIST_BASE);
	pid_t tid = MAX((pid_t)(pos - PROC_LIST_BASE) - 1, 0);
	struct process *p = proc_process(f->inode);

	while (p && (tid = process_next_thread(p, tid)) > 0) {
		if (!proc_emit_number(f, sink, (uint64_t)tid, S_IFDIR))
			break;
	}
	if (p)
		process_put(p);
	return p ? 0 : -ENOENT;
}

static const struct proc_entry pid_entries[] = {
	COMMON_ENTRIES,
	{ .name = "task", .mode = S_IFDIR | 0555, .lookup = task_lookup, .list = task_list },
};

const struct proc_entry proc_pid_entry = {
	.mode = S_IFDIR | 0555, .entries = pid_entries, .count = ARRAY_SIZE(pid_entries),
};
