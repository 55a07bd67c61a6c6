// SPDX-License-Identifier: MIT
// Included by the library where it takes port functions inline (VMT_PORT_INLINE): some of them go through race.c, which
// stops a CPU there while another one works. Everything else of the program calls the machine directly.
#define vmt_port_flush	    race_flush
#define vmt_port_publish    race_publish
#define vmt_port_frame_meta race_frame_meta
#define vmt_port_read_enter race_read_enter
#define vmt_port_read_exit  race_read_exit
#define vmt_port_relax	    race_relax
#define vmt_port_cpu	    race_cpu
