/* igb_no_tx_stamps DEVICE: keeps an igb NIC from stamping what it sends, whatever its driver asks for: what a program makes of a NIC
 * that does not do what it says.
 *
 * DEVICE is a PCI function. Needs iomem=relaxed on the kernel's command line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REGISTERS = 0x20000, TSYNCTXCTL = 0xB614, TSYNCTXCTL_ENABLED = 1 << 4 };
/* How often to look: the driver switches them on when it starts. */
enum { LOOK_US = 10000 };

int main(int count, char **words) {
    if (count != 2) {
        fprintf(stderr, "usage: igb_no_tx_stamps DEVICE\n");
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
    for (;;) {
        if (*control & TSYNCTXCTL_ENABLED) *control &= ~(uint32_t)TSYNCTXCTL_ENABLED;
        usleep(LOOK_US);
    }
}
