// SPDX-License-Identifier: MIT
/*
 * The ports of docs/guest.md. Output: one irqsave lock for each stream, innermost of all locks.
 * Standard input: COM1's interrupt moves bytes to a ring; when the ring is full the interrupt is
 * turned off and bytes wait in the device until a reader has made room. Readers take the frames
 * apart, one at a time, under stdin_lock.
 */
#include <kernel/console.h>
#include <kernel/memory.h>
#include <kernel/boot.h>

#include <kernel/printk.h>
#include <kernel/string.h>

#include "../arch/x86_64/arch.h"
#include "core.h"

#define CONTROL_PORT 0xeb
#define EXIT_PORT 0xf4
#define COM1 0x3f8
#define COM1_IRQ 4
#define UART_IER (COM1 + 1)
#define UART_FCR (COM1 + 2)
#define UART_LCR (COM1 + 3)
#define UART_MCR (COM1 + 4)
#define UART_LSR (COM1 + 5)

#define RING_SIZE 16384u /* power of two */
#define CHUNK 4096u

static struct spinlock out_lock, err_lock, control_lock = SPINLOCK_INIT;
static bool control_unlocked; /* panicking: the holder of the lock may be stopped */

static struct spinlock ring_lock = SPINLOCK_INIT; /* irqsave: ring, head, tail, rx_off */
static uint8_t ring[RING_SIZE];
static uint32_t ring_head, ring_tail; /* free running: put at head, take at tail */
static bool rx_off;

static struct mutex stdin_lock = MUTEX_INIT(stdin_lock); /* guards frame state below */
static atomic_uint frame_left; /* payload bytes of the current frame not yet read */
static atomic_bool at_eof;

/*
 * Standard input that came whole, in `.vmtree/stdin`: COM1 is not used then, so that no interrupt
 * depends on the host's time. Kept until the machine ends. The place is guarded by stdin_lock.
 */
static const uint8_t *given;
static size_t given_size, given_at;

struct waitqueue stdin_queue = WAITQUEUE_INIT(stdin_queue);

static void port_write(struct spinlock *lock, uint16_t port, const char *p, size_t n)
{
	while (n) {
		size_t part = MIN(n, (size_t)CHUNK);
		uint64_t flags = spin_lock_irqsave(lock);

		outsb(port, p, part);
		spin_unlock_irqrestore(lock, flags);
		p += part;
		n -= part;
	}
}

void console_write(enum console_stream stream, const void *buf, size_t n)
{
	port_write(stream == CONSOLE_OUT ? &out_lock : &err_lock, stream, buf, n);
}

void control_raw(const char *text, size_t n)
{
	if (control_unlocked)
		outsb(CONTROL_PORT, text, n);
	else
		port_write(&control_lock, CONTROL_PORT, text, n);
}

void control_panic(void)
{
	control_unlocked = true;
}

void machine_off(void)
{
	irq_disable();
	outsb(CONTROL_PORT, "done\n", 5);
	for (;;) {
		outl(EXIT_PORT, 0);
		__asm__ volatile("hlt");
	}
}

void machine_exit(void)
{
	irq_disable();
	/* Acq_rel pairs with the acquire in paranoid_trap: the others stop. */
	if (!atomic_exchange_explicit(&panicking, true, memory_order_acq_rel)) {
		spin_lock_irqsave(&control_lock); /* nobody is in the middle of a line */
		apic_send_nmi_others();
		machine_off();
	}
	for (;;)
		__asm__ volatile("hlt");
}

/* True: standard input is there whole. */
static bool take_given(void)
{
	struct cpio_member m;
	uint8_t *copy;

	if (!initrd_find(".vmtree/stdin", &m))
		return false;
	copy = kmalloc(m.size + 1);
	if (!copy)
		panic("no memory for standard input");
	memcpy(copy, m.data, m.size);
	given_size = m.size;
	given = copy;
	return true;
}

void console_setup(void)
{
	if (take_given())
		return;
	outb(UART_LCR, 3); /* 8 bits, no parity */
	outb(UART_FCR, 0xc7); /* FIFOs on, empty, interrupt at 14 bytes or after a pause */
	outb(UART_MCR, 0x0b); /* OUT2: interrupts reach the controller */
	ioapic_route(COM1_IRQ, VECTOR_SERIAL, 0);
	outb(UART_IER, 1);
}

