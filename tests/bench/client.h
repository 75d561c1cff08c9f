/* client.h - the connections of the load generator (load.c): from connect(2) over TLS and SOCKS5 to
 * the open state, and to their end. What is done while a connection is open is its kind's
 * (load_kinds.c).
 *
 * The client ends first, with a FIN, and waits for the proxy's: then the session is over on both
 * legs, no session overlaps the next one's place, and TIME_WAIT stays on the client's port of the
 * first leg and on the proxy's port of the second. The sources of the first and the destinations of
 * the second are spread over many addresses of 127/8, so that neither leg runs out of ports. Any
 * mistake of the proxy ends the process (die). */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* bytes of one exchange */
#define MESSAGE 64

enum phase { CONNECTING, SECURING, GREETED, LOGGED_IN, REQUESTED, OPEN, ENDING };

struct client {
    int fd;
    void *tls; /* NULL: plain */
    enum phase phase;
    unsigned index;         /* its place, 0 to CONNECTIONS - 1 */
    bool greeted_by_target; /* its first byte came back: the connection stands up to the target */
    bool drained;           /* the last read found nothing */
    uint8_t message[MESSAGE];
    size_t got;      /* bytes of the message's echo so far */
    uint64_t length; /* up and down: bytes in all, and done so far; the header is not counted */
    uint64_t done;
    uint64_t turns;  /* paced: exchanges done here */
    uint64_t owed;   /* paced: exchanges that became due while one was under way */
    bool is_waiting; /* paced: one is under way */
};

/* What one kind of work does with an open connection. `open` is called when the proxy has said
 * success, `start` for each connection when the measured work begins (NULL: the connections
 * themselves are the work). `tick` (NULL: none) does what is due by the clock; it returns the
 * nanoseconds until it wants to be called again. `report` (NULL: none) adds words to the line of
 * the result. */
struct kind {
    const char *name;
    void (*open)(struct client *);
    void (*start)(struct client *);
    void (*readable)(struct client *);
    void (*writable)(struct client *);
    uint64_t (*tick)(void);
    void (*report)(void);
};

/* One process does one kind of work; the first part is from its command line. */
struct load {
    const struct kind *kind;
    uint16_t proxy_port, target_port;
    bool direct;         /* no SOCKS is spoken */
    bool secured;        /* all is spoken over TLS */
    bool may_be_cut;     /* the proxy may end without a close_notify */
    uint8_t login[513];  /* the message of RFC 1929 */
    size_t login_length; /* 0: none is wanted */
    uint64_t units, connections;
    uint64_t rate; /* paced: exchanges a second */

    uint64_t opened, ready, done; /* connections begun, connections set up, units done */
    uint64_t units_begun;
    struct client *clients;
    int poller;
};

extern struct load load;

/* NULL: there is no such kind. */
const struct kind *kind_find(const char *name);

void client_open(struct client *c);

/* Ends our direction; the connection is over when the other one ends too. */
void client_end(struct client *c);

/* Something happened on its socket. */
void client_step(struct client *c);

/* What epoll is to wait for. */
void client_watch(struct client *c, int operation, uint32_t events);

/* As send(2), through TLS where it is spoken. */
ssize_t client_send(struct client *c, const void *bytes, size_t n);

/* For messages so small that they always fit into the socket's buffer. */
void client_put(struct client *c, const void *bytes, size_t n);

/* Reads what is there; 0 = nothing yet. */
size_t client_get(struct client *c, void *ret_bytes, size_t max);

#endif
