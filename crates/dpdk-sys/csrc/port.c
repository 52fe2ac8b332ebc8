/* Ports: what they can do, starting, counting, closing. */
#include "shim.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_mbuf_dyn.h>

#define CHECKSUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
/* Addresses without UDP ports: clients change their port with every request. */
#define ADDRESSES (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6)

int shim_port_find(const char *name, uint16_t *port)
{
	return rte_eth_dev_get_port_by_name(name, port);
}

int shim_port_info(uint16_t port, struct shim_port_info *info)
{
	struct rte_eth_dev_info device;
	struct rte_ether_addr mac;
	int result = rte_eth_dev_info_get(port, &device);

	if (result != 0)
		return result;
	result = rte_eth_macaddr_get(port, &mac);
	if (result != 0)
		return result;
	memset(info, 0, sizeof(*info));
	strncpy(info->driver, device.driver_name, sizeof(info->driver) - 1);
	memcpy(info->mac, mac.addr_bytes, sizeof(info->mac));
	info->max_rx_queues = device.max_rx_queues;
	info->max_tx_queues = device.max_tx_queues;
	info->interface = device.if_index;
	info->socket = rte_eth_dev_socket_id(port);
	if ((device.rx_offload_capa & CHECKSUMS) == CHECKSUMS)
		info->abilities |= SHIM_CAN_CHECKSUM;
	if ((device.flow_type_rss_offloads & ADDRESSES) == ADDRESSES)
		info->abilities |= SHIM_CAN_SPREAD;
	if (device.rx_offload_capa & RTE_ETH_RX_OFFLOAD_TIMESTAMP)
		info->abilities |= SHIM_CAN_STAMP;
	return 0;
}

/* Neighbour discovery and PTP come to groups. Where the port cannot take all of them, it takes everything; where it can
 * do neither, it is a virtual device that filters nothing. */
static void take_groups(uint16_t port)
{
	if (rte_eth_allmulticast_enable(port) != 0)
		(void)rte_eth_promiscuous_enable(port);
}

#define TRY(step, call) \
	do { \
		const int result_ = (call); \
		if (result_ != 0) { \
			config->failed = (step); \
			return result_; \
		} \
	} while (0)

int shim_port_start(uint16_t port, struct shim_port_config *config)
{
	struct rte_eth_conf wanted = { .rxmode = { .mtu = config->mtu } };
	struct rte_eth_dev_info device;
	struct rte_eth_rxconf rx;
	const int socket = rte_eth_dev_socket_id(port);

	config->failed = NULL;
	config->stamp_offset = -1;
	config->stamp_flag = 0;
	config->clock = -ENOTSUP;
	TRY("asking for its properties", rte_eth_dev_info_get(port, &device));
	if (config->use & SHIM_CAN_CHECKSUM)
		wanted.rxmode.offloads |= CHECKSUMS;
	if (config->use & SHIM_CAN_STAMP)
		wanted.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TIMESTAMP;
	if (config->queues > 1 && (config->use & SHIM_CAN_SPREAD)) {
		wanted.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		wanted.rx_adv_conf.rss_conf.rss_hf = ADDRESSES;
	}
	TRY("configuring queues, MTU and offloads",
	    rte_eth_dev_configure(port, config->queues, config->queues, &wanted));
	TRY("setting the number of descriptors",
	    rte_eth_dev_adjust_nb_rx_tx_desc(port, &config->rx_descriptors, &config->tx_descriptors));
	rx = device.default_rxconf;
	rx.offloads = wanted.rxmode.offloads;
	for (uint16_t queue = 0; queue < config->queues; queue++) {
		TRY("setting up a receive queue",
		    rte_eth_rx_queue_setup(port, queue, config->rx_descriptors, socket, &rx, config->pool));
		TRY("setting up a send queue",
		    rte_eth_tx_queue_setup(port, queue, config->tx_descriptors, socket, &device.default_txconf));
	}
	TRY("starting", rte_eth_dev_start(port));
	/* The driver registers the field itself as it starts; registering again only finds it. */
	if (config->use & SHIM_CAN_STAMP)
		TRY("finding its stamps", rte_mbuf_dyn_rx_timestamp_register(&config->stamp_offset, &config->stamp_flag));
	if (config->use & SHIM_USE_CLOCK)
		config->clock = rte_eth_timesync_enable(port);
	take_groups(port);
	return 0;
}

int shim_port_close(uint16_t port)
{
	(void)rte_eth_dev_stop(port); /* fails on a port that never started, which is as good */
	return rte_eth_dev_close(port);
}

int shim_port_counters(uint16_t port, struct shim_port_counters *counters)
{
	struct rte_eth_stats stats;
	const int result = rte_eth_stats_get(port, &stats);

	if (result != 0)
		return result;
	*counters = (struct shim_port_counters){
		.rx_packets = stats.ipackets,
		.rx_bytes = stats.ibytes,
		.tx_packets = stats.opackets,
		.tx_bytes = stats.obytes,
		.rx_missed = stats.imissed,
		.rx_errors = stats.ierrors,
		.rx_no_buffer = stats.rx_nombuf,
		.tx_errors = stats.oerrors,
	};
	return 0;
}

/* The drivers of virtual devices report a link as up from start to stop, whatever becomes of the interface below. */
static int interface_link(uint32_t interface)
{
	struct ifreq request = { 0 };
	int socket_fd, result;

	if (if_indextoname(interface, request.ifr_name) == NULL)
		return SHIM_LINK_GONE;
	socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (socket_fd < 0)
		return SHIM_LINK_DOWN;
	result = ioctl(socket_fd, SIOCGIFFLAGS, &request);
	close(socket_fd);
	if (result < 0)
		return SHIM_LINK_GONE;
	return (request.ifr_flags & IFF_UP) && (request.ifr_flags & IFF_RUNNING) ? SHIM_LINK_UP : SHIM_LINK_DOWN;
}

int shim_port_link(uint16_t port, uint32_t interface)
{
	struct rte_eth_link link = { 0 };

	if (!rte_eth_dev_is_valid_port(port) || rte_eth_dev_is_removed(port))
		return SHIM_LINK_GONE;
	if (interface != 0)
		return interface_link(interface);
	if (rte_eth_link_get_nowait(port, &link) != 0)
		return SHIM_LINK_DOWN;
	return link.link_status == RTE_ETH_LINK_UP ? SHIM_LINK_UP : SHIM_LINK_DOWN;
}

uint32_t shim_port_megabits(uint16_t port)
{
	struct rte_eth_link link = { 0 };

	if (!rte_eth_dev_is_valid_port(port) || rte_eth_link_get_nowait(port, &link) != 0)
		return 0;
	return link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
}
