// SPDX-License-Identifier: MIT
/*
 * PCI's configuration space through the ports CF8 and CFC: PCI Local Bus Specification 3.0,
 * 3.2.2.3.2 (the ports), 6.1 (the header), 6.7 and 6.8.1 (capabilities, MSI). Bus 0 only, which is
 * where QEMU puts a device that is told nothing else.
 *
 * The two ports are one register: config_lock makes both accesses one.
 */
#include "dev.h"

#include <kernel/spinlock.h>

#define ADDRESS 0xcf8
#define DATA 0xcfc
#define ENABLE (1u << 31)

#define COMMAND 0x04
#define COMMAND_MEMORY 2u
#define COMMAND_MASTER 4u
#define STATUS_CAPABILITIES (1u << 20) /* in the same word */
#define BAR 0x10
#define CAPABILITIES 0x34

#define CAPABILITY_MSI 0x05
#define MSI_ENABLE (1u << 16) /* in the capability's first word */
#define MSI_WIDE (1u << 23) /* the address has 64 bits */
#define MSI_ADDRESS 0xfee00000u /* of the APIC with number 0 */

static struct spinlock config_lock = SPINLOCK_INIT;

static uint32_t config_read(unsigned int function, unsigned int at)
{
	uint32_t value;

	spin_lock(&config_lock);
	outl(ADDRESS, ENABLE | function << 8 | at);
	value = inl(DATA);
	spin_unlock(&config_lock);
	return value;
}

static void config_write(unsigned int function, unsigned int at, uint32_t value)
{
	spin_lock(&config_lock);
	outl(ADDRESS, ENABLE | function << 8 | at);
	outl(DATA, value);
	spin_unlock(&config_lock);
}

/* The port keeps what is written to it where there is PCI, and is all ones where there is none. */
static bool pci_is_there(void)
{
	outl(ADDRESS, ENABLE);
	return inl(ADDRESS) == ENABLE;
}

unsigned int pci_find(uint32_t id)
{
	unsigned int function = pci_is_there() ? 0 : PCI_NONE;

	while (function < PCI_NONE && config_read(function, 0) != id)
		function++;
	return function;
}

uint64_t pci_registers(unsigned int function)
{
	uint32_t bar = config_read(function, BAR);

	return bar & 1 ? 0 : bar & ~0xfu;
}

/* Status bits are cleared by writing them: they are written as 0. */
static void command_set(unsigned int function, uint32_t bits, bool on)
{
	uint32_t command = config_read(function, COMMAND) & 0xffff;

	config_write(function, COMMAND, on ? command | bits : command & ~bits);
}

void pci_enable(unsigned int function)
{
	command_set(function, COMMAND_MEMORY, true);
}

void pci_set_master(unsigned int function, bool on)
{
	command_set(function, COMMAND_MASTER, on);
}

static unsigned int find_capability(unsigned int function, uint8_t id)
{
	unsigned int at = 0;

	if (config_read(function, COMMAND) & STATUS_CAPABILITIES)
		at = config_read(function, CAPABILITIES) & 0xfc;
	while (at && (config_read(function, at) & 0xff) != id)
		at = config_read(function, at) >> 8 & 0xfc;
	return at;
}

bool pci_set_message(unsigned int function, unsigned int vector)
{
	unsigned int at = find_capability(function, CAPABILITY_MSI);
	uint32_t head;

	if (!at)
		return false;
	head = config_read(function, at);
	config_write(function, at + 4, MSI_ADDRESS);
	if (head & MSI_WIDE)
		config_write(function, at + 8, 0);
	config_write(function, at + (head & MSI_WIDE ? 12 : 8), vector);
	config_write(function, at, head | MSI_ENABLE);
	return true;
}
