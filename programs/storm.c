// SPDX-License-Identifier: MIT
// storm [PROCESSES [ROUNDS]]: processes with two threads each make, move, link, lock, list, map and
// remove files and directories under the same few names, all at once. Whatever the order, every
// answer has to be one that is possible, every file whole, and nothing left at the end.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK 6000

static int rounds = 2000;
static _Atomic int failures;

static unsigned next(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 8;
}

// One of 27 paths, up to three levels deep; which ones are directories changes all the time.
static void pick(unsigned *seed, char *path)
{
	unsigned r = next(seed) % 27;

	if (r < 3)
		sprintf(path, "n%u", r);
	else if (r < 9)
		sprintf(path, "n%u/n%u", r % 3, r / 3 - 1);
	else
		sprintf(path, "n%u/n%u/n%u", r % 3, r / 3 % 3, r / 9);
}

static void expect(const char *what, long result, const char *allowed)
{
	const char *name = result < 0 ? strerrorname_np(errno) : "";

	if (result >= 0 || strstr(allowed, name))
		return;
	printf("%s: %s\n", what, name);
	failures++;
}

#define PATH_ERRORS "ENOENT ENOTDIR "

// Writers fill the file with one letter under a lock; whoever reads under one sees one letter.
static void write_file(const char *path, unsigned *seed)
{
	char block[BLOCK];
	int fd = open(path, O_RDWR | O_CREAT, 0644);

	expect("create", fd, PATH_ERRORS "EISDIR");
	if (fd < 0)
		return;
	memset(block, 'a' + next(seed) % 26, sizeof(block));
	flock(fd, LOCK_EX);
	expect("write", pwrite(fd, block, sizeof(block), 0), "");
	close(fd);
}

static void read_file(const char *path)
{
	char block[BLOCK];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	expect("open", fd, PATH_ERRORS);
	if (fd < 0)
		return;
	flock(fd, LOCK_SH);
	n = read(fd, block, sizeof(block));
	if (n < 0)
		expect("read", n, "EISDIR");
	for (ssize_t i = 1; i < n; i++) {
		if (block[i] != block[0]) {
			printf("mixed letters in %s\n", path);
			failures++;
			break;
		}
	}
	close(fd);
}

static void map_file(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR);
	char *p;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size >= BLOCK) {
		p = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		if (p != MAP_FAILED) {
			p[5]++;
			p[4099] = p[4098];
			munmap(p, BLOCK);
		}
	}
	close(fd);
}

static void list(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	if (!d)
		return;
	while ((e = readdir(d)) && n < 1000)
		n += e->d_name[0] != '.';
	if (n > 1000)
		failures++;
	closedir(d);
}

static void step(unsigned *seed)
{
	char a[32], b[32], cwd[4096];
	struct stat st;

	pick(seed, a);
	pick(seed, b);
	switch (next(seed) % 12) {
	case 0:
		expect("mkdir", mkdir(a, 0755), PATH_ERRORS "EEXIST");
		break;
	case 1:
		expect("rmdir", rmdir(a), PATH_ERRORS "ENOTEMPTY");
		break;
	case 2:
		expect("unlink", unlink(a), PATH_ERRORS "EISDIR");
		break;
	case 3:
	case 4:
		expect("rename", rename(a, b), PATH_ERRORS "EISDIR ENOTEMPTY EINVAL");
		break;
	case 5:
		expect("exchange", renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE),
		       PATH_ERRORS "EINVAL");
		break;
	case 6:
		expect("link", link(a, b), PATH_ERRORS "EEXIST EPERM");
		break;
	case 7:
		list(a);
		break;
	case 8:
		map_file(a);
		break;
	case 9:
		expect("stat", stat(a, &st), PATH_ERRORS);
		if (!getcwd(cwd, sizeof(cwd)))
			failures++;
		break;
	case 10:
		read_file(a);
		break;
	default:
		write_file(a, seed);
	}
}

static void *run(void *arg)
{
	unsigned seed = (unsigned)(long)arg * 7919 + 1;

	for (int i = 0; i < rounds; i++)
		step(&seed);
	return NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int main(int argc, char **argv)
{
	int processes = argc > 1 ? atoi(argv[1]) : 4, status, bad = 0;
	char folder[] = "/dev/shm/stormXXXXXX";

	if (argc > 2)
		rounds = atoi(argv[2]);
	if (!mkdtemp(folder) || chdir(folder)) {
		perror("/dev/shm");
		return 1;
	}
	for (int i = 0; i < processes; i++) {
		if (fork() == 0) {
			pthread_t other;

			pthread_create(&other, NULL, run, (void *)(long)(2 * i + 1));
			run((void *)(long)(2 * i));
			pthread_join(other, NULL);
			fflush(stdout);
			_exit(failures != 0);
		}
	}
	while (wait(&status) > 0)
		bad += status != 0;
	printf("%d processes, %d with impossible answers\n", processes, bad);
	if (chdir("/") || nftw(folder, remove_one, 20, FTW_DEPTH | FTW_PHYS)) {
		perror(folder);
		return 1;
	}
	return bad != 0;
}
