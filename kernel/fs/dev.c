// SPDX-License-Identifier: MIT
/*
 * The device files: null(4), zero, full(4), random(4). Nothing is shared and nothing locked.
 */
#include "fs.h"

#include <kernel/device.h>
#include <kernel/eduabi.h>

static ssize_t null_read(struct file *f __unused, struct io *io __unused, uint64_t pos __unused)
{
	return 0;
}

static ssize_t null_write(struct file *f __unused, struct io *io, uint64_t *pos __unused)
{
	return (ssize_t)io->left;
}

static ssize_t zero_read(struct file *f __unused, struct io *io, uint64_t pos __unused)
{
	size_t want = io->left, n = io_zero(io, want);

	return n || !want ? (ssize_t)n : -EFAULT;
}

static ssize_t full_write(struct file *f __unused, struct io *io, uint64_t *pos __unused)
{
	return io->left ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *f __unused, struct io *io, uint64_t pos __unused)
{
	size_t want = io->left, done = 0;

	while (io->left) {
		uint64_t words[32];
		size_t part = MIN(io->left, sizeof(words)), n;

		for (size_t i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = random_u64();
		n = io_to(io, words, part);
		done += n;
		if (n < part)
			break;
	}
	return done || !want ? (ssize_t)done : -EFAULT;
}

static const struct file_ops null_ops = {
	.read = null_read, .write = null_write, .seekable = true,
};
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .seekable = true,
};
static const struct file_ops full_ops = {
	.read = zero_read, .write = full_write, .seekable = true,
};
/* What is written to them is accepted and adds nothing, as the numbers come from the CPU. */
static const struct file_ops random_ops = {
	.read = random_read, .write = null_write, .seekable = true,
};

static const struct {
	const char *path;
	uint64_t rdev;
	const struct file_ops *ops;
} devices[] = {
	{ "/dev/null", DEV_NULL, &null_ops },
	{ "/dev/zero", DEV_ZERO, &zero_ops },
	{ "/dev/full", DEV_FULL, &full_ops },
	{ "/dev/random", DEV_RANDOM, &random_ops },
	{ "/dev/urandom", DEV_URANDOM, &random_ops },
};

static int device_open(struct inode *inode, struct file *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
		if (devices[i].rdev == inode->rdev) {
			f->ops = devices[i].ops;
			return 0;
		}
	}
	return -ENXIO;
}

static const struct inode_ops device_ops = { .open = device_open };

const struct inode_ops *device_node_ops(uint64_t rdev)
{
	if (rdev == DEV_EDU)
		return &edu_inode_ops;
	return rdev == DEV_TTY || rdev == DEV_CONSOLE ? &console_inode_ops : &device_ops;
}

int dev_init(void)
{
	static const char *const links[][2] = {
		{ "/dev/fd", "/proc/self/fd" },
		{ "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" },
		{ "/dev/stderr", "/proc/self/fd/2" },
	};
	int err = make_node("/dev/shm", S_IFDIR | S_ISVTX | 0777, 0, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(devices) && !err; i++)
		err = make_node(devices[i].path, S_IFCHR | 0666, devices[i].rdev, NULL);
	if (!err && edu_present())
		err = make_node(EDU_PATH, S_IFCHR | 0666, DEV_EDU, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(links) && !err; i++)
		err = make_symlink(links[i][0], links[i][1]);
	return err;
}
