/* The clock of a NIC as DPDK's timesync shows it, and the registers that keep its stamps until they are read. */
#include "shim.h"

#include <time.h>

#include <rte_ethdev.h>
#include <rte_time.h>

static uint64_t nanoseconds_of(const struct timespec *at)
{
	return (uint64_t)at->tv_sec * NS_PER_S + (uint64_t)at->tv_nsec;
}

int shim_clock_read(uint16_t port, uint64_t *nanoseconds)
{
	struct timespec at;
	const int result = rte_eth_timesync_read_time(port, &at);

	if (result == 0)
		*nanoseconds = nanoseconds_of(&at);
	return result;
}

int shim_tx_latch(uint16_t port, uint64_t *nanoseconds)
{
	struct timespec at;
	const int result = rte_eth_timesync_read_tx_timestamp(port, &at);

	if (result == 0)
		*nanoseconds = nanoseconds_of(&at);
	return result;
}
