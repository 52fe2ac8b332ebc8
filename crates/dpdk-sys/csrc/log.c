/* DPDK's log: to standard error, or kept while a step of the set-up runs so that its failure can say why. */
#define _GNU_SOURCE
#include "shim.h"
#include "shim_log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_log.h>

#define KEPT 8192

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool capturing;
static char kept[KEPT];
static size_t kept_length;

static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	(void)cookie;
	pthread_mutex_lock(&lock);
	if (capturing) {
		const size_t room = KEPT - kept_length;
		const size_t copied = length < room ? length : room;

		memcpy(kept + kept_length, text, copied);
		kept_length += copied;
	} else {
		(void)!write(STDERR_FILENO, text, length);
	}
	pthread_mutex_unlock(&lock);
	return (ssize_t)length;
}

void shim_log_open(void)
{
	/* One stream for the life of the process: a thread of DPDK may be writing to it at any time. */
	static FILE *stream;

	if (stream != NULL)
		return;
	stream = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = log_write });
	if (stream == NULL)
		return; /* without it DPDK logs to standard error and to syslog */
	setvbuf(stream, NULL, _IOLBF, BUFSIZ);
	rte_openlog_stream(stream);
}

void shim_log_capture(void)
{
	pthread_mutex_lock(&lock);
	capturing = true;
	kept_length = 0;
	pthread_mutex_unlock(&lock);
}

size_t shim_log_take(char *text, size_t size)
{
	size_t length = 0;

	pthread_mutex_lock(&lock);
	capturing = false;
	if (size != 0) {
		length = kept_length < size - 1 ? kept_length : size - 1;
		memcpy(text, kept, length);
		text[length] = '\0';
	}
	pthread_mutex_unlock(&lock);
	return length;
}

void shim_log_flush(void)
{
	pthread_mutex_lock(&lock);
	capturing = false;
	(void)!write(STDERR_FILENO, kept, kept_length);
	pthread_mutex_unlock(&lock);
}
