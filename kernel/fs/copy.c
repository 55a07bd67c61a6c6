// SPDX-License-Identifier: MIT
/*
 * sendfile(2) and copy_file_range(2): bytes go from file to file through one page of kernel memory.
 * The locks of the two files (position, content) are never held together, so they have no order.
 */
#include "fs.h"

#include <kernel/process.h>

/*
 * Writes n bytes of buf; with an offset there, otherwise where the file stands. Bytes written (may be
 * fewer) or an error.
 */
static ssize_t put(struct file *out, const char *buf, size_t n, uint64_t *offset)
{
	struct iovec v;
	struct io io = io_kernel(&v, buf, n);
	uint64_t pos = offset ? *offset : 0;
	ssize_t done;

	if (offset || !out->ops->seekable) {
		done = out->ops->write(out, &io, &pos);
		if (done > 0 && offset)
			*offset += (uint64_t)done;
		return done;
	}
	mutex_lock(&out->pos_lock);
	pos = out->pos;
	done = out->ops->write(out, &io, &pos);
	if (done > 0)
		out->pos = pos + (uint64_t)done;
	mutex_unlock(&out->pos_lock);
	return done;
}

/* Copies up to count bytes; *from moves on by what was written. */
static ssize_t copy_bytes(struct file *in, uint64_t *from, struct file *out, uint64_t *to, size_t count)
{
	char *buf = kmalloc(PAGE_SIZE);
	size_t done = 0;
	ssize_t n = 0;

	if (!buf)
		return -ENOMEM;
	while (done < count) {
		ssize_t got = file_read_at(in, buf, MIN(count - done, PAGE_SIZE), *from);

		n = got > 0 ? put(out, buf, (size_t)got, to) : got;
		if (n <= 0)
			break;
		done += (size_t)n;
		*from += (uint64_t)n;
		if (n < got || process_fatal_pending())
			break;
	}
	kfree(buf);
	return done ? (ssize_t)done : n;
}

/* The source's own position, or one in user memory at `where`. */
static ssize_t copy_from_position(struct file *in, uint64_t where, struct file *out, uint64_t *to,
	size_t count)
{
	uint64_t from = 0;
	ssize_t n;

	if (where) {
		if (get_user_u64(&from, where))
			return -EFAULT;
		if ((int64_t)from < 0)
			return -EINVAL;
		n = copy_bytes(in, &from, out, to, count);
		return put_user_u64(where, from) ? -EFAULT : n;
	}
	mutex_lock(&in->pos_lock);
	from = in->pos;
	mutex_unlock(&in->pos_lock);
	n = copy_bytes(in, &from, out, to, count);
	mutex_lock(&in->pos_lock);
	in->pos = from;
	mutex_unlock(&in->pos_lock);
	return n;
}

static long check_ends(struct file *in, struct file *out)
{
	if (!in || !out || !(in->access & FILE_READ) || !(out->access & FILE_WRITE))
		return -EBADF;
	return 0;
}

static bool appends(struct file *f)
{
	/* Relaxed: a flag by itself. */
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_APPEND;
}

long sys_sendfile(long out_fd, long in_fd, long offset, long count)
{
	struct file *in = fd_get((int)in_fd), *out = fd_get((int)out_fd);
	long n = check_ends(in, out);

	if (!n && (!in->ops->read || !in->ops->seekable || in->ops == &directory_ops ||
			  !out->ops->write || appends(out)))
		n = -EINVAL;
	if (!n)
		n = copy_from_position(in, (uint64_t)offset, out, NULL, MIN((size_t)count, IO_MAX));
	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return n;
}

/* Both must be regular files; ranges of one file must not overlap. */
static long check_range(struct file *in, uint64_t in_where, struct file *out, uint64_t out_where,
	size_t count)
{
	uint64_t from = in->pos, to = out->pos;

	if (S_ISDIR(inode_mode(in->inode)) || S_ISDIR(inode_mode(out->inode)))
		return -EISDIR;
	if (in->ops != &regular_ops || out->ops != &regular_ops)
		return -EINVAL;
	if (appends(out))
		return -EBADF;
	if (in_where && get_user_u64(&from, in_where))
		return -EFAULT;
	if (out_where && get_user_u64(&to, out_where))
		return -EFAULT;
	if ((int64_t)to < 0 || (int64_t)from < 0)
		return -EINVAL;
	if (in->inode == out->inode && from < to + count && to < from + count)
		return -EINVAL;
	return 0;
}

long sys_copy_file_range(long in_fd, long in_where, long out_fd, long out_where, long count_arg,
	long flags)
{
	size_t count = MIN((size_t)count_arg, IO_MAX);
	struct file *in = fd_get((int)in_fd), *out = fd_get((int)out_fd);
	uint64_t to = 0;
	long n = check_ends(in, out);

	if (!n && (int)flags)
		n = -EINVAL;
	if (!n)
		n = check_range(in, (uint64_t)in_where, out, (uint64_t)out_where, count);
	if (!n && out_where && get_user_u64(&to, (uint64_t)out_where))
		n = -EFAULT;
	if (!n)
		n = copy_from_position(in, (uint64_t)in_where, out, out_where ? &to : NULL, count);
	if (n > 0 && out_where && put_user_u64((uint64_t)out_where, to))
		n = -EFAULT;
	if (in)
		file_put(in);
	if (out)
		file_put(out);
	return n;
}
