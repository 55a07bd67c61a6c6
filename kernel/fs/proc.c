// SPDX-License-Identifier: MIT
/*
 * /proc: nodes, their look-up, listing and reading. The text of a file is made when it is read at its
 * beginning, and later reads go on in that text, so that a reader does not see two halves of
 * different states; only a very long one (maps) is made in parts.
 */
#include "proc.h"

/* ---- Text ---- */

static bool text_room(struct text *t, size_t n)
{
	size_t size = t->size ? t->size : 1024;
	char *buf;

	if (t->failed || n < t->size - t->len)
		return !t->failed;
	while (size - t->len <= n)
		size *= 2;
	buf = kmalloc(size);
	if (!buf) {
		t->failed = true;
		return false;
	}
	memcpy(buf, t->buf, t->len);
	kfree(t->buf);
	t->buf = buf;
	t->size = size;
	return true;
}

void text_bytes(struct text *t, const void *bytes, size_t n)
{
	if (!text_room(t, n))
		return;
	memcpy(t->buf + t->len, bytes, n);
	t->len += n;
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (!text_room(t, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	vsnprintf(t->buf + t->len, t->size - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

/* What an open file of /proc has. */
struct proc_open {
	struct mutex lock; /* guards what follows */
	struct text text;
	uint64_t start; /* position of the text's first byte in the file */
};

static int text_make(struct file *f, struct proc_open *po)
{
	const struct proc_entry *entry = f->inode->private;
	int err;

	po->text.len = 0;
	po->text.failed = false;
	po->text.more = false;
	err = entry->text(&po->text, f->inode);
	return !err && po->text.failed ? -ENOMEM : err;
}

/* Makes the part of the text that has pos: from the beginning again, or what follows. */
static int text_seek(struct file *f, struct proc_open *po, uint64_t pos)
{
	int err = 0;

	if (pos == 0 || pos < po->start || !po->text.buf) {
		po->start = 0;
		po->text.cursor = 0;
		err = text_make(f, po);
	}
	while (!err && po->text.more && pos >= po->start + po->text.len) {
		po->start += po->text.len;
		err = text_make(f, po);
	}
	return err;
}

static ssize_t proc_read(struct file *f, struct io *io, uint64_t pos)
{
	struct proc_open *po = f->private;
	size_t n = 0, want = 0;
	int err;

	mutex_lock(&po->lock);
	err = text_seek(f, po, pos);
	if (!err && pos - po->start < po->text.len) {
		want = MIN(io->left, po->text.len - (pos - po->start));
		n = io_to(io, po->text.buf + (pos - po->start), want);
	}
	mutex_unlock(&po->lock);
	if (err)
		return err;
	return n || !want ? (ssize_t)n : -EFAULT;
}

static void proc_release_file(struct file *f)
{
	struct proc_open *po = f->private;

	kfree(po->text.buf);
	kfree(po);
}

static const struct file_ops proc_file_ops = {
	.read = proc_read,
	.release = proc_release_file,
	.seekable = true,
};

static int proc_open(struct inode *inode __unused, struct file *f)
{
	struct proc_open *po;

	if (f->access & FILE_WRITE)
		return -EACCES; /* nothing here can be set */
	po = kzalloc(sizeof(*po));
	if (!po)
		return -ENOMEM;
	mutex_init(&po->lock);
	f->ops = &proc_file_ops;
	f->private = po;
	return 0;
}

/* ---- Nodes ---- */

static int node_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **found)
{
	const struct proc_entry *entry = dir->inode->private;

	for (unsigned int i = 0; i < entry->count; i++) {
		const struct proc_entry *e = &entry->entries[i];

		if (strlen(e->name) == len && memcmp(e->name, name, len) == 0)
			return proc_node(dir, name, len, e, dir->inode->value, found);
	}
	return entry->lookup ? entry->lookup(dir, name, len, found) : -ENOENT;
}

static int node_list(struct file *f, struct dir_sink *sink)
{
	const struct proc_entry *entry = f->inode->private;

	if (!dir_emit_dots(f, sink))
		return 0;
	while (dir_position(sink) < 2 + entry->count) {
		uint64_t pos = dir_position(sink);
		const struct proc_entry *e = &entry->entries[pos - 2];
		size_t len = strlen(e->name);

		if (!dir_emit(sink, e->name, len, proc_number(f->inode->ino, e->name, len), e->mode,
			pos + 1))
			return 0;
	}
	return entry->list ? entry->list(f, sink) : 0;
}

static ssize_t node_readlink(struct inode *inode, char *buf, size_t size)
{
	return ((const struct proc_entry *)inode->private)->readlink(inode, buf, size);
}

static int node_follow(struct inode *inode, struct dentry **target)
{
	return ((const struct proc_entry *)inode->private)->follow(inode, target);
}

static const struct inode_ops dir_ops = { .lookup = node_lookup, .readdir = node_list };
static const struct inode_ops file_ops = { .open = proc_open };
static const struct inode_ops link_ops = { .readlink = node_readlink };
static const struct inode_ops magic_ops = { .readlink = node_readlink, .follow = node_follow };

static struct inode *node_inode(const struct proc_entry *entry, uint64_t value)
{
	const struct inode_ops *ops = &file_ops;
	struct inode *inode;

	if (S_ISDIR(entry->mode))
		ops = &dir_ops;
	else if (entry->follow)
		ops = &magic_ops;
	else if (entry->readlink)
		ops = &link_ops;
	inode = inode_create(entry->mode, ops);
	if (inode) {
		inode->private = (void *)entry;
		inode->value = value;
	}
	return inode;
}

uint64_t proc_number(uint64_t dir, const char *name, size_t len)
{
	return 1UL << 40 | ((dir * 0x9e3779b1UL + name_hash(name, len)) & 0xffffffffUL);
}

int proc_node(struct dentry *dir, const char *name, size_t len, const struct proc_entry *entry,
	uint64_t value, struct dentry **made)
{
	struct inode *inode = node_inode(entry, value);

	if (!inode)
		return -ENOMEM;
	inode->ino = proc_number(dir->inode->ino, name, len);
	*made = dentry_create(DENTRY_VIRTUAL, name, len, dir, inode);
	inode_put(inode);
	return *made ? 0 : -ENOMEM;
}

int64_t proc_parse(const char *name, size_t len)
{
	int64_t n = 0;

	if (len == 0 || len > 9 || (name[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		n = n * 10 + (name[i] - '0');
	}
	return n;
}

bool proc_emit_number(struct file *f, struct dir_sink *sink, uint64_t number, unsigned int mode)
{
	char name[24];
	size_t len = (size_t)snprintf(name, sizeof(name), "%lu", number);

	return dir_emit(sink, name, len, proc_number(f->inode->ino, name, len), mode,
		PROC_LIST_BASE + number + 1);
}

/* ---- The root ---- */

static ssize_t self_link(struct inode *inode __unused, char *buf, size_t size)
{
	return snprintf(buf, size, "%d", current_process()->pid);
}

static ssize_t thread_self_link(struct inode *inode __unused, char *buf, size_t size)
{
	return snprintf(buf, size, "%d/task/%d", current_process()->pid, current_thread()->tid);
}

static ssize_t mounts_link(struct inode *inode __unused, char *buf, size_t size)
{
	return (ssize_t)strlcpy(buf, "self/mounts", size);
}

static const struct proc_entry root_entries[] = {
	{ .name = "self", .mode = S_IFLNK | 0777, .readlink = self_link },
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = thread_self_link },
	{ .name = "mounts", .mode = S_IFLNK | 0777, .readlink = mounts_link },
	{ .name = "cpuinfo", .mode = S_IFREG | 0444, .text = proc_cpuinfo },
	{ .name = "meminfo", .mode = S_IFREG | 0444, .text = proc_meminfo },
	{ .name = "uptime", .mode = S_IFREG | 0444, .text = proc_uptime },
	{ .name = "loadavg", .mode = S_IFREG | 0444, .text = proc_loadavg },
	{ .name = "stat", .mode = S_IFREG | 0444, .text = proc_stat },
	{ .name = "version", .mode = S_IFREG | 0444, .text = proc_version },
	{ .name = "filesystems", .mode = S_IFREG | 0444, .text = proc_filesystems },
	{ .name = "sys", .mode = S_IFDIR | 0555, .entries = proc_sys_entries,
		.count = PROC_SYS_COUNT },
};

static int root_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **found)
{
	int64_t pid = proc_parse(name, len);
	struct process *p = pid > 0 ? process_find((pid_t)pid) : NULL;

	if (!p)
		return -ENOENT;
	process_put(p);
	return proc_node(dir, name, len, &proc_pid_entry, (uint64_t)pid, found);
}

static int root_list(struct file *f, struct dir_sink *sink)
{
	uint64_t pos = MAX(dir_position(sink), PROC_LIST_BASE);
	pid_t pid = (pid_t)(pos - PROC_LIST_BASE) - 1;

	pid = MAX(pid, 0);
	while ((pid = process_next(pid)) > 0) {
		if (!proc_emit_number(f, sink, (uint64_t)pid, S_IFDIR))
			break;
	}
	return 0;
}

const struct proc_entry proc_root_entry = {
	.name = "proc", .mode = S_IFDIR | 0555, .entries = root_entries,
	.count = ARRAY_SIZE(root_entries), .lookup = root_lookup, .list = root_list,
};

int proc_init(void)
{
	struct inode *inode = node_inode(&proc_root_entry, 0);
	int err;

	if (!inode)
		return -ENOMEM;
	err = make_mount("/proc", inode);
	inode_put(inode);
	return err ? err : sysfs_init();
}
