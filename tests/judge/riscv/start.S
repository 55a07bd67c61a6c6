/* SPDX-License-Identifier: MIT */
/* The entry, and attempts at accesses. The processor stays in machine mode, where addresses are not translated. */
	.option norelax
	.section .text.start, "ax"
	.globl start
start:
	j begin
/*
 * Nothing else is in this page, at 2^31: the emulator keeps what it found for executing a page in machine mode, and
 * uses it for reads by MPRV from the same address. No test uses the addresses of the rest of the image.
 */
	.balign 4096
begin:
	csrr t0, mhartid
	bnez t0, 1f
	la sp, stack_end
	la t0, trap
	csrw mtvec, t0
	call judge_main
1:	wfi
	j 1b

	.text
/*
 * void riscv_attempt(code, a, b, set): sets bits of mstatus (MPRV, MPP, SUM) and jumps to `code` with a and b in a0
 * and a1. It ends by a trap, `ecall` at the latest, which brings back here.
 */
	.globl riscv_attempt
riscv_attempt:
	la t0, saved
	sd ra, 0(t0)
	sd sp, 8(t0)
	mv t0, a0
	mv a0, a1
	mv a1, a2
	li t1, 0x61800			/* MPP, MPRV, SUM */
	csrc mstatus, t1
	csrs mstatus, a3
	jr t0

/* The same, but `code` is an address of the mode in MPP, and translated. */
	.globl riscv_attempt_execute
riscv_attempt_execute:
	la t0, saved
	sd ra, 0(t0)
	sd sp, 8(t0)
	li t1, 0x61800
	csrc mstatus, t1
	csrs mstatus, a3
	csrw mepc, a0
	mret

	.globl riscv_load, riscv_store
riscv_load:
	ld a0, 0(a0)
	ecall
riscv_store:
	sd a1, 0(a0)
	ecall

	.balign 4
trap:
	li t1, 0x60000			/* MPRV, SUM: from here on nothing is translated */
	csrc mstatus, t1
	la t0, riscv_trap
	csrr t1, mcause
	sd t1, 0(t0)
	csrr t1, mtval
	sd t1, 8(t0)
	sd a0, 16(t0)
	la t0, saved
	ld ra, 0(t0)
	ld sp, 8(t0)
	ret

	.bss
	.balign 16
	.globl riscv_trap
riscv_trap:
	.skip 24
saved:
	.skip 16
	.balign 16
	.skip 32768
stack_end:

	.section .note.GNU-stack, "", @progbits
