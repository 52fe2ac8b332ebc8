/* A link with delay, for QEMU: with `-plugin delay_line.so,delay=NS,jitter=NS` each filter-replay hands a packet over `delay` ns after it
 * came, and up to `jitter` more, never before one that came earlier. (By itself that filter does nothing where nothing is replayed.
 * `-object` takes no other names than those that QEMU knows.)
 *
 * Time is that of the guest, to the nanosecond, and no instruction of the guest is spent: what its programs do at the same moment
 * does not matter. QEMU's own filter-buffer hands over at the ticks of a timer, so that packets wait as chance has it.
 *
 * Plugins have a stable interface, but filters are inside QEMU: what is declared here is how QEMU 10.0 has them. bench.sh looks
 * whether the link has its delay. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* What QEMU has: NetFilterClass of net/filter.h; qom/object.h, qemu/timer.h, qemu/qemu-plugin.h. */
struct filter_class {
    void *type, *interfaces, *cast_caches[8], *unparent, *properties;
    void *setup, *cleanup, *status_changed, *handle_event;
    ssize_t (*receive)(void *filter, void *sender, unsigned flags, const struct iovec *parts, int count, void *sent);
};
struct filter_class *object_class_by_name(const char *name);
enum { CLOCK_OF_GUEST = 1, SCALE_NS = 1, TIMER_SIZE = 128 };
ssize_t qemu_netfilter_pass_to_next(void *sender, unsigned flags, const struct iovec *parts, int count, void *filter);
int64_t qemu_clock_get_ns(int clock);
void timer_init_full(void *timer, void *group, int clock, int scale, int attributes, void (*fire)(void *), void *data);
void timer_mod_ns(void *timer, int64_t at);

enum { LINES_MAX = 8, PACKETS_MAX = 64, PACKET_SIZE_MAX = 16384 };

struct packet {
    void *sender;
    unsigned flags;
    size_t size;
    int64_t due;
    char bytes[PACKET_SIZE_MAX];
};

/* What is on its way in one direction: a ring. */
struct line {
    void *filter;
    uint64_t head, tail;
    int64_t last_due;
    uint64_t chance;
    struct packet packets[PACKETS_MAX];
    _Alignas(16) char timer[TIMER_SIZE];
};

static struct line lines[LINES_MAX];
static int64_t delay_ns, jitter_ns;

static void hand_over(void *data) {
    struct line *line = data;
    while (line->head != line->tail) {
        struct packet *packet = &line->packets[line->head % PACKETS_MAX];
        if (packet->due > qemu_clock_get_ns(CLOCK_OF_GUEST)) {
            timer_mod_ns(line->timer, packet->due);
            return;
        }
        line->head++;
        struct iovec whole = {.iov_base = packet->bytes, .iov_len = packet->size};
        qemu_netfilter_pass_to_next(packet->sender, packet->flags, &whole, 1, line->filter);
    }
}

static struct line *line_of(void *filter) {
    for (int i = 0; i < LINES_MAX; i++) {
        struct line *line = &lines[i];
        if (line->filter == NULL) {
            line->filter = filter;
            line->chance = i + 1;
            timer_init_full(line->timer, NULL, CLOCK_OF_GUEST, SCALE_NS, 0, hand_over, line);
        }
        if (line->filter == filter) return line;
    }
    fprintf(stderr, "delay_line: more than %d filters\n", LINES_MAX);
    exit(1);
}

/* The same in every run: xorshift64 (Marsaglia 2003). */
static int64_t some_jitter(struct line *line) {
    line->chance ^= line->chance << 13;
    line->chance ^= line->chance >> 7;
    line->chance ^= line->chance << 17;
    return (int64_t)(line->chance >> 1) % (jitter_ns + 1);
}

static ssize_t receive(void *filter, void *sender, unsigned flags, const struct iovec *parts, int count, void *sent) {
    (void)sent;
    struct line *line = line_of(filter);
    struct packet *packet = &line->packets[line->tail % PACKETS_MAX];
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    /* Too many, or too large: lost, as on any link. */
    if (line->tail - line->head == PACKETS_MAX || size > PACKET_SIZE_MAX) return (ssize_t)size;
    packet->sender = sender;
    packet->flags = flags;
    packet->size = 0;
    for (int i = 0; i < count; i++) {
        memcpy(packet->bytes + packet->size, parts[i].iov_base, parts[i].iov_len);
        packet->size += parts[i].iov_len;
    }
    packet->due = qemu_clock_get_ns(CLOCK_OF_GUEST) + delay_ns + some_jitter(line);
    if (packet->due < line->last_due) packet->due = line->last_due;
    line->last_due = packet->due;
    if (line->tail++ == line->head) timer_mod_ns(line->timer, packet->due);
    return (ssize_t)size;
}

int qemu_plugin_version = 4;

int qemu_plugin_install(uint64_t id, const void *info, int count, char **words) {
    (void)id, (void)info;
    for (int i = 0; i < count; i++) {
        if (sscanf(words[i], "delay=%" SCNd64, &delay_ns) == 1 || sscanf(words[i], "jitter=%" SCNd64, &jitter_ns) == 1) continue;
        fprintf(stderr, "delay_line: %s: neither delay=NS nor jitter=NS\n", words[i]);
        return 1;
    }
    object_class_by_name("filter-replay")->receive = receive;
    return 0;
}
