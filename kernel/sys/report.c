// SPDX-License-Identifier: MIT
/*
 * The report: `stat NAME VALUE` and `syscall NUMBER NAME COUNT` lines (docs/report.md).
 */
#include <kernel/boot.h>
#include <kernel/grace.h>
#include <kernel/memory.h>
#include <kernel/printk.h>
#include <kernel/report.h>
#include <kernel/syscall.h>

static void stat(const char *name, uint64_t value)
{
	control_line("stat %s %lu", name, value);
}

void report_begin(struct report *r)
{
	grace_barrier();
	kmalloc_drain();
	r->frames_boot = frame_count_free();
	r->kmem_boot = kmalloc_outstanding();
}

static void print_faults(const struct vmt_space_stats *s)
{
	stat("faults_read_zero", s->faults_read_zero);
	stat("faults_write_zero", s->faults_write_zero);
	stat("faults_cow_copy", s->faults_cow_copy);
	stat("faults_cow_reuse", s->faults_cow_reuse);
	stat("faults_file", s->faults_object_private);
	stat("faults_shared", s->faults_object_shared);
	stat("faults_spurious", s->faults_spurious);
	stat("faults_refused", s->faults_refused);
}

static void print_memory(const struct mm_totals *t)
{
	stat("pages_resident_peak", t->resident_pages_peak);
	stat("pages_resident_last", t->resident_pages_last);
	stat("table_bytes_peak", t->table_bytes_peak);
	stat("table_bytes_last", t->table_bytes_last);
	stat("table_bytes_end", t->sum.table_bytes);
	stat("id_array_bytes_peak", t->array_bytes_peak);
	stat("id_array_bytes_last", t->array_bytes_last);
	stat("id_array_bytes_end", t->sum.array_bytes);
	stat("tables_allocated", t->sum.tables_allocated);
	stat("tables_freed", t->sum.tables_freed);
	stat("huge_pages_allocated", t->huge_allocated);
	stat("huge_pages_refused", t->huge_refused);
	stat("flush_local", t->flush_local);
	stat("flush_ipi", t->flush_ipi);
	stat("flush_pages", t->flush_pages);
	stat("flush_full", t->flush_full);
}

/* What is missing, or came on top: either is a mistake in the count of something. */
static uint64_t difference(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void print_machine(const struct report *r)
{
	uint64_t free_now = frame_count_free(), kmem_now = kmalloc_outstanding(), switches = 0;

	for (unsigned int i = 0; i < cpu_count(); i++)
		switches += percpus[i].nr_switches;
	stat("frames_total", frame_count_total());
	stat("frames_free_boot", r->frames_boot);
	stat("frames_free_exit", free_now);
	stat("frames_lost", difference(r->frames_boot, free_now));
	stat("kmem_lost_bytes", difference(r->kmem_boot, kmem_now));
	stat("spaces_created", r->mm.spaces_created);
	stat("syscalls", syscall_count());
	stat("context_switches", switches);
}

void report_end(struct report *r)
{
	grace_barrier();
	kmalloc_drain();
	stat("wall_ns", r->end_ns - r->start_ns);
	stat("cpus", cpu_count());
	stat("memory_bytes", boot_info.ram_bytes);
	print_faults(&r->mm.sum);
	print_memory(&r->mm);
	print_machine(r);
	syscall_report();
}
