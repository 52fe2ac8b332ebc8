/* truth A B SECONDS HERTZ: how two clocks stand to each other, read without any program that is under test.
 *
 * A clock is a device (/dev/ptp0), "realtime" (CLOCK_REALTIME), "realtime+37" (so many seconds more: TAI), or "igb:0000:01:00.0": the bare
 * counter of an igb NIC, which has no device while DPDK owns it. (The kernel lets a program look at it with iomem=relaxed on its
 * command line.) DPDK has the 82576's count 2^-16 ns; it is read without DPDK.
 *
 * A line per sample: what A showed, what B showed at that moment, and the window: A is read before and after B, and its
 * middle counts. The best of several tries is taken. Nanoseconds since the clock's epoch; of a bare counter, since it was started. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 8, REGISTERS = 0x20000, SYSTIML = 0xB600, SYSTIMH = 0xB604, SYSTIM_FRACTION_BITS = 16 };
#define NS_PER_S INT64_C(1000000000)

struct clock {
    clockid_t id;
    int64_t ahead; /* seconds to add */
    volatile uint8_t *registers; /* of a bare counter, else NULL */
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct clock open_clock(const char *name) {
    struct clock clock = {.id = CLOCK_REALTIME, .ahead = 0, .registers = NULL};
    if (strncmp(name, "realtime", 8) == 0) {
        clock.ahead = atoll(name + 8);
        return clock;
    }
    if (strncmp(name, "igb:", 4) == 0) {
        char path[128];
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource0", name + 4);
        int file = open(path, O_RDWR | O_SYNC);
        if (file < 0) die(path);
        clock.registers = mmap(NULL, REGISTERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (clock.registers == MAP_FAILED) die(path);
        return clock;
    }
    int file = open(name, O_RDONLY);
    if (file < 0) die(name);
    clock.id = (~(clockid_t)file << 3) | 3; /* as clock_getres(2) says under "Dynamic clocks" */
    return clock;
}

static int64_t read_clock(struct clock clock) {
    if (clock.registers != NULL) {
        /* The low half latches the high one. */
        uint32_t low = *(volatile uint32_t *)(clock.registers + SYSTIML);
        uint32_t high = *(volatile uint32_t *)(clock.registers + SYSTIMH);
        return (int64_t)(((uint64_t)high << 32 | low) >> SYSTIM_FRACTION_BITS);
    }
    struct timespec now;
    if (clock_gettime(clock.id, &now) != 0) die("clock_gettime");
    return (now.tv_sec + clock.ahead) * NS_PER_S + now.tv_nsec;
}

int main(int count, char **words) {
    if (count != 5) {
        fprintf(stderr, "usage: truth A B SECONDS HERTZ\n");
        return 2;
    }
    struct clock a = open_clock(words[1]), b = open_clock(words[2]);
    double hertz = atof(words[4]);
    long samples = (long)(atof(words[3]) * hertz);
    struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)(1e9 / hertz) - 1};
    for (long sample = 0; sample < samples; sample++) {
        int64_t window = INT64_MAX, middle = 0, other = 0;
        for (int try = 0; try < TRIES; try++) {
            int64_t before = read_clock(a), between = read_clock(b), after = read_clock(a);
            if (after - before >= window) continue;
            window = after - before;
            middle = before + window / 2;
            other = between;
        }
        printf("%" PRId64 " %" PRId64 " %" PRId64 "\n", middle, other, window);
        nanosleep(&pause, NULL);
    }
    return 0;
}
