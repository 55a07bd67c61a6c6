// SPDX-License-Identifier: MIT
// Transfers, and other processes: fork, execve, the end of a process, and who has the device open. See dma.h.
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

// A child that does something and says with its status whether it went well.
static pid_t child(bool (*act)(void *argument), void *argument)
{
	fflush(stdout);
	pid_t pid = fork();

	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0)
		_exit(act(argument) ? 0 : 1);
	return pid;
}

static bool went_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && status == 0;
}

// ---- Fork --------------------------------------------------------------------------------------------------------

static int gate[2], ready[2];

static void gates_new(void)
{
	if (pipe(gate) || pipe(ready)) {
		perror("pipe");
		exit(1);
	}
}

static void gates_end(void)
{
	for (int i = 0; i < 2; i++) {
		close(gate[i]);
		close(ready[i]);
	}
}

static void pass(int *ends)
{
	char byte = 0;

	(void)!write(ends[1], &byte, 1);
}

static void await(int *ends)
{
	char byte;

	(void)!read(ends[0], &byte, 1);
}

static bool keeps_its_bytes(void *memory)
{
	await(gate);
	return full_of(memory, 2 * PAGE, 'A');
}

static void copied_by_parent(void)
{
	unsigned char *memory = pages_new(2, 'A');

	gates_new();
	check("before the fork", reaches(memory, 'A') && reaches(memory + PAGE, 'A'));
	pid_t pid = child(keeps_its_bytes, memory);
	check("shared after a fork", only_reads(memory, 'A') && only_reads(memory + PAGE, 'A'));
	memset(memory, 'B', PAGE);
	check("the parent's copy", reaches(memory, 'B'));
	buffer_fill('C');
	check("written by the device", !from_device(memory + 1, 0, PAGE - 1) && full_of(memory + 1, PAGE - 1, 'C'));
	pass(gate);
	check("the child's bytes", went_well(pid));
	check("the child has ended", only_reads(memory + PAGE, 'A'));
	memset(memory + PAGE, 'D', PAGE);
	check("and the page is the parent's", reaches(memory + PAGE, 'D'));
	munmap(memory, 2 * PAGE);
	gates_end();
}

static bool writes_its_own(void *memory)
{
	memset(memory, 'X', 2 * PAGE);
	pass(ready);
	await(gate);
	return full_of(memory, 2 * PAGE, 'X');
}

static void copied_by_child(void)
{
	unsigned char *memory = pages_new(2, 'A');

	gates_new();
	pid_t pid = child(writes_its_own, memory);
	await(ready);
	check("the child has a copy", only_reads(memory, 'A'));
	memset(memory, 'B', 2 * PAGE);
	check("the parent has its page", reaches(memory, 'B') && reaches(memory + PAGE, 'B'));
	pass(gate);
	check("the child's copy", went_well(pid));
	munmap(memory, 2 * PAGE);
	gates_end();
}

// The device's memory is that of who opened it, also when a child asks.
static bool asks_for_its_parent(void *memory)
{
	unsigned char *own = pages_new(1, 'x');

	await(gate);
	bool good = full_of(memory, PAGE, 'A') && !to_device(memory, 0, EDU_BUFFER);

	// Nothing is there in the parent.
	good = good && from_device(own, 0, PIECE) == EFAULT && full_of(own, PAGE, 'x');
	return good && open(EDU_PATH, O_RDWR) < 0 && errno == EBUSY;
}

static void asked_by_child(void)
{
	unsigned char *memory = pages_new(1, 'A');

	gates_new();
	pid_t pid = child(asks_for_its_parent, memory);
	memset(memory, 'B', PAGE);
	pass(gate);
	check("a child asks", went_well(pid));
	check("and gets the opener's bytes", full_of(buffer(), EDU_BUFFER, 'B'));
	munmap(memory, PAGE);
	gates_end();
}

// ---- Who has it open ---------------------------------------------------------------------------------------------

static void duplicated(void)
{
	unsigned char *memory = pages_new(1, 'E');
	int other = dup(device);

	close(device);
	check("a duplicate keeps it open", open(EDU_PATH, O_RDWR) < 0 && errno == EBUSY);
	device = other;
	check("and works", reaches(memory, 'E'));
	munmap(memory, PAGE);
}

