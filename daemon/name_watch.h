/* name_watch.h - host names whose addresses are wanted at any time, resolved in the background
 * and kept: the names in `allow` and `deny`. Belongs to one event loop and its thread (the
 * control plane's), with a resolver of its own.
 *
 * Each name is asked for at once, A and AAAA, and again NAME_WATCH_REFRESH seconds after a good
 * answer, NAME_WATCH_RETRY after a bad one; never more than NAME_WATCH_LOOKUPS_MAX questions are
 * open at a time, however many names there are.
 *
 * An answer is good when a family gave addresses. Then a family that definitely has none has none
 * from now on, and one that could not be learned (timeout, failed server) keeps what it had. When
 * no family gave any, even when the name is definitely gone, all stays as it was: a mistake in
 * DNS must not open or shut a door. */
#ifndef PAIRSOCKS_NAME_WATCH_H
#define PAIRSOCKS_NAME_WATCH_H

#include "streams/resolver.h"

#define NAME_WATCH_REFRESH 60
#define NAME_WATCH_RETRY 10
#define NAME_WATCH_LOOKUPS_MAX 32
#define NAME_WATCH_ADDRESSES_MAX (2 * RESOLVER_ADDRESSES_MAX)

/* A good answer: all addresses of the name, at least one, at most NAME_WATCH_ADDRESSES_MAX, valid
 * during the call as the name is. `is_whole`: both families are known, from now or from before; if
 * not, the name may have addresses beside these. Must not call name_watch functions. */
typedef void name_watch_answered(void *context, const char *name,
                                 const struct ip_address *addresses, unsigned count, bool is_whole);

struct name_watch_options {
    struct resolver_options resolver;
    ev_tstamp refresh, retry; /* s; 0: the numbers above. For tests */
};

struct name_watch;

/* NULL when c-ares or memory fails. Watches nothing yet. The options are copied. */
struct name_watch *name_watch_new(struct ev_loop *loop, const struct name_watch_options *options,
                                  name_watch_answered *answered, void *context);

/* Nothing is called any more. free(NULL) is harmless. */
void name_watch_free(struct name_watch *watch);

/* The names to be watched from now on, each something that host_classify() calls a HOST_NAME; one
 * may be given several times. Names compare byte by byte. Those that stay keep their answers:
 * `answered` is called for each that has one before this returns, so that whitelists made from a
 * new configuration know what the old ones knew. Those that go are dropped. False without memory:
 * all is as it was and nothing was called. */
bool name_watch_set(struct name_watch *watch, const char *const *names, unsigned count);

/* For a reload: other nameservers from now on; open questions are asked again there. Answers are
 * kept. False: bad nameservers, or no memory; the old ones stay. */
bool name_watch_set_resolver(struct name_watch *watch, const struct resolver_options *options);

#endif
