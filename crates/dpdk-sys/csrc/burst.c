/* The packet path: a constant number of calls per burst. */
#include "shim.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_prefetch.h>
#include <rte_time.h>

static uint16_t checksum_flags(const struct rte_mbuf *mbuf)
{
	const uint64_t ip = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	const uint64_t udp = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || udp == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return SHIM_CHECKSUMS_BAD;
	/* The header of IPv6 has none, so nothing is said about it. */
	if (udp == RTE_MBUF_F_RX_L4_CKSUM_GOOD &&
	    (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD || RTE_ETH_IS_IPV6_HDR(mbuf->packet_type)))
		return SHIM_CHECKSUMS_GOOD;
	return 0;
}

/* Whether it is an event message of PTP over Ethernet, untagged: type and version lie behind the header. */
static bool is_ptp_event(const struct shim_packet *packet)
{
	uint16_t type;

	if (packet->length <= RTE_ETHER_HDR_LEN)
		return false;
	memcpy(&type, packet->data + 2 * RTE_ETHER_ADDR_LEN, sizeof(type));
	return type == RTE_BE16(RTE_ETHER_TYPE_1588) && (packet->data[RTE_ETHER_HDR_LEN] & 0x0f) < 4;
}

/* An event message has come without a stamp. After some in a row a register may be taken by a packet that never came, for want
 * of a buffer: it would be for ever. Not sooner, as what is taken out may be the stamp of a packet that is on its way. */
static void miss_stamp(struct shim_rx_queue *queue)
{
	struct timespec at;

	queue->unstamped++;
	if (queue->unstamped % SHIM_FLUSH_AFTER != 0)
		return;
	for (uint16_t latch = 0; latch < queue->latches; latch++)
		queue->flushed += rte_eth_timesync_read_rx_timestamp(queue->port, &at, latch) == 0;
}

/* Reads the register in which the port has kept when the packet arrived. */
static void take_latch(struct shim_rx_queue *queue, const struct rte_mbuf *mbuf, struct shim_packet *packet)
{
	const bool is_event = is_ptp_event(packet);
	struct timespec at;

	queue->events += is_event;
	if (!(mbuf->ol_flags & RTE_MBUF_F_RX_IEEE1588_TMST) ||
	    rte_eth_timesync_read_rx_timestamp(queue->port, &at, mbuf->timesync) != 0) {
		if (is_event)
			miss_stamp(queue);
		return;
	}
	packet->stamp = ((uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec) & queue->stamp_mask;
	packet->flags |= SHIM_STAMPED | queue->callers;
	queue->latched++;
	queue->unstamped = 0;
}

uint16_t shim_receive(struct shim_rx_queue *queue, struct shim_packet *packets, uint16_t room)
{
	struct rte_mbuf *mbufs[SHIM_BURST];
	uint16_t filled = 0, latched = 0;
	const uint16_t got = rte_eth_rx_burst(queue->port, queue->queue, mbufs, RTE_MIN(room, SHIM_BURST));

	for (uint16_t i = 0; i < got; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < got; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		struct shim_packet *packet = &packets[filled];

		if (unlikely(mbuf->nb_segs != 1) && rte_pktmbuf_linearize(mbuf) != 0) {
			rte_pktmbuf_free(mbuf);
			queue->unusable++;
			continue;
		}
		packet->mbuf = mbuf;
		packet->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
		packet->length = mbuf->data_len;
		packet->room = mbuf->data_len + rte_pktmbuf_tailroom(mbuf);
		packet->send_length = 0;
		packet->flags = checksum_flags(mbuf);
		packet->stamp = 0;
		packet->token = 0;
		if (queue->stamp_offset >= 0 && (mbuf->ol_flags & queue->stamp_flag)) {
			packet->stamp = *RTE_MBUF_DYNFIELD(mbuf, queue->stamp_offset, rte_mbuf_timestamp_t *) & queue->stamp_mask;
			packet->flags |= SHIM_STAMPED | queue->callers;
		} else if (latched < queue->latches) {
			take_latch(queue, mbuf, packet);
			latched += (packet->flags & SHIM_STAMPED) != 0;
		}
		filled++;
	}
	return filled;
}

/* Drivers say little about a frame that their device does not take: some drop it and count it as sent, some stop. */
static bool sendable(const struct shim_tx_queue *queue, const uint8_t *frame, uint16_t length)
{
	uint16_t type;

	if (likely(length >= SHIM_SHORTEST && length <= queue->longest))
		return true;
	if (length < SHIM_SHORTEST || length > queue->longest + RTE_VLAN_HLEN)
		return false;
	memcpy(&type, frame + 2 * RTE_ETHER_ADDR_LEN, sizeof(type));
	return type == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

struct shim_settled shim_settle(const struct shim_tx_queue *queue, struct shim_packet *packets, uint16_t count)
{
	struct rte_mbuf *sending[SHIM_BURST];
	struct rte_mbuf *released[SHIM_BURST];
	uint8_t origin[SHIM_BURST]; /* of each mbuf in `sending`: its place in `packets` */
	uint16_t to_send = 0, to_release = 0, marked = 0, sent = 0;

	count = RTE_MIN(count, SHIM_BURST);
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = packets[i].mbuf;

		if (packets[i].flags & SHIM_SEND) {
			marked++;
			if (sendable(queue, packets[i].data, packets[i].send_length)) {
				mbuf->data_len = packets[i].send_length;
				mbuf->pkt_len = packets[i].send_length;
				if (packets[i].flags & SHIM_WANT_STAMP)
					shim_want_stamp(mbuf);
				origin[to_send] = i;
				sending[to_send++] = mbuf;
				continue;
			}
		}
		released[to_release++] = mbuf;
	}
	if (to_send != 0) {
		sent = rte_eth_tx_burst(queue->port, queue->queue, sending, to_send);
		for (uint16_t i = 0; i < sent; i++)
			packets[origin[i]].flags |= SHIM_SENT;
		if (unlikely(sent != to_send))
			rte_pktmbuf_free_bulk(&sending[sent], to_send - sent);
	}
	if (to_release != 0)
		rte_pktmbuf_free_bulk(released, to_release);
	return (struct shim_settled){ .sent = sent, .refused = marked - sent };
}

void shim_release(void *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void *shim_prepare(const struct shim_tx_queue *queue, const uint8_t *frame, uint16_t length)
{
	struct rte_mbuf *mbuf;
	char *data;

	if (!sendable(queue, frame, length))
		return NULL;
	mbuf = rte_pktmbuf_alloc(queue->pool);
	if (unlikely(mbuf == NULL))
		return NULL;
	data = rte_pktmbuf_append(mbuf, length);
	if (unlikely(data == NULL)) {
		rte_pktmbuf_free(mbuf);
		return NULL;
	}
	memcpy(data, frame, length);
	return mbuf;
}

void shim_want_stamp(void *prepared)
{
	struct rte_mbuf *mbuf = prepared;

	mbuf->ol_flags |= RTE_MBUF_F_TX_IEEE1588_TMST;
}

int shim_send(const struct shim_tx_queue *queue, void *prepared)
{
	struct rte_mbuf *mbuf = prepared;

	if (unlikely(rte_eth_tx_burst(queue->port, queue->queue, &mbuf, 1) != 1)) {
		rte_pktmbuf_free(mbuf);
		return 0;
	}
	return 1;
}
