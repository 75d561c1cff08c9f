/* dial.h - the way of `pairsocks connect` and `probe` to a target: resolving, connecting, and asking
 * one proxy after the other, with a deadline for all of it. What has been done is told step by
 * step. */
#ifndef PAIRSOCKS_DIAL_H
#define PAIRSOCKS_DIAL_H

#include "cli/proxy_url.h"
#include "streams/buffer.h"
#include "streams/open_plan.h"

enum { DIAL_PROXIES_MAX = 8 };

/* All of it is borrowed until dial_done(). */
struct dial_options {
    const struct proxy_url *proxies; /* the first one is connected to; none: the target itself */
    unsigned proxy_count;
    const char *host; /* the target, as it was written */
    uint16_t port;
    bool tls;              /* to the target */
    const char *peer_name; /* its name in its certificate; NULL: `host` */
    const char *authority; /* bundle of roots for all TLS; NULL: the system's */
    double timeout;        /* seconds */
};

/* A step that has been done, or (`error` is set) failed. Texts are valid during the call. */
struct dial_step {
    const char *what;  /* a word */
    const char *where; /* whom it is about */
    double seconds;
    const char *detail;  /* "": there is none */
    struct layer *layer; /* what can be asked of it: see struct open_progress; NULL: nothing */
    bool failed;
};

typedef void dial_observer(void *context, const struct dial_step *step);

struct dial {
    struct stream_pair pair; /* first: its address is what callbacks are given */
    struct ev_loop *loop;    /* owned */
    struct resolver *resolver;
    struct tls_context *tls; /* NULL: no TLS anywhere */
    struct buffer_pool pool;
    struct socks_host next[DIAL_PROXIES_MAX]; /* what each proxy is asked for */
    const struct dial_options *options;
    dial_observer *observer; /* may be NULL */
    void *context;
    ev_timer deadline;
    double began, step_began;
    bool is_resolved, is_late;
    struct stream_error error;
    char where[PROXY_URL_TEXT_MAX]; /* of the step under way */
    const char *what;
};

/* Runs the loop until the target stands: then `pair` is CONNECTED and its own. False: `error` says
 * why, `where` at which host; `what` is the step. dial_done() has to be called either way. */
bool dial_open(struct dial *dial, const struct dial_options *options, dial_observer *observer,
               void *context);

/* Seconds of a clock that nobody sets. */
double dial_now(void);

/* Closes what is open and frees what is owned. */
void dial_done(struct dial *dial);

#endif
