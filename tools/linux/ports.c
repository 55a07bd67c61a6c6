// SPDX-License-Identifier: MIT
// Ports of the machine, from user mode: ioperm(2) opens one for the moment in which it is used, since a program that is
// started meanwhile would inherit it, and since a process with open ports is slower to switch to.
#include "linux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <unistd.h>

static void open_port(unsigned port, unsigned count)
{
	if (ioperm(port, count, 1))
		give_up("I/O ports cannot be used: %s", strerror(errno));
}

void port_write(unsigned port, const void *data, size_t length)
{
	open_port(port, 1);
	outsb((unsigned short)port, data, length);
	ioperm(port, 1, 0);
}

void port_file(unsigned port, int fd)
{
	static char block[1 << 16];
	off_t at = 0;
	ssize_t got;

	while ((got = pread(fd, block, sizeof(block), at)) > 0) {
		port_write(port, block, (size_t)got);
		at += got;
	}
}

static void print_line(void (*print)(const char *line, size_t length), const char *format, va_list arguments)
{
	char line[2048];
	int length = vsnprintf(line, sizeof(line) - 1, format, arguments);

	if (length < 0)
		return;
	if ((size_t)length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	print(line, (size_t)length);
}

static void to_control(const char *line, size_t length)
{
	port_write(PORT_CONTROL, line, length);
}

// By way of the kernel's messages: a terminal on the serial port may not be there.
static void to_console(const char *line, size_t length)
{
	int fd = open("/dev/kmsg", O_WRONLY);

	if (fd < 0)
		fd = open("/dev/console", O_WRONLY | O_NOCTTY);
	(void)!write(fd, line, length);
}

void record(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(to_control, format, arguments);
	va_end(arguments);
}

void stat_record(const char *name, uint64_t value)
{
	record("stat %s %llu", name, (unsigned long long)value);
}

void give_up(const char *format, ...)
{
	char whole[512];
	va_list arguments;

	// Level 3: an error, which the console shows.
	snprintf(whole, sizeof(whole), "<3>vmtree: %s", format);
	va_start(arguments, format);
	print_line(to_console, whole, arguments);
	va_end(arguments);
	reboot(RB_AUTOBOOT);
	_exit(1);
}

void machine_off(void)
{
	open_port(PORT_END, 4);
	outl(0, PORT_END);
	reboot(RB_AUTOBOOT);
	_exit(1);
}
