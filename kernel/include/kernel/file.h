// SPDX-License-Identifier: MIT
/*
 * Files: inodes, names, open files, descriptor tables, working directories.
 *
 * inode   what a file is: mode, times, content. A regular file's content is a vmt_object whose owner
 *         (vmt_object_owner) is the inode; the inode stays valid as long as its object does, that is
 *         as long as it has a name, is open, *or is mapped*.
 * dentry  a name in a directory; holds its inode and its parent. The tree lives in dentries.
 * file    an open file description: position, flags, and what it is open on.
 * files   a descriptor table; fs: working directory and umask. Both are shared by reference.
 *
 * All of it is counted by reference; a "put" may free and may sleep. No function here may be called
 * with a spinlock held unless it says so. Lock order and more: docs/kernel-fs.md.
 * Results: 0 or a count, or a negated error number.
 */
#ifndef KERNEL_FILE_H
#define KERNEL_FILE_H

#include <kernel/fsabi.h>
#include <kernel/list.h>
#include <kernel/spinlock.h>
#include <kernel/types.h>
#include <kernel/wait.h>

struct vmt_object;
struct process;
struct inode;
struct dentry;
struct file;
struct poll_table;
struct dir_sink;
struct record_lock;
struct pipe;

/* ---- Moving bytes: a vector of user memory, or a piece of kernel memory ---- */

struct iovec {
	uint64_t base; /* a user address, or a kernel one when io->kernel */
	uint64_t len;
};

struct io {
	const struct iovec *vec;
	size_t skip; /* bytes of *vec already done */
	size_t left; /* bytes still to move, in all */
	bool kernel;
	bool outside; /* the range reaches beyond user space: -EFAULT, once the file is found fit */
};

/*
 * Moves up to n bytes (at most io->left) between kernel memory and io, and advances it. Return how
 * many were moved: fewer than asked for only where user memory could not be reached. May sleep.
 */
size_t io_to(struct io *io, const void *src, size_t n);
size_t io_from(struct io *io, void *dst, size_t n);
size_t io_zero(struct io *io, size_t n);

static inline struct io io_kernel(struct iovec *v, const void *buf, size_t n)
{
	*v = (struct iovec){ (uint64_t)buf, n };
	return (struct io){ .vec = v, .left = n, .kernel = true };
}

/* ---- Inodes ---- */

struct dir; /* children of a RAM directory */

/* Wall-clock nanoseconds. Each is a word of its own; relaxed. */
struct timestamps {
	_Atomic uint64_t atime, mtime, ctime;
	uint64_t btime;
};

struct inode_ops {
	/*
	 * Finds a name in a directory that is not held in RAM (/proc): makes a dentry and an inode,
	 * one reference to the caller. NULL: a RAM directory (or no directory).
	 */
	int (*lookup)(struct dentry *dir, const char *name, size_t len, struct dentry **found);
	/* Lists such a directory; see dir_emit. */
	int (*readdir)(struct file *f, struct dir_sink *sink);
	/* Text of a symbolic link, without NUL, at most size bytes; returns its length. */
	ssize_t (*readlink)(struct inode *inode, char *buf, size_t size);
	/* A link that leads to an object rather than to a text (/proc/PID/exe): a reference. */
	int (*follow)(struct inode *inode, struct dentry **target);
	/* Prepares f (f->ops, f->private). May replace nothing else. NULL: by type. */
	int (*open)(struct inode *inode, struct file *f);
};

struct inode {
	atomic_uint refs;
	atomic_uint mode; /* type (fixed) and permissions */
	atomic_uint nlink;
	atomic_uint uid, gid;
	uint64_t ino;
	uint64_t rdev; /* devices: MKDEV */
	const struct inode_ops *ops;
	/*
	 * Serialises writers: file size and content changes by system calls; changes of a
	 * directory. Held over user memory accesses. Page faults never take it.
	 */
	struct mutex lock;
	struct spinlock meta; /* guards a RAM directory's table, and locks; innermost */
	/* Regular files: > 0 opened for writing so often, < 0 being executed so often (ETXTBSY). */
	atomic_int writers;
	struct timestamps times;
	union {
		struct vmt_object *object; /* regular file: one reference */
		struct dir *dir; /* RAM directory */
		char *target; /* RAM symbolic link */
		struct pipe *pipe; /* FIFO or anonymous pipe */
		void *private; /* others: as ops like it */
	};
	atomic_bool mapped; /* the object was given out to be mapped, once */
	uint64_t value; /* /proc: which process, descriptor and so on */
	struct dentry *alias; /* the name it was last opened by; guarded by path_lock */
	struct list locks; /* struct record_lock (kernel/fs/locks.c); guarded by meta */
	struct waitqueue lock_queue; /* waits for record locks */
};

