// SPDX-License-Identifier: MIT
/*
 * Taking names away and moving them: unlink, rmdir, rename.
 *
 * Locks: a directory's before its child's. A rename between two directories holds rename_mutex, which
 * keeps the tree's shape, and takes the upper directory first, unrelated ones by address; the
 * directory that is replaced comes last.
 */
#include "fs.h"

static struct mutex rename_mutex = MUTEX_INIT(rename_mutex);

#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2

static void nlink_add(struct inode *inode, int n)
{
	/* Relaxed: counts for stat; the directory's lock orders those who decide by them. */
	atomic_fetch_add_explicit(&inode->nlink, (unsigned int)n, memory_order_relaxed);
}

/* The inode has lost a name. */
static void inode_unnamed(struct inode *dir, struct inode *inode)
{
	if (S_ISDIR(inode_mode(inode))) {
		atomic_store_explicit(&inode->nlink, 0, memory_order_relaxed);
		nlink_add(dir, -1);
	} else {
		nlink_add(inode, -1);
	}
	inode_changed(inode);
}

/* An empty directory is closed for new names; its lock is held only for that. */
static int kill_directory(struct inode *inode)
{
	int err = 0;

	mutex_lock(&inode->lock);
	if (!dir_is_empty(inode))
		err = -ENOTEMPTY;
	else
		dir_kill(inode);
	mutex_unlock(&inode->lock);
	return err;
}

static int unlink_at(struct walk *w, bool directory)
{
	struct inode *dir = w->at->inode;
	struct dentry *d = NULL;
	int err = 0;

	if (dir->ops->lookup)
		return -EPERM;
	mutex_lock(&dir->lock);
	err = walk_last(w, &d);
	if (err)
		goto out;
	if (directory)
		err = S_ISDIR(inode_mode(d->inode)) ? kill_directory(d->inode) : -ENOTDIR;
	else if (S_ISDIR(inode_mode(d->inode)))
		err = -EISDIR;
	else if (w->trailing)
		err = -ENOTDIR;
	if (!err) {
		dir_remove(dir, d);
		inode_unnamed(dir, d->inode);
		inode_modified(dir);
	}
out:
	mutex_unlock(&dir->lock);
	if (d)
		dentry_put(d);
	return err;
}

/* What rmdir and unlink say to a path that ends in no name. */
static int refuse_special(const struct walk *w, bool directory)
{
	if (walk_last_is_name(w))
		return 0;
	if (!directory)
		return -EISDIR;
	if (w->last_len == 0)
		return -EBUSY;
	return w->last_len == 1 ? -EINVAL : -ENOTEMPTY;
}

long sys_unlinkat(long dirfd, long path, long flags)
{
	bool directory = (int)flags & AT_REMOVEDIR;
	struct walk w;
	int err;

	if ((int)flags & ~AT_REMOVEDIR)
		return -EINVAL;
	err = walk_user_parent(&w, (int)dirfd, (uint64_t)path);
	if (!err)
		err = refuse_special(&w, directory);
	if (!err)
		err = unlink_at(&w, directory);
	walk_end(&w);
	return err;
}

long sys_unlink(long path)
{
	return sys_unlinkat(AT_FDCWD, path, 0);
}

