// SPDX-License-Identifier: MIT
/*
 * What the files of kernel/fs share and nobody else sees. Lock order: docs/kernel-fs.md.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <kernel/errno.h>
#include <kernel/file.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/time.h>
#include <kernel/uaccess.h>
#include <kernel/vmt.h>

#define DEFAULT_DIR_MODE (S_IFDIR | 0755)

/* ---- inode.c ---- */

/* A fresh inode with one reference, no name and its type's operations; NULL when memory is out. */
struct inode *inode_create(unsigned int mode, const struct inode_ops *ops);
/* The same with an empty object, directory table, or pipe, as the type wants. -ENOMEM. */
int inode_create_ram(unsigned int mode, struct inode **inode);
bool inode_is_ram(const struct inode *inode);
uint64_t inode_next_number(void);

void inode_touch(_Atomic uint64_t *stamp);
void inode_accessed(struct inode *inode); /* atime, if it is due (as mount option relatime) */
void inode_modified(struct inode *inode); /* mtime and ctime */
void inode_changed(struct inode *inode); /* ctime */

/* Counts an opener for writing, or an execution; -ETXTBSY. */
int inode_begin_write(struct inode *inode);
void inode_end_write(struct inode *inode);
int inode_begin_exec(struct inode *inode);
void inode_end_exec(struct inode *inode);

/* ---- dentry.c: names and the tables of RAM directories ---- */

extern struct spinlock path_lock; /* names, parents and links of all dentries, inode->alias */
extern struct dentry *fs_root;

struct dentry *dentry_create(enum dentry_kind kind, const char *name, size_t len,
	struct dentry *parent, struct inode *inode);
void dentry_set_name(struct dentry *d, char *name, size_t len); /* takes name over */
ssize_t dentry_path_locked(struct dentry *d, char *buf, size_t size);
struct dentry *dentry_parent(struct dentry *d); /* a reference */
void dentry_set_alias(struct dentry *d); /* its inode was opened by this name */
bool dentry_is_linked(struct dentry *d);
/* Is d, or a directory above it, `ancestor`? */
bool dentry_is_below(struct dentry *d, struct dentry *ancestor);

/* dir.c */
uint32_t name_hash(const char *name, size_t len);
struct dir *dir_create(void);
void dir_free(struct dir *dir);
/* Finds a child, with a reference, or NULL. No lock needed. */
struct dentry *dir_find(struct inode *dir, const char *name, size_t len);
/* dir->lock held for these. insert takes a reference of its own; -ENOMEM, -ENOENT (removed). */
int dir_insert(struct inode *dir, struct dentry *d);
void dir_remove(struct inode *dir, struct dentry *d); /* drops the table's reference */
bool dir_is_empty(struct inode *dir);
bool dir_is_dead(struct inode *dir);
void dir_kill(struct inode *dir); /* nothing can be inserted any more */
uint64_t dir_count(struct inode *dir);
/*
 * Moves d to a name (kmalloc'ed, taken over) in another or the same directory, in place of victim
 * (may be NULL), in one step for those who look. dir_swap exchanges two. Both directories' locks
 * held.
 */
void dir_move(struct inode *from, struct dentry *to, struct dentry *d, char *name,
	struct dentry *victim);
void dir_swap(struct inode *a_dir, struct inode *b_dir, struct dentry *a, struct dentry *b);
/* Calls fn for each child from a cookie on, in order, until it returns false. dir->lock held. */
void dir_each(struct inode *dir, uint64_t from, bool (*fn)(void *arg, struct dentry *d), void *arg);

/* ---- lookup.c: walking paths ---- */

struct walk {
	struct dentry *at; /* a reference */
	char *text; /* kmalloc'ed: what is still to be walked is in it */
	const char *rest;
	const char *last; /* the last component, in text; length 0: `at` itself is meant */
	size_t last_len;
	bool trailing; /* a slash follows it */
	unsigned int links;
};

/* path: kernel memory, copied. walk_end always. */
int walk_begin(struct walk *w, int dirfd, const char *path, bool empty_ok);
int walk_parent(struct walk *w);
/* Finds the last component, with a reference; -ENOENT. */
int walk_last(struct walk *w, struct dentry **found);
/* The last component was the link d: go on with what it says. *target is set by a magic link. */
int walk_link(struct walk *w, struct dentry *d, struct dentry **target);
void walk_end(struct walk *w);
bool walk_last_is_name(const struct walk *w); /* not a dot, dot-dot or nothing */
/* walk_begin and walk_parent for a user path. */
int walk_user_parent(struct walk *w, int dirfd, uint64_t path);
/* path_lookup for a user path. */
int path_lookup_user(int dirfd, uint64_t path, unsigned int flags, struct dentry **found);

