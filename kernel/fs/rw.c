// SPDX-License-Identifier: MIT
/*
 * read(2), write(2) and their relatives, lseek(2), truncate(2), fallocate(2).
 */
#include "fs.h"

#include <kernel/process.h>

/* Does one read or write at pos (seekable) or wherever the file stands. */
static ssize_t transfer(struct file *f, struct io *io, uint64_t *pos, bool write)
{
	if (!(f->access & (write ? FILE_WRITE : FILE_READ)))
		return -EBADF;
	if (write ? !f->ops->write : !f->ops->read)
		return -EINVAL;
	if (io->outside)
		return -EFAULT;
	return write ? f->ops->write(f, io, pos) : f->ops->read(f, io, *pos);
}

static ssize_t transfer_at_position(struct file *f, struct io *io, bool write)
{
	uint64_t pos = 0;
	ssize_t n;

	if (!f->ops->seekable)
		return transfer(f, io, &pos, write);
	mutex_lock(&f->pos_lock);
	pos = f->pos;
	n = transfer(f, io, &pos, write);
	if (n > 0)
		f->pos = pos + (uint64_t)n;
	mutex_unlock(&f->pos_lock);
	return n;
}

static ssize_t transfer_at_offset(struct file *f, struct io *io, int64_t offset, bool write)
{
	uint64_t pos = (uint64_t)offset;

	if (offset < 0)
		return -EINVAL;
	if (!f->ops->seekable)
		return -ESPIPE;
	return transfer(f, io, &pos, write);
}

static ssize_t transfer_fd(int fd, struct io *io, const int64_t *offset, bool write)
{
	struct file *f = fd_get(fd);
	ssize_t n;

	if (!f)
		return -EBADF;
	if (offset)
		n = transfer_at_offset(f, io, *offset, write);
	else
		n = transfer_at_position(f, io, write);
	file_put(f);
	return n;
}

static ssize_t transfer_buffer(long fd, long buf, long count, const int64_t *offset, bool write)
{
	struct iovec v = { (uint64_t)buf, (uint64_t)count };
	struct io io = { .vec = &v, .outside = !user_range_ok(v.base, v.len) };

	v.len = MIN(v.len, IO_MAX);
	io.left = v.len;
	return transfer_fd((int)fd, &io, offset, write);
}

long sys_read(long fd, long buf, long count)
{
	return transfer_buffer(fd, buf, count, NULL, false);
}

long sys_write(long fd, long buf, long count)
{
	return transfer_buffer(fd, buf, count, NULL, true);
}

long sys_pread64(long fd, long buf, long count, long offset)
{
	return transfer_buffer(fd, buf, count, &offset, false);
}

long sys_pwrite64(long fd, long buf, long count, long offset)
{
	return transfer_buffer(fd, buf, count, &offset, true);
}

/* Copies the vector in and adds it up; what is more than one call may move is cut off. */
static int vector_from_user(struct iovec *vec, uint64_t address, unsigned int count, size_t *total)
{
	*total = 0;
	if (copy_from_user(vec, address, count * sizeof(*vec)))
		return -EFAULT;
	for (unsigned int i = 0; i < count; i++)
		if (vec[i].len > INT64_MAX)
			return -EINVAL;
	for (unsigned int i = 0; i < count; i++) {
		if (!user_range_ok(vec[i].base, vec[i].len))
			return -EFAULT;
		vec[i].len = MIN(vec[i].len, IO_MAX - *total);
		*total += vec[i].len;
	}
	return 0;
}

static long transfer_vector(long fd, long vec, long count, const int64_t *offset, bool write)
{
	struct iovec few[8], *v = few;
	struct io io = { 0 };
	long n;

	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	if ((size_t)count > ARRAY_SIZE(few))
		v = kmalloc((size_t)count * sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = vector_from_user(v, (uint64_t)vec, (unsigned int)count, &io.left);
	io.vec = v;
	if (!n)
		n = transfer_fd((int)fd, &io, offset, write);
	if (v != few)
		kfree(v);
	return n;
}

long sys_readv(long fd, long vec, long count)
{
	return transfer_vector(fd, vec, count, NULL, false);
}

long sys_writev(long fd, long vec, long count)
{
	return transfer_vector(fd, vec, count, NULL, true);
}

long sys_preadv(long fd, long vec, long count, long low, long high __unused)
{
	return transfer_vector(fd, vec, count, &low, false);
}

long sys_pwritev(long fd, long vec, long count, long low, long high __unused)
{
	return transfer_vector(fd, vec, count, &low, true);
}

/* ---- Positions ---- */

/* Where whence and offset lead to; a file is all data up to its end, where its one hole begins. */
static int64_t seek_target(struct file *f, int64_t offset, int whence)
{
	uint64_t size = inode_size(f->inode), base = 0;
	int64_t target;

	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		base = size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (offset < 0 || (uint64_t)offset >= size)
			return -ENXIO;
		return whence == SEEK_DATA ? offset : (int64_t)size;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow((int64_t)base, offset, &target))
		return -EOVERFLOW;
	return target < 0 ? -EINVAL : target;
}

