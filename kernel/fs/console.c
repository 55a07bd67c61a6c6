// SPDX-License-Identifier: MIT
/*
 * The console: what programs have as descriptors 0, 1 and 2 (docs/guest.md), /dev/console and
 * /dev/tty.
 *
 * Where the host has a terminal (`tty MASK`) the descriptor is /dev/console, a terminal too; otherwise
 * it looks like a pipe. Line editing, echo and signals from keys are done by the host's terminal in
 * front of us: the settings of TCSETS are kept and shown, and have no effect here.
 */
#include "fs.h"

#include <kernel/boot.h>
#include <kernel/console.h>
#include <kernel/process.h>

/* termios(3) in the layout of the kernel interface. */
struct termios {
	uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line;
	uint8_t c_cc[19];
};

struct winsize {
	uint16_t rows, cols, xpixel, ypixel;
};

static struct {
	struct mutex lock; /* guards termios and size */
	struct termios termios;
	struct winsize size;
	unsigned int tty_mask; /* fixed */
	atomic_int foreground; /* process group, 0: none set */
	struct dentry *node; /* /dev/console */
} console;

static bool is_terminal(const struct file *f)
{
	return S_ISCHR(inode_mode(f->inode));
}

static ssize_t console_read(struct file *f, struct io *io, uint64_t pos __unused)
{
	bool block = !(atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK);
	size_t want = MIN(io->left, PAGE_SIZE), moved;
	char few[256], *buf = few;
	ssize_t n;

	if (!want)
		return 0;
	if (want > sizeof(few))
		buf = kmalloc(want);
	if (!buf) {
		buf = few;
		want = sizeof(few);
	}
	n = stdin_read(buf, want, block);
	if (n > 0) {
		moved = io_to(io, buf, (size_t)n);
		n = moved ? (ssize_t)moved : -EFAULT;
	}
	if (buf != few)
		kfree(buf);
	return n;
}

/* The stream that a console file writes to: of its inode when that is one, else the host's terminal. */
static enum console_stream stream_of(const struct file *f)
{
	if (f->private)
		return (enum console_stream)(uint64_t)f->private;
	return (console.tty_mask & 6) == 4 ? CONSOLE_ERR : CONSOLE_OUT;
}

static ssize_t console_write_file(struct file *f, struct io *io, uint64_t *pos __unused)
{
	size_t size = MIN(io->left, PAGE_SIZE), done = 0, n;
	char few[256], *buf = few;

	if (size > sizeof(few))
		buf = kmalloc(size);
	if (!buf) {
		buf = few;
		size = sizeof(few);
	}
	while (io->left) {
		size_t want = MIN(io->left, size);

		n = io_from(io, buf, want);
		if (n)
			console_write(stream_of(f), buf, n);
		done += n;
		if (n < want || process_fatal_pending())
			break;
	}
	if (buf != few)
		kfree(buf);
	return done || !io->left ? (ssize_t)done : -EFAULT;
}

static unsigned int console_poll(struct file *f, struct poll_table *pt)
{
	unsigned int mask = 0;

	if (f->access & FILE_READ) {
		poll_wait(pt, &stdin_queue);
		if (stdin_ready())
			mask |= POLLIN | POLLRDNORM;
	}
	if (f->access & FILE_WRITE)
		mask |= POLLOUT | POLLWRNORM;
	return mask;
}

/* ---- ioctl_tty(2) ---- */

enum {
	TCGETS = 0x5401, TCSETS = 0x5402, TCSETSW = 0x5403, TCSETSF = 0x5404, TCSBRK = 0x5409,
	TCXONC = 0x540a, TCFLSH = 0x540b, TIOCSCTTY = 0x540e, TIOCGPGRP = 0x540f,
	TIOCSPGRP = 0x5410, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, FIONREAD = 0x541b,
	TIOCNOTTY = 0x5422, TIOCGSID = 0x5429,
};

static long console_get(void *what, uint64_t arg, size_t n)
{
	char copy[64];

	mutex_lock(&console.lock);
	memcpy(copy, what, n);
	mutex_unlock(&console.lock);
	return copy_to_user(arg, copy, n);
}

static long console_set(void *what, uint64_t arg, size_t n)
{
	char copy[64];

	if (copy_from_user(copy, arg, n))
		return -EFAULT;
	mutex_lock(&console.lock);
	memcpy(what, copy, n);
	mutex_unlock(&console.lock);
	return 0;
}

