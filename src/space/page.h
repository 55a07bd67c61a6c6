// SPDX-License-Identifier: MIT
// References on the page behind an address.
#ifndef VMT_SPACE_PAGE_H
#define VMT_SPACE_PAGE_H

// What a lock-free reader saw on its way down.
struct path {
	struct vmt_node *node[FMT_TOP + 1];
	uint64_t entry[FMT_TOP + 1];
	unsigned level; // of the last entry
	uint32_t relinks; // before the first
};

static void path_read(struct vmt_tree *tree, uint64_t addr, struct path *path)
{
	struct vmt_node *node = tree->root;

	path->relinks = tree_relinks(tree);
	for (unsigned level = FMT_TOP;; level--) {
		path->node[level] = node;
		path->entry[level] = entry_load_acquire(node, fmt_index(addr, level));
		path->level = level;
		if (!fmt_is_table(path->entry[level], level))
			return;
		node = node_of_table(tree->port, fmt_pa(path->entry[level]));
	}
}

// A caller who will write needs a dirty entry: a clean one may be of a lazily freed page, which is taken unless it says
// that it was written. The slow path sets the bit.
static bool path_leaf_allows(uint64_t e, unsigned level, vmt_prot access)
{
	return ((fmt_is_leaf(e, level) && fmt_prot(e) & access) || !HOLDS(MARKER_NO_PAGE)) &&
	       (access != VMT_WRITE || fmt_dirty(e) || !HOLDS(WRITER_DIRTIES));
}

// Does everything read so? The leaf alone would not do: a table that was unlinked as a whole keeps its entries
// (races.md 22), and one that was linked elsewhere gets others there, and may have come back (21).
static bool path_holds(const struct vmt_tree *tree, const struct path *path, uint64_t addr, vmt_prot access)
{
	for (unsigned level = path->level; level <= FMT_TOP; level++) {
		// Sequentially consistent, after the count: pairs with lazy_free_entry.
		uint64_t e = atomic_load_explicit(&path->node[level]->table[fmt_index(addr, level)],
						  memory_order_seq_cst);

		if (level > path->level ? !fmt_same_table(e, path->entry[level]) :
					  !path_leaf_allows(e, level, access) ||
						  fmt_pa(e) != fmt_pa(path->entry[level]))
			return false;
	}
	return tree_relinks(tree) == path->relinks || !HOLDS(MOVED_COUNTED);
}

// Lock-free: a reference from a count that is not zero, then the whole path again. Acquire in frame_try_ref orders the
// second reading behind the count: if the entry was cleared before the page's last reference went, we see that it was.
static bool page_get_fast(struct vmt_tree *tree, uint64_t addr, vmt_prot access, uint64_t *pa)
{
	struct vmt_data *data = NULL;
	struct path path;
	bool got = false;

	vmt_port_read_enter(tree->port);
	path_read(tree, addr, &path);
	if (path_leaf_allows(path.entry[path.level], path.level, access)) {
		*pa = leaf_page(path.entry[path.level], path.level, addr);
		data = data_of_frame(tree->port, *pa);
		got = !data || frame_try_ref(data);
	}
	if (got && HOLDS(LOOKED_AGAIN) && !path_holds(tree, &path, addr, access)) {
		if (data)
			frame_unref(tree->port, *pa);
		got = false;
	}
	vmt_port_read_exit(tree->port);
	return got;
}

static enum vmt_status page_take(struct vmt_space *space, uint64_t addr, vmt_prot access, bool pin, uint64_t *pa)
{
	enum vmt_status status;
	struct fault fault;

	fault_init(&fault, space, addr, access);
	fault.take = pin ? TAKE_PIN : TAKE_REF;
	fault.unshare = pin;
	status = fault_run(&fault);
	*pa = fault.got;
	fault_finish(&fault);
	return status;
}

static enum vmt_status page_check(const struct vmt_space *space, uint64_t addr, vmt_prot access)
{
	if (addr_check(space, addr) != VMT_OK)
		return VMT_ERR_UNMAPPED;
	return access == VMT_READ || access == VMT_WRITE || access == VMT_EXEC ? VMT_OK : VMT_ERR_ARGUMENT;
}

enum vmt_status vmt_page_get(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa)
{
	enum vmt_status status = page_check(space, addr, access);

	if (status != VMT_OK || page_get_fast(&space->tree, addr, access, pa))
		return status;
	return page_take(space, addr, access, false, pa);
}

enum vmt_status vmt_page_try_get(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa)
{
	enum vmt_status status = page_check(space, addr, access);

	return status != VMT_OK || page_get_fast(&space->tree, addr, access, pa) ? status : VMT_ERR_NOT_PRESENT;
}

void vmt_page_put(struct vmt *vmt, uint64_t pa)
{
	frame_unref(vmt->port, pa);
}

enum vmt_status vmt_page_pin(struct vmt_space *space, uint64_t addr, vmt_prot access, uint64_t *pa)
{
	enum vmt_status status = page_check(space, addr, access);

	return status == VMT_OK ? page_take(space, addr, access, true, pa) : status;
}

void vmt_page_unpin(struct vmt *vmt, uint64_t pa)
{
	struct vmt_data *data = data_of_frame(vmt->port, pa);

	// Release: the device's writes come before the page may be moved or shared again.
	if (data)
		atomic_fetch_sub_explicit(&data->pins, 1, memory_order_release);
	frame_unref(vmt->port, pa);
}

#endif
