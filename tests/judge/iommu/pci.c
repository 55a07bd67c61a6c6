// SPDX-License-Identifier: MIT
// PCI's configuration space through ports CF8 and CFC, PCI Local Bus Specification 3.0, 3.2.2.3.2, 6.1 and 6.7.
#include "iommu.h"

#define ADDRESS 0xcf8
#define DATA	0xcfc
#define ENABLE	(UINT32_C(1) << 31)

static void select(unsigned function, unsigned at)
{
	__asm__ volatile("outl %0, %1" ::"a"(ENABLE | function << 8 | (at & 0xfc)), "Nd"((uint16_t)ADDRESS));
}

uint32_t pci_read(unsigned function, unsigned at)
{
	uint32_t value;

	select(function, at);
	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"((uint16_t)DATA));
	return value;
}

void pci_write(unsigned function, unsigned at, uint32_t value)
{
	select(function, at);
	__asm__ volatile("outl %0, %1" ::"a"(value), "Nd"((uint16_t)DATA));
}

unsigned pci_find(uint32_t id)
{
	unsigned function = 0;

	while (function < PCI_NONE && pci_read(function, 0) != id)
		function++;
	return function;
}

static unsigned find_in(unsigned function, uint8_t capability)
{
	unsigned at = pci_read(function, PCI_CAPABILITIES) & 0xfc;

	while (at && (pci_read(function, at) & 0xff) != capability)
		at = pci_read(function, at) >> 8 & 0xfc;
	return at;
}

unsigned pci_find_capability(uint8_t capability, unsigned *at)
{
	for (unsigned function = 0; function < PCI_NONE; function++)
		if (pci_read(function, 0) != UINT32_MAX && (*at = find_in(function, capability)))
			return function;
	return PCI_NONE;
}