/* Under ring_lock: moves what the device has, as far as there is room. True: something came. */
static bool ring_fill(void)
{
	uint32_t before = ring_head;

	while (inb(UART_LSR) & 1) {
		if (ring_head - ring_tail == RING_SIZE) {
			rx_off = true;
			outb(UART_IER, 0);
			break;
		}
		ring[ring_head++ % RING_SIZE] = inb(COM1);
	}
	return ring_head != before;
}

void serial_interrupt(void)
{
	uint64_t flags = spin_lock_irqsave(&ring_lock);
	bool some = ring_fill();

	spin_unlock_irqrestore(&ring_lock, flags);
	if (some)
		wake_all(&stdin_queue);
}

/* Takes up to n bytes, all or (with `whole`) nothing. */
static size_t ring_take(uint8_t *p, size_t n, bool whole)
{
	uint64_t flags = spin_lock_irqsave(&ring_lock);
	size_t have = ring_head - ring_tail;

	n = whole && have < n ? 0 : MIN(n, have);
	for (size_t i = 0; i < n; i++)
		p[i] = ring[ring_tail++ % RING_SIZE];
	if (n && rx_off) {
		rx_off = false;
		outb(UART_IER, 1);
		ring_fill();
	}
	spin_unlock_irqrestore(&ring_lock, flags);
	return n;
}

static uint32_t ring_have(void)
{
	uint64_t flags = spin_lock_irqsave(&ring_lock);
	uint32_t have = ring_head - ring_tail;

	spin_unlock_irqrestore(&ring_lock, flags);
	return have;
}

/* Under stdin_lock: -EAGAIN when nothing can be had now. */
static ssize_t stdin_take(void *buf, size_t n)
{
	uint8_t length[2];
	size_t got;

	/* Relaxed, all of them: written only under stdin_lock, which is held. */
	uint32_t left = atomic_load_explicit(&frame_left, memory_order_relaxed);

	if (given) {
		got = MIN(n, given_size - given_at);
		memcpy(buf, given + given_at, got);
		given_at += got;
		return (ssize_t)got;
	}
	if (atomic_load_explicit(&at_eof, memory_order_relaxed))
		return 0;
	if (!left) {
		if (ring_take(length, 2, true) != 2)
			return -EAGAIN;
		left = length[0] | (uint32_t)length[1] << 8;
		if (!left) {
			atomic_store_explicit(&at_eof, true, memory_order_relaxed);
			return 0;
		}
	}
	got = ring_take(buf, MIN(n, (size_t)left), false);
	atomic_store_explicit(&frame_left, left - (uint32_t)got, memory_order_relaxed);
	return got ? (ssize_t)got : -EAGAIN;
}

ssize_t stdin_read(void *buf, size_t n, bool block)
{
	ssize_t got;
	int err;

	if (!n)
		return 0;
	for (;;) {
		err = mutex_lock_interruptible(&stdin_lock);
		if (err)
			return err;
		got = stdin_take(buf, n);
		mutex_unlock(&stdin_lock);
		if (got != -EAGAIN || !block)
			return got;
		err = wait_event_interruptible(&stdin_queue, stdin_ready());
		if (err)
			return err;
	}
}

/*
 * Without the lock: frame_left may change under the reader, who then finds nothing and waits again.
 * With no payload due, two bytes of length are needed, with payload due, one byte is enough.
 */
bool stdin_ready(void)
{
	/* Relaxed: a hint; the reader that acts on it takes stdin_lock. */
	return given || atomic_load_explicit(&at_eof, memory_order_relaxed) ||
	       ring_have() >= (atomic_load_explicit(&frame_left, memory_order_relaxed) ? 1 : 2);
}

size_t stdin_available(void)
{
	uint32_t left, have;

	mutex_lock(&stdin_lock);
	/* Relaxed: written under stdin_lock, which is held. */
	left = atomic_load_explicit(&frame_left, memory_order_relaxed);
	have = ring_have();
	if (given)
		left = have = (uint32_t)(given_size - given_at);
	mutex_unlock(&stdin_lock);
	return left ? MIN(left, have) : have > 2 ? have - 2 : 0;
}
