// SPDX-License-Identifier: MIT
// Signals as programs use them: masks, queues, alternate stacks, interrupted and restarted calls,
// timers, children, stopping, and which thread of several takes one.
#include "conform.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t count, code, value;
static volatile pid_t from, by_thread;
static sigjmp_buf back;

static void note(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	code = info->si_code;
	from = info->si_pid;
	value = info->si_value.sival_int;
	by_thread = gettid();
	count++;
}

static void jump(int number, siginfo_t *info, void *context)
{
	(void)context;
	code = info->si_code;
	siglongjmp(back, number);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

static sigset_t one(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	return set;
}

static void sending(void)
{
	sigset_t set = one(SIGUSR1), pending, none;

	handle(SIGUSR1, note, 0);
	answer("kill itself", kill(getpid(), SIGUSR1));
	word("who", from == getpid() && code == SI_USER ? "itself" : "somebody else");
	raise(SIGUSR1);
	word("raise", code == SI_TKILL ? "SI_TKILL" : "another code");
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	figure("handled while blocked", count);
	sigpending(&pending);
	figure("pending", sigismember(&pending, SIGUSR1));
	sigemptyset(&none);
	answer("sigsuspend", sigsuspend(&none));
	figure("handled after it, of two", count);
	sigprocmask(SIG_SETMASK, NULL, &pending);
	figure("blocked again", sigismember(&pending, SIGUSR1));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	figure("handled in all", count);
	answer("nobody has this number", kill(999999, 0));
	answer("no such signal", kill(getpid(), 77));
	answer("a handler for SIGKILL", sigaction(SIGKILL, &(struct sigaction){0}, NULL));
}

static void queues(void)
{
	sigset_t set = one(SIGRTMIN + 1);
	struct timespec soon = {.tv_nsec = 20000000};
	siginfo_t info;

	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < 4; i++)
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i * 11});
	for (int i = 0; i < 4; i++) {
		sigwaitinfo(&set, &info);
		figure("in order", info.si_value.sival_int);
	}
	answer("no more", sigtimedwait(&set, &info, &soon));
	handle(SIGUSR2, note, SA_RESETHAND);
	raise(SIGUSR2);
	struct sigaction action;
	sigaction(SIGUSR2, NULL, &action);
	figure("default after one", action.sa_handler == SIG_DFL);
}

static void overflow(volatile char *frame)
{
	for (long i = 0;; i += 4096)
		frame[-i] = 1;
}

static void stacks(void)
{
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536}, now;
	struct rlimit limit = {1 << 20, RLIM_INFINITY};
	char here;

	setrlimit(RLIMIT_STACK, &limit);
	answer("a small stack", sigaltstack(&(stack_t){.ss_sp = &here, .ss_size = 100}, NULL));
	answer("an alternate stack", sigaltstack(&stack, NULL));
	handle(SIGSEGV, jump, SA_ONSTACK);
	if (!sigsetjmp(back, 1))
		overflow(__builtin_frame_address(0));
	word("the stack overflowed", code == SEGV_MAPERR ? "SEGV_MAPERR" : "another code");
	sigaltstack(NULL, &now);
	figure("on it afterwards", now.ss_flags & SS_ONSTACK);
	signal(SIGSEGV, SIG_DFL);
}

// Each of these exceptions in its own way.
static void exceptions(void)
{
	handle(SIGFPE, jump, 0);
	handle(SIGILL, jump, 0);
	handle(SIGTRAP, jump, 0);
	handle(SIGSEGV, jump, 0);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idivl %%ecx" ::
					 : "eax", "ecx", "edx");
	figure("division by zero", code);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("ud2");
	figure("undefined instruction", code);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("int3");
	figure("breakpoint", code);
	if (!sigsetjmp(back, 1))
		__asm__ volatile("hlt");
	figure("privileged instruction", code);
	if (!sigsetjmp(back, 1))
		*(volatile char *)0x8000000000000000ul = 1;
	figure("not an address", code);
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
}

// The child sends SIGUSR1, then writes a byte.
static pid_t disturber(int out)
{
	pid_t child = fork();

	if (!child) {
		usleep(100000);
		kill(getppid(), SIGUSR1);
		usleep(100000);
		answer("the child's write", write(out, "x", 1));
		fflush(stdout);
		_exit(0);
	}
	return child;
}

static void interrupted(void)
{
	struct itimerval timer = {.it_value = {.tv_usec = 50000}}, off = {0};
	struct timespec second = {.tv_sec = 1}, left = {0};
	struct pollfd in;
	int pipes[2];
	char byte;

	fflush(stdout);
	if (pipe(pipes))
		return;
	handle(SIGUSR1, note, SA_RESTART);
	pid_t child = disturber(pipes[1]);
	answer("read, restarted", read(pipes[0], &byte, 1));
	waitpid(child, NULL, 0);
	handle(SIGUSR1, note, 0);
	child = disturber(pipes[1]);
	answer("read, interrupted", read(pipes[0], &byte, 1));
	waitpid(child, NULL, 0);
	answer("read what it left", read(pipes[0], &byte, 1));
	handle(SIGALRM, note, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, NULL);
	answer("nanosleep", nanosleep(&second, &left));
	figure("most of it is left", left.tv_sec == 0 && left.tv_nsec > 500000000);
	setitimer(ITIMER_REAL, &timer, NULL);
	in = (struct pollfd){.fd = pipes[0], .events = POLLIN};
	answer("poll", poll(&in, 1, 2000));
	timer.it_value.tv_usec = timer.it_interval.tv_usec = 5000;
	count = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (count < 5)
		pause();
	setitimer(ITIMER_REAL, &off, &timer);
	figure("the interval that was", timer.it_interval.tv_usec);
	alarm(3);
	figure("alarm that was", alarm(0));
}

static void stopping(void)
{
	struct timespec wait = {.tv_nsec = 300000000};
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child)
		_exit(nanosleep(&wait, NULL) ? 1 : 7);
	usleep(50000);
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	figure("stopped by", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	kill(child, SIGCONT);
	waitpid(child, &status, WCONTINUED);
	figure("continued", WIFCONTINUED(status));
	waitpid(child, &status, 0);
	figure("slept on and ended with", WEXITSTATUS(status));
	child = fork();
	if (!child)
		for (;;)
			pause();
	kill(child, SIGSTOP);
	waitpid(child, &status, WUNTRACED);
	kill(child, SIGTERM);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	figure("killed while stopped by", WTERMSIG(status));
}

static _Atomic pid_t worker;

static void *spin(void *unused)
{
	worker = gettid();
	for (;;) {
		sched_yield();
		pthread_testcancel();
	}
	return unused;
}

static void threads(void)
{
	sigset_t set = one(SIGUSR1);
	pthread_t thread;
	void *result;

	handle(SIGUSR1, note, 0);
	pthread_create(&thread, NULL, spin, NULL);
	while (!worker)
		sched_yield();
	count = 0;
	pthread_kill(thread, SIGUSR1);
	while (!count)
		sched_yield();
	figure("to a thread, taken by it", by_thread == worker);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	count = 0;
	kill(getpid(), SIGUSR1);
	while (!count)
		sched_yield();
	figure("to the process, taken by the one that does not block it", by_thread == worker);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	figure("cancelled", result == PTHREAD_CANCELED);
}

int main(void)
{
	sending();
	queues();
	stacks();
	exceptions();
	interrupted();
	stopping();
	threads();
	return 0;
}
