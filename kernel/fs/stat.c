// SPDX-License-Identifier: MIT
/*
 * What files are: stat(2), statx(2), access(2), readlink(2), statfs(2).
 */
#include "fs.h"

struct stat {
	uint64_t st_dev, st_ino, st_nlink;
	uint32_t st_mode, st_uid, st_gid, pad;
	uint64_t st_rdev;
	int64_t st_size, st_blksize, st_blocks;
	struct timespec st_atim, st_mtim, st_ctim;
	int64_t reserved[3];
};
_Static_assert(sizeof(struct stat) == 144, "struct stat of x86-64");

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

/* Relaxed in all of these: each is a figure by itself. */
#define peek(field) atomic_load_explicit(&(field), memory_order_relaxed)

static uint64_t inode_blocks(struct inode *inode)
{
	if (!S_ISREG(inode_mode(inode)) || !inode_is_ram(inode))
		return 0;
	return vmt_object_pages(inode->object) * (PAGE_SIZE / 512);
}

static void fill_stat(struct inode *inode, struct stat *st)
{
	*st = (struct stat){
		.st_dev = FS_DEV,
		.st_ino = inode->ino,
		.st_nlink = peek(inode->nlink),
		.st_mode = inode_mode(inode),
		.st_uid = peek(inode->uid),
		.st_gid = peek(inode->gid),
		.st_rdev = inode->rdev,
		.st_size = (int64_t)inode_size(inode),
		.st_blksize = PAGE_SIZE,
		.st_blocks = (int64_t)inode_blocks(inode),
		.st_atim = to_timespec(peek(inode->times.atime)),
		.st_mtim = to_timespec(peek(inode->times.mtime)),
		.st_ctim = to_timespec(peek(inode->times.ctime)),
	};
}

static long stat_to_user(struct inode *inode, uint64_t address)
{
	struct stat st;

	fill_stat(inode, &st);
	return copy_to_user(address, &st, sizeof(st));
}

/* Finds what the flags of newfstatat and statx mean. */
static int find(int dirfd, uint64_t path, int flags, struct dentry **d)
{
	unsigned int how = flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW;

	if (flags & AT_EMPTY_PATH)
		how |= LOOKUP_EMPTY;
	return path_lookup_user(dirfd, path, how, d);
}

