/* Preloaded into a peer that ends when it may not steer the clock: it is told that it did, and no clock is touched. */
#define _GNU_SOURCE
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

static long frequency;

int clock_adjtime(clockid_t clock, struct timex *request)
{
    (void)clock;
    if (request->modes & ADJ_FREQUENCY)
        frequency = request->freq;
    request->freq = frequency;
    request->tick = 10000;
    return TIME_OK;
}

int adjtimex(struct timex *request)
{
    return clock_adjtime(CLOCK_REALTIME, request);
}

int ntp_adjtime(struct timex *request)
{
    return clock_adjtime(CLOCK_REALTIME, request);
}

int clock_settime(clockid_t clock, const struct timespec *time)
{
    (void)clock;
    (void)time;
    return 0;
}

int settimeofday(const struct timeval *time, const struct timezone *zone)
{
    (void)time;
    (void)zone;
    return 0;
}
