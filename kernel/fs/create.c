// SPDX-License-Identifier: MIT
/*
 * Making names: files, directories, links. A new inode is complete before its name appears.
 */
#include "fs.h"

/* May a name be made here? */
static int walk_check_new(const struct walk *w, bool directory)
{
	if (!walk_last_is_name(w))
		return -EEXIST;
	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	if (w->trailing && !directory)
		return -ENOENT;
	if (!S_ISDIR(inode_mode(w->at->inode)))
		return -ENOTDIR;
	return w->at->inode->ops->lookup ? -EACCES : 0;
}

/* Gives the inode the walk's last name. The name counts as a link. */
static int name_inode(struct walk *w, struct inode *inode, struct dentry **made)
{
	struct inode *dir = w->at->inode;
	bool directory = S_ISDIR(inode_mode(inode));
	struct dentry *there, *d;
	int err;

	d = dentry_create(DENTRY_TREE, w->last, w->last_len, w->at, inode);
	if (!d)
		return -ENOMEM;
	mutex_lock(&dir->lock);
	there = dir_find(dir, w->last, w->last_len);
	err = there ? -EEXIST : dir_insert(dir, d);
	if (!err) {
		/* Relaxed: counts for stat; dir->lock orders those who decide by them. */
		atomic_fetch_add_explicit(&inode->nlink, 1, memory_order_relaxed);
		if (directory)
			atomic_fetch_add_explicit(&dir->nlink, 1, memory_order_relaxed);
		inode_modified(dir);
	}
	mutex_unlock(&dir->lock);
	if (there)
		dentry_put(there);
	if (err)
		dentry_put(d);
	else
		*made = d;
	return err;
}

static int new_inode(unsigned int mode, uint64_t rdev, struct inode **inode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFIFO:
		return inode_create_ram(mode, inode);
	case S_IFCHR:
		*inode = inode_create(mode, device_node_ops(rdev));
		if (!*inode)
			return -ENOMEM;
		(*inode)->rdev = rdev;
		atomic_store_explicit(&(*inode)->nlink, 0, memory_order_relaxed);
		return 0;
	default:
		return -EPERM; /* no sockets, no block devices */
	}
}

int create_at(struct walk *w, unsigned int mode, uint64_t rdev, struct dentry **made)
{
	struct inode *inode;
	int err = walk_check_new(w, S_ISDIR(mode));

	if (!err)
		err = new_inode(mode, rdev, &inode);
	if (err)
		return err;
	err = name_inode(w, inode, made);
	inode_put(inode);
	return err;
}

int symlink_at(struct walk *w, const char *target, struct dentry **made)
{
	struct inode *inode;
	int err = walk_check_new(w, false);

	if (err)
		return err;
	err = inode_create_ram(S_IFLNK | 0777, &inode);
	if (err)
		return err;
	inode->target = kstrdup(target);
	err = inode->target ? name_inode(w, inode, made) : -ENOMEM;
	inode_put(inode);
	return err;
}

static int link_at(struct walk *w, struct dentry *old)
{
	struct inode *inode = old->inode;
	struct dentry *made;
	int err = walk_check_new(w, false);

	if (err)
		return err;
	if (S_ISDIR(inode_mode(inode)))
		return -EPERM;
	if (old->kind == DENTRY_VIRTUAL || old->kind == DENTRY_ANON)
		return -EXDEV;
	/* Relaxed: a race with the last unlink gives either answer. */
	if (atomic_load_explicit(&inode->nlink, memory_order_relaxed) == 0)
		return -ENOENT;
	err = name_inode(w, inode, &made);
	if (err)
		return err;
	inode_changed(inode);
	dentry_put(made);
	return 0;
}

/* ---- For the kernel itself, while it builds the tree ---- */