void inode_get(struct inode *inode);
void inode_put(struct inode *inode);

static inline unsigned int inode_mode(const struct inode *inode)
{
	/* Relaxed: a word of its own that orders nothing. */
	return atomic_load_explicit(&inode->mode, memory_order_relaxed);
}

/* Bytes of a regular file, length of a link's text, else 0. Any context. */
uint64_t inode_size(struct inode *inode);

/* Device number of the one file system, as stat(2) and /proc/PID/maps show it (00:01). */
#define FS_DEV MKDEV(0, 1)

/* ---- Names ---- */

enum dentry_kind {
	DENTRY_TREE, /* in the tree of RAM files, or once was */
	DENTRY_VIRTUAL, /* made by a look-up (/proc), gone with its last reference */
	DENTRY_ANON, /* of no directory: a pipe; the name is the whole path */
};

struct dentry {
	atomic_uint refs;
	struct dentry *parent; /* holds a reference; the root's own is itself. path_lock */
	struct inode *inode; /* fixed; holds a reference */
	char *name; /* path_lock, and the parent's lock and meta */
	uint16_t name_len;
	uint32_t hash;
	uint8_t kind; /* enum dentry_kind, fixed */
	bool linked; /* is in its directory's table; path_lock, and the parent's lock */
	bool zombie; /* no references, kept by inode->alias for its name; path_lock */
	uint64_t cookie; /* position for getdents */
	struct list order; /* in the directory, by cookie */
	struct dentry *next_hash;
};

void dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);

enum {
	LOOKUP_FOLLOW = 1, /* the last component, if it is a symbolic link */
	LOOKUP_DIRECTORY = 2, /* must be a directory, else -ENOTDIR */
	LOOKUP_EMPTY = 4, /* an empty path means dirfd itself (AT_EMPTY_PATH) */
};

/*
 * Finds a path (kernel memory) from dirfd (AT_FDCWD or a descriptor of the current process).
 * *found carries a reference. -ENOENT, -ENOTDIR, -ELOOP, -EACCES, -ENAMETOOLONG, -EBADF, -ENOMEM.
 */
int path_lookup(int dirfd, const char *path, unsigned int flags, struct dentry **found);

/*
 * The absolute path into buf, ended by NUL; "(deleted)" is appended, after a space, to a name that is
 * gone, as Linux does. Returns its length or -ENAMETOOLONG. Any context but interrupts.
 */
ssize_t dentry_path(struct dentry *d, char *buf, size_t size);

/*
 * For /proc/PID/maps: path, device and inode number of the file behind an object. False: the object
 * belongs to no file (shared anonymous memory). The caller keeps the object alive (a reference, or
 * knows that it is mapped).
 */
struct object_name {
	uint64_t dev, ino;
	char path[PATH_MAX];
};
bool file_object_name(struct vmt_object *object, struct object_name *name);

/* Reads a path from user memory into a kmalloc'ed buffer; free with kfree. -EFAULT, -ENAMETOOLONG. */
int path_from_user(uint64_t address, char **path);

/* ---- Open files ---- */

struct file_ops {
	/*
	 * Read and write at pos, any number of bytes from the start of io; return how many, or an
	 * error when none. write sets *pos to where it began (O_APPEND). NULL: -EINVAL.
	 */
	ssize_t (*read)(struct file *f, struct io *io, uint64_t pos);
	ssize_t (*write)(struct file *f, struct io *io, uint64_t *pos);
	/* POLL* bits that are ready now; registers with pt (poll_wait) unless that is NULL. */
	unsigned int (*poll)(struct file *f, struct poll_table *pt);
	/* NULL: -ENOTTY. */
	long (*ioctl)(struct file *f, unsigned int request, uint64_t arg);
	/* The last reference is gone. */
	void (*release)(struct file *f);
	bool seekable; /* has positions: lseek, pread, pwrite */
};

struct file {
	atomic_uint refs;
	atomic_uint flags; /* O_*; F_SETFL changes some */
	uint32_t access; /* FILE_*; fixed */
	const struct file_ops *ops;
	struct dentry *dentry; /* a reference; never NULL */
	struct inode *inode; /* the dentry's */
	struct mutex pos_lock; /* guards pos; held over a read or write that uses it */
	uint64_t pos;
	void *private; /* as ops like it */
};

#define FILE_READ 1u
#define FILE_WRITE 2u
#define FILE_EXEC 4u /* file_open_exec: nobody may open it for writing until the last put */

void file_get(struct file *f);
void file_put(struct file *f);

