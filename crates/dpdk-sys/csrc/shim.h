/* What Rust sees of DPDK: plain records and a few functions, each of which serves a whole burst or a whole step of the
 * set-up. Everything that changes between releases of DPDK (structures, inline functions, macros) stays behind it.
 * The declarations in src/lib.rs mirror this file; both sides assert the layout. */
#ifndef SIDEREAL_DPDK_SHIM_H
#define SIDEREAL_DPDK_SHIM_H

#include <stddef.h>
#include <stdint.h>

/* Packets per burst at the most. */
#define SHIM_BURST 32

/* ---- packets (burst.c) ---- */

/* After so many event messages in a row without a stamp, those in the registers are taken out: they are of packets that never
 * came. */
#define SHIM_FLUSH_AFTER 4

/* What is known about a packet: bits of shim_packet.flags. */
#define SHIM_CHECKSUMS_GOOD 0x01 /* the port found the checksums of IP and UDP right */
#define SHIM_CHECKSUMS_BAD 0x02  /* the port found one of them wrong */
#define SHIM_STAMPED 0x04        /* `stamp` holds what the port wrote */
#define SHIM_SEND 0x08           /* set by the caller: send the first `send_length` bytes */
#define SHIM_SENT 0x10           /* set by shim_settle: the port took it */
#define SHIM_TOKEN 0x20          /* the caller's own: `token` is in use */
#define SHIM_WANT_STAMP 0x40     /* set by the caller: the NIC shall stamp it as it leaves, shim_tx_latch reads that */
#define SHIM_CALLERS 0xff00      /* the caller's own: as the queue has them, on packets with a stamp */

/* A received frame in one piece, and what shall become of it. */
struct shim_packet {
	void *mbuf;           /* owned by whoever holds the record */
	uint8_t *data;        /* first byte of the frame */
	uint64_t stamp;       /* when it arrived, in the port's unit */
	uint64_t token;       /* the caller's own */
	uint16_t length;      /* bytes received */
	uint16_t room;        /* bytes from `data` to the end of the buffer */
	uint16_t send_length; /* bytes to send */
	uint16_t flags;
};

/* The receiving half of a queue. */
struct shim_rx_queue {
	uint16_t port;
	uint16_t queue;
	int32_t stamp_offset; /* of the stamp in an mbuf; negative: the port writes none */
	uint64_t stamp_flag;  /* the bit of ol_flags that says that it was written */
	uint64_t unusable;    /* frames released here: in several pieces that do not fit into one buffer */
	uint64_t stamp_mask;  /* the bits of a stamp that count */
	uint16_t latches;     /* registers in which the port keeps stamps until they are read; 0: none */
	uint16_t callers;     /* SHIM_CALLERS of packets with a stamp */
	uint32_t unstamped;   /* event messages in a row that came without a stamp */
	uint64_t events;      /* event messages of PTP over Ethernet that came, where there are latches, */
	uint64_t latched;     /* packets whose stamp was in one, */
	uint64_t flushed;     /* and stamps that were taken out although their packets never came */
};

/* The sending half of a queue. */
struct shim_tx_queue {
	uint16_t port;
	uint16_t queue;
	uint16_t longest; /* frame without a VLAN tag that the port takes, in bytes; one with a tag may be longer by that */
	uint16_t reserved;
	void *pool; /* buffers for frames that are not replies */
};

struct shim_settled {
	uint16_t sent;
	uint16_t refused;
};

/* The shortest frame that is sent, in bytes: with less than 17 some NICs (i40e) take the driver for malicious and stop. */
#define SHIM_SHORTEST 17

/* Fills at most `room` records (and at most SHIM_BURST), returns how many. Never waits. */
uint16_t shim_receive(struct shim_rx_queue *queue, struct shim_packet *packets, uint16_t room);
/* Sends the packets marked SHIM_SEND in order and marks those taken SHIM_SENT; frees all others. Refused are frames too
 * short or too long and what finds no room. Every mbuf of the burst belongs to DPDK afterwards. `count` is at most
 * SHIM_BURST. */
struct shim_settled shim_settle(const struct shim_tx_queue *queue, struct shim_packet *packets, uint16_t count);
/* Frees one buffer. */
void shim_release(void *mbuf);
/* Copies `frame` into a buffer of the pool, for shim_send. NULL: no buffer, or the frame is too short or too long. */
void *shim_prepare(const struct shim_tx_queue *queue, const uint8_t *frame, uint16_t length);
/* Has what shim_prepare returned be stamped as it leaves. */
void shim_want_stamp(void *prepared);
/* Sends what shim_prepare returned, which is DPDK's afterwards. 1: taken; 0: no room. In two steps, so that a clock can be
 * read when nothing but the driver is left. */
int shim_send(const struct shim_tx_queue *queue, void *prepared);

/* ---- the clock of a NIC, and its stamps that are not in mbufs (timesync.c). For the thread of the first queue alone. ---- */

/* Where the clock stands, in nanoseconds. 0, or a negative errno. */
int shim_clock_read(uint16_t port, uint64_t *nanoseconds);
/* Takes the stamp of a sent packet out of its register. 0, or negative where there is none. */
int shim_tx_latch(uint16_t port, uint64_t *nanoseconds);

/* ---- log (log.c) ---- */

/* From here on keep what DPDK logs instead of writing it to standard error. */
void shim_log_capture(void);
/* Ends the capture and copies what was kept, NUL-terminated; what does not fit is lost from the end. Returns its length. */
size_t shim_log_take(char *text, size_t size);
/* Ends the capture and writes what was kept to standard error after all. */
void shim_log_flush(void);

/* ---- environment, threads, devices (eal.c). Results are 0, or a negative errno. ---- */

