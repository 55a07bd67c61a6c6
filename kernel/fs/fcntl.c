// SPDX-License-Identifier: MIT
/*
 * fcntl(2), ioctl(2) as far as it means any file, umask, chdir, getcwd: small state of descriptors and
 * processes.
 */
#include "fs.h"

#include <kernel/process.h>

enum {
	F_DUPFD = 0, F_GETFD = 1, F_SETFD = 2, F_GETFL = 3, F_SETFL = 4,
	F_DUPFD_CLOEXEC = 1030, F_SETPIPE_SZ = 1031, F_GETPIPE_SZ = 1032,
};

#define FD_CLOEXEC 1
#define FL_CHANGEABLE (O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT)

static long set_flags(struct file *f, unsigned int flags)
{
	unsigned int old = atomic_load_explicit(&f->flags, memory_order_relaxed), new;

	if (flags & O_ASYNC)
		return -EINVAL; /* no signals about input */
	do {
		new = (old & ~(unsigned int)FL_CHANGEABLE) | (flags & FL_CHANGEABLE);
		/* Relaxed: flags order nothing. */
	} while (!atomic_compare_exchange_weak_explicit(&f->flags, &old, new, memory_order_relaxed,
		memory_order_relaxed));
	return 0;
}

static long fcntl_file(struct file *f, unsigned int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_GETFL:
		return (long)atomic_load_explicit(&f->flags, memory_order_relaxed);
	case F_SETFL:
		return set_flags(f, (unsigned int)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return lock_fcntl(f, cmd, arg);
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		return pipe_fcntl_size(f, cmd == F_SETPIPE_SZ, arg);
	default:
		return -EINVAL;
	}
}

long sys_fcntl(long fd_arg, long cmd_arg, long arg)
{
	unsigned int cmd = (unsigned int)cmd_arg;
	int fd = (int)fd_arg;
	struct file *f;
	long result;

	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return fd_dup(fd, (int)arg, cmd == F_DUPFD_CLOEXEC);
	if (cmd == F_SETFD)
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	f = cmd == F_GETFD || cmd == F_GETFL ? fd_get_any(fd) : fd_get(fd);
	if (!f)
		return -EBADF;
	if (cmd == F_GETFD)
		result = files_cloexec(current_files(), fd) ? FD_CLOEXEC : 0;
	else
		result = fcntl_file(f, cmd, (uint64_t)arg);
	file_put(f);
	return result;
}

enum { FIONREAD = 0x541b, FIONBIO = 0x5421, FIONCLEX = 0x5450, FIOCLEX = 0x5451 };

static long ioctl_any(int fd, struct file *f, unsigned int request, uint64_t arg)
{
	uint64_t left;
	uint32_t on;

	switch (request) {
	case FIOCLEX:
	case FIONCLEX:
		return fd_set_cloexec(fd, request == FIOCLEX);
	case FIONBIO:
		if (get_user_u32(&on, arg))
			return -EFAULT;
		if (on)
			atomic_fetch_or_explicit(&f->flags, O_NONBLOCK, memory_order_relaxed);
		else
			atomic_fetch_and_explicit(&f->flags, ~(unsigned int)O_NONBLOCK,
				memory_order_relaxed);
		return 0;
	case FIONREAD:
		if (f->ops != &regular_ops)
			break;
		left = inode_size(f->inode) - f->pos;
		return put_user_u32(arg, (uint32_t)left);
	default:
		break;
	}
	return f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
}

long sys_ioctl(long fd, long request, long arg)
{
	struct file *f = fd_get((int)fd);
	long result;

	if (!f)
		return -EBADF;
	result = ioctl_any((int)fd, f, (unsigned int)request, (uint64_t)arg);
	file_put(f);
	return result;
}

/* ---- Working directory and umask ---- */

struct fs_state {
	atomic_uint refs;
	struct spinlock lock; /* guards cwd */
	struct dentry *cwd;
	atomic_uint umask;
};

static struct fs_state *fs_alloc(struct dentry *cwd, unsigned int mask)
{
	struct fs_state *fs = kzalloc(sizeof(*fs));

