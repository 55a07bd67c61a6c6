// SPDX-License-Identifier: MIT
// The functions of faults_port.h: they note the place and go on to the machine.
#include "faults.h"

#include "faults_port.h"
// From here on the names are the machine's own.
#undef vmt_port_frame_alloc
#undef vmt_port_mem_alloc
#undef vmt_port_flush
#undef vmt_port_defer

#define PLACES 128

static struct place {
	const char *file;
	unsigned line;
	enum fault_kind kind;
	uint64_t calls, faults;
} places_seen[PLACES];

static struct {
	enum fault_kind kind;
	unsigned n;
	bool happened;
	void (*meanwhile)(void *arg);
	void *arg;
	struct vmt_deferred *held;
	void *port;
} delay;

static struct place *place_of(const char *file, unsigned line, enum fault_kind kind)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *place = &places_seen[i];

		if (!place->file)
			*place = (struct place){.file = file, .line = line, .kind = kind};
		if (place->line == line && place->kind == kind && strcmp(place->file, file) == 0)
			return place;
	}
	abort();
}

uint64_t faults_frame_alloc(void *port, uint64_t bytes, bool zero, const char *file, unsigned line)
{
	struct place *place = place_of(file, line, FAULT_FRAME);
	uint64_t pa = vmt_port_frame_alloc(port, bytes, zero);

	place->calls++;
	place->faults += pa == VMT_NO_FRAME;
	return pa;
}

void *faults_mem_alloc(void *port, size_t bytes, const char *file, unsigned line)
{
	struct place *place = place_of(file, line, FAULT_MEM);
	void *memory = vmt_port_mem_alloc(port, bytes);

	place->calls++;
	place->faults += !memory;
	return memory;
}

static bool is_delayed(struct place *place)
{
	place->calls++;
	if (!delay.n || delay.kind != place->kind || --delay.n)
		return false;
	delay.happened = true;
	place->faults++;
	return true;
}

void faults_flush(void *port, const struct vmt_flush *flush, const char *file, unsigned line)
{
	if (is_delayed(place_of(file, line, FAULT_FLUSH)))
		delay.meanwhile(delay.arg);
	vmt_port_flush(port, flush);
}

void faults_defer(void *port, struct vmt_deferred *item, const char *file, unsigned line)
{
	if (!is_delayed(place_of(file, line, FAULT_DEFER))) {
		vmt_port_defer(port, item);
		return;
	}
	item->next = delay.held;
	delay.held = item;
	delay.port = port;
}

void faults_delay(enum fault_kind kind, unsigned n, void (*meanwhile)(void *arg), void *arg)
{
	delay.kind = kind;
	delay.n = n;
	delay.happened = false;
	delay.meanwhile = meanwhile;
	delay.arg = arg;
}

bool faults_delayed(void)
{
	return delay.happened;
}

void faults_release(void)
{
	while (delay.held) {
		struct vmt_deferred *item = delay.held;

		delay.held = item->next;
		vmt_port_defer(delay.port, item);
	}
}

void faults_print(void)
{
	static const char *const names[] = {"frame", "mem", "flush", "defer"};

	for (unsigned i = 0; i < PLACES && places_seen[i].file; i++)
		printf("place %s:%u %s %llu %llu\n", places_seen[i].file, places_seen[i].line,
		       names[places_seen[i].kind], (unsigned long long)places_seen[i].calls,
		       (unsigned long long)places_seen[i].faults);
}
