/* igb_no_tx_stamps DEVICE always, or DEVICE OFF ON: keeps an igb NIC from stamping what it sends, whatever its driver asks for: what
 * a program makes of a NIC that does not do what it says. With OFF and ON, for so many milliseconds, and not for so many, in turn.
 *
 * DEVICE is a PCI function. Needs iomem=relaxed on the kernel's command line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REGISTERS = 0x20000, TSYNCTXCTL = 0xB614, TSYNCTXCTL_ENABLED = 1 << 4 };
/* How often to look: the driver switches them on when it starts. */
enum { LOOK_US = 10000 };

int main(int count, char **words) {
    int always = count == 3 && strcmp(words[2], "always") == 0;
    if (!always && count != 4) {
        fprintf(stderr, "usage: igb_no_tx_stamps DEVICE always\n       igb_no_tx_stamps DEVICE OFF ON\n");
        return 2;
    }
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource0", words[1]);
    int file = open(path, O_RDWR | O_SYNC);
    void *registers = file < 0 ? MAP_FAILED : mmap(NULL, REGISTERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (registers == MAP_FAILED) {
        perror(path);
        return 1;
    }
    volatile uint32_t *control = (volatile uint32_t *)((uint8_t *)registers + TSYNCTXCTL);
    long off = always ? 1 : atol(words[2]), on = always ? 0 : atol(words[3]);
    uint32_t taken = 0;
    for (long at = 0;; at = (at + LOOK_US / 1000) % (off + on)) {
        if (at < off) {
            taken |= *control & TSYNCTXCTL_ENABLED;
            if (*control & TSYNCTXCTL_ENABLED) *control &= ~(uint32_t)TSYNCTXCTL_ENABLED;
        } else if (taken) {
            *control |= taken;
        }
        usleep(LOOK_US);
    }
}