	if (!fs)
		return NULL;
	atomic_init(&fs->refs, 1);
	spin_init(&fs->lock);
	fs->cwd = cwd;
	atomic_init(&fs->umask, mask);
	return fs;
}

static struct dentry *cwd_get(struct fs_state *fs)
{
	struct dentry *d;

	spin_lock(&fs->lock);
	d = fs->cwd;
	dentry_get(d);
	spin_unlock(&fs->lock);
	return d;
}

struct fs_state *fs_create(void)
{
	struct fs_state *fs = fs_alloc(fs_root, 022);

	if (fs)
		dentry_get(fs_root);
	return fs;
}

struct fs_state *fs_copy(struct fs_state *from)
{
	struct dentry *cwd = cwd_get(from);
	struct fs_state *fs = fs_alloc(cwd, atomic_load_explicit(&from->umask, memory_order_relaxed));

	if (!fs)
		dentry_put(cwd);
	return fs;
}

struct fs_state *fs_get(struct fs_state *fs)
{
	/* Relaxed: the caller has a reference. */
	atomic_fetch_add_explicit(&fs->refs, 1, memory_order_relaxed);
	return fs;
}

void fs_put(struct fs_state *fs)
{
	/* Release: our use is before the freeing; acquire: the freeing is after the others' use. */
	if (atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
		return;
	dentry_put(fs->cwd);
	kfree(fs);
}

/* In a kernel thread, while the tree is built, paths start at the root. */
struct dentry *fs_cwd(void)
{
	if (current_process())
		return cwd_get(current_fs());
	dentry_get(fs_root);
	return fs_root;
}

struct dentry *fs_state_cwd(struct fs_state *fs)
{
	return cwd_get(fs);
}

uint32_t fs_umask(void)
{
	/* Relaxed: a number by itself. */
	return current_process() ?
		       atomic_load_explicit(&current_fs()->umask, memory_order_relaxed) :
		       0;
}

unsigned int fs_state_umask(struct fs_state *fs)
{
	return atomic_load_explicit(&fs->umask, memory_order_relaxed);
}

/* Takes over the reference on d. */
static void set_cwd(struct fs_state *fs, struct dentry *d)
{
	struct dentry *old;

	spin_lock(&fs->lock);
	old = fs->cwd;
	fs->cwd = d;
	spin_unlock(&fs->lock);
	dentry_put(old);
}

int fs_set_cwd(struct fs_state *fs, const char *path)
{
	struct dentry *d;
	int err = path_lookup(AT_FDCWD, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &d);

	if (!err)
		set_cwd(fs, d);
	return err;
}

long sys_chdir(long path)
{
	struct dentry *d;
	int err = path_lookup_user(AT_FDCWD, (uint64_t)path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &d);

	if (!err)
		set_cwd(current_fs(), d);
	return err;
}

long sys_fchdir(long fd)
{
	struct file *f = fd_get_any((int)fd);
	long err = 0;

	if (!f)
		return -EBADF;
	if (!S_ISDIR(inode_mode(f->inode))) {
		err = -ENOTDIR;
	} else {
		dentry_get(f->dentry);
		set_cwd(current_fs(), f->dentry);
	}
	file_put(f);
	return err;
}

long sys_getcwd(long address, long size)
{
	struct dentry *d = fs_cwd();
	char *buf = kmalloc(PATH_MAX);
	ssize_t len;

	if (!buf)
		len = -ENOMEM;
	else if (!dentry_is_linked(d))
		len = -ENOENT;
	else
		len = dentry_path(d, buf, PATH_MAX);
	if (len >= 0 && len + 1 > size)
		len = -ERANGE;
	if (len >= 0)
		len = copy_to_user((uint64_t)address, buf, (size_t)len + 1) ? -EFAULT : len + 1;
	kfree(buf);
	dentry_put(d);
	return len;
}

long sys_umask(long mask)
{
	/* Relaxed: a number by itself. */
	return atomic_exchange_explicit(&current_fs()->umask, (unsigned int)mask & 0777,
		memory_order_relaxed);
}
