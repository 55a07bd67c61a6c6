// SPDX-License-Identifier: MIT
// Pipes, FIFOs, waiting for files and locking them, asked with their corner cases; the answers are
// compared with those of Linux. Works in a folder of its own in /dev/shm.
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
	(void)number;
	signals++;
}

static void on(int number, int flags)
{
	struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};

	sigaction(number, &action, NULL);
}

// SIGALRM at this interval, 0: no more. A call that is to be interrupted is, however slow the machine.
static void alarms(long microseconds)
{
	struct itimerval t = {{0, microseconds}, {0, microseconds}};

	setitimer(ITIMER_REAL, &t, NULL);
}

static void ready(const char *what, int fd, int events, int timeout)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, timeout);

	if (n < 0)
		answer(what, -1);
	else
		printf("%s: %d%s%s%s%s%s\n", what, n, p.revents & POLLIN ? " in" : "",
		       p.revents & POLLOUT ? " out" : "", p.revents & POLLERR ? " error" : "",
		       p.revents & POLLHUP ? " hangup" : "", p.revents & POLLNVAL ? " invalid" : "");
}

static void basics(void)
{
	static char big[70000];
	int *volatile nowhere = (int *)8;
	int p[2], n;
	long all = 0;

	answer("pipe", pipe(p));
	figure("size", fcntl(p[0], F_GETPIPE_SZ));
	ready("new, read", p[0], POLLIN, 0);
	ready("new, write", p[1], POLLOUT, 0);
	figure("write", write(p[1], "hello", 5));
	ready("some, read", p[0], POLLIN, 0);
	ioctl(p[0], FIONREAD, &n);
	figure("there", n);
	figure("read more", read(p[0], big, 100));
	answer("seek", lseek(p[0], 0, SEEK_CUR));
	answer("pread", pread(p[0], big, 1, 0));
	answer("read the wrong end", read(p[1], big, 1));
	answer("write the wrong end", write(p[0], big, 1));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	answer("empty", read(p[0], big, 1));
	figure("nothing", read(p[0], big, 0));
	figure("fill", write(p[1], big, sizeof(big)));
	answer("full", write(p[1], big, 1));
	ready("full, write", p[1], POLLOUT, 0);
	figure("take", read(p[0], big, 4000));
	answer("atomic or nothing", write(p[1], big, 4096));
	while ((n = read(p[0], big, 30000)) > 0)
		all += n;
	figure("rest", all);
	signals = 0;
	on(SIGPIPE, 0);
	close(p[0]);
	ready("no reader", p[1], POLLOUT, 0);
	answer("broken", write(p[1], "x", 1));
	figure("SIGPIPE", signals);
	figure("nothing at all", write(p[1], "x", 0));
	close(p[1]);
	pipe2(p, O_CLOEXEC | O_NONBLOCK);
	figure("cloexec", fcntl(p[0], F_GETFD));
	figure("flags", fcntl(p[1], F_GETFL) & ~O_LARGEFILE);
	write(p[1], "left", 4);
	close(p[1]);
	ready("no writer", p[0], POLLIN, 0);
	figure("left", read(p[0], big, 10));
	figure("end", read(p[0], big, 10));
	ready("end", p[0], POLLIN, 0);
	close(p[0]);
	ready("closed", p[0], POLLIN, 0);
	answer("pipe oddly", pipe2(p, O_APPEND));
	answer("pipe nowhere", pipe(nowhere));
}

// A child writes more than the pipe holds; every byte has to arrive in order.
static void stream(void)
{
	static char buf[10000];
	unsigned long sum = 0, n = 0;
	int p[2];
	ssize_t got;

	pipe(p);
	fflush(stdout);
	if (fork() == 0) {
		close(p[0]);
		for (int i = 0; i < 300; i++) {
			for (size_t k = 0; k < 7777; k++)
				buf[k] = (char)(i * 31 + k * 7);
			write(p[1], buf, 7777);
		}
		_exit(0);
	}
	close(p[1]);
	while ((got = read(p[0], buf, sizeof(buf))) > 0) {
		for (ssize_t k = 0; k < got; k++)
			sum = sum * 31 + (unsigned char)buf[k];
		n += got;
	}
	close(p[0]);
	wait(NULL);
	printf("streamed %lu bytes, sum %lx\n", n, sum);
}

// A blocked writer goes on as soon as there is room for a page, though nobody reads any more.
static void trickle(void)
{
	static char buf[80000];
	int p[2], n = 0;

	pipe(p);
	fflush(stdout);
	if (fork() == 0) {
		write(p[1], buf, sizeof(buf));
		_exit(0);
	}
	for (int i = 0; i < 3; i++) {
		while (n != 65536) {
			usleep(1000);
			ioctl(p[0], FIONREAD, &n);
		}
		figure("full", n);
		read(p[0], buf, 4096);
		n = 0;
	}
	close(p[1]);
	while (read(p[0], buf, sizeof(buf)) > 0)
		;
	close(p[0]);
	wait(NULL);
}

