// SPDX-License-Identifier: MIT
/*
 * Devices on PCI behind the IOMMU (docs/kernel-dev.md): what the rest of the kernel knows of them.
 */
#ifndef KERNEL_DEVICE_H
#define KERNEL_DEVICE_H

#include <kernel/types.h>

struct inode_ops;
struct mm;

/*
 * Finds the devices and turns the IOMMU on; nothing where there is none. Takes no memory. Once, in
 * a thread, after mm_init and before fs_init.
 */
void devices_init(void);

/*
 * The last user of an mm is gone and its space still stands: no device uses its memory any more
 * when this returns. May sleep.
 */
void device_mm_ends(struct mm *mm);

/*
 * The library's `port` of tables that devices walk; spaces of programs have NULL. It tells the port
 * which frames have to be published.
 */
#define DEVICE_PORT ((void *)1)

/* Memory that the devices' walker reads was written: lets it see that. Any context. */
void device_publish(const volatile void *memory, size_t bytes);

/* /dev/edu; open says -ENXIO where there is no such device. */
#define DEV_EDU MKDEV(240, 0)
extern const struct inode_ops edu_inode_ops;
bool edu_present(void);

#endif
