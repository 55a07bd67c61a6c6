// SPDX-License-Identifier: MIT
// Quarantine: frames and tables that left a space while a secondary was lost (vmtree/secondary.h). Nobody may get them
// before it has been reset, for it may still reach them through what it has cached.
//
// There is one for all spaces of a machine, and it is given back when no secondary is lost any more: so a frame that
// two lost ones can reach needs no account of which. A frame is in it once, with one reference, whoever else holds it.
#ifndef VMT_TREE_QUARANTINE_H
#define VMT_TREE_QUARANTINE_H

// Frames of device memory; above (space/device.h). Under the lock, but for device_unref. False: it is in already.
static bool device_quarantine(struct quarantine *quarantine, struct device_frame *frame);
static struct device_frame *device_quarantine_pop(struct quarantine *quarantine);
static void device_unref(struct device_frame *frame);
// The read-only copy there of a page whose bytes are about to change or to go, which nobody uses any more.
static void frame_drop_copy(struct vmt_data *data);

// The last reference is gone.
static void frame_end(void *port, uint64_t pa, struct vmt_data *data)
{
	frame_drop_copy(data);
	vmt_port_frame_free(port, pa, VMT_PAGE_SIZE);
}

// Drops one reference of a data frame.
static inline void frame_unref(void *port, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(port, pa);

	// Release: our use of the frame comes before its reuse. Acquire: the last one sees all others' uses as done.
	if (data && atomic_fetch_sub_explicit(&data->refs, 1, memory_order_acq_rel) == 1)
		frame_end(port, pa, data);
}

static void table_run_free(void *port, struct vmt_deferred *self)
{
	struct vmt_node *node = (struct vmt_node *)((char *)self - offsetof(struct vmt_node, deferred));

	vmt_port_frame_free(port, node->base, VMT_PAGE_SIZE);
}

// Frees the table of a detached node after a grace period.
static void table_retire(void *port, struct vmt_deferred *item)
{
	item->run = table_run_free;
	if (HOLDS(GRACE))
		vmt_port_defer(port, item);
	else
		item->run(port, item);
}

// Takes over a reference on the frame at `pa`. If whoever was lost has been reset meanwhile it is dropped like any
// other.
static void quarantine_frame(struct vmt *vmt, uint64_t pa)
{
	struct quarantine *quarantine = &vmt->quarantine;
	struct vmt_data *data = data_of_frame(vmt->port, pa);
	bool held = false;

	spin_lock(vmt->port, &quarantine->lock);
	// Relaxed: the flag is written under this lock. A frame that is in already has a reference there.
	if (quarantine->lost && !(atomic_fetch_or_explicit(&data->flags, VMT_FRAME_QUARANTINED, memory_order_relaxed) &
				  VMT_FRAME_QUARANTINED)) {
		data->next = quarantine->frames;
		quarantine->frames = pa;
		quarantine->pages++;
		held = true;
	}
	spin_unlock(vmt->port, &quarantine->lock);
	if (!held)
		frame_unref(vmt->port, pa);
}

static void quarantine_device(struct vmt *vmt, struct device_frame *frame)
{
	bool held;

	spin_lock(vmt->port, &vmt->quarantine.lock);
	held = vmt->quarantine.lost && device_quarantine(&vmt->quarantine, frame);
	vmt->quarantine.pages += held;
	spin_unlock(vmt->port, &vmt->quarantine.lock);
	if (!held)
		device_unref(frame);
}

static void quarantine_table(struct vmt *vmt, struct vmt_deferred *table)
{
	bool held;

	spin_lock(vmt->port, &vmt->quarantine.lock);
	held = vmt->quarantine.lost;
	if (held) {
		table->next = vmt->quarantine.tables;
		vmt->quarantine.tables = table;
		vmt->quarantine.pages++;
	}
	spin_unlock(vmt->port, &vmt->quarantine.lock);
	if (!held)
		table_retire(vmt->port, table);
}

// One item that goes back, if nobody is lost any more: *table, *device or *frame. The lock is taken for each, so that a
// secondary that becomes lost meanwhile keeps the rest.
static bool quarantine_pop(struct vmt *vmt, uint64_t *frame, struct device_frame **device, struct vmt_deferred **table)
{
	struct quarantine *quarantine = &vmt->quarantine;
	bool any = false;

	*frame = VMT_NO_FRAME;
	spin_lock(vmt->port, &quarantine->lock);
	*device = quarantine->lost ? NULL : device_quarantine_pop(quarantine);
	*table = quarantine->lost || *device ? NULL : quarantine->tables;
	if (*table) {
		quarantine->tables = (*table)->next;
	} else if (!*device && !quarantine->lost && quarantine->frames != VMT_NO_FRAME) {
		struct vmt_data *data = data_of_frame(vmt->port, quarantine->frames);

		*frame = quarantine->frames;
		quarantine->frames = data->next;
		atomic_fetch_and_explicit(&data->flags, ~VMT_FRAME_QUARANTINED, memory_order_relaxed);
	}
	any = *device || *table || *frame != VMT_NO_FRAME;
	quarantine->pages -= any;
	spin_unlock(vmt->port, &quarantine->lock);
	return any;
}

// A lost secondary has been reset. With the last one everything goes back. Nothing is held.
static void quarantine_end(struct vmt *vmt)
{
	struct device_frame *device;
	struct vmt_deferred *table;
	uint64_t frame;

	spin_lock(vmt->port, &vmt->quarantine.lock);
	vmt->quarantine.lost--;
	spin_unlock(vmt->port, &vmt->quarantine.lock);
	while (quarantine_pop(vmt, &frame, &device, &table)) {
		if (device)
			device_unref(device);
		else if (table)
			table_retire(vmt->port, table);
		else
			frame_unref(vmt->port, frame);
	}
}

#endif
