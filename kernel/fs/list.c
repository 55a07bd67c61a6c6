// SPDX-License-Identifier: MIT
/*
 * Open directories: getdents64(2). Entries are gathered in kernel memory under the directory's lock
 * and copied out after it.
 *
 * A position is a cookie: 0 and 1 for "." and "..", then one number for each name ever made, so that a
 * listing which goes on while names come and go shows each lasting name exactly once.
 */
#include "fs.h"

#define LIST_MAX 32768U

struct dirent64 {
	uint64_t d_ino;
	int64_t d_off;
	uint16_t d_reclen;
	uint8_t d_type;
	char d_name[];
};

struct dir_sink {
	char *buf;
	size_t used, size;
	uint64_t pos; /* where the next call goes on */
	bool full;
};

bool dir_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino, unsigned int mode,
	uint64_t next)
{
	size_t bytes = ALIGN_UP(offsetof(struct dirent64, d_name) + len + 1, 8);
	struct dirent64 *e = (struct dirent64 *)(sink->buf + sink->used);

	if (bytes > sink->size - sink->used) {
		sink->full = true;
		return false;
	}
	memset(e, 0, bytes);
	e->d_ino = ino;
	e->d_off = (int64_t)next;
	e->d_reclen = (uint16_t)bytes;
	e->d_type = (uint8_t)((mode & S_IFMT) >> 12);
	memcpy(e->d_name, name, len);
	sink->used += bytes;
	sink->pos = next;
	return true;
}

static bool emit_child(void *arg, struct dentry *d)
{
	return dir_emit(arg, d->name, d->name_len, d->inode->ino, inode_mode(d->inode),
		d->cookie + 1);
}

bool dir_emit_dots(struct file *f, struct dir_sink *sink)
{
	struct dentry *parent;
	uint64_t ino;

	if (sink->pos == 0 && !dir_emit(sink, ".", 1, f->inode->ino, S_IFDIR, 1))
		return false;
	if (sink->pos != 1)
		return true;
	parent = dentry_parent(f->dentry);
	ino = parent->inode->ino;
	dentry_put(parent);
	return dir_emit(sink, "..", 2, ino, S_IFDIR, 2);
}

uint64_t dir_position(const struct dir_sink *sink)
{
	return sink->pos;
}

static int list_ram(struct file *f, struct dir_sink *sink)
{
	struct inode *dir = f->inode;

	mutex_lock(&dir->lock);
	if (!dir_is_dead(dir) && dir_emit_dots(f, sink))
		dir_each(dir, sink->pos, emit_child, sink);
	mutex_unlock(&dir->lock);
	return 0;
}

static long list_directory(struct file *f, struct dir_sink *sink)
{
	int err;

	mutex_lock(&f->pos_lock);
	sink->pos = f->pos;
	if (f->inode->ops->readdir)
		err = f->inode->ops->readdir(f, sink);
	else
		err = list_ram(f, sink);
	if (!err && !sink->used && sink->full)
		err = -EINVAL; /* not even one entry fits */
	if (!err)
		f->pos = sink->pos;
	mutex_unlock(&f->pos_lock);
	return err ? err : (long)sink->used;
}

long sys_getdents64(long fd, long address, long count)
{
	struct dir_sink sink = { .size = MIN((unsigned int)count, LIST_MAX) };
	struct file *f = fd_get((int)fd);
	long n;

	if (!f)
		return -EBADF;
	sink.buf = kmalloc(sink.size + 8);
	if (!sink.buf)
		n = -ENOMEM;
	else
		n = f->ops == &directory_ops ? list_directory(f, &sink) : -ENOTDIR;
	if (n > 0 && copy_to_user((uint64_t)address, sink.buf, (size_t)n))
		n = -EFAULT;
	if (n > 0)
		inode_accessed(f->inode);
	kfree(sink.buf);
	file_put(f);
	return n;
}

static ssize_t directory_read(struct file *f __unused, struct io *io __unused, uint64_t pos __unused)
{
	return -EISDIR;
}

const struct file_ops directory_ops = { .read = directory_read, .seekable = true };
