/* The environment: EAL itself, threads of ours that use it, devices that come and go, pools of buffers. */
#define _GNU_SOURCE
#include "shim.h"
#include "shim_log.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_version.h>

_Static_assert(RTE_VERSION >= RTE_VERSION_NUM(22, 11, 0, 0), "libdpdk 22.11 or later is needed");

static int last_error(void)
{
	return rte_errno > 0 ? -rte_errno : -EIO;
}

/* rte_eal_init, without what it leaves behind: the list of all its options on standard output where it refuses one, and an
 * empty directory where no files are shared. */
static int init_quietly(int argc, char **argv)
{
	FILE *const output = stdout;
	FILE *const nowhere = fopen("/dev/null", "w");
	int result;

	if (nowhere != NULL)
		stdout = nowhere;
	result = rte_eal_init(argc, argv) < 0 ? last_error() : 0;
	stdout = output;
	if (nowhere != NULL)
		fclose(nowhere);
	(void)rmdir(rte_eal_get_runtime_dir());
	return result;
}

int shim_eal_init(int argc, char **argv, const uint16_t *cores, size_t core_count)
{
	cpu_set_t before, confined;
	int result;

	CPU_ZERO(&confined);
	for (size_t i = 0; i < core_count; i++)
		if (cores[i] < CPU_SETSIZE)
			CPU_SET(cores[i], &confined);
	result = pthread_getaffinity_np(pthread_self(), sizeof(before), &before);
	if (result != 0)
		return -result;
	/* EAL puts its control threads on whatever the caller may use less the cores of its lcores. */
	result = pthread_setaffinity_np(pthread_self(), sizeof(confined), &confined);
	if (result != 0)
		return -result;
	shim_log_open();
	result = init_quietly(argc, argv);
	/* EAL has pinned the caller to its main lcore. */
	pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return result;
}

const char *shim_eal_version(void)
{
	return rte_version();
}

int shim_thread_register(void)
{
	return rte_thread_register() == 0 ? 0 : last_error();
}

void shim_thread_unregister(void)
{
	rte_thread_unregister();
}

int shim_device_attach(const char *bus, const char *name, const char *arguments)
{
	return rte_eal_hotplug_add(bus, name, arguments);
}

int shim_device_detach(const char *bus, const char *name)
{
	return rte_eal_hotplug_remove(bus, name);
}

void *shim_pool_create(const char *name, uint32_t buffers, uint32_t cache, uint16_t buffer_size, int socket, int *error)
{
	void *pool = rte_pktmbuf_pool_create(name, buffers, cache, 0, buffer_size + RTE_PKTMBUF_HEADROOM,
					     socket < 0 ? SOCKET_ID_ANY : socket);

	*error = pool == NULL ? last_error() : 0;
	return pool;
}

uint32_t shim_pool_available(const void *pool)
{
	return rte_mempool_avail_count(pool);
}
