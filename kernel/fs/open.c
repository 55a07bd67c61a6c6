// SPDX-License-Identifier: MIT
/*
 * Open file descriptions: making them, open(2) and its relatives, the last close.
 */
#include "fs.h"

/* What O_PATH gives: a place in the tree and nothing to do with it. */
static const struct file_ops path_ops;

void file_get(struct file *f)
{
	/* Relaxed: the caller has a reference, or the table's lock. */
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

void file_put(struct file *f)
{
	/* Release: our use is before the freeing; acquire: the freeing is after the others' use. */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	locks_release_owner(f->inode, f);
	if (f->ops->release)
		f->ops->release(f);
	if (f->access & FILE_WRITE)
		inode_end_write(f->inode);
	if (f->access & FILE_EXEC)
		inode_end_exec(f->inode);
	dentry_put(f->dentry);
	kfree(f);
}

static unsigned int access_of(int flags)
{
	if (flags & O_PATH)
		return 0;
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return FILE_READ;
	case O_WRONLY:
		return FILE_WRITE;
	default:
		return FILE_READ | FILE_WRITE;
	}
}

/* Chooses the operations by type. */
static int open_by_type(struct inode *inode, struct file *f)
{
	switch (inode_mode(inode) & S_IFMT) {
	case S_IFDIR:
		f->ops = &directory_ops;
		return f->access & FILE_WRITE ? -EISDIR : 0;
	case S_IFLNK:
		return -ELOOP;
	case S_IFREG:
		if (inode->ops->open)
			return inode->ops->open(inode, f);
		f->ops = &regular_ops;
		dentry_set_alias(f->dentry);
		return 0;
	case S_IFIFO:
		return inode->ops->open ? inode->ops->open(inode, f) : pipe_open(inode, f);
	default:
		return inode->ops->open ? inode->ops->open(inode, f) : -ENXIO;
	}
}

static struct file *file_alloc(struct dentry *d, int flags)
{
	struct file *f = kzalloc(sizeof(*f));

	if (!f)
		return NULL;
	atomic_init(&f->refs, 1);
	atomic_init(&f->flags, (unsigned int)(flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)));
	f->access = access_of(flags);
	f->dentry = d;
	f->inode = d->inode;
	f->ops = &path_ops;
	mutex_init(&f->pos_lock);
	dentry_get(d);
	return f;
}

int file_create(struct dentry *d, int flags, struct file **file)
{
	struct file *f;
	int err = 0;

	f = file_alloc(d, flags);
	if (!f)
		return -ENOMEM;
	if (f->access & FILE_WRITE)
		err = inode_begin_write(d->inode);
	if (!err && !(flags & O_PATH)) {
		err = open_by_type(d->inode, f);
		if (err && f->access & FILE_WRITE)
			inode_end_write(d->inode);
	}
	if (err) {
		dentry_put(d);
		kfree(f);
		return err;
	}
	*file = f;
	return 0;
}

int file_create_anon(struct inode *inode, const char *name, int flags, struct file **file)
{
	struct dentry *d = dentry_create(DENTRY_ANON, name, strlen(name), NULL, inode);
	int err = d ? file_create(d, flags, file) : -ENOMEM;

	if (d)
		dentry_put(d);
	inode_put(inode);
	return err;
}

/* The rest of an open that has found its file. */
static int open_found(struct dentry *d, int flags, bool created, struct file **file)
{
	unsigned int mode = inode_mode(d->inode);
	int err;

	if ((flags & O_CREAT) && S_ISDIR(mode))
		return -EISDIR;
	if ((flags & O_DIRECTORY) && !S_ISDIR(mode))
		return -ENOTDIR;
	err = file_create(d, flags, file);
	if (err || created || !(flags & O_TRUNC) || (*file)->ops != &regular_ops)
		return err;
	err = inode_begin_write(d->inode);
	if (err) {
		file_put(*file);
		return err;
	}
	mutex_lock(&d->inode->lock);
	data_set_size(d->inode, 0);
	mutex_unlock(&d->inode->lock);
	inode_end_write(d->inode);
	return 0;
}

/* The last component is not there. */
static int open_create(struct walk *w, int flags, unsigned int mode, struct dentry **d)
{
	if (!(flags & O_CREAT))
		return -ENOENT;
	if (w->trailing)
		return -EISDIR;
	return create_at(w, S_IFREG | (mode & 07777 & ~fs_umask()), 0, d);
}

