// SPDX-License-Identifier: MIT
/*
 * What the files of kernel/dev share and nobody else sees. Lock order: docs/kernel-dev.md.
 */
#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <kernel/device.h>
#include <kernel/eduabi.h>
#include <kernel/types.h>
#include <kernel/wait.h>
#include <vmtree/types.h>

struct vmt_target;

/* ---- pci.c ---- */

/* Functions of bus 0 are named as in requests and faults: device << 3 | function. */
#define PCI_NONE 256u

/* The first function of this vendor and device (device << 16 | vendor), or PCI_NONE. */
unsigned int pci_find(uint32_t id);

/* Physical address of what its first BAR has, which must be memory below 4 GiB; 0: it is not. */
uint64_t pci_registers(unsigned int function);

void pci_enable(unsigned int function); /* answers at its registers */
void pci_set_master(unsigned int function, bool on); /* may make requests */

/* Its interrupts are messages for the boot CPU, with this vector. False: it has none. */
bool pci_set_message(unsigned int function, unsigned int vector);

/* ---- vtd.c: the IOMMU. One domain, whose number is vtd.c's own ---- */

/* Finds it and turns it on: no request gets through yet. False, with a log line: of no use. */
bool vtd_start(void);

struct vtd_state {
	uint64_t registers;
	uint64_t leaf_sizes; /* bit n: leaves of 2^n bytes */
	bool from_acpi, coherent, caching;
};

extern struct vtd_state vtd_state; /* constant after vtd_start */

/*
 * From now on the function's requests are translated by these tables; 0: none gets through. What
 * was kept of others is forgotten. False: the IOMMU does not answer.
 */
bool vtd_use(unsigned int function, uint64_t root);

/*
 * Begins to forget what it has kept of [start, end), with `tables` also how to get there. Any
 * context that may take a spin_lock lock.
 */
void vtd_issue(uint64_t start, uint64_t end, bool tables);

/*
 * It has forgotten all that was asked for before, and no request is under way. False: it does not
 * answer.
 */
bool vtd_wait(void);

/* After that: tries to make it answer again, having forgotten everything. */
bool vtd_reset(void);

/* For tests: an invalidation that it has to refuse. It answers no more until vtd_reset. */
void vtd_jam(void);

/*
 * Takes all faults that it has recorded. True: there was one of this function, and *fault is the
 * first. One caller at a time.
 */
bool vtd_take_faults(unsigned int function, struct edu_fault *fault);

/* ---- domain.c: tables for the device, of the library's format vtd_ss ---- */

struct domain;

/* Empty tables for addresses of programs, in use by this function. -ENOMEM, -EIO (no answer). */
int domain_create(unsigned int function, struct domain **domain);

/* Frees them. They are empty; the IOMMU answers. */
void domain_destroy(struct domain *d);

/*
 * No request gets through any more, and the IOMMU has forgotten all, also where it did not answer
 * before. False: it does not answer now. domain_join puts the tables back to use.
 */
bool domain_cut(struct domain *d);
void domain_join(struct domain *d);

/* To be filled by a mirror. Nothing else may change them meanwhile. */
void domain_target(struct domain *d, struct vmt_target *target);

/* One page, to read and write; nothing is there yet. VMT_ERR_NO_MEMORY. */
enum vmt_status domain_map(struct domain *d, uint64_t address, uint64_t pa);

/* And back. VMT_ERR_DEVICE: done, but the IOMMU has not answered. A page takes no memory. */
enum vmt_status domain_unmap(struct domain *d, uint64_t address);

/*
 * Is there a page in [address, address + length) (bytes) that cannot be accessed so now? `*denied`:
 * the first. Each is looked at once, for it may come and go.
 */
bool domain_denies(struct domain *d, uint64_t address, uint64_t length, vmt_prot access, uint64_t *denied);
uint64_t domain_tables(struct domain *d);

/* ---- edu.c: the device ---- */

extern unsigned int edu_function;

bool edu_start(void);

/* Begins to move bytes between its buffer and memory. It is idle. */
void edu_begin(uint64_t address, uint32_t offset, uint32_t length, bool to_memory);

/*
 * Until it is idle. 0; -ERESTARTSYS: a signal came (WAIT_INTERRUPTIBLE); -EIO: it does not end.
 */
int edu_wait_idle(enum wait_mode mode);

#endif
