// SPDX-License-Identifier: MIT
// QEMU's device for teaching, "edu" (its documentation: docs/specs/edu.txt of QEMU), and machine.h on top of it: an
// access is a transfer between memory and the device's buffer. The device says nothing about how a transfer ended,
// so the bytes do: what it read is written to memory that surely is mapped, and what it wrote is read back.
//
// A transfer begins 100 ms after its command, of a clock that counts instructions (QEMU's -icount shift=10, where each
// takes 1024 ns). The image waits in a loop of instructions that cost the emulator next to nothing.
#include "iommu.h"

#define DEVICE_ID UINT32_C(0x11e81234)

// Registers, in BAR 0, and the command's bits.
enum {
	FROM = 0x80,
	TO = 0x88,
	COUNT_BYTES = 0x90,
	COMMAND = 0x98,
	BUFFER = 0x40000, // an address of the device's own
	RUN = 1,
	TO_MEMORY = 2,
};

#define WAIT_ROUNDS 242 // of 402 instructions: a little less than 100 ms
#define WAIT_MORE   1

// The root's last entry leads to a table of the judge's own, and that to the first GiB of memory, where the image is.
#define WINDOW UINT64_C(0xff8000000000)

extern uint64_t x86_root[512];

static _Alignas(4096) uint64_t window[512];
static _Alignas(4096) unsigned char bounce[DEVICE_BUFFER];

static unsigned device;
static uint64_t registers;

struct unit_fault device_fault(void)
{
	return unit_fault(device);
}

// ---- Transfers ---------------------------------------------------------------------------------------------------

static void wait(uint64_t rounds)
{
	__asm__ volatile("1: .rept 400\n\tnop\n\t.endr\n\tdec %0\n\tjnz 1b" : "+r"(rounds));
}

static void transfer(uint64_t from, uint64_t to, unsigned bytes, unsigned direction)
{
	volatile uint64_t *command = (volatile uint64_t *)(registers + COMMAND);

	__asm__ volatile("" ::: "memory"); // what the processor wrote
	*(volatile uint64_t *)(registers + FROM) = from;
	*(volatile uint64_t *)(registers + TO) = to;
	*(volatile uint64_t *)(registers + COUNT_BYTES) = bytes;
	*command = RUN | direction;
	for (wait(WAIT_ROUNDS); *command & RUN;)
		wait(WAIT_MORE);
	__asm__ volatile("" ::: "memory"); // what the device wrote
}

void device_fetch(uint64_t iova, unsigned offset, unsigned bytes)
{
	transfer(iova, BUFFER + offset, bytes, 0);
}

void device_store(uint64_t iova, unsigned offset, unsigned bytes)
{
	transfer(BUFFER + offset, iova, bytes, TO_MEMORY);
}

static uint64_t bounce_iova(void)
{
	return WINDOW + (uint64_t)(uintptr_t)bounce - JUDGE_DIRECT;
}

const void *device_buffer(unsigned offset, unsigned bytes)
{
	device_store(bounce_iova() + offset, offset, bytes);
	return bounce + offset;
}

void device_fill(unsigned offset, const void *from, unsigned bytes)
{
	memcpy(bounce + offset, from, bytes);
	device_fetch(bounce_iova() + offset, offset, bytes);
}

// ---- The machine -------------------------------------------------------------------------------------------------

static void out8(uint16_t port, uint8_t byte)
{
	__asm__ volatile("outb %0, %1" ::"a"(byte), "Nd"(port));
}

// Registers lie between 3 and 4 GiB: mapped where they are, uncached.
static void map_registers(void)
{
	uint64_t *table = port_pointer(x86_root[0] & ~UINT64_C(0xfff));

	table[3] = 3 * GIB | 0x9b;
}

void machine_start(void)
{
	map_registers();
	device = pci_find(DEVICE_ID);
	if (device == PCI_NONE)
		judge_skip("there is no device edu");
	registers = pci_read(device, PCI_BAR) & ~UINT32_C(0xf);
	pci_write(device, PCI_COMMAND, PCI_MEMORY | PCI_MASTER);
	window[0] = unit_leaf(0, 2);
	unit_start(device);
}

void machine_use(uint64_t root)
{
	if (root != NOWHERE)
		((uint64_t *)port_pointer(root))[511] = unit_table((uint64_t)(uintptr_t)window - JUDGE_DIRECT, 2);
	unit_use(root);
}

void machine_flush_all(void)
{
	unit_flush(NULL);
}

void machine_flush(const struct vmt_flush *flush)
{
	unit_flush(flush);
}

void machine_mapped(void)
{
	if (unit_caches_absence())
		unit_flush(NULL);
}

void machine_strict(bool on)
{
	(void)on;
}

// A device has no modes.
bool machine_allows(enum judge_who who, enum judge_access access, bool user, bool strict)
{
	(void)who, (void)access, (void)user, (void)strict;
	return true;
}

void machine_code(uint32_t code[4], uint32_t token)
{
	code[0] = token;
}

// ---- Accesses ----------------------------------------------------------------------------------------------------

// What the buffer gets where there is nothing to read: what it had, or what a bus answers that nobody listens on.
static bool read_word(uint64_t va, uint64_t *word)
{
	static const uint64_t before = UINT64_C(0xbadc0ffee0ddf00d);

	device_fill(0, &before, sizeof(before));
	device_fetch(va, 0, sizeof(*word));
	memcpy(word, device_buffer(0, sizeof(*word)), sizeof(*word));
	return *word != before && *word != 0 && *word != UINT64_MAX;
}

struct judge_result machine_access(enum judge_who who, enum judge_access access, uint64_t va, uint64_t value)
{
	struct judge_result result = {.outcome = OTHER, .level = -1, .address = va};
	struct unit_fault fault;
	bool moved;

	(void)who;
	if (access == READ) {
		moved = read_word(va, &result.value);
		fault = device_fault();
	} else {
		uint64_t again;

		device_fill(0, &value, sizeof(value));
		device_store(va, 0, sizeof(value));
		fault = device_fault();
		// No leaf here can be written and not be read, so this finds what was written by whichever translation.
		moved = read_word(va, &again) && again == value;
		device_fault();
	}
	// Where every absence is recorded, what moved nothing and left no record was denied by a cached permission.
	if (fault.kind == FAULT_NONE)
		result.outcome = moved ? ALLOWED : unit_records_absence ? DENIED : ABSENT;
	else if (fault.kind == FAULT_ACCESS && !moved && fault.write == (access == WRITE))
		result.outcome = ABSENT;
	if (fault.kind == FAULT_ACCESS)
		result.address = fault.page | (va & VMT_PAGE_MASK);
	result.raw[0] = fault.raw[0];
	result.raw[1] = fault.raw[1];
	return result;
}

void machine_put(char c)
{
	out8(0xe9, (uint8_t)c); // isa-debugcon
}

_Noreturn void machine_end(bool good)
{
	out8(0xf4, good ? 0 : 1); // isa-debug-exit: the status is twice that, plus one
	for (;;)
		__asm__ volatile("hlt");
}