/* Starts EAL with its own threads confined to `cores`; the calling thread's affinity is as before when it returns. */
int shim_eal_init(int argc, char **argv, const uint16_t *cores, size_t core_count);
const char *shim_eal_version(void);
int shim_thread_register(void);
void shim_thread_unregister(void);
int shim_device_attach(const char *bus, const char *name, const char *arguments);
int shim_device_detach(const char *bus, const char *name);
/* NULL and *error set where there is no memory. Negative `socket`: any. */
void *shim_pool_create(const char *name, uint32_t buffers, uint32_t cache, uint16_t buffer_size, int socket, int *error);
uint32_t shim_pool_available(const void *pool);

/* ---- ports (port.c) ---- */

#define SHIM_CAN_CHECKSUM 0x1 /* verifies the checksums of IPv4 and UDP */
#define SHIM_CAN_SPREAD 0x2   /* spreads IPv4 and IPv6 by address alone */
#define SHIM_CAN_STAMP 0x4    /* writes a stamp into each mbuf */
#define SHIM_USE_CLOCK 0x8    /* to be tried, as no port says it: has a clock, and stamps PTP by it */

struct shim_port_info {
	char driver[32]; /* NUL-terminated */
	uint8_t mac[6];
	uint16_t max_rx_queues;
	uint16_t max_tx_queues;
	uint16_t abilities; /* SHIM_CAN_... */
	uint32_t interface; /* index of the kernel's interface below, 0: none */
	int32_t socket;     /* NUMA node, negative: unknown */
};

struct shim_port_config {
	void *pool;
	uint16_t queues;
	uint16_t mtu;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
	uint32_t use; /* SHIM_CAN_... to switch on */
	int32_t stamp_offset; /* out: see shim_rx_queue */
	uint64_t stamp_flag;  /* out */
	const char *failed;   /* out: the step that failed */
	int32_t clock;        /* out: 0 where the clock runs, or a negative errno */
	uint32_t reserved;
};

struct shim_port_counters {
	uint64_t rx_packets;
	uint64_t rx_bytes;
	uint64_t tx_packets;
	uint64_t tx_bytes;
	uint64_t rx_missed;     /* the port had no descriptor free */
	uint64_t rx_errors;
	uint64_t rx_no_buffer;  /* the pool was dry */
	uint64_t tx_errors;
};

#define SHIM_LINK_DOWN 0
#define SHIM_LINK_UP 1
#define SHIM_LINK_GONE 2

int shim_port_find(const char *name, uint16_t *port);
int shim_port_info(uint16_t port, struct shim_port_info *info);
int shim_port_start(uint16_t port, struct shim_port_config *config);
int shim_port_close(uint16_t port);
int shim_port_counters(uint16_t port, struct shim_port_counters *counters);
/* `interface` as in shim_port_info: where there is one below, it says more than the driver does. */
int shim_port_link(uint16_t port, uint32_t interface);
/* In Mb/s; 0 where the driver does not say. */
uint32_t shim_port_megabits(uint16_t port);

#define SHIM_OFFSET(type, member, at) _Static_assert(offsetof(struct type, member) == (at), #type "." #member)
_Static_assert(sizeof(struct shim_packet) == 40, "shim_packet");
SHIM_OFFSET(shim_packet, data, 8);
SHIM_OFFSET(shim_packet, stamp, 16);
SHIM_OFFSET(shim_packet, token, 24);
SHIM_OFFSET(shim_packet, length, 32);
SHIM_OFFSET(shim_packet, room, 34);
SHIM_OFFSET(shim_packet, send_length, 36);
SHIM_OFFSET(shim_packet, flags, 38);
_Static_assert(sizeof(struct shim_rx_queue) == 64, "shim_rx_queue");
SHIM_OFFSET(shim_rx_queue, stamp_offset, 4);
SHIM_OFFSET(shim_rx_queue, stamp_flag, 8);
SHIM_OFFSET(shim_rx_queue, unusable, 16);
SHIM_OFFSET(shim_rx_queue, stamp_mask, 24);
SHIM_OFFSET(shim_rx_queue, latches, 32);
SHIM_OFFSET(shim_rx_queue, callers, 34);
SHIM_OFFSET(shim_rx_queue, events, 40);
SHIM_OFFSET(shim_rx_queue, latched, 48);
SHIM_OFFSET(shim_rx_queue, flushed, 56);
_Static_assert(sizeof(struct shim_tx_queue) == 16, "shim_tx_queue");
SHIM_OFFSET(shim_tx_queue, longest, 4);
SHIM_OFFSET(shim_tx_queue, pool, 8);
_Static_assert(sizeof(struct shim_settled) == 4, "shim_settled");
_Static_assert(sizeof(struct shim_port_info) == 52, "shim_port_info");
SHIM_OFFSET(shim_port_info, mac, 32);
SHIM_OFFSET(shim_port_info, max_rx_queues, 38);
SHIM_OFFSET(shim_port_info, abilities, 42);
SHIM_OFFSET(shim_port_info, interface, 44);
SHIM_OFFSET(shim_port_info, socket, 48);
_Static_assert(sizeof(struct shim_port_config) == 48, "shim_port_config");
SHIM_OFFSET(shim_port_config, queues, 8);
SHIM_OFFSET(shim_port_config, use, 16);
SHIM_OFFSET(shim_port_config, stamp_offset, 20);
SHIM_OFFSET(shim_port_config, stamp_flag, 24);
SHIM_OFFSET(shim_port_config, failed, 32);
SHIM_OFFSET(shim_port_config, clock, 40);
_Static_assert(sizeof(struct shim_port_counters) == 64, "shim_port_counters");

#endif
