// SPDX-License-Identifier: MIT
// Linked to another program: opens the device before main() begins, so that its tables follow whatever the program does
// (kernel/eduabi.h). Ends the program with status 3 if they did not follow to the end.
#include <fcntl.h>
#include <kernel/eduabi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int device;

__attribute__((constructor)) static void begin(void)
{
	device = open(EDU_PATH, O_RDWR);
	if (device < 0) {
		perror(EDU_PATH);
		exit(1);
	}
}

__attribute__((destructor)) static void end(void)
{
	struct edu_info info;

	if (!ioctl(device, EDU_INFO, &info) && info.following && !info.lost && !info.behind && info.entered)
		return;
	fputs("the device does not follow\n", stderr);
	_exit(3);
}
