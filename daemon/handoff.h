/* handoff.h - what one daemon says to the next in an upgrade, over a SOCK_SEQPACKET socket: packets of a text
 * and descriptors. The old one (upgrade.h) sends hello, what it has, and end; the new one (successor.h) answers
 * ready, or lines of why it failed; the old one says go. Both may be of different versions: what one does not know it
 * leaves out. */
#ifndef PAIRSOCKS_HANDOFF_H
#define PAIRSOCKS_HANDOFF_H

#include "streams/address.h"

#include <stdbool.h>

/* The environment variable with the channel's number. */
#define HANDOFF_VARIABLE "PAIRSOCKSD_UPGRADE"

enum {
    HANDOFF_TEXT_MAX = 1024,
    HANDOFF_PATH_MAX = 108, /* as of sun_path */
    HANDOFF_FDS_MAX = 64    /* of a packet; the kernel takes 253 */
};

enum handoff_kind {
    HANDOFF_UNKNOWN,
    HANDOFF_HELLO,
    HANDOFF_SYSTEMD,  /* name: of a socket of systemd's; its descriptor */
    HANDOFF_LISTENER, /* name: of a [listener]; asked; descriptors of one place */
    HANDOFF_OTHER,    /* name: what else listens; asked; its descriptor */
    HANDOFF_NOTIFY,   /* the socket to systemd */
    HANDOFF_LOG,      /* name: the path of the log file; its descriptor */
    HANDOFF_CONFINED, /* the root directory has been changed already */
    HANDOFF_END,
    HANDOFF_READY,
    HANDOFF_FAILED, /* name: why, a line for the log */
    HANDOFF_GO
};

struct handoff_entry {
    enum handoff_kind kind;
    char name[HANDOFF_TEXT_MAX]; /* empty where the kind has none */
    struct ip_endpoint asked;    /* IP_NONE: `path`, or none */
    char path
        [HANDOFF_PATH_MAX]; /* of a unix socket, which itself may know it by another; else empty */
};

struct handoff_packet {
    char text[HANDOFF_TEXT_MAX];
    int fds[HANDOFF_FDS_MAX]; /* owned */
    unsigned count;
};

/* The text of an entry: KIND, TAB, name, TAB, asked or path. A name that is too long is cut. Pure. */
void handoff_format(const struct handoff_entry *entry, char out[HANDOFF_TEXT_MAX]);

/* False: it is no text of ours. A kind that is not known is UNKNOWN. Pure. */
bool handoff_parse(const char *text, struct handoff_entry *ret);

enum handoff_result { HANDOFF_DONE, HANDOFF_AGAIN, HANDOFF_OVER, HANDOFF_BROKEN };

/* One packet, without waiting. The descriptors stay the caller's. AGAIN: no place now. */
enum handoff_result handoff_send(int channel, struct handoff_packet *packet);

/* The same without descriptors. */
enum handoff_result handoff_say(int channel, enum handoff_kind kind, const char *name);

/* One packet, without waiting. The caller owns its descriptors, which are close-on-exec. AGAIN: none is there; OVER:
 * the other side has closed. */
enum handoff_result handoff_receive(int channel, struct handoff_packet *ret);

#endif