// What was begun before the close does not reach the memory afterwards.
static void closed(void)
{
	unsigned char *memory = pages_new(1, 'F');

	buffer_fill('G');
	check("begin", !transfer(EDU_FROM_DEVICE, memory, 0, EDU_BUFFER, EDU_NO_WAIT));
	device_close();
	bool before = full_of(memory, PAGE, 'F');
	device_open(); // waits for its end
	check("closed meanwhile", before && full_of(memory, PAGE, 'F'));
	check("opened again", reaches(memory, 'F'));
	munmap(memory, PAGE);
}

// ---- The end of the opener ---------------------------------------------------------------------------------------

static bool begins_and_ends(void *memory)
{
	memset(memory, 'H', PAGE); // the child's own page
	device_open();
	buffer_fill('H');
	return !transfer(EDU_FROM_DEVICE, memory, 0, EDU_BUFFER, EDU_NO_WAIT);
}

static void ended(void)
{
	unsigned char *memory = pages_new(1, 'I'), *foreign;

	device_close();
	check("a process that ends meanwhile", went_well(child(begins_and_ends, memory)));
	foreign = foreign_new(FOREIGN_PAGES);
	device_open();
	check("reaches nobody", foreign_end(foreign, FOREIGN_PAGES) && full_of(memory, PAGE, 'I'));
	munmap(memory, PAGE);
}

static bool goes_on_and_on(void *memory)
{
	memset(memory, 'j', PAGE); // the child's own page
	device_open();
	pass(ready);
	while (!from_device(memory, 0, EDU_BUFFER))
		;
	return false;
}