/*
 * Opens from the kernel, with O_* flags and the mode for O_CREAT (the umask is applied). *file
 * carries a reference that is in no descriptor table.
 */
int file_open(int dirfd, const char *path, int flags, unsigned int mode, struct file **file);

/*
 * Opens a program for execution: a regular file with an execute bit. -EACCES otherwise, and the
 * errors of path_lookup.
 */
int file_open_exec(int dirfd, const char *path, unsigned int lookup_flags, struct file **file);

/*
 * Reads into kernel memory at an offset, without moving the position. Returns the bytes read, fewer
 * than n only at the end of the file.
 */
ssize_t file_read_at(struct file *f, void *buf, size_t n, uint64_t offset);

/* For mmap(2): no mapping shows bytes of the file beyond this offset. */
uint64_t file_map_limit(struct file *f);

/*
 * For mmap(2): may this file be mapped so? prot and *prot_max are VMT_READ, VMT_WRITE and VMT_EXEC;
 * *prot_max is what mprotect may allow later. On success *object is the object with one reference
 * for the caller, or NULL for files that mean anonymous memory (/dev/zero). -EACCES: not opened for
 * that; -ENODEV: not a file that can be mapped.
 */
int file_map_object(struct file *f, unsigned int prot, bool shared, unsigned int *prot_max,
	struct vmt_object **object);

/* ---- Descriptor tables ---- */

struct files; /* kernel/fs/fdtable.c */

/*
 * files_create: an empty table with one reference. files_copy: the same open files at the same
 * descriptors (fork); NULL when memory is out. files_get shares (CLONE_FILES). files_put: the last
 * one closes everything (a process calls it as it exits; may sleep).
 */
struct files *files_create(void);
struct files *files_copy(struct files *files);
struct files *files_get(struct files *files);
void files_put(struct files *files);

/*
 * For execve: the calling process's table is shared with another -> a copy takes its place
 * (*files); then all descriptors with FD_CLOEXEC are closed. -ENOMEM and nothing changed.
 */
int files_exec(struct files **files);

/* Opens descriptors 0, 1 and 2 of the first program on the console (docs/guest.md). */
int files_open_console(struct files *files);

/*
 * The open file behind a descriptor of the current process, with a reference; NULL: -EBADF (also for
 * one that was opened with O_PATH).
 */
struct file *fd_get(int fd);

/*
 * Puts a file at the lowest free descriptor >= from; takes over the caller's reference on success
 * only. -EMFILE beyond RLIMIT_NOFILE, -ENOMEM.
 */
int fd_install(struct file *f, int from, bool cloexec);

/* Descriptors in use, for FDSize and /proc/PID/fd: copies up to max numbers >= from. */
unsigned int files_list(struct files *files, int from, int *fds, unsigned int max);
struct file *files_file(struct files *files, int fd); /* with a reference, or NULL */

/* ---- Working directory and umask ---- */

struct fs_state;

struct fs_state *fs_create(void); /* "/", umask 022; NULL when memory is out */
struct fs_state *fs_copy(struct fs_state *fs); /* fork */
struct fs_state *fs_get(struct fs_state *fs); /* CLONE_FS */
void fs_put(struct fs_state *fs);
int fs_set_cwd(struct fs_state *fs, const char *path); /* absolute path, kernel memory */

/*
 * Provided by the process layer (process.h): the table and state of the current process. Never NULL
 * in a system call.
 *	struct files *current_files(void);
 *	struct fs_state *current_fs(void);
 */
struct files *current_files(void);
struct fs_state *current_fs(void);

/*
 * For /proc: references taken under whatever lock keeps the process from letting go, NULL when the
 * process has already. By the process layer:
 */
struct files *process_files_get(struct process *p);
struct fs_state *process_fs_get(struct process *p);
struct file *process_exe_get(struct process *p); /* what execve opened; NULL: none */

/* ---- Waiting for files (poll.c) ---- */

/* Called by file_ops->poll for each queue that will be woken when its answer may change. */
void poll_wait(struct poll_table *pt, struct waitqueue *q);

/* ---- Start and end ---- */

/*
 * Makes the tree: unpacks the RAM disk (without .vmtree/), then /dev, /proc, /sys, /tmp, /dev/shm.
 * After the memory layer (objects can be made). -ENOMEM: the RAM disk does not fit in memory.
 * Read what is wanted of .vmtree/ with initrd_find before initrd_release.
 */
int fs_init(void);

/*
 * Frees the whole tree. No process, open file or mapping exists any more. What fs_init and everything
 * since allocated is free afterwards (after grace_barrier), so frames and kmalloc bytes are those
 * of before fs_init.
 */
void fs_destroy(void);

#endif
