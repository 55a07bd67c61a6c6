// SPDX-License-Identifier: MIT
// What the devices of hammer_devices.h do: accesses to all areas, one word or many, with page requests or, where the
// device cannot fault, without.
#include "hammer_devices.h"

static unsigned writer_of(const struct dev *dev)
{
	return CPUS + (unsigned)(dev - dev->zone->dev);
}

static bool cannot_fault(const struct dev *dev)
{
	return dev == &dev->zone->dev[DEV_EAGER];
}

static _Noreturn void stop(const struct dev *dev, uint64_t addr, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "device %u: %s", writer_of(dev) - CPUS, what);
	sim_stop(dev->zone->env->machine, addr, 0, text);
}

static uint64_t below(const struct dev *dev, uint64_t n)
{
	return sim_device_random(dev->device) % n;
}

// An access to a word. True: it was made.
static bool dev_access(struct dev *dev, uint64_t addr, vmt_prot access, uint64_t *value)
{
	enum vmt_status status;

	if (cannot_fault(dev))
		return access == VMT_WRITE ? sim_device_write(dev->device, addr + dev->offset, 8, *value) :
					     sim_device_read(dev->device, addr + dev->offset, 8, value);
	status = sim_device_access(dev->device, addr + dev->offset, access, 8, value);
	if (!(BIT(status) & REFUSED))
		stop(dev, addr, vmt_status_name(status));
	return status == VMT_OK;
}

// ---- Counted pages -----------------------------------------------------------------------------------------------

static uint64_t hot(struct dev *dev, unsigned page)
{
	unsigned place = atomic_load_explicit(&dev->zone->place[hot_block(page)], memory_order_relaxed);

	return hot_addr(page, below(dev, 8) ? place : !place);
}

// Since it was silent it knows nothing of what it wrote before. True: what it knows of the page is right.
static bool knows(struct writer *own, unsigned page, unsigned epoch)
{
	for (unsigned i = 0; i < HOT && own->epoch != epoch; i++)
		own->unknown[i] = own->dma_unknown[i] = true;
	own->epoch = epoch;
	return !own->unknown[page];
}

// It has answered all the time since `epoch` was read.
static bool still(const struct dev *dev, unsigned epoch)
{
	return !(epoch & 1) && epoch_of(dev->zone, writer_of(dev)) == epoch;
}

static void count_own(struct dev *dev, struct writer *own)
{
	unsigned page = (unsigned)below(dev, HOT), epoch = epoch_of(dev->zone, writer_of(dev));
	uint64_t addr = hot(dev, page) + word_offset(writer_of(dev)), value = 0;
	bool known = knows(own, page, epoch), read = dev_access(dev, addr, VMT_READ, &value);

	if (!still(dev, epoch)) {
		dev_access(dev, addr, VMT_WRITE, &value); // wherever that goes
	} else if (!known) {
		own->value[page] = value;
		own->unknown[page] = !read;
	} else {
		if (read && value != own->value[page])
			stop(dev, addr, value < own->value[page] ? "a write was lost" : "a write came from nowhere");
		value = own->value[page] + 1;
		if (dev_access(dev, addr, VMT_WRITE, &value))
			own->value[page]++;
	}
}

static void look_at_others(struct dev *dev, struct writer *own)
{
	unsigned page = (unsigned)below(dev, HOT), writer = (unsigned)below(dev, WRITERS);
	unsigned epoch = epoch_of(dev->zone, writer_of(dev)), others = epoch_of(dev->zone, writer);
	uint64_t addr = hot(dev, page) + word_offset(writer), value;

	if (!dev_access(dev, addr, VMT_READ, &value) || !still(dev, epoch) ||
	    !writer_seen(dev->zone, own, writer, others, page, value))
		return;
	stop(dev, addr, "what another wrote is older than it was");
}

