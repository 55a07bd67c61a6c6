// SPDX-License-Identifier: MIT
// Restartable sequences as the C library registers them: the CPU's number in memory, counters per
// CPU without atomic operations while threads are moved and interrupted, and a broken registration.
#include "conform.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS   6
#define ROUNDS    20000
#define SIGNATURE 0x53053053

static struct {
	long value;
	char pad[56];
} counters[CPU_SETSIZE];

static struct rseq *own(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

// Adds one to this CPU's counter, slowly, so that it is often interrupted between reading and
// writing. False: it was, and nothing has been written.
static int add(struct rseq *area)
{
	unsigned cpu = area->cpu_id_start;
	long *counter = &counters[cpu].value;

	__asm__ goto(".pushsection __rseq_cs, \"aw\"\n"
		     ".balign 32\n"
		     "3: .long 0, 0\n"
		     ".quad 1f, 2f - 1f, 4f\n"
		     ".popsection\n"
		     "leaq 3b(%%rip), %%rax\n"
		     "movq %%rax, 8(%[area])\n"
		     "1: cmpl %[cpu], 4(%[area])\n"
		     "jnz %l[aborted]\n"
		     "movq (%[counter]), %%rcx\n"
		     "movl $200, %%edx\n"
		     "5: decl %%edx\n"
		     "jnz 5b\n"
		     "incq %%rcx\n"
		     "movq %%rcx, (%[counter])\n"
		     "2: jmp 6f\n"
		     ".byte 0x0f, 0xb9, 0x3d\n"
		     ".long 0x53053053\n"
		     "4: jmp %l[aborted]\n"
		     "6:\n"
		     :
		     : [area] "r"(area), [cpu] "r"(cpu), [counter] "r"(counter)
		     : "rax", "rcx", "rdx", "memory", "cc"
		     : aborted);
	return 1;
aborted:
	return 0;
}

static void *work(void *unused)
{
	struct rseq *area = own();

	for (int done = 0; done < ROUNDS;)
		done += add(area);
	return unused;
}

static void ignore(int number)
{
	(void)number;
}

static void move(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), wrong = 0;
	cpu_set_t all, one;
	unsigned cpu;

	sched_getaffinity(0, sizeof(all), &all);
	for (long i = 0; i < 200; i++) {
		CPU_ZERO(&one);
		CPU_SET((size_t)(i % cpus), &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			continue;
		syscall(SYS_getcpu, &cpu, NULL, NULL);
		wrong += cpu != *(volatile uint32_t *)&own()->cpu_id;
	}
	sched_setaffinity(0, sizeof(all), &all);
	figure("on another CPU than it says", wrong);
}

static void count(void)
{
	struct itimerval timer = {{0, 700}, {0, 700}}, off = {0};
	pthread_t threads[WORKERS];
	long sum = 0;

	signal(SIGALRM, ignore);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, work, NULL);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	setitimer(ITIMER_REAL, &off, NULL);
	for (int i = 0; i < CPU_SETSIZE; i++)
		sum += counters[i].value;
	figure("counted", sum);
}

static long call(struct rseq *area, int flags, unsigned signature)
{
	return syscall(SYS_rseq, area, 32, flags, signature);
}

static void refused(void)
{
	struct rseq *area = own();
	uint64_t nowhere = 0x1000;
	int status;

	answer("twice", call(area, 0, SIGNATURE));
	answer("with another signature", call(area, 0, 1));
	answer("with flags", call(area, 4, SIGNATURE));
	answer("end of another one", call(area + 1, 1, SIGNATURE));
	fflush(stdout);
	if (!fork()) {
		memcpy((char *)area + 8, &nowhere, sizeof(nowhere));
		for (;;)
			usleep(100);
	}
	wait(&status);
	figure("a sequence that is nowhere: killed by", WTERMSIG(status));
	answer("end", call(area, 1, SIGNATURE));
	figure("no CPU", (int)area->cpu_id);
	answer("end once more", call(area, 1, SIGNATURE));
}

int main(void)
{
	move();
	count();
	refused();
	return 0;
}