static pid_t session(void)
{
	struct process_info info;

	process_info(current_process(), &info);
	return info.sid;
}

static long get_group(uint64_t arg)
{
	struct process_info info;
	/* Relaxed: a number by itself. */
	pid_t group = atomic_load_explicit(&console.foreground, memory_order_relaxed);

	process_info(current_process(), &info);
	return put_user_u32(arg, (uint32_t)(group ? group : info.pgid));
}

static long set_group(uint64_t arg)
{
	uint32_t group;

	if (get_user_u32(&group, arg))
		return -EFAULT;
	if ((int32_t)group <= 0)
		return -EINVAL;
	if (!process_group_in_session((pid_t)group, session()))
		return -EPERM;
	atomic_store_explicit(&console.foreground, (int)group, memory_order_relaxed);
	return 0;
}

static long terminal_ioctl(unsigned int request, uint64_t arg)
{
	switch (request) {
	case TCGETS:
		return console_get(&console.termios, arg, sizeof(console.termios));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return console_set(&console.termios, arg, sizeof(console.termios));
	case TIOCGWINSZ:
		return console_get(&console.size, arg, sizeof(console.size));
	case TIOCSWINSZ:
		return console_set(&console.size, arg, sizeof(console.size));
	case TIOCGPGRP:
		return get_group(arg);
	case TIOCSPGRP:
		return set_group(arg);
	case TIOCGSID:
		return put_user_u32(arg, (uint32_t)session());
	case TCSBRK: /* tcdrain: what was written is out */
		return arg ? 0 : -EINVAL;
	default:
		return -ENOTTY;
	}
}

static long console_ioctl(struct file *f, unsigned int request, uint64_t arg)
{
	if (request == FIONREAD && f->access & FILE_READ)
		return put_user_u32(arg, (uint32_t)stdin_available());
	return is_terminal(f) ? terminal_ioctl(request, arg) : -ENOTTY;
}

static const struct file_ops console_ops = {
	.read = console_read,
	.write = console_write_file,
	.poll = console_poll,
	.ioctl = console_ioctl,
};

/* value of an inode: the stream that it stands for, 0 for the device nodes. */
static int console_open(struct inode *inode, struct file *f)
{
	if (inode->rdev == DEV_TTY && !console.tty_mask)
		return -ENXIO;
	f->ops = &console_ops;
	f->private = (void *)inode->value;
	return 0;
}

const struct inode_ops console_inode_ops = { .open = console_open };

/* Settings of a terminal that was just opened (termios(3)): cooked, echo, 38400 baud, 8 bits. */
static const struct termios first_termios = {
	.c_iflag = 0x500, .c_oflag = 0x5, .c_cflag = 0xbf, .c_lflag = 0x8a3b,
	.c_cc = { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0 },
};

int console_init(void)
{
	char mask[24];
	int err;

	mutex_init(&console.lock);
	console.termios = first_termios;
	console.size.rows = (uint16_t)config_get_u64("rows", 24);
	console.size.cols = (uint16_t)config_get_u64("cols", 80);
	if (config_get("tty", mask, sizeof(mask)))
		console.tty_mask = (unsigned int)strtou64(mask, NULL);
	err = make_node("/dev/tty", S_IFCHR | 0666, DEV_TTY, NULL);
	if (!err)
		err = make_node("/dev/console", S_IFCHR | 0600, DEV_CONSOLE, &console.node);
	return err;
}

void console_end(void)
{
	dentry_put(console.node);
	console.node = NULL;
}

/* What is no terminal looks like a pipe, which it is on the host's side or might be. */
static int open_as_pipe(int fd, uint64_t stream, struct file **file)
{
	struct inode *inode = inode_create(S_IFIFO | 0600, &console_inode_ops);
	char name[32];

	if (!inode)
		return -ENOMEM;
	inode->value = stream;
	snprintf(name, sizeof(name), "pipe:[%lu]", inode->ino);
	return file_create_anon(inode, name, fd == 0 ? O_RDONLY : O_WRONLY, file);
}

int console_open_std(int fd, struct file **file)
{
	static const uint64_t streams[3] = { 0, CONSOLE_OUT, CONSOLE_ERR };
	int err;

	if (!(console.tty_mask >> fd & 1))
		return open_as_pipe(fd, streams[fd], file);
	err = file_create(console.node, O_RDWR, file);
	if (!err)
		(*file)->private = (void *)streams[fd];
	return err;
}
