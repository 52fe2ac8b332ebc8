/* igb_rx_fix DEVICE FIRST_BYTE ETHERTYPE [DEVICE FIRST_BYTE ETHERTYPE]: lets QEMU's model of the igb NIC stamp the packets that an
 * experiment needs.
 *
 * The model differs from the 82576 that it is a model of:
 *  - It stamps a packet only if the byte after its Ethernet header equals TSYNCRXCFG[15:8], which the kernel's driver leaves 0
 *    (a Sync), and if an EtherType filter (ETQF) has its 1588 bit set for the packet's EtherType. The real one knows PTP in UDP.
 *  - It frees its one stamp when RXSATRH is read, which the driver never does: after the first there would be no other.
 * So this program sets FIRST_BYTE and a filter for ETHERTYPE, again and again (the driver resets them with the link), and reads
 * RXSATRH some milliseconds after a stamp was taken, when the driver has long had it. A packet that comes in between gets no
 * stamp; real NICs lose some, too.
 *
 * One process for all NICs, which seldom looks: each look may come in between a packet and its stamp, and costs both time.
 *
 * DEVICE is a PCI function. Needs iomem=relaxed on the kernel's command line. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REGISTERS = 0x20000, TSYNCRXCFG = 0x5F50, ETQF5 = 0x5CB0 + 4 * 5, TSYNCRXCTL = 0xB620, RXSATRH = 0xB630 };
enum { TSYNCRXCTL_VALID = 1 << 0, ETQF_ENABLE = 1 << 26, ETQF_1588 = 1 << 30 };
/* How often to look. A stamp is freed at the second look at it: the driver has had so long at least. */
enum { LOOK_US = 10000 };
enum { WORDS_PER_NIC = 3, NICS_MAX = 4 };

struct nic {
    volatile uint8_t *registers;
    uint32_t first_byte, filter;
    int seen; /* the stamp was there at the last look */
};

static volatile uint32_t *at(const struct nic *nic, int offset) {
    return (volatile uint32_t *)(nic->registers + offset);
}

static struct nic open_nic(char **words) {
    char path[128];
    snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource0", words[0]);
    int file = open(path, O_RDWR | O_SYNC);
    void *registers = file < 0 ? MAP_FAILED : mmap(NULL, REGISTERS, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (registers == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    struct nic nic = {.registers = registers, .seen = 0};
    nic.first_byte = (uint32_t)strtoul(words[1], NULL, 0) & 0xFF;
    nic.filter = (uint32_t)strtoul(words[2], NULL, 0) | ETQF_ENABLE | ETQF_1588;
    return nic;
}

static void look(struct nic *nic) {
    uint32_t wanted = (*at(nic, TSYNCRXCFG) & ~0xFF00u) | nic->first_byte << 8;
    if (*at(nic, TSYNCRXCFG) != wanted) *at(nic, TSYNCRXCFG) = wanted;
    if (*at(nic, ETQF5) != nic->filter) *at(nic, ETQF5) = nic->filter;
    int valid = *at(nic, TSYNCRXCTL) & TSYNCRXCTL_VALID;
    if (valid && nic->seen) (void)*at(nic, RXSATRH);
    nic->seen = valid && !nic->seen;
}

int main(int count, char **words) {
    int nics = (count - 1) / WORDS_PER_NIC;
    if (nics == 0 || nics > NICS_MAX || (count - 1) % WORDS_PER_NIC != 0) {
        fprintf(stderr, "usage: igb_rx_fix DEVICE FIRST_BYTE ETHERTYPE [DEVICE FIRST_BYTE ETHERTYPE]...\n");
        return 2;
    }
    struct nic nic[NICS_MAX];
    for (int i = 0; i < nics; i++) nic[i] = open_nic(words + 1 + i * WORDS_PER_NIC);
    for (;;) {
        for (int i = 0; i < nics; i++) look(&nic[i]);
        usleep(LOOK_US);
    }
}
