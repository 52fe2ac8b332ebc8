#ifndef SIDEREAL_DPDK_SHIM_LOG_H
#define SIDEREAL_DPDK_SHIM_LOG_H

/* Sends DPDK's log to our stream, which writes to standard error unless a capture is on. */
void shim_log_open(void);

#endif
