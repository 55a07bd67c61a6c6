// SPDX-License-Identifier: MIT
/*
 * Changing what stat shows: chmod(2), chown(2), utimensat(2) and their relatives. Everybody is root,
 * so all of it is allowed on RAM files; what /proc shows cannot be changed.
 */
#include "fs.h"

static long check_changeable(struct dentry *d)
{
	return d->kind == DENTRY_VIRTUAL ? -EPERM : 0;
}

static long change_mode(struct dentry *d, unsigned int mode)
{
	unsigned int old = inode_mode(d->inode);

	if (check_changeable(d))
		return -EPERM;
	if (S_ISLNK(old))
		return -EOPNOTSUPP;
	/* Relaxed: the type is the same for ever, the permissions are what the last one says. */
	atomic_store_explicit(&d->inode->mode, (old & S_IFMT) | (mode & 07777), memory_order_relaxed);
	inode_changed(d->inode);
	return 0;
}

static long change_owner(struct dentry *d, uint32_t uid, uint32_t gid)
{
	if (check_changeable(d))
		return -EPERM;
	if (uid != UINT32_MAX)
		atomic_store_explicit(&d->inode->uid, uid, memory_order_relaxed);
	if (gid != UINT32_MAX)
		atomic_store_explicit(&d->inode->gid, gid, memory_order_relaxed);
	/* A file that changes hands loses its set-id bits (chown(2)). */
	if (S_ISREG(inode_mode(d->inode)))
		atomic_fetch_and_explicit(&d->inode->mode, ~(unsigned int)(S_ISUID | S_ISGID),
			memory_order_relaxed);
	inode_changed(d->inode);
	return 0;
}

long sys_fchmodat(long dirfd, long path, long mode)
{
	struct dentry *d;
	long err = path_lookup_user((int)dirfd, (uint64_t)path, LOOKUP_FOLLOW, &d);

	if (err)
		return err;
	err = change_mode(d, (unsigned int)mode);
	dentry_put(d);
	return err;
}

long sys_chmod(long path, long mode)
{
	return sys_fchmodat(AT_FDCWD, path, mode);
}

long sys_fchmod(long fd, long mode)
{
	struct file *f = fd_get((int)fd);
	long err;

	if (!f)
		return -EBADF;
	err = change_mode(f->dentry, (unsigned int)mode);
	file_put(f);
	return err;
}

long sys_fchownat(long dirfd, long path, long uid, long gid, long flags)
{
	unsigned int how = (int)flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct dentry *d;
	long err;

	if ((int)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((int)flags & AT_EMPTY_PATH)
		how |= LOOKUP_EMPTY;
	err = path_lookup_user((int)dirfd, (uint64_t)path, how, &d);
	if (err)
		return err;
	err = change_owner(d, (uint32_t)uid, (uint32_t)gid);
	dentry_put(d);
	return err;
}

long sys_chown(long path, long uid, long gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

long sys_lchown(long path, long uid, long gid)
{
	return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

long sys_fchown(long fd, long uid, long gid)
{
	struct file *f = fd_get((int)fd);
	long err;

	if (!f)
		return -EBADF;
	err = change_owner(f->dentry, (uint32_t)uid, (uint32_t)gid);
	file_put(f);
	return err;
}

/* ---- Times ---- */

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* What one of the two times is to become; UINT64_MAX: stays. */
static int wanted_time(const struct timespec *t, uint64_t now, uint64_t *ns)
{
	if (t->tv_nsec == UTIME_NOW)
		*ns = now;
	else if (t->tv_nsec == UTIME_OMIT)
		*ns = UINT64_MAX;
	else if (t->tv_nsec < 0 || t->tv_nsec >= (int64_t)NSEC_PER_SEC)
		return -EINVAL;
	else /* times before 1970 and after 2554 are not kept */
		*ns = t->tv_sec < 0 ? 0 :
			(uint64_t)MIN(t->tv_sec, INT64_MAX / (int64_t)NSEC_PER_SEC) * NSEC_PER_SEC +
				(uint64_t)t->tv_nsec;
	return 0;
}

static long change_times(struct dentry *d, const struct timespec t[2])
{
	uint64_t atime, mtime, now = wall_ns();

	if (wanted_time(&t[0], now, &atime) || wanted_time(&t[1], now, &mtime))
		return -EINVAL;
	if (check_changeable(d))
		return -EPERM;
	if (atime != UINT64_MAX)
		atomic_store_explicit(&d->inode->times.atime, atime, memory_order_relaxed);
	if (mtime != UINT64_MAX)
		atomic_store_explicit(&d->inode->times.mtime, mtime, memory_order_relaxed);
	inode_changed(d->inode);
	return 0;
}

static long times_at(int dirfd, uint64_t path, const struct timespec t[2], int flags)
{
	unsigned int how = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;
	struct dentry *d;
	long err;

	if (flags & AT_EMPTY_PATH)
		how |= LOOKUP_EMPTY;
	err = path_lookup_user(dirfd, path, how, &d);
	if (err)
		return err;
	err = change_times(d, t);
	dentry_put(d);
	return err;
}

/* futimens(3) passes no path: the descriptor itself. */
static long times_of_fd(int fd, const struct timespec t[2])
{
	struct file *f = fd_get(fd);
	long err;

	if (!f)
		return -EBADF;
	err = change_times(f->dentry, t);
	file_put(f);
	return err;
}

long sys_utimensat(long dirfd, long path, long times, long flags)
{
	struct timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	if (times && copy_from_user(t, (uint64_t)times, sizeof(t)))
		return -EFAULT;
	if ((int)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!path && (int)dirfd != AT_FDCWD)
		return times_of_fd((int)dirfd, t);
	return times_at((int)dirfd, (uint64_t)path, t, (int)flags);
}

long sys_utimes(long path, long times)
{
	struct timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };

	if (times && copy_from_user(t, (uint64_t)times, sizeof(t)))
		return -EFAULT;
	for (int i = 0; i < 2 && times; i++) {
		if (t[i].tv_nsec < 0 || t[i].tv_nsec >= 1000000)
			return -EINVAL;
		t[i].tv_nsec *= 1000;
	}
	return times_at(AT_FDCWD, (uint64_t)path, t, 0);
}

long sys_utime(long path, long times)
{
	struct timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	int64_t seconds[2];

	if (times) {
		if (copy_from_user(seconds, (uint64_t)times, sizeof(seconds)))
			return -EFAULT;
		t[0] = (struct timespec){ seconds[0], 0 };
		t[1] = (struct timespec){ seconds[1], 0 };
	}
	return times_at(AT_FDCWD, (uint64_t)path, t, 0);
}
