// SPDX-License-Identifier: MIT
// Files, directories and links, asked with their corner cases; the answers are compared with those
// of Linux. Works in a folder of its own in /dev/shm.
#include "conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		answer(path, -1);
	close(fd);
}

static void get(const char *what, const char *path)
{
	char text[200] = "";
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		answer(what, -1);
	else
		word(what, text);
	if (fd >= 0)
		close(fd);
}

static void describe(const char *what, const char *path)
{
	struct stat st;

	if (lstat(path, &st)) {
		answer(what, -1);
		return;
	}
	printf("%s: mode %o links %lu", what, st.st_mode, (unsigned long)st.st_nlink);
	if (!S_ISDIR(st.st_mode))
		printf(" size %ld", (long)st.st_size);
	printf("\n");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *what, const char *path)
{
	char *names[100];
	int n = 0;
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d) {
		answer(what, -1);
		return;
	}
	while (n < 100 && (e = readdir(d))) {
		if (asprintf(&names[n], "%s/%d", e->d_name, e->d_type) > 0)
			n++;
	}
	closedir(d);
	qsort(names, n, sizeof(*names), by_name);
	printf("%s:", what);
	for (int i = 0; i < n; i++) {
		printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
}

static void opening(void)
{
	int fd;

	answer("open missing", open("a", O_RDONLY));
	answer("open empty", open("", O_RDONLY));
	answer("create", fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	answer("create again", open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
	answer("write", write(fd, "hello", 5));
	answer("read at end", read(fd, &(char){0}, 1));
	figure("seek", lseek(fd, -2, SEEK_CUR));
	answer("seek before", lseek(fd, -9, SEEK_SET));
	answer("seek oddly", lseek(fd, 0, 77));
	figure("data", lseek(fd, 2, SEEK_DATA));
	figure("hole", lseek(fd, 2, SEEK_HOLE));
	answer("data beyond", lseek(fd, 5, SEEK_DATA));
	close(fd);
	describe("a", "a");
	get("a has", "a");
	answer("directory of a file", open("a", O_RDONLY | O_DIRECTORY));
	answer("a with slash", open("a/", O_RDONLY));
	answer("below a file", open("a/b", O_RDONLY));
	answer("below nothing", open("no/b", O_RDONLY | O_CREAT, 0600));
	answer("write a directory", open(".", O_WRONLY));
	answer("create a directory", open(".", O_CREAT | O_RDWR, 0600));
	answer("create with slash", open("new/", O_CREAT | O_RDWR, 0600));
	answer("read a directory", read(fd = open(".", O_RDONLY), &(char){0}, 1));
	close(fd);
	fd = open("a", O_WRONLY | O_APPEND);
	answer("read what is for writing", read(fd, &(char){0}, 1));
	figure("pwrite appends", pwrite(fd, "!", 1, 0));
	figure("flags", fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	close(fd);
	get("a has", "a");
	answer("bad descriptor", write(fd, "", 1));
	answer("very bad descriptor", close(-1));
	fd = open("a", O_RDWR | O_TRUNC);
	describe("truncated", "a");
	figure("beyond the end", pwrite(fd, "x", 1, 10000));
	describe("sparse", "a");
	answer("ftruncate", ftruncate(fd, 3));
	answer("ftruncate up", ftruncate(fd, 5000));
	answer("ftruncate below", ftruncate(fd, -1));
	describe("cut", "a");
	answer("fallocate", fallocate(fd, 0, 4000, 4000));
	describe("allocated", "a");
	answer("fallocate nothing", fallocate(fd, 0, 0, 0));
	close(fd);
	answer("truncate", truncate("a", 7));
	answer("truncate a directory", truncate(".", 7));
	describe("a", "a");
}

static void names(void)
{
	char longest[300];
	int fd;

	memset(longest, 'n', sizeof(longest));
	longest[256] = 0;
	answer("256 bytes", open(longest, O_CREAT | O_RDWR, 0600));
	longest[255] = 0;
	answer("255 bytes", fd = open(longest, O_CREAT | O_RDWR, 0600));
	close(fd);
	answer("unlink it", unlink(longest));
	answer("mkdir", mkdir("d", 0755));
	answer("mkdir again", mkdir("d", 0755));
	answer("mkdir slash", mkdir("d/e/", 0700));
	answer("mkdir below nothing", mkdir("d/x/y", 0700));
	answer("mkdir dot", mkdir("d/.", 0700));
	answer("mkdir root", mkdir("/", 0700));
	describe("d", "d");
	put("d/f", "eff");
	put("d/e/g", "gee");
	list("d", "d");
	answer("rmdir full", rmdir("d"));
	answer("rmdir file", rmdir("d/f"));
	answer("rmdir dot", rmdir("d/."));
	answer("rmdir dot dot", rmdir("d/e/.."));
	answer("rmdir root", rmdir("/"));
	answer("unlink directory", unlink("d"));
	answer("unlink with slash", unlink("d/f/"));
	answer("unlink missing", unlink("d/nothing"));
	get("winding", "d/e/../../d/./e//g");
	get("dots above root", "/../../../dev/null");
	answer("unlinkat oddly", unlinkat(AT_FDCWD, "d/f", 77));
}

static void links(void)
{
	char text[100];

	answer("link", link("d/f", "d/h"));
	describe("two names", "d/f");
	answer("link again", link("d/f", "d/h"));
	answer("link directory", link("d", "dd"));
	answer("link missing", link("d/no", "dd"));
	answer("unlink one", unlink("d/f"));
	describe("one name", "d/h");
	get("its text", "d/h");
	answer("symlink", symlink("d/h", "s"));
	answer("symlink to nothing", symlink("", "s2"));
	answer("symlink again", symlink("x", "s"));
	describe("s", "s");
	get("through s", "s");
	figure("readlink", readlink("s", text, sizeof(text)));
	figure("readlink short", readlink("s", text, 2));
	answer("readlink file", readlink("d/h", text, sizeof(text)));
	answer("open nofollow", open("s", O_RDONLY | O_NOFOLLOW));
	answer("symlink with slash", open("s/", O_RDONLY));
	answer("loop", symlink("l2", "l1"));
	answer("loop", symlink("l1", "l2"));
	answer("open loop", open("l1", O_RDONLY));
	answer("dangling", symlink("made", "dangle"));
	answer("create excl", open("dangle", O_CREAT | O_EXCL | O_RDWR, 0600));
	answer("create through", close(open("dangle", O_CREAT | O_RDWR, 0600)));
	describe("made", "made");
	answer("into directory", symlink("d", "ld"));
	list("ld", "ld/");
	get("through ld", "ld/e/../h");
	answer("unlink ld/", unlink("ld/"));
	answer("rmdir ld", rmdir("ld"));
	answer("mkdir over link", mkdir("dangle", 0700));
	answer("unlink them", unlink("l1") | unlink("l2") | unlink("dangle") | unlink("ld") |
				      unlink("s") | unlink("made"));
}

static void renames(void)
{
	put("r1", "one");
	put("r2", "two");
	answer("rename over", rename("r1", "r2"));
	get("r2", "r2");
	answer("rename missing", rename("r1", "r2"));
	answer("rename to itself", rename("r2", "r2"));
	answer("rename noreplace", renameat2(AT_FDCWD, "r2", AT_FDCWD, "a", RENAME_NOREPLACE));
	answer("rename file to directory", rename("r2", "d"));
	answer("rename directory to file", rename("d", "r2"));
	answer("rename into itself", rename("d", "d/e/d"));
	answer("rename over parent", rename("d/e", "d"));
	answer("rename dot", rename("d/.", "q"));
	answer("mkdir", mkdir("m", 0755));
	answer("rename over empty", rename("d/e", "m"));
	list("d", "d");
	list("m", "m");
	describe("d", "d");
	answer("rename back", rename("m", "d/e"));
	describe("d", "d");
	describe("here", ".");
	answer("mkdir", mkdir("m", 0755));
	put("m/file", "");
	answer("rename over full", rename("d/e", "m"));
	answer("exchange", renameat2(AT_FDCWD, "d/e", AT_FDCWD, "r2", RENAME_EXCHANGE));
	list("d", "d");
	list("r2", "r2");
	describe("d", "d");
	answer("exchange missing", renameat2(AT_FDCWD, "d/e", AT_FDCWD, "zz", RENAME_EXCHANGE));
	answer("both flags", renameat2(AT_FDCWD, "d/e", AT_FDCWD, "r2", 3));
	answer("same file", link("a", "b") | rename("a", "b"));
	list("here", ".");
}

static void attributes(void)
{
	struct timespec times[2] = {{1000, 5}, {2000, UTIME_OMIT}};
	struct statx x;
	struct stat st;
	int fd;

	answer("chmod", chmod("a", 0751));
	describe("a", "a");
	answer("access x", access("a", X_OK));
	answer("chmod", chmod("a", 0644));
	answer("access x", access("a", X_OK));
	answer("access rw", access("a", R_OK | W_OK));
	answer("access missing", access("nope", F_OK));
	answer("access oddly", access("a", 99));
	answer("chown", chown("a", 5, 6));
	answer("utimensat", utimensat(AT_FDCWD, "a", times, 0));
	stat("a", &st);
	printf("owner %u:%u atime %ld.%ld\n", st.st_uid, st.st_gid, (long)st.st_atim.tv_sec,
	       st.st_atim.tv_nsec);
	times[0].tv_nsec = 2000000000;
	answer("bad time", utimensat(AT_FDCWD, "a", times, 0));
	answer("statx", statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &x));
	printf("statx %o %llu %u\n", x.stx_mode, x.stx_size, x.stx_nlink);
	answer("statx oddly", statx(AT_FDCWD, "a", 0, 0x80000000, &x));
	umask(077);
	answer("umask", close(open("u", O_CREAT | O_WRONLY, 0666)));
	describe("u", "u");
	figure("umask was", umask(022));
	answer("fstat by path", fstatat(fd = open("a", O_PATH), "", &st, AT_EMPTY_PATH));
	answer("read O_PATH", read(fd, &st, 1));
	answer("fchmod O_PATH", fchmod(fd, 0600));
	answer("dup O_PATH", close(dup(fd)));
	close(fd);
	answer("unlink u", unlink("u"));
}

static void descriptors(void)
{
	char ab[] = "ab", cde[] = "cde";
	struct iovec v[3] = {{ab, 2}, {NULL, 0}, {cde, 3}};
	// Hidden from the compiler, which would warn of what is meant to be wrong.
	void *volatile bad = (void *)8;
	volatile int many = 2000;
	char back[6] = "", c;
	int fd = open("v", O_RDWR | O_CREAT | O_TRUNC, 0600), other, both;
	off_t at = 1;

	figure("writev", writev(fd, v, 3));
	v[0].iov_base = back + 3;
	v[2].iov_base = back;
	figure("preadv", preadv(fd, v, 3, 0));
	word("back", back);
	answer("too many", writev(fd, v, many));
	other = dup(fd);
	lseek(other, 1, SEEK_SET);
	figure("shared position", read(fd, &c, 1) == 1 && c == 'b');
	figure("dup2", dup2(fd, 77));
	answer("dup2 bad", dup2(66, 77));
	answer("dup3 same", dup3(fd, fd, 0));
	figure("dupfd", fcntl(fd, F_DUPFD, 90));
	figure("cloexec", fcntl(90, F_GETFD));
	figure("dupfd cloexec", fcntl(fd, F_DUPFD_CLOEXEC, 90));
	figure("cloexec", fcntl(91, F_GETFD));
	answer("dupfd far", fcntl(fd, F_DUPFD, 100000000));
	answer("fcntl oddly", fcntl(fd, 4711));
	answer("close range", close_range(77, 91, 0));
	answer("closed", close(90));
	answer("bad pointer", write(fd, bad, 4));
	answer("bad pointer", read(fd, (void *)-8, 4));
	answer("no terminal", isatty(fd) ? 0 : -1);
	answer("pread pipe", pread(fd, &c, 1, -1));
	both = open("w", O_RDWR | O_CREAT | O_TRUNC, 0600);
	figure("sendfile", sendfile(both, fd, &at, 3));
	figure("offset", at);
	get("w", "w");
	figure("copy range", copy_file_range(fd, &(off_t){0}, both, NULL, 100, 0));
	get("w", "w");
	answer("copy over itself", copy_file_range(fd, &(off_t){0}, fd, &(off_t){1}, 3, 0));
	unlink("w");
	figure("deleted still writes", pwrite(both, "z", 1, 0));
	close(both);
	close(other);
	close(fd);
}

// The last part of the name that /proc/self/maps has for a mapping.
static void named(const char *what, void *base)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[5000];

	while (f && fgets(line, sizeof(line), f)) {
		if (strtoul(line, NULL, 16) == (unsigned long)base)
			printf("%s: %s", what, strrchr(line, '/'));
	}
	fclose(f);
}

// A write whose source is a mapping of the same file, and a private mapping beside write().
static void mapped(void)
{
	int fd = open("map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *shared, *private;

	answer("ftruncate", ftruncate(fd, 3 * PAGE));
	shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(shared, "through the mapping");
	get("read sees it", "map");
	word("private sees it", private);
	strcpy(private, "mine");
	figure("pwrite", pwrite(fd, "WRITE", 5, 0));
	word("shared sees write", shared);
	word("private does not", private);
	figure("from itself", pwrite(fd, shared, 2 * PAGE, PAGE / 2));
	word("moved", shared + PAGE / 2);
	figure("into itself", pread(fd, shared + PAGE + 100, PAGE, 0));
	word("moved", shared + PAGE + 100);
	named("named", shared);
	rename("map", "moved");
	named("renamed", shared);
	unlink("moved");
	close(fd);
	word("deleted", shared);
	named("deleted", shared);
	munmap(shared, 3 * PAGE);
	munmap(private, PAGE);
}

static void working_directory(void)
{
	char here[200], path[200];
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	answer("chdir file", chdir("a"));
	answer("chdir", chdir("d"));
	getcwd(here, sizeof(here));
	word("ends in", strrchr(here, '/'));
	get("relative", "../d/h");
	answer("short", getcwd(here, 3) ? 0 : -1);
	answer("openat", close(openat(fd, "a", O_RDONLY)));
	answer("fchdir", fchdir(fd));
	answer("mkdir", mkdir("gone", 0700));
	answer("chdir", chdir("gone"));
	answer("rmdir", rmdir("../gone"));
	answer("getcwd in nothing", getcwd(here, sizeof(here)) ? 0 : -1);
	answer("create in nothing", open("x", O_CREAT | O_RDWR, 0600));
	answer("fchdir", fchdir(fd));
	snprintf(path, sizeof(path), "/proc/self/fd/%d/a", fd);
	answer("through /proc", close(open(path, O_RDONLY)));
	close(fd);
	fd = open("a", O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	here[readlink(path, here, sizeof(here) - 1)] = 0;
	word("fd link", strrchr(here, '/'));
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int main(void)
{
	char folder[] = "/dev/shm/filesXXXXXX";

	if (!mkdtemp(folder) || chdir(folder)) {
		perror("/dev/shm");
		return 1;
	}
	umask(022);
	opening();
	names();
	links();
	renames();
	attributes();
	descriptors();
	mapped();
	working_directory();
	answer("remove", chdir("/") | nftw(folder, remove_one, 20, FTW_DEPTH | FTW_PHYS));
	return 0;
}
