// SPDX-License-Identifier: MIT
/*
 * Content of regular files. The pages are those of the inode's object, which mappings show as well.
 *
 * A page is held by a reference while it is copied; no lock but the inode's mutex (writers) is held
 * over user memory, and page faults never take that. So the user's buffer may be a mapping of the
 * same file. Readers take no lock: a read beside a write sees each byte old or new.
 */
#include "fs.h"

#include <kernel/mm.h>
#include <kernel/process.h>

uint64_t data_reserve(void)
{
	return MAX(frame_count_total() / 32, 64UL);
}

/* The page at index, with a reference; a missing one is made only while memory is not scarce. */
static int page_for_write(struct inode *inode, uint64_t index, uint64_t *pa)
{
	enum vmt_status status = vmt_object_page(inode->object, index, false, pa);

	if (status == VMT_ERR_NOT_PRESENT) {
		if (frame_count_free() < data_reserve())
			return -ENOSPC;
		status = vmt_object_page(inode->object, index, true, pa);
	}
	if (status == VMT_OK)
		return 0;
	return status == VMT_ERR_NO_MEMORY ? -ENOSPC : -EIO;
}

ssize_t data_read(struct inode *inode, struct io *io, uint64_t pos)
{
	uint64_t size = vmt_object_size(inode->object);
	size_t done = 0;

	while (io->left && pos < size) {
		size_t at = pos & (PAGE_SIZE - 1), moved;
		size_t n = MIN(PAGE_SIZE - at, io->left);
		uint64_t pa;
		enum vmt_status s = vmt_object_page(inode->object, pos >> PAGE_SHIFT, false, &pa);

		n = MIN(n, size - pos);
		if (s == VMT_OK) {
			moved = io_to(io, (char *)phys_to_virt(pa) + at, n);
			vmt_page_put(the_vmt, pa);
		} else if (s == VMT_ERR_NOT_PRESENT) {
			moved = io_zero(io, n);
		} else {
			return done ? (ssize_t)done : -EIO;
		}
		done += moved;
		pos += moved;
		if (moved < n)
			return done ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

/*
 * One page's part of a write. A copy that was cut short may have left bytes behind the end of the
 * file, which must read as zero should the file grow.
 */
static ssize_t write_piece(struct inode *inode, struct io *io, uint64_t pos, size_t n)
{
	size_t at = pos & (PAGE_SIZE - 1), moved;
	uint64_t size = vmt_object_size(inode->object), pa;
	int err = page_for_write(inode, pos >> PAGE_SHIFT, &pa);
	char *page;

	if (err)
		return err;
	page = phys_to_virt(pa);
	moved = io_from(io, page + at, n);
	if (moved < n && pos + n > size) {
		size_t keep = size > pos + moved ? size - pos : moved;

		memset(page + at + keep, 0, n - keep);
	}
	vmt_page_put(the_vmt, pa);
	if (moved && pos + moved > size)
		vmt_object_set_size(inode->object, pos + moved);
	return moved ? (ssize_t)moved : -EFAULT;
}

ssize_t data_write(struct inode *inode, struct io *io, uint64_t pos)
{
	size_t done = 0;

	while (io->left) {
		size_t n = MIN(PAGE_SIZE - (pos & (PAGE_SIZE - 1)), io->left);
		ssize_t moved = write_piece(inode, io, pos, n);

		if (moved < 0) {
			if (!done)
				return moved;
			break;
		}
		done += (size_t)moved;
		pos += (size_t)moved;
		if ((size_t)moved < n)
			break;
	}
	if (done)
		inode_modified(inode);
	return (ssize_t)done;
}

int data_fill(struct inode *inode, const void *data, size_t size)
{
	struct iovec v;
	struct io io = io_kernel(&v, data, size);
	ssize_t n = 0;

	mutex_lock(&inode->lock);
	if (size)
		n = data_write(inode, &io, 0);
	mutex_unlock(&inode->lock);
	if (n < 0)
		return (int)n;
	return (size_t)n == size ? 0 : -ENOSPC;
}

void data_set_size(struct inode *inode, uint64_t size)
{
	bool shrinks = size < vmt_object_size(inode->object);

	vmt_object_set_size(inode->object, size);
	/* Full order, here and in file_map_object: we see the mark, or faults see the new size. */
	atomic_thread_fence(memory_order_seq_cst);
	if (shrinks && atomic_load_explicit(&inode->mapped, memory_order_relaxed))
		mm_object_cut(inode->object, size);
	inode_modified(inode);
}

int data_allocate(struct inode *inode, uint64_t pos, uint64_t len)
{
	uint64_t last = (pos + len - 1) >> PAGE_SHIFT;

	for (uint64_t i = pos >> PAGE_SHIFT; i <= last; i++) {
		uint64_t pa;
		int err = page_for_write(inode, i, &pa);

		if (err)
			return err;
		vmt_page_put(the_vmt, pa);
		if (process_fatal_pending())
			return -EINTR;
	}
	return 0;
}

ssize_t data_limit(uint64_t pos, uint64_t n)
{
	uint64_t limit = MIN(process_rlimit(RLIMIT_FSIZE), (uint64_t)FILE_SIZE_MAX);

	if (n == 0)
		return 0;
	if (pos >= limit) {
		if (limit != (uint64_t)FILE_SIZE_MAX)
			signal_send_self(SIGXFSZ);
		return -EFBIG;
	}
	return (ssize_t)MIN(n, limit - pos);
}

static ssize_t regular_read(struct file *f, struct io *io, uint64_t pos)
{
	ssize_t n = data_read(f->inode, io, pos);

	if (n > 0 && !(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NOATIME))
		inode_accessed(f->inode);
	return n;
}

static ssize_t regular_write(struct file *f, struct io *io, uint64_t *pos)
{
	struct inode *inode = f->inode;
	ssize_t n;

	mutex_lock(&inode->lock);
	if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_APPEND)
		*pos = vmt_object_size(inode->object);
	n = data_limit(*pos, io->left);
	if (n > 0) {
		io->left = (size_t)n;
		n = data_write(inode, io, *pos);
	}
	mutex_unlock(&inode->lock);
	return n;
}

const struct file_ops regular_ops = {
	.read = regular_read,
	.write = regular_write,
	.seekable = true,
};

ssize_t file_read_at(struct file *f, void *buf, size_t n, uint64_t offset)
{
	size_t done = 0;

	if (!f->ops->read)
		return -EINVAL;
	while (done < n) {
		struct iovec v;
		struct io io = io_kernel(&v, (char *)buf + done, n - done);
		ssize_t got = f->ops->read(f, &io, offset + done);

		if (got < 0)
			return done ? (ssize_t)done : got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

uint64_t file_map_limit(struct file *f)
{
	return f->ops == &regular_ops ? (uint64_t)INT64_MAX : UINT64_MAX;
}

int file_map_object(struct file *f, unsigned int prot, bool shared, unsigned int *prot_max,
	struct vmt_object **object)
{
	*prot_max = VMT_RWX;
	if (!(f->access & FILE_READ))
		return -EACCES;
	if (shared && !(f->access & FILE_WRITE)) {
		if (prot & VMT_WRITE)
			return -EACCES;
		*prot_max = VMT_READ | VMT_EXEC;
	}
	if (S_ISCHR(inode_mode(f->inode)) && f->inode->rdev == DEV_ZERO) {
		*object = NULL;
		return 0;
	}
	if (f->ops != &regular_ops)
		return -ENODEV;
	/* Full order with the later look at the size in a fault; pairs with data_set_size. */
	atomic_store_explicit(&f->inode->mapped, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	vmt_object_get(f->inode->object);
	*object = f->inode->object;
	return 0;
}