/*
 * Looks at the last component and opens or creates it. 1: it was a symbolic link, the walk now stands
 * before what it names.
 */
static int open_last(struct walk *w, int flags, unsigned int mode, struct file **file)
{
	struct dentry *d = NULL, *target;
	bool created = false;
	int err = walk_last(w, &d);

	if (err == -ENOENT && walk_last_is_name(w)) {
		err = open_create(w, flags, mode, &d);
		created = !err;
		if (err == -EEXIST && !(flags & O_EXCL))
			return 1; /* somebody was faster: look again */
	} else if (!err && (flags & O_CREAT) && (flags & O_EXCL)) {
		err = -EEXIST;
	} else if (!err && S_ISLNK(inode_mode(d->inode)) &&
		   (!(flags & O_NOFOLLOW) || w->trailing)) {
		err = walk_link(w, d, &target);
		dentry_put(d);
		d = target;
		if (!err && !target)
			return 1;
	}
	if (!err && w->trailing && !S_ISDIR(inode_mode(d->inode)))
		err = -ENOTDIR;
	if (!err)
		err = open_found(d, flags, created, file);
	if (d)
		dentry_put(d);
	return err;
}

int file_open(int dirfd, const char *path, int flags, unsigned int mode, struct file **file)
{
	struct walk w;
	int err;

	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	else
		flags |= O_LARGEFILE; /* no 64-bit program is without it */
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return -EOPNOTSUPP;
	if ((flags & O_CREAT) && (flags & O_DIRECTORY))
		return -EINVAL;
	err = walk_begin(&w, dirfd, path, false);
	if (!err)
		err = walk_parent(&w);
	if (!err) {
		do
			err = open_last(&w, flags, mode, file);
		while (err == 1);
	}
	walk_end(&w);
	return err;
}

int file_open_exec(int dirfd, const char *path, unsigned int lookup_flags, struct file **file)
{
	struct dentry *d;
	unsigned int mode;
	int err = path_lookup(dirfd, path, lookup_flags, &d);

	if (err)
		return err;
	mode = inode_mode(d->inode);
	if (S_ISLNK(mode))
		err = -ELOOP;
	else if (!S_ISREG(mode) || !inode_is_ram(d->inode) || !(mode & 0111))
		err = -EACCES;
	if (!err)
		err = inode_begin_exec(d->inode);
	if (!err) {
		err = file_create(d, O_RDONLY, file);
		if (err)
			inode_end_exec(d->inode);
		else
			(*file)->access |= FILE_EXEC;
	}
	dentry_put(d);
	return err;
}

/* ---- System calls ---- */

long sys_openat(long dirfd, long path, long flags, long mode)
{
	struct file *f;
	char *text;
	int fd, err = path_from_user((uint64_t)path, &text);

	if (err)
		return err;
	err = file_open((int)dirfd, text, (int)flags, (unsigned int)mode, &f);
	kfree(text);
	if (err)
		return err;
	fd = fd_install(f, 0, (int)flags & O_CLOEXEC);
	if (fd < 0)
		file_put(f);
	return fd;
}

long sys_open(long path, long flags, long mode)
{
	return sys_openat(AT_FDCWD, path, flags, mode);
}

long sys_creat(long path, long mode)
{
	return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* Sealing is not offered: MFD_ALLOW_SEALING is an invalid flag here. */
#define MFD_CLOEXEC 1
#define MEMFD_NAME_MAX 249

long sys_memfd_create(long name, long flags)
{
	char text[MEMFD_NAME_MAX + 10] = "/memfd:";
	struct inode *inode;
	struct file *f;
	ssize_t len;
	int err;

	if ((unsigned int)flags & ~(unsigned int)MFD_CLOEXEC)
		return -EINVAL;
	len = strncpy_from_user(text + 7, (uint64_t)name, MEMFD_NAME_MAX + 1);
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	err = inode_create_ram(S_IFREG | 0777, &inode);
	if (!err)
		err = file_create_anon(inode, text, O_RDWR | O_LARGEFILE, &f);
	if (err)
		return err;
	err = fd_install(f, 0, (unsigned int)flags & MFD_CLOEXEC);
	if (err < 0)
		file_put(f);
	return err;
}