static void *write_records(void *arg)
{
	int fd = *(int *)arg;
	char record[512];
	static _Atomic int letters = 'a';

	memset(record, letters++, sizeof(record));
	for (int i = 0; i < 500; i++)
		write(fd, record, sizeof(record));
	return NULL;
}

// Writes of up to PIPE_BUF bytes do not mix.
static void atomicity(void)
{
	pthread_t threads[4];
	char record[512];
	int p[2], mixed = 0, records = 0;

	pipe(p);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, write_records, &p[1]);
	while (records < 2000 && read(p[0], record, sizeof(record)) == sizeof(record)) {
		for (size_t k = 1; k < sizeof(record); k++)
			mixed += record[k] != record[0];
		records++;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	close(p[0]);
	close(p[1]);
	printf("%d records, %d mixed bytes\n", records, mixed);
}

static void waiting(void)
{
	struct timeval moment = {0, 20000};
	struct timespec none = {0, 0}, later = {0, 20000000};
	sigset_t mask;
	fd_set in;
	int p[2];
	char c;

	pipe(p);
	ready("wait a little", p[0], POLLIN, 20);
	fflush(stdout);
	if (fork() == 0) {
		usleep(30000);
		write(p[1], "x", 1);
		_exit(0);
	}
	ready("wait for it", p[0], POLLIN, 10000);
	read(p[0], &c, 1);
	wait(NULL);
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	figure("select", select(p[0] + 1, &in, NULL, NULL, &moment));
	figure("none", FD_ISSET(p[0], &in));
	write(p[1], "x", 1);
	FD_SET(p[0], &in);
	figure("select", select(p[0] + 1, &in, NULL, NULL, NULL));
	figure("one", FD_ISSET(p[0], &in));
	FD_SET(20, &in);
	answer("select closed", select(21, &in, NULL, NULL, &moment));
	answer("select bad", select(-1, &in, NULL, NULL, &moment));
	figure("pselect", pselect(0, NULL, NULL, NULL, &none, NULL));
	read(p[0], &c, 1);
	on(SIGALRM, 0);
	signals = 0;
	alarms(20000);
	ready("interrupted", p[0], POLLIN, 100000);
	answer("read interrupted", read(p[0], &c, 1));
	answer("select interrupted", select(0, NULL, NULL, NULL, NULL));
	alarms(0);
	figure("signals", signals > 0);
	signals = 0;
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	raise(SIGALRM);
	figure("masked", ppoll(NULL, 0, &later, &mask));
	figure("signals", signals);
	sigemptyset(&mask);
	answer("unmasked", ppoll(NULL, 0, NULL, &mask));
	figure("signals", signals);
	sigaddset(&mask, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
	on(SIGALRM, SA_RESTART);
	fflush(stdout);
	if (fork() == 0) {
		usleep(60000);
		write(p[1], "x", 1);
		_exit(0);
	}
	alarms(5000);
	figure("read restarted", read(p[0], &c, 1));
	alarms(0);
	wait(NULL);
	close(p[0]);
	close(p[1]);
	ready("a file", open("/dev/null", O_RDWR), POLLIN | POLLOUT, 0);
}

static void fifos(void)
{
	char text[10] = "";
	int fd;

	answer("mkfifo", mkfifo("fifo", 0600));
	answer("mkfifo again", mkfifo("fifo", 0600));
	answer("nobody reads", open("fifo", O_WRONLY | O_NONBLOCK));
	answer("nobody writes", fd = open("fifo", O_RDONLY | O_NONBLOCK));
	ready("not hung up", fd, POLLIN, 0);
	figure("end", read(fd, text, 9));
	close(fd);
	fflush(stdout);
	if (fork() == 0) {
		fd = open("fifo", O_WRONLY);
		write(fd, "through", 7);
		_exit(0);
	}
	fd = open("fifo", O_RDONLY);
	figure("read", read(fd, text, 9));
	word("text", text);
	figure("end", read(fd, text, 9));
	close(fd);
	wait(NULL);
	unlink("fifo");
}

// Waits until a child sleeps, as /proc says.
static void until_asleep(pid_t pid)
{
	char path[40], text[200];

	sprintf(path, "/proc/%d/stat", pid);
	for (int times = 0; times < 5; usleep(2000)) {
		int fd = open(path, O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[n < 0 ? 0 : n] = 0;
		times = strstr(text, ") S ") ? times + 1 : 0;
	}
}

static struct flock range(int type, long start, long length)
{
	return (struct flock){.l_type = type, .l_start = start, .l_len = length};
}

// Asks from another process who is in the way of a write lock.
static void in_the_way(const char *what, int fd, long start, long length)
{
	struct flock l = range(F_WRLCK, start, length);

	fflush(stdout);
	if (fork() == 0) {
		if (fcntl(fd, F_GETLK, &l) < 0)
			answer(what, -1);
		else if (l.l_type == F_UNLCK)
			word(what, "free");
		else
			printf("%s: %s %ld+%ld by %s\n", what, l.l_type == F_RDLCK ? "read" : "write",
			       (long)l.l_start, (long)l.l_len,
			       l.l_pid == getppid() ? "parent" : "somebody");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void record_locks(int fd)
{
	int again = open("lock", O_RDWR);
	struct flock l = range(F_WRLCK, 10, 30);

	answer("lock", fcntl(fd, F_SETLK, &l));
	in_the_way("0+5", fd, 0, 5);
	in_the_way("0+0", fd, 0, 0);
	in_the_way("39+1", fd, 39, 1);
	in_the_way("40+1", fd, 40, 1);
	l = range(F_UNLCK, 20, 5);
	answer("cut", fcntl(fd, F_SETLK, &l));
	in_the_way("20+5", fd, 20, 5);
	in_the_way("20+6", fd, 20, 6);
	l = range(F_RDLCK, 12, 2);
	answer("downgrade", fcntl(fd, F_SETLK, &l));
	in_the_way("12+1", fd, 12, 1);
	in_the_way("14+1", fd, 14, 1);
	l = range(F_WRLCK, 5, 100);
	answer("join", fcntl(fd, F_SETLK, &l));
	in_the_way("0+0", fd, 0, 0);
	l = range(F_WRLCK, 5, 1);
	fflush(stdout);
	if (fork() == 0) {
		answer("conflict", fcntl(fd, F_SETLK, &l));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	close(again);
	in_the_way("closing any loses all", fd, 0, 0);
}

static void deadlock(int fd)
{
	struct flock l = range(F_WRLCK, 0, 1);
	pid_t child;
	int p[2];

	fcntl(fd, F_SETLK, &l);
	pipe(p);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		l = range(F_WRLCK, 1, 1);
		fcntl(fd, F_SETLK, &l);
		write(p[1], "x", 1);
		l = range(F_WRLCK, 0, 1);
		answer("waited", fcntl(fd, F_SETLKW, &l));
		fflush(stdout);
		_exit(0);
	}
	read(p[0], &(char){0}, 1);
	until_asleep(child);
	l = range(F_WRLCK, 1, 1);
	answer("deadlock", fcntl(fd, F_SETLKW, &l));
	fflush(stdout);
	l = range(F_UNLCK, 0, 0);
	fcntl(fd, F_SETLK, &l);
	wait(NULL);
}

static void other_locks(int fd)
{
	struct flock l = range(F_WRLCK, -1, 1);
	int again;

	answer("before the start", fcntl(fd, F_SETLK, &l));
	l = range(7, 0, 1);
	answer("odd type", fcntl(fd, F_SETLK, &l));
	again = open("lock", O_RDONLY);
	l = range(F_WRLCK, 0, 1);
	answer("write lock to read", fcntl(again, F_SETLK, &l));
	answer("flock", flock(fd, LOCK_EX));
	answer("other", flock(again, LOCK_SH | LOCK_NB));
	answer("weaker", flock(fd, LOCK_SH));
	answer("both", flock(again, LOCK_SH | LOCK_NB));
	answer("stronger", flock(fd, LOCK_EX | LOCK_NB));
	close(again);
	answer("now", flock(fd, LOCK_EX | LOCK_NB));
	answer("oddly", flock(fd, 77));
	again = open("lock", O_RDWR);
	l = range(F_WRLCK, 0, 9);
	answer("of the open file", fcntl(again, F_OFD_SETLK, &l));
	answer("in the way", fcntl(fd, F_SETLK, &l));
	l = range(F_WRLCK, 0, 1);
	fcntl(fd, F_GETLK, &l);
	printf("%d %ld %ld %d\n", l.l_type, (long)l.l_start, (long)l.l_len, l.l_pid);
	close(again);
	answer("gone with it", fcntl(fd, F_SETLK, &l));
}

static void locking(void)
{
	int fd = open("lock", O_RDWR | O_CREAT, 0600);

	record_locks(fd);
	deadlock(fd);
	other_locks(fd);
	close(fd);
}

int main(void)
{
	char folder[] = "/dev/shm/pipesXXXXXX";

	if (!mkdtemp(folder) || chdir(folder)) {
		perror("/dev/shm");
		return 1;
	}
	basics();
	stream();
	trickle();
	atomicity();
	waiting();
	fifos();
	locking();
	unlink("lock");
	chdir("/");
	return rmdir(folder) != 0;
}
