// SPDX-License-Identifier: MIT
// A kernel that runs nothing: it says what the second argument of the "program" asks for, so that the command can be
// tried with a kernel that stops, lies, loses memory or says nothing. 32-bit, entered by PVH; docs/guest.md is what it
// keeps to, and breaks on request.
#include <stddef.h>
#include <stdint.h>

#define OUTPUT  0xe9
#define ERROR   0xea
#define CONTROL 0xeb
#define COM1    0x3f8
#define EXIT    0xf4

// hvm_start_info, version 1, and its module list (Xen's public header arch-x86/hvm/start_info.h).
struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, command_line, rsdp;
};

struct module {
	uint64_t address, size, command_line, reserved;
};

void fake_main(const struct start_info *info);

static void put_byte(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t get_byte(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void put(uint16_t port, const char *text)
{
	while (*text)
		put_byte(port, (uint8_t)*text++);
}

__attribute__((noreturn)) static void stop(void)
{
	put_byte(EXIT, 0);
	for (;;)
		__asm__ volatile("hlt");
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static int holds(const char *text, const char *part)
{
	for (; *text; text++) {
		const char *a = text, *b = part;
		while (*b && *a == *b) {
			a++;
			b++;
		}
		if (!*b)
			return 1;
	}
	return 0;
}

static uint32_t hexadecimal(const char *digits)
{
	uint32_t value = 0;

	for (int i = 0; i < 8; i++) {
		char digit = digits[i];
		value = value * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
	}
	return value;
}

// The member's data in a cpio archive, or NULL.
static const char *find(uint32_t archive, const char *wanted)
{
	for (uint32_t at = archive;;) {
		const char *header = (const char *)at;
		const char *name = header + 110;
		uint32_t size = hexadecimal(header + 54);
		uint32_t data = archive + ((at - archive + 110 + hexadecimal(header + 94) + 3) & ~3u);
		if (equal(name, wanted))
			return (const char *)data;
		if (equal(name, "TRAILER!!!"))
			return NULL;
		at = archive + ((data - archive + size + 3) & ~3u);
	}
}

static uint8_t receive(void)
{
	while (!(get_byte(COM1 + 5) & 1))
		;
	return get_byte(COM1);
}

// Standard input to standard output, and a good end.
static void echo(void)
{
	for (;;) {
		unsigned length = receive();
		length |= (unsigned)receive() << 8;
		if (!length)
			break;
		while (length--)
			put_byte(OUTPUT, receive());
	}
	put(CONTROL, "exit 0\n");
}

static void flood(void)
{
	for (unsigned i = 0; i < 3000000; i++)
		put_byte(OUTPUT, (uint8_t)"0123456789abcde\n"[i % 16]);
	put(CONTROL, "exit 0\n");
}

static void triple_fault(void)
{
	static const uint8_t no_table[6];

	__asm__ volatile("lidt %0; int3" : : "m"(no_table));
}

static const struct {
	const char *name;
	const char *control; // said on the control stream
	void (*act)(void);   // then done
	int report;          // and then a good account is given
} cases[] = {
	{"echo", "", echo, 1},
	{"flood", "", flood, 1},
	{"exit", "exit 5\n", NULL, 1},
	{"oops-twice", "exit 127\n", NULL, 1}, // as busybox ends that has no such applet
	{"signal", "signal 11 1\n", NULL, 1},
	{"killed", "killed 7 some program\nexit 0\n", NULL, 1},
	{"lacks", "syscall 449 futex_waitv 3\nexit 1\n", NULL, 1},
	{"refuses", "exit 1\nstat madvise_refused 2\nstat killed_for_memory 1\n", NULL, 1},
	{"panic", "panic it went wrong\n", NULL, 0},
	{"lost", "exit 0\nstat frames_lost 3\nstat kmem_lost_bytes 0\n", NULL, 0},
	{"lost-failed", "exit 9\nstat frames_lost 3\nstat kmem_lost_bytes 0\n", NULL, 0},
	{"bytes-lost", "exit 0\nstat frames_lost 0\nstat kmem_lost_bytes 8\n", NULL, 0},
	{"no-account", "exit 0\n", NULL, 0},
	{"no-end", "", NULL, 1},
	{"two-ends", "exit 0\nexit 1\n", NULL, 1},
	{"no-program", "noexec 2 not there\n", NULL, 0},
	{"no-exec", "noexec 8 bad format\n", NULL, 0},
	{"garbage", "exit 0\nwhat is this\n", NULL, 1},
	{"bad-number", "exit 256\n", NULL, 1},
	{"bad-stat", "exit 0\nstat Frames 3\n", NULL, 1},
	{"twice", "exit 0\nstat x 3\nstat x 3\n", NULL, 1},
	{"negative", "exit 0\nstat x -3\n", NULL, 1},
	{"triple-fault", "exit 0\n", triple_fault, 1},
};

void fake_main(const struct start_info *info)
{
	const struct module *module = (const struct module *)(uint32_t)info->modules;
	const char *order = find((uint32_t)module->address, ".vmtree/args");

	put_byte(COM1 + 2, 0xc7);
	while (*order++)
		;
	if (equal(order, "silent"))
		stop();
	const char *words = (const char *)(uint32_t)info->command_line;
	if (equal(order, "oops") || (equal(order, "oops-twice") && !holds(words, "vmtree.boot=3"))) {
		put(COM1, "Oops: double fault: 0000\r\nKernel panic - not syncing: Fatal exception in interrupt\r\n");
		stop();
	}
	if (equal(order, "stuck")) {
		put(COM1, "one line\r\nand the last one\r\n");
		for (;;)
			;
	}
	put(CONTROL, "boot fake\n");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (!equal(order, cases[i].name))
			continue;
		put(CONTROL, cases[i].control);
		if (cases[i].act)
			cases[i].act();
		if (cases[i].report)
			put(CONTROL, "stat frames_lost 0\nstat kmem_lost_bytes 0\n");
		put(CONTROL, "done\n");
	}
	if (equal(order, "stays")) {
		put(CONTROL, "exit 0\nstat frames_lost 0\nstat kmem_lost_bytes 0\ndone\n");
		for (;;)
			__asm__ volatile("hlt");
	}
	if (equal(order, "hang"))
		for (;;)
			;
	stop();
}