/* ---- create.c ---- */

/* Makes an inode under the walk's last name; *made has a reference. -EEXIST and so on. */
int create_at(struct walk *w, unsigned int mode, uint64_t rdev, struct dentry **made);
int symlink_at(struct walk *w, const char *target, struct dentry **made);
/* Kernel-side helpers for building the tree at boot: parents are made as needed. */
int make_node(const char *path, unsigned int mode, uint64_t rdev, struct dentry **made);
int make_symlink(const char *path, const char *target);
int make_link(struct dentry *old, const char *path);
int make_file(const char *path, unsigned int mode, const void *data, size_t size);
int make_mount(const char *path, struct inode *inode); /* a directory of another kind */
void tree_free(void); /* remove.c */

/* ---- data.c: content of regular files ---- */

extern const struct file_ops regular_ops;
ssize_t data_read(struct inode *inode, struct io *io, uint64_t pos);
/* inode->lock held for these. -ENOSPC: memory that files may use is used up. */
ssize_t data_write(struct inode *inode, struct io *io, uint64_t pos);
void data_set_size(struct inode *inode, uint64_t size);
int data_allocate(struct inode *inode, uint64_t pos, uint64_t len);
int data_fill(struct inode *inode, const void *data, size_t size); /* from 0 on; takes the lock */
uint64_t data_reserve(void); /* frames that files leave to programs */
/* RLIMIT_FSIZE: how many of n bytes may be written at pos; -EFBIG, with SIGXFSZ sent. */
ssize_t data_limit(uint64_t pos, uint64_t n);

/* ---- open.c ---- */

/* A file on a dentry; flags as open(2). The type's operations are chosen and opened. */
int file_create(struct dentry *d, int flags, struct file **file);
/* A file on an inode of no directory, called name. Takes over the caller's inode reference. */
int file_create_anon(struct inode *inode, const char *name, int flags, struct file **file);

/* ---- fdtable.c ---- */

/* As fd_get, which refuses descriptors of O_PATH; this one does not. */
struct file *fd_get_any(int fd);
unsigned int files_size(struct files *files); /* places, for FDSize */
bool files_cloexec(struct files *files, int fd);
int fd_set_cloexec(int fd, bool on); /* -EBADF */
long fd_dup(int oldfd, int from, bool cloexec);

/* ---- others ---- */

extern const struct file_ops directory_ops; /* list.c */
extern const struct inode_ops console_inode_ops; /* console.c */
const struct inode_ops *device_node_ops(uint64_t rdev); /* dev.c; unknown ones: open says -ENXIO */
int pipe_open(struct inode *inode, struct file *f); /* pipe.c */
int pipe_attach(struct inode *inode); /* the buffer of a FIFO */
void pipe_free(struct pipe *p);
long pipe_fcntl_size(struct file *f, bool set, uint64_t size); /* F_SETPIPE_SZ, F_GETPIPE_SZ */
int dev_init(void);
int proc_init(void);
int console_init(void);
void console_end(void);
int console_open_std(int fd, struct file **file);
uint32_t fs_umask(void);
struct dentry *fs_cwd(void); /* a reference */
struct dentry *fs_state_cwd(struct fs_state *fs); /* a reference */
unsigned int fs_state_umask(struct fs_state *fs);

#define DEV_NULL MKDEV(1, 3)
#define DEV_ZERO MKDEV(1, 5)
#define DEV_FULL MKDEV(1, 7)
#define DEV_RANDOM MKDEV(1, 8)
#define DEV_URANDOM MKDEV(1, 9)
#define DEV_TTY MKDEV(5, 0)
#define DEV_CONSOLE MKDEV(5, 1)

struct dir_sink;
/* False: the buffer is full, and the position stays at this entry. next: the cookie to go on with. */
bool dir_emit(struct dir_sink *sink, const char *name, size_t len, uint64_t ino, unsigned int mode,
	uint64_t next);
/* Emits "." and ".." if the listing stands there. False: full. */
bool dir_emit_dots(struct file *f, struct dir_sink *sink);
uint64_t dir_position(const struct dir_sink *sink);

/* locks.c */
enum {
	F_GETLK = 5, F_SETLK = 6, F_SETLKW = 7,
	F_OFD_GETLK = 36, F_OFD_SETLK = 37, F_OFD_SETLKW = 38,
};
void locks_release_owner(struct inode *inode, const void *owner);
long lock_fcntl(struct file *f, unsigned int cmd, uint64_t arg);

#endif