static void killed(void)
{
	unsigned char *memory = pages_new(1, 'J'), *foreign;
	int status;

	gates_new();
	device_close();
	pid_t pid = child(goes_on_and_on, memory);
	await(ready);
	usleep(20000);
	kill(pid, SIGKILL);
	check("killed while it waits", waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	foreign = foreign_new(FOREIGN_PAGES);
	device_open();
	check("reaches nobody", foreign_end(foreign, FOREIGN_PAGES) && full_of(memory, PAGE, 'J'));
	munmap(memory, PAGE);
	gates_end();
}

// A child that inherited the device outlives its opener.
static bool outlives(void *memory)
{
	struct edu_range range = {(uintptr_t)memory, PAGE};
	struct edu_info info;

	await(gate);
	bool good = from_device(memory, 0, 1) == EFAULT && fault.address == (uintptr_t)memory;

	good = good && full_of(memory, PAGE, 'K') && to_device(memory, 0, 1) == EFAULT;
	good = good && !ioctl(device, EDU_INFO, &info) && !info.following && info.faults == info.transfers;
	good = good && ioctl(device, EDU_PIN, &range) && errno == ESRCH && !ioctl(device, EDU_UNPIN);
	device_close();
	pass(ready);
	return good;
}

static pid_t heir; // its status is lost with its parent

static bool leaves_an_heir(void *memory)
{
	device_open();
	heir = child(outlives, memory);
	return heir > 0;
}

static void inherited(void)
{
	unsigned char *memory = pages_new(1, 'K');
	struct edu_info info;

	gates_new();
	device_close();
	check("an opener that ends", went_well(child(leaves_an_heir, memory)));
	check("its child has the device", open(EDU_PATH, O_RDWR) < 0 && errno == EBUSY);
	pass(gate);
	await(ready);
	device_open();
	memset(memory, 'K', PAGE); // shared no more
	check("and nothing behind it", !ioctl(device, EDU_INFO, &info) && info.following && reaches(memory, 'K'));
	munmap(memory, PAGE);
	gates_end();
}

// ---- Execve ------------------------------------------------------------------------------------------------------

// Where neither program has anything by itself.
#define ELSEWHERE ((void *)0x300000000000)

static bool becomes_another(void *unused)
{
	static const char self[] = "/proc/self/exe";
	unsigned char *memory = memset(pages_at(ELSEWHERE, 1), 'L', PAGE);
	char number[16];

	(void)unused;
	device_open();
	buffer_fill('M');
	snprintf(number, sizeof(number), "%d", device);
	if (!transfer(EDU_FROM_DEVICE, memory, 0, EDU_BUFFER, EDU_NO_WAIT))
		execl(self, self, "exec", number, (char *)NULL);
	return false;
}

// The program that begins here has the descriptor, and memory of its own where the old one's was.
bool case_after_exec(int descriptor)
{
	unsigned char *memory = memset(pages_at(ELSEWHERE, 1), 'N', PAGE);
	struct edu_info info;
	int error;

	device = descriptor;
	error = transfer_end(); // it may have been over before
	if ((error && error != EFAULT) || !full_of(memory, PAGE, 'N'))
		return false;
	if (from_device(memory, 0, EDU_BUFFER) != EFAULT || !full_of(memory, PAGE, 'N') ||
	    to_device(memory, 0, EDU_BUFFER) != EFAULT)
		return false;
	if (ioctl(device, EDU_INFO, &info) || info.following)
		return false;
	device_close();
	device_open();
	return reaches(memory, 'N');
}

static void replaced_by_exec(void)
{
	device_close();
	check("execve while a transfer runs", went_well(child(becomes_another, NULL)));
	device_open();
}

// ---- Signals -----------------------------------------------------------------------------------------------------

static void on_alarm(int number)
{
	(void)number;
}

static void interrupted(void)
{
	unsigned char *memory = pages_new(1, 'O');
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval soon = {.it_value.tv_usec = 20000};

	sigaction(SIGALRM, &action, NULL);
	buffer_fill('P');
	setitimer(ITIMER_REAL, &soon, NULL);
	check("a signal", from_device(memory, 0, PIECE) == EINTR);
	check("the transfer goes on", !transfer_end() && full_of(memory, PIECE, 'P'));
	check("and is asked for once more", !transfer_end());
	munmap(memory, PAGE);
}

// ---- An IOMMU that does not answer -------------------------------------------------------------------------------

static void jammed(void)
{
	unsigned char *memory = pages_new(4, 'Q'), *foreign;
	struct edu_info info;

	check("before", reaches(memory, 'Q') && reaches(memory + PAGE, 'Q') && reaches(memory + 2 * PAGE, 'Q'));
	buffer_fill('R');
	check("jam", !ioctl(device, EDU_JAM));
	// The device may still have these translations, so nobody else may get what was there.
	check("unmap", !munmap(memory, PAGE));
	check("release", !madvise(memory + PAGE, PAGE, MADV_DONTNEED));
	foreign = foreign_new(FOREIGN_PAGES);
	from_device(memory, 0, PAGE / 2);
	from_device(memory + PAGE, 0, PAGE / 2);
	check("whoever has memory now", foreign_end(foreign, FOREIGN_PAGES));
	memset(memory + PAGE, 'S', PAGE);
	check("the program goes on", full_of(memory + PAGE, PAGE, 'S') && full_of(memory + 3 * PAGE, PAGE, 'Q'));
	check("it is known", !ioctl(device, EDU_INFO, &info) && info.lost);
	device_close();
	device_open();
	check("reset", reaches(memory + PAGE, 'S') && faults(memory));
	munmap(memory + PAGE, 3 * PAGE);
}

static bool jams_and_ends(void *memory)
{
	memset(memory, 'T', PAGE); // the child's own page
	device_open();
	if (!reaches(memory, 'T') || ioctl(device, EDU_JAM))
		return false;
	munmap(memory, PAGE);
	return true;
}

static void jammed_at_the_end(void)
{
	unsigned char *memory = pages_new(1, 'T');

	device_close();
	check("a process that jams it and ends", went_well(child(jams_and_ends, memory)));
	device_open();
	memset(memory, 'U', PAGE); // shared no more
	check("reset by its end", reaches(memory, 'U'));
	munmap(memory, PAGE);
}

void cases_shared(void)
{
	device_open();
	copied_by_parent();
	copied_by_child();
	asked_by_child();
	duplicated();
	closed();
	ended();
	killed();
	inherited();
	replaced_by_exec();
	interrupted();
	jammed();
	jammed_at_the_end();
	device_close();
}
