/* upstream_server.h - one server of an upstream, as all workers see it: who it is, how many sessions
 * use it, and whether it can be used. Counted; kept over reloads. Any thread: all that changes is
 * atomic. Pure but for memory; times are milliseconds of the clock that never goes back. */
#ifndef PAIRSOCKS_UPSTREAM_SERVER_H
#define PAIRSOCKS_UPSTREAM_SERVER_H

#include "streams/address.h"
#include "streams/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A server that fails is set aside for so long, and after each failure that follows for twice as
 * long, up to the second number. */
#define UPSTREAM_PAUSE_MIN 1000
#define UPSTREAM_PAUSE_MAX 60000

#define UPSTREAM_CHECK_ERROR_MAX 256

struct upstream_server {
    atomic_uint references;
    char *upstream;       /* the name of its [upstream] */
    char *host;           /* NULL: `ip` */
    struct ip_address ip; /* IP_NONE with a host */
    uint16_t port;
    char *text; /* HOST:PORT */
    atomic_uint sessions;
    atomic_uint failures;          /* without a success between them */
    _Atomic uint64_t aside_until;  /* ms */
    _Atomic uint64_t tried_until;  /* its pause is over and somebody finds out; ms */
    atomic_bool unhealthy;         /* says the last check */
    _Atomic uint64_t last_error;   /* of a session; packed, 0: none */
    _Atomic int64_t last_error_at; /* Unix time */
    char check_error
        [UPSTREAM_CHECK_ERROR_MAX]; /* of the last check, "": none; the control plane's */
};

/* With one reference. `host` NULL: `ip`. NULL without memory. */
struct upstream_server *upstream_server_new(const char *upstream, const char *host,
                                            const struct ip_address *ip, uint16_t port);
struct upstream_server *upstream_server_ref(struct upstream_server *server);
void upstream_server_unref(struct upstream_server *server); /* harmless with NULL */

bool upstream_server_is(const struct upstream_server *server, const char *host,
                        const struct ip_address *ip, uint16_t port);

/* Neither set aside, nor being tried after that by another, nor found unhealthy. */
bool upstream_server_is_usable(struct upstream_server *server, uint64_t now);

/* Another session uses it; of those that wait for the outcome after a pause one is enough. */
void upstream_server_enter(struct upstream_server *server, uint64_t now);
void upstream_server_leave(struct upstream_server *server);

/* What came of it. Failures of those who were on their way when it was set aside count as one. */
void upstream_server_failed(struct upstream_server *server, uint64_t now);
void upstream_server_worked(struct upstream_server *server);

/* Why it failed, to be told to whoever asks; the last one is kept, also when the server works again.
 * `at`: Unix time. False: it has never failed. */
void upstream_server_note_error(struct upstream_server *server, struct stream_error error,
                                int64_t at);
bool upstream_server_last_error(const struct upstream_server *server,
                                struct stream_error *ret_error, int64_t *ret_at);

/* What a check has found. A good one ends a pause, too. True: it is news. */
bool upstream_server_checked(struct upstream_server *server, bool good);

#endif