long sys_rmdir(long path)
{
	return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

/* ---- rename ---- */

static void lock_directories(struct dentry *a, struct dentry *b)
{
	struct dentry *first = a, *second = b;

	if (a->inode == b->inode) {
		mutex_lock(&a->inode->lock);
		return;
	}
	mutex_lock(&rename_mutex);
	if (dentry_is_below(a, b) || (!dentry_is_below(b, a) && b->inode < a->inode)) {
		first = b;
		second = a;
	}
	mutex_lock(&first->inode->lock);
	mutex_lock(&second->inode->lock);
}

static void unlock_directories(struct dentry *a, struct dentry *b)
{
	mutex_unlock(&a->inode->lock);
	if (a->inode == b->inode)
		return;
	mutex_unlock(&b->inode->lock);
	mutex_unlock(&rename_mutex);
}

/* May src take the place of dst? A directory that is replaced is closed for new names. */
static int check_victim(struct dentry *src, struct dentry *dst)
{
	bool directory = S_ISDIR(inode_mode(src->inode));

	if (directory && !S_ISDIR(inode_mode(dst->inode)))
		return -ENOTDIR;
	if (!directory && S_ISDIR(inode_mode(dst->inode)))
		return -EISDIR;
	return directory ? kill_directory(dst->inode) : 0;
}

static int rename_replace(struct walk *from, struct walk *to, struct dentry *src, struct dentry *dst)
{
	struct inode *old_dir = from->at->inode, *new_dir = to->at->inode;
	char *name = kmalloc(to->last_len + 1);
	int err = name ? 0 : -ENOMEM;

	if (!err && dir_is_dead(new_dir))
		err = -ENOENT;
	if (!err && dst)
		err = check_victim(src, dst);
	if (err) {
		kfree(name);
		return err;
	}
	memcpy(name, to->last, to->last_len);
	name[to->last_len] = '\0';
	dir_move(old_dir, to->at, src, name, dst);
	if (dst)
		inode_unnamed(new_dir, dst->inode);
	if (S_ISDIR(inode_mode(src->inode)) && old_dir != new_dir) {
		nlink_add(old_dir, -1);
		nlink_add(new_dir, 1);
	}
	return 0;
}

static void rename_exchange(struct inode *a_dir, struct inode *b_dir, struct dentry *a,
	struct dentry *b)
{
	bool a_is_dir = S_ISDIR(inode_mode(a->inode)), b_is_dir = S_ISDIR(inode_mode(b->inode));

	dir_swap(a_dir, b_dir, a, b);
	if (a_dir == b_dir || a_is_dir == b_is_dir)
		return;
	nlink_add(a_is_dir ? a_dir : b_dir, -1);
	nlink_add(a_is_dir ? b_dir : a_dir, 1);
}

/* Both directories are locked; src and dst were found under the locks, dst may be NULL. */
static int rename_locked(struct walk *from, struct walk *to, struct dentry *src, struct dentry *dst,
	unsigned int flags)
{
	bool directory = S_ISDIR(inode_mode(src->inode));
	int err = 0;

	if (dst && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!dst && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (!directory && (from->trailing || (to->trailing && !(flags & RENAME_EXCHANGE))))
		return -ENOTDIR;
	if (directory && dentry_is_below(to->at, src))
		return -EINVAL; /* into itself */
	if (dst && dentry_is_below(from->at, dst))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	if (dst && dst->inode == src->inode)
		return 0;
	if (flags & RENAME_EXCHANGE)
		rename_exchange(from->at->inode, to->at->inode, src, dst);
	else
		err = rename_replace(from, to, src, dst);
	if (!err) {
		inode_changed(src->inode);
		inode_modified(from->at->inode);
		inode_modified(to->at->inode);
	}
	return err;
}

static int rename_walked(struct walk *from, struct walk *to, unsigned int flags)
{
	struct dentry *src = NULL, *dst = NULL;
	int err;

	if (!walk_last_is_name(from) || !walk_last_is_name(to))
		return flags & RENAME_NOREPLACE && !walk_last_is_name(to) ? -EEXIST : -EBUSY;
	if (from->at->inode->ops->lookup || to->at->inode->ops->lookup)
		return from->at->inode == to->at->inode ? -EPERM : -EXDEV;
	if (to->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	lock_directories(from->at, to->at);
	err = walk_last(from, &src);
	if (!err)
		err = walk_last(to, &dst);
	if (src && (!err || err == -ENOENT))
		err = rename_locked(from, to, src, dst, flags);
	unlock_directories(from->at, to->at);
	if (src)
		dentry_put(src);
	if (dst)
		dentry_put(dst);
	return err;
}

long sys_renameat2(long old_dirfd, long old_path, long new_dirfd, long new_path, long flags_arg)
{
	unsigned int flags = (unsigned int)flags_arg;
	struct walk from, to = { 0 };
	int err;

	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = walk_user_parent(&from, (int)old_dirfd, (uint64_t)old_path);
	if (!err)
		err = walk_user_parent(&to, (int)new_dirfd, (uint64_t)new_path);
	if (!err)
		err = rename_walked(&from, &to, flags);
	walk_end(&from);
	walk_end(&to);
	return err;
}

long sys_renameat(long old_dirfd, long old_path, long new_dirfd, long new_path)
{
	return sys_renameat2(old_dirfd, old_path, new_dirfd, new_path, 0);
}

long sys_rename(long old_path, long new_path)
{
	return sys_renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

/* ---- The end of the tree ---- */

static bool first_child(void *arg, struct dentry *d)
{
	*(struct dentry **)arg = d;
	return false;
}

/* Unlinks everything, deepest first, without recursion. Nobody else uses the tree. */
void tree_free(void)
{
	struct dentry *dir = fs_root;

	for (;;) {
		struct dentry *child = NULL, *parent = dir->parent;

		dir_each(dir->inode, 0, first_child, &child);
		if (child && S_ISDIR(inode_mode(child->inode)) && !child->inode->ops->lookup &&
			!dir_is_empty(child->inode)) {
			dir = child;
		} else if (child) {
			dir_remove(dir->inode, child);
		} else if (dir == fs_root) {
			break;
		} else {
			dir = parent;
		}
	}
	dentry_put(fs_root);
	fs_root = NULL;
}