/* A walk to the parent of path, whose directories are made where they are missing. */
static int walk_making(struct walk *w, const char *path)
{
	char *part = kstrdup(path);
	struct dentry *d;
	int err = part ? 0 : -ENOMEM;

	for (char *slash = part; !err && (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		err = walk_begin(w, AT_FDCWD, part, false);
		if (!err)
			err = walk_parent(w);
		if (!err)
			err = create_at(w, DEFAULT_DIR_MODE, 0, &d);
		walk_end(w);
		*slash = '/';
		if (!err)
			dentry_put(d);
		if (err == -EEXIST)
			err = 0;
	}
	kfree(part);
	if (!err)
		err = walk_begin(w, AT_FDCWD, path, false);
	return err ? err : walk_parent(w);
}

int make_node(const char *path, unsigned int mode, uint64_t rdev, struct dentry **made)
{
	struct walk w = { 0 };
	struct dentry *d = NULL;
	int err = walk_making(&w, path);

	if (!err)
		err = create_at(&w, mode, rdev, &d);
	if (err == -EEXIST && S_ISDIR(mode)) {
		err = walk_last(&w, &d);
		if (!err && S_ISDIR(inode_mode(d->inode)))
			atomic_store_explicit(&d->inode->mode, mode, memory_order_relaxed);
	}
	walk_end(&w);
	if (!err && made)
		*made = d;
	else if (!err)
		dentry_put(d);
	return err;
}

int make_symlink(const char *path, const char *target)
{
	struct walk w = { 0 };
	struct dentry *d;
	int err = walk_making(&w, path);

	if (!err)
		err = symlink_at(&w, target, &d);
	walk_end(&w);
	if (!err)
		dentry_put(d);
	return err;
}

int make_link(struct dentry *old, const char *path)
{
	struct walk w = { 0 };
	int err = walk_making(&w, path);

	if (!err)
		err = link_at(&w, old);
	walk_end(&w);
	return err;
}

int make_mount(const char *path, struct inode *inode)
{
	struct walk w = { 0 };
	struct dentry *d;
	int err = walk_making(&w, path);

	if (!err)
		err = walk_check_new(&w, true);
	if (!err)
		err = name_inode(&w, inode, &d);
	walk_end(&w);
	if (!err)
		dentry_put(d);
	return err;
}

int make_file(const char *path, unsigned int mode, const void *data, size_t size)
{
	struct dentry *d;
	int err = make_node(path, mode, 0, &d);

	if (err)
		return err;
	err = data_fill(d->inode, data, size);
	dentry_put(d);
	return err;
}

/* ---- System calls ---- */

long sys_mkdirat(long dirfd, long path, long mode)
{
	unsigned int bits = S_IFDIR | ((unsigned int)mode & 01777 & ~fs_umask());
	struct walk w;
	struct dentry *d;
	int err = walk_user_parent(&w, (int)dirfd, (uint64_t)path);

	if (!err)
		err = create_at(&w, bits, 0, &d);
	walk_end(&w);
	if (!err)
		dentry_put(d);
	return err;
}

long sys_mkdir(long path, long mode)
{
	return sys_mkdirat(AT_FDCWD, path, mode);
}

long sys_mknodat(long dirfd, long path, long mode_arg, long rdev)
{
	unsigned int mode = (unsigned int)mode_arg;
	struct walk w;
	struct dentry *d;
	int err;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (S_ISDIR(mode))
		return -EPERM;
	mode = (mode & S_IFMT) | (mode & 07777 & ~fs_umask());
	err = walk_user_parent(&w, (int)dirfd, (uint64_t)path);
	if (!err)
		err = create_at(&w, mode, (uint32_t)rdev, &d);
	walk_end(&w);
	if (!err)
		dentry_put(d);
	return err;
}

long sys_mknod(long path, long mode, long rdev)
{
	return sys_mknodat(AT_FDCWD, path, mode, rdev);
}

long sys_symlinkat(long target, long dirfd, long path)
{
	struct walk w = { 0 };
	struct dentry *d;
	char *text;
	int err = path_from_user((uint64_t)target, &text);

	if (err)
		return err;
	if (!*text)
		err = -ENOENT;
	if (!err)
		err = walk_user_parent(&w, (int)dirfd, (uint64_t)path);
	if (!err)
		err = symlink_at(&w, text, &d);
	walk_end(&w);
	kfree(text);
	if (!err)
		dentry_put(d);
	return err;
}

long sys_symlink(long target, long path)
{
	return sys_symlinkat(target, AT_FDCWD, path);
}

long sys_linkat(long old_dirfd, long old_path, long new_dirfd, long new_path, long flags)
{
	unsigned int how = 0;
	struct dentry *old;
	struct walk w;
	int err;

	if ((int)flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	how |= (int)flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0;
	how |= (int)flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0;
	err = path_lookup_user((int)old_dirfd, (uint64_t)old_path, how, &old);
	if (err)
		return err;
	err = walk_user_parent(&w, (int)new_dirfd, (uint64_t)new_path);
	if (!err)
		err = link_at(&w, old);
	walk_end(&w);
	dentry_put(old);
	return err;
}

long sys_link(long old_path, long new_path)
{
	return sys_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}
