// SPDX-License-Identifier: MIT
/*
 * The areas of a process's memory: /proc/PID/maps and /proc/PID/smaps, in the formats of proc(5).
 */
#include "proc.h"

#include <kernel/mm.h>

#define KB(bytes) ((bytes) / 1024)
#define NAME_COLUMN 73

static void map_line(struct text *t, const struct mm_region *r, struct object_name *name)
{
	bool file = r->object && file_object_name(r->object, name);
	size_t start = t->len;
	const char *label = r->name;

	if (!file)
		*name = (struct object_name){ 0 };
	if (file)
		label = name->path;
	else if (r->object && r->shared)
		label = "/dev/zero (deleted)"; /* as Linux calls shared anonymous memory */
	text_add(t, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", r->start, r->end,
		r->prot & VMT_READ ? 'r' : '-', r->prot & VMT_WRITE ? 'w' : '-',
		r->prot & VMT_EXEC ? 'x' : '-', r->shared ? 's' : 'p',
		r->object ? r->offset : 0, DEV_MAJOR(name->dev), DEV_MINOR(name->dev), name->ino);
	if (label && *label) {
		while (!t->failed && t->len - start < NAME_COLUMN)
			text_bytes(t, " ", 1);
		text_bytes(t, label, strlen(label));
	}
	text_bytes(t, "\n", 1);
}

/* ---- smaps ---- */

static void flag_names(struct text *t, const struct mm_region *r)
{
	const struct {
		bool set;
		const char *name;
	} flags[] = {
		{ r->prot & VMT_READ, "rd" },
		{ r->prot & VMT_WRITE, "wr" },
		{ r->prot & VMT_EXEC, "ex" },
		{ r->shared, "sh" },
		{ r->prot_max & VMT_READ, "mr" },
		{ r->prot_max & VMT_WRITE, "mw" },
		{ r->prot_max & VMT_EXEC, "me" },
		{ r->shared, "ms" },
		{ r->grows_down, "gd" },
		{ r->no_reserve, "nr" },
		{ r->huge, "hg" },
	};

	text_add(t, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			text_add(t, "%s ", flags[i].name);
	text_add(t, "\n");
}

static void usage_lines(struct text *t, struct mm *mm, const struct mm_region *r)
{
	struct mm_usage u;

	mm_region_usage(mm, r, &u);
	const struct {
		const char *name;
		uint64_t bytes;
	} lines[] = {
		{ "Size:", r->end - r->start },
		{ "KernelPageSize:", PAGE_SIZE },
		{ "MMUPageSize:", PAGE_SIZE },
		{ "Rss:", u.resident },
		{ "Pss:", u.proportional },
		{ "Shared_Clean:", u.shared_clean },
		{ "Shared_Dirty:", u.shared_dirty },
		{ "Private_Clean:", u.private_clean },
		{ "Private_Dirty:", u.private_dirty },
		{ "Referenced:", u.referenced },
		{ "Anonymous:", u.anon },
		{ "LazyFree:", u.lazy },
		{ "AnonHugePages:", u.huge },
		{ "Swap:", 0 },
		{ "Locked:", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		text_add(t, "%-15s %8lu kB\n", lines[i].name, KB(lines[i].bytes));
	text_add(t, "THPeligible:    %8d\n", r->huge && r->huge_fits);
	flag_names(t, r);
}

/* ---- Both ---- */

/* The regions from the text's cursor on, as many as a part has. */
static int show_regions(struct text *t, struct inode *inode, bool usage)
{
	struct object_name *name = kmalloc(sizeof(*name));
	struct process *p = name ? proc_process(inode) : NULL;
	struct mm *mm = p ? process_mm_get(p) : NULL;
	int err = !name ? -ENOMEM : p ? 0 : -ESRCH;
	struct mm_region r;

	while (mm && !t->more && !t->failed && mm_region_next(mm, t->cursor, &r)) {
		map_line(t, &r, name);
		if (usage)
			usage_lines(t, mm, &r);
		mm_region_put(&r);
		t->cursor = r.end;
		t->more = t->len >= TEXT_PART;
	}
	mm_put(mm);
	if (p)
		process_put(p);
	kfree(name);
	return err;
}

int proc_pid_maps(struct text *t, struct inode *inode)
{
	return show_regions(t, inode, false);
}

int proc_pid_smaps(struct text *t, struct inode *inode)
{
	return show_regions(t, inode, true);
}
