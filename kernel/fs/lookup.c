// SPDX-License-Identifier: MIT
/*
 * Walking paths, as path_resolution(7). Everybody is root, so directories need no search permission.
 * No lock is held between two components; each step finds a child with a reference.
 */
#include "fs.h"

int path_from_user(uint64_t address, char **path)
{
	char *buf = kmalloc(PATH_MAX);
	ssize_t len;

	*path = NULL;
	if (!buf)
		return -ENOMEM;
	len = strncpy_from_user(buf, address, PATH_MAX);
	if (len < 0) {
		kfree(buf);
		return (int)len;
	}
	*path = buf;
	return 0;
}

static int walk_start_at(int dirfd, struct dentry **at)
{
	struct file *f;

	if (dirfd == AT_FDCWD) {
		*at = fs_cwd();
		return 0;
	}
	f = fd_get_any(dirfd);
	if (!f)
		return -EBADF;
	*at = f->dentry;
	dentry_get(*at);
	file_put(f);
	return 0;
}

int walk_begin(struct walk *w, int dirfd, const char *path, bool empty_ok)
{
	size_t len = strlen(path);
	int err;

	*w = (struct walk){ 0 };
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (len == 0 && !empty_ok)
		return -ENOENT;
	if (path[0] == '/') {
		w->at = fs_root;
		dentry_get(fs_root);
	} else {
		err = walk_start_at(dirfd, &w->at);
		if (err)
			return err;
	}
	w->text = kmalloc(len + 1);
	if (!w->text)
		return -ENOMEM;
	memcpy(w->text, path, len + 1);
	w->rest = w->text;
	if (len && !S_ISDIR(inode_mode(w->at->inode)))
		return -ENOTDIR;
	return 0;
}

void walk_end(struct walk *w)
{
	if (w->at)
		dentry_put(w->at);
	kfree(w->text);
	*w = (struct walk){ 0 };
}

/* Cuts the next component off; length 0 at the end. */
static void walk_next(struct walk *w)
{
	while (*w->rest == '/')
		w->rest++;
	w->last = w->rest;
	while (*w->rest && *w->rest != '/')
		w->rest++;
	w->last_len = (size_t)(w->rest - w->last);
	w->trailing = *w->rest == '/';
	while (*w->rest == '/')
		w->rest++;
}

static bool is_dot(const struct walk *w)
{
	return w->last_len == 1 && w->last[0] == '.';
}

static bool is_dot_dot(const struct walk *w)
{
	return w->last_len == 2 && w->last[0] == '.' && w->last[1] == '.';
}

bool walk_last_is_name(const struct walk *w)
{
	return w->last_len && !is_dot(w) && !is_dot_dot(w);
}

int walk_last(struct walk *w, struct dentry **found)
{
	struct inode *dir = w->at->inode;

	*found = NULL;
	if (w->last_len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!w->last_len || is_dot(w)) {
		dentry_get(w->at);
		*found = w->at;
	} else if (is_dot_dot(w)) {
		*found = dentry_parent(w->at);
	} else if (!S_ISDIR(inode_mode(dir))) {
		return -ENOTDIR;
	} else if (dir->ops->lookup) {
		return dir->ops->lookup(w->at, w->last, w->last_len, found);
	} else {
		*found = dir_find(dir, w->last, w->last_len);
	}
	return *found ? 0 : -ENOENT;
}

/* The text of the link d, followed by what is left of the path, becomes the new path. */
static int walk_splice(struct walk *w, struct inode *link)
{
	size_t rest = strlen(w->rest);
	char *buf = kmalloc(PATH_MAX);
	ssize_t len;

	if (!buf)
		return -ENOMEM;
	if (link->ops->readlink) {
		len = link->ops->readlink(link, buf, PATH_MAX);
	} else {
		len = (ssize_t)strlcpy(buf, link->target, PATH_MAX);
		inode_accessed(link);
	}
	if (len >= 0 && (size_t)len + rest + 2 > PATH_MAX)
		len = -ENAMETOOLONG;
	if (len == 0)
		len = -ENOENT;
	if (len < 0) {
		kfree(buf);
		return (int)len;
	}
	if (w->trailing)
		buf[len++] = '/';
	memcpy(buf + len, w->rest, rest + 1);
	kfree(w->text);
	w->text = buf;
	w->rest = buf;
	if (buf[0] == '/') {
		dentry_put(w->at);
		w->at = fs_root;
		dentry_get(fs_root);
	}
	return 0;
}

int walk_link(struct walk *w, struct dentry *d, struct dentry **target)
{
	int err;

	*target = NULL;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	if (d->inode->ops->follow)
		return d->inode->ops->follow(d->inode, target);
	err = walk_splice(w, d->inode);
	return err ? err : walk_parent(w);
}

/* Goes into the component that was just cut off, which is not the last one. */
static int walk_into(struct walk *w)
{
	struct dentry *d, *target;
	int err = walk_last(w, &d);

	if (err)
		return err;
	if (S_ISLNK(inode_mode(d->inode))) {
		if (++w->links > LINKS_MAX) {
			err = -ELOOP;
		} else if (d->inode->ops->follow) {
			err = d->inode->ops->follow(d->inode, &target);
		} else {
			err = walk_splice(w, d->inode);
			dentry_put(d);
			return err;
		}
		dentry_put(d);
		if (err)
			return err;
		d = target;
	}
	if (!S_ISDIR(inode_mode(d->inode))) {
		dentry_put(d);
		return -ENOTDIR;
	}
	dentry_put(w->at);
	w->at = d;
	return 0;
}

int walk_parent(struct walk *w)
{
	for (;;) {
		int err;

		walk_next(w);
		if (!*w->rest)
			return 0;
		err = walk_into(w);
		if (err)
			return err;
	}
}

/* Resolves what the walk has as its last component. */
static int walk_finish(struct walk *w, unsigned int flags, struct dentry **found)
{
	struct dentry *d = NULL, *target = NULL;
	int err = walk_parent(w);

	while (!err) {
		bool follow;

		err = walk_last(w, &d);
		if (err)
			return err;
		follow = (flags & LOOKUP_FOLLOW) || w->trailing;
		if (!follow || !S_ISLNK(inode_mode(d->inode)))
			break;
		err = walk_link(w, d, &target);
		dentry_put(d);
		d = target;
		if (target)
			break;
	}
	if (err)
		return err;
	if (((flags & LOOKUP_DIRECTORY) || w->trailing) && !S_ISDIR(inode_mode(d->inode))) {
		dentry_put(d);
		return -ENOTDIR;
	}
	*found = d;
	return 0;
}

int path_lookup(int dirfd, const char *path, unsigned int flags, struct dentry **found)
{
	struct walk w;
	int err = walk_begin(&w, dirfd, path, flags & LOOKUP_EMPTY);

	if (!err)
		err = walk_finish(&w, flags, found);
	walk_end(&w);
	return err;
}

int path_lookup_user(int dirfd, uint64_t path, unsigned int flags, struct dentry **found)
{
	char *text;
	int err = path_from_user(path, &text);

	if (err)
		return err;
	err = path_lookup(dirfd, text, flags, found);
	kfree(text);
	return err;
}

int walk_user_parent(struct walk *w, int dirfd, uint64_t path)
{
	char *text;
	int err;

	*w = (struct walk){ 0 };
	err = path_from_user(path, &text);
	if (err)
		return err;
	err = walk_begin(w, dirfd, text, false);
	kfree(text);
	return err ? err : walk_parent(w);
}