long sys_newfstatat(long dirfd, long path, long address, long flags)
{
	struct dentry *d;
	long err;

	if ((int)flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	err = find((int)dirfd, (uint64_t)path, (int)flags, &d);
	if (err)
		return err;
	err = stat_to_user(d->inode, (uint64_t)address);
	dentry_put(d);
	return err;
}

long sys_stat(long path, long address)
{
	return sys_newfstatat(AT_FDCWD, path, address, 0);
}

long sys_lstat(long path, long address)
{
	return sys_newfstatat(AT_FDCWD, path, address, AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(long fd, long address)
{
	struct file *f = fd_get_any((int)fd);
	long err;

	if (!f)
		return -EBADF;
	err = stat_to_user(f->inode, (uint64_t)address);
	file_put(f);
	return err;
}

/* ---- statx ---- */

struct statx_timestamp {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad1;
	uint64_t ino, size, blocks, attributes_mask;
	struct statx_timestamp atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id;
	uint32_t dio_mem_align, dio_offset_align;
	uint64_t spare[12];
};
_Static_assert(sizeof(struct statx) == 256, "struct statx");

#define STATX_BASIC_STATS 0x7ffU
#define STATX_BTIME 0x800U
#define STATX_RESERVED 0x80000000U

static struct statx_timestamp to_statx(uint64_t ns)
{
	return (struct statx_timestamp){ (int64_t)(ns / NSEC_PER_SEC), (uint32_t)(ns % NSEC_PER_SEC),
		0 };
}

static long statx_to_user(struct inode *inode, uint64_t address)
{
	struct statx x = {
		.mask = STATX_BASIC_STATS | STATX_BTIME,
		.blksize = PAGE_SIZE,
		.nlink = peek(inode->nlink),
		.uid = peek(inode->uid),
		.gid = peek(inode->gid),
		.mode = (uint16_t)inode_mode(inode),
		.ino = inode->ino,
		.size = inode_size(inode),
		.blocks = inode_blocks(inode),
		.atime = to_statx(peek(inode->times.atime)),
		.btime = to_statx(inode->times.btime),
		.ctime = to_statx(peek(inode->times.ctime)),
		.mtime = to_statx(peek(inode->times.mtime)),
		.rdev_major = DEV_MAJOR(inode->rdev),
		.rdev_minor = DEV_MINOR(inode->rdev),
		.dev_major = DEV_MAJOR(FS_DEV),
		.dev_minor = DEV_MINOR(FS_DEV),
	};

	return copy_to_user(address, &x, sizeof(x));
}

long sys_statx(long dirfd, long path, long flags, long mask, long address)
{
	struct dentry *d;
	long err;

	if ((int)flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE) ||
		((int)flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
		(unsigned int)mask & STATX_RESERVED)
		return -EINVAL;
	err = find((int)dirfd, (uint64_t)path, (int)flags, &d);
	if (err)
		return err;
	err = statx_to_user(d->inode, (uint64_t)address);
	dentry_put(d);
	return err;
}

/* ---- access: root may read and write everything, and execute what has an execute bit ---- */

#define X_OK 1
#define RWX_OK 7

long sys_faccessat2(long dirfd, long path, long mode, long flags)
{
	struct dentry *d;
	unsigned int bits;
	long err;

	if ((int)flags & ~(AT_SYMLINK_NOFOLLOW | AT_EACCESS | AT_EMPTY_PATH) || (int)mode & ~RWX_OK)
		return -EINVAL;
	err = find((int)dirfd, (uint64_t)path, (int)flags, &d);
	if (err)
		return err;
	bits = inode_mode(d->inode);
	if ((int)mode & X_OK && !S_ISDIR(bits) && !(bits & 0111))
		err = -EACCES;
	dentry_put(d);
	return err;
}

long sys_faccessat(long dirfd, long path, long mode)
{
	return sys_faccessat2(dirfd, path, mode, 0);
}

long sys_access(long path, long mode)
{
	return sys_faccessat2(AT_FDCWD, path, mode, 0);
}

/* ---- readlink ---- */

static ssize_t link_text(struct inode *inode, char *buf)
{
	if (inode->ops->readlink)
		return inode->ops->readlink(inode, buf, PATH_MAX);
	return (ssize_t)strlcpy(buf, inode->target, PATH_MAX);
}

long sys_readlinkat(long dirfd, long path, long address, long size)
{
	struct dentry *d;
	char *buf;
	ssize_t n;
	int err;

	if ((int)size <= 0)
		return -EINVAL;
	err = path_lookup_user((int)dirfd, (uint64_t)path, LOOKUP_EMPTY, &d);
	if (err)
		return err;
	buf = kmalloc(PATH_MAX);
	if (!buf)
		n = -ENOMEM;
	else
		n = S_ISLNK(inode_mode(d->inode)) ? link_text(d->inode, buf) : -EINVAL;
	n = MIN(n, (ssize_t)(int)size);
	if (n > 0 && copy_to_user((uint64_t)address, buf, (size_t)n))
		n = -EFAULT;
	kfree(buf);
	dentry_put(d);
	return n;
}

long sys_readlink(long path, long address, long size)
{
	return sys_readlinkat(AT_FDCWD, path, address, size);
}

/* ---- statfs: one file system of RAM ---- */

struct statfs {
	int64_t f_type, f_bsize;
	uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	int32_t f_fsid[2];
	int64_t f_namelen, f_frsize, f_flags, f_spare[4];
};
_Static_assert(sizeof(struct statfs) == 120, "struct statfs");

#define TMPFS_MAGIC 0x01021994
#define PROC_MAGIC 0x9fa0

static long statfs_to_user(struct dentry *d, uint64_t address)
{
	bool proc = d->kind == DENTRY_VIRTUAL || d->inode->ops->lookup;
	struct statfs s = {
		.f_type = proc ? PROC_MAGIC : TMPFS_MAGIC, .f_bsize = PAGE_SIZE,
		.f_namelen = NAME_MAX, .f_frsize = PAGE_SIZE,
	};
	uint64_t free = frame_count_free();

	if (!proc) {
		s.f_blocks = frame_count_total();
		s.f_bfree = free > data_reserve() ? free - data_reserve() : 0;
		s.f_bavail = s.f_bfree;
	}
	return copy_to_user(address, &s, sizeof(s));
}

long sys_statfs(long path, long address)
{
	struct dentry *d;
	long err = path_lookup_user(AT_FDCWD, (uint64_t)path, LOOKUP_FOLLOW, &d);

	if (err)
		return err;
	err = statfs_to_user(d, (uint64_t)address);
	dentry_put(d);
	return err;
}

long sys_fstatfs(long fd, long address)
{
	struct file *f = fd_get_any((int)fd);
	long err;

	if (!f)
		return -EBADF;
	err = statfs_to_user(f->dentry, (uint64_t)address);
	file_put(f);
	return err;
}