// Many bytes at once: as far as they were transferred, they count.
static void dma(struct dev *dev, struct writer *own)
{
	unsigned page = (unsigned)below(dev, HOT), epoch = epoch_of(dev->zone, writer_of(dev));
	uint64_t addr = hot(dev, page) + word_offset(writer_of(dev)) + 8;
	bool known = knows(own, page, epoch) && !own->dma_unknown[page];
	enum vmt_status status;
	uint8_t bytes[24];
	size_t done = 0;

	status = sim_device_read_bytes(dev->device, addr + dev->offset, bytes, sizeof(bytes), &done);
	if (!(BIT(status) & REFUSED))
		stop(dev, addr, vmt_status_name(status));
	if (still(dev, epoch) && known && memcmp(bytes, own->dma[page], done))
		stop(dev, addr, "a device reads other bytes than it wrote");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)sim_device_random(dev->device);
	status = sim_device_write_bytes(dev->device, addr + dev->offset, bytes, sizeof(bytes), &done);
	if (!(BIT(status) & REFUSED))
		stop(dev, addr, vmt_status_name(status));
	memcpy(own->dma[page], bytes, done);
	if (done == sizeof(bytes) && still(dev, epoch))
		own->dma_unknown[page] = false;
}

// ---- The other areas ---------------------------------------------------------------------------------------------

// On a page that it has for itself, or asks for.
static void add_shared(struct dev *dev, struct writer *own)
{
	uint64_t addr = SHARED + below(dev, SHARED_PAGES) * PAGE + SHARED_WORD, ticket;
	enum vmt_status status;

	if (dev == &dev->zone->dev[DEV_EAGER] || dev == &dev->zone->dev[DEV_SHARED] || dev->zone->silences) {
		dev_access(dev, addr, VMT_READ, &ticket);
		return;
	}
	if (sim_device_add(dev->device, addr + dev->offset, 1, NULL)) {
		own->added++;
		return;
	}
	ticket = sim_device_request(dev->device, addr + dev->offset, VMT_WRITE);
	while (ticket && !sim_device_answer(dev->device, ticket, &status))
		sim_device_poll(dev->device);
	if (ticket && !(BIT(status) & (REFUSED | BIT(VMT_ERR_BUSY))))
		stop(dev, addr, vmt_status_name(status));
	if (ticket && status == VMT_OK && sim_device_add(dev->device, addr + dev->offset, 1, NULL))
		own->added++;
}

static void churn(struct dev *dev, uint64_t n)
{
	uint64_t addr = CHURN + below(dev, CHURN_PAGES) * PAGE, value = page_stamp(writer_of(dev), addr, n);
	bool write = below(dev, 2);

	if (dev_access(dev, addr + 8 * below(dev, PAGE / 8), write ? VMT_WRITE : VMT_READ, &value) &&
	    !page_stamped(value, addr))
		stop(dev, addr, "a device reads what nobody wrote there");
}

static void look_at_owned(struct dev *dev)
{
	uint64_t addr = OWNED(below(dev, CPUS)) + below(dev, OWNED_PAGES) * PAGE, value;

	if (dev_access(dev, addr + 8 * below(dev, PAGE / 8), VMT_READ, &value) && !page_stamped(value, addr))
		stop(dev, addr, "a device reads what its owner did not write there");
}

// A CPU waits for a page to be filled.
static void do_mail(struct dev *dev)
{
	static _Thread_local uint64_t bytes[PAGE / 8];

	for (unsigned i = 0; i < CPUS; i++) {
		struct mail *mail = &dev->mail[i];
		unsigned posted = MAIL_POSTED;

		// Acquire: what the CPU wants. It gives up only what nobody has taken.
		if (!atomic_compare_exchange_strong_explicit(&mail->state, &posted, MAIL_TAKEN, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		for (unsigned n = 0; n < PAGE / 8; n++)
			bytes[n] = mail->value;
		mail->status = sim_device_write_bytes(dev->device, mail->addr + dev->offset, bytes, PAGE, &mail->done);
		// Release: the answer.
		atomic_store_explicit(&mail->state, MAIL_DONE, memory_order_release);
	}
}

void device_program(struct sim_device *device, void *arg)
{
	struct dev *dev = arg;
	struct writer *own = &dev->zone->writer[writer_of(dev)];

	for (unsigned n = 0; n < dev->operations; n++) {
		uint64_t what = below(dev, 16);

		if (what < 5)
			count_own(dev, own);
		else if (what < 8)
			look_at_others(dev, own);
		else if (what == 8 && !cannot_fault(dev))
			dma(dev, own);
		else if (what < 11)
			add_shared(dev, own);
		else if (what < 14)
			churn(dev, n);
		else
			look_at_owned(dev);
		do_mail(dev);
		sim_device_poll(device);
		own->done++;
	}
	atomic_store_explicit(&dev->over, 1, memory_order_relaxed);
}
