/* open_plan.h - what a pair passes through after its TCP connection stands, in order: a PROXY header,
 * TLS, a SOCKS or HTTP proxy that is asked for the next host, TLS again ... of any length. Built by
 * the owner, a step at a time, and given to a pair, which drives it: the pair is OPENING until all
 * steps stand or one has failed. pair_expire() gives the error of the step that is under way.
 *
 *     struct open_plan *plan = open_plan_new(&pool);
 *     open_plan_add(plan, &(struct open_step){.kind = OPEN_TLS, .context = c, .peer_name = "a.test"}, &error);
 *     open_plan_add(plan, &(struct open_step){.kind = OPEN_SOCKS5, .host = ..., .port = 443}, &error);
 *     ...
 *     if (!pair_open_plan(pair, plan))
 *         open_plan_free(plan);
 *
 * A plan is used once, in the thread of its pair. */
#ifndef PAIRSOCKS_OPEN_PLAN_H
#define PAIRSOCKS_OPEN_PLAN_H

#include "streams/buffer.h"
#include "streams/pair.h"
#include "streams/setup.h"
#include "streams/socks.h"
#include "streams/tls_context.h"

enum open_kind {
    OPEN_PROXY_HEADER, /* version, source, destination */
    OPEN_TLS,          /* context, peer_name, keeps_chain */
    OPEN_SOCKS4,       /* host, port, user, binds */
    OPEN_SOCKS4A,      /* host, port, user, binds */
    OPEN_SOCKS5,       /* host, port, user, password, binds */
    OPEN_HTTP,         /* host, port, user, password */
    OPEN_KINDS,
};

#define OPEN_STEPS_MAX 255 /* ours */

/* Texts are copied, and the credentials among them wiped when the plan is freed; the context is
 * counted. */
struct open_step {
    uint8_t kind; /* enum open_kind */
    uint8_t hop;  /* the owner's own number, for who asks which hop a step belongs to */

    struct socks_host host; /* the next host: an address, or a name of opaque bytes */
    uint16_t port;
    bool binds;       /* a BIND for it, up to the first reply, instead of a CONNECT to it */
    const char *user; /* NULL: no credentials; see layer_socks.h, layer_http.h */
    const char *password;

    struct tls_context *context; /* a client's */
    const char *peer_name;       /* as in layer_tls_options; NULL: no check, nothing sent */
    bool keeps_chain;            /* likewise */

    unsigned version; /* of the PROXY header: 1 or 2 */
    struct ip_endpoint source, destination;
};

struct open_plan;

/* What an observer is told: step `index` has reached `phase`. */
struct open_progress {
    size_t index;
    const struct open_step *step; /* the plan's; without user and password */
    enum setup_phase phase;       /* SETUP_DONE: the step stands */
    struct layer *layer; /* what can be asked of it: layer_tls_...(), layer_socks_bound(); a
                                     layer that only sets up is gone afterwards */
};

/* Called from inside pair_open_plan() and the loop, in order. It must not close the pair. */
typedef void open_observer(void *context, const struct open_progress *progress);

/* `pool` is borrowed: for TLS, may be NULL without. NULL: no memory. */
struct open_plan *open_plan_new(struct buffer_pool *pool);

/* Puts a step behind the others. False, with nothing added: no memory (system.connect.other), or
 * what layer_socks_check() or layer_http_check() finds; stream.state.bad-state for an unknown kind,
 * TLS without a context, HTTP that binds, or more than OPEN_STEPS_MAX steps. */
bool open_plan_add(struct open_plan *plan, const struct open_step *step,
                   struct stream_error *ret_error);

/* `context` is borrowed until the pair is open or closed. */
void open_plan_observe(struct open_plan *plan, open_observer *observer, void *context);

/* Of a plan that no pair has. Harmless with NULL. */
void open_plan_free(struct open_plan *plan);

/* Starts on the plan, in a pair that is open in both directions (as pair_open_layer() has it); the
 * pair owns the plan from now on and frees it when it is open or closed. It may be CONNECTED or
 * ERROR on return: an empty plan is. False: bad state; nothing has changed, the plan is the
 * caller's. */
bool pair_open_plan(struct stream_pair *pair, struct open_plan *plan);

/* The plan that a pair is being opened by, or failed in, until it is closed; NULL: none. */
const struct open_plan *pair_plan(const struct stream_pair *pair);

/* The step that is under way or failed: its number from 0, and how far it got. After the last one
 * has succeeded: the number of steps. */
size_t open_plan_index(const struct open_plan *plan);
enum setup_phase open_plan_phase(const struct open_plan *plan);
size_t open_plan_count(const struct open_plan *plan);

/* Step `index`, without user and password; its other texts live as long as the plan. */
const struct open_step *open_plan_step(const struct open_plan *plan, size_t index);

#endif