long sys_lseek(long fd, long offset, long whence)
{
	struct file *f = fd_get((int)fd);
	int64_t target;

	if (!f)
		return -EBADF;
	if (!f->ops->seekable) {
		file_put(f);
		return -ESPIPE;
	}
	mutex_lock(&f->pos_lock);
	target = seek_target(f, offset, (int)whence);
	if (target >= 0)
		f->pos = (uint64_t)target;
	mutex_unlock(&f->pos_lock);
	file_put(f);
	return target;
}

/* ---- Sizes ---- */

static long set_size(struct inode *inode, int64_t size)
{
	long err = 0;

	if (size < 0)
		return -EINVAL;
	mutex_lock(&inode->lock);
	if ((uint64_t)size > inode_size(inode)) {
		err = data_limit((uint64_t)size - 1, 1);
		err = err < 0 ? err : 0;
	}
	if (!err)
		data_set_size(inode, (uint64_t)size);
	mutex_unlock(&inode->lock);
	return err;
}

long sys_ftruncate(long fd, long size)
{
	struct file *f;
	long err;

	if (size < 0)
		return -EINVAL;
	f = fd_get((int)fd);
	if (!f)
		return -EBADF;
	if (!(f->access & FILE_WRITE) || f->ops != &regular_ops)
		err = -EINVAL;
	else
		err = set_size(f->inode, size);
	file_put(f);
	return err;
}

long sys_truncate(long path, long size)
{
	struct dentry *d;
	long err = path_lookup_user(AT_FDCWD, (uint64_t)path, LOOKUP_FOLLOW, &d);

	if (err)
		return err;
	if (S_ISDIR(inode_mode(d->inode)))
		err = -EISDIR;
	else if (!S_ISREG(inode_mode(d->inode)) || !inode_is_ram(d->inode))
		err = -EINVAL;
	else
		err = inode_begin_write(d->inode);
	if (!err) {
		err = set_size(d->inode, size);
		inode_end_write(d->inode);
	}
	dentry_put(d);
	return err;
}

#define FALLOC_KEEP_SIZE 1

static long allocate(struct inode *inode, uint64_t pos, uint64_t len, bool keep_size)
{
	long err;

	mutex_lock(&inode->lock);
	err = data_limit(pos + len - 1, 1);
	err = err < 0 ? err : data_allocate(inode, pos, len);
	if (!err && !keep_size && pos + len > inode_size(inode))
		data_set_size(inode, pos + len);
	mutex_unlock(&inode->lock);
	return err;
}

long sys_fallocate(long fd, long mode, long pos, long len)
{
	struct file *f;
	int64_t end;
	long err;

	if ((int)mode & ~FALLOC_KEEP_SIZE)
		return -EOPNOTSUPP;
	if (pos < 0 || len <= 0)
		return -EINVAL;
	if (__builtin_add_overflow(pos, len, &end))
		return -EFBIG;
	f = fd_get((int)fd);
	if (!f)
		return -EBADF;
	if (!(f->access & FILE_WRITE))
		err = -EBADF;
	else if (S_ISFIFO(inode_mode(f->inode)))
		err = -ESPIPE;
	else if (f->ops != &regular_ops)
		err = -ENODEV;
	else
		err = allocate(f->inode, (uint64_t)pos, (uint64_t)len, (int)mode & FALLOC_KEEP_SIZE);
	file_put(f);
	return err;
}

/* ---- Nothing is ever anywhere but in memory, where it is at once ---- */

long sys_fsync(long fd)
{
	struct file *f = fd_get((int)fd);
	long err = 0;

	if (!f)
		return -EBADF;
	if (f->ops != &regular_ops && f->ops != &directory_ops)
		err = -EINVAL;
	file_put(f);
	return err;
}

long sys_fdatasync(long fd)
{
	return sys_fsync(fd);
}

long sys_sync(void)
{
	return 0;
}

long sys_fadvise64(long fd, long offset __unused, long len, long advice)
{
	struct file *f = fd_get((int)fd);
	long err = 0;

	if (!f)
		return -EBADF;
	if (S_ISFIFO(inode_mode(f->inode)))
		err = -ESPIPE;
	else if (len < 0 || (int)advice < 0 || (int)advice > 5)
		err = -EINVAL;
	file_put(f);
	return err;
}
