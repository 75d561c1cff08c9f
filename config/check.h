/* check.h - what can be judged only when the whole file was read: references, who may use a
 * listener, what its guard means. Called by the loader. Pure but for memory. */
#ifndef PAIRSOCKS_CHECK_H
#define PAIRSOCKS_CHECK_H

#include "config/directive.h"
#include "config/faults.h"

/* Where a listener's section stands. */
struct check_place {
    int line;
    bool is_doubtful; /* a key that may have a say in who may use it is wrong: no verdict on that */
};

/* Completes the snapshot, or adds to the faults. `places` are as many as the listeners are. */
void check_config(struct config *config, const struct references *references,
                  const struct check_place *places, const struct check_place *upstreams,
                  struct faults *faults);

/* check_listener.c: keys of one listener that need or exclude one another; reads its users file. */
void check_listener(struct config *config, unsigned index, const struct check_place *place,
                    struct faults *faults);

/* check_status.c: the same for the status page; reads its token. */
void check_status(struct config *config, struct faults *faults);

/* check_upstream.c: the same for an upstream; reads its password file. */
void check_upstream(struct config *config, unsigned index, struct faults *faults);

/* No chain of `via` comes back to where it began, and each is one of proxies. Cuts those that are
 * wrong: nobody goes round in circles. */
void check_chains(struct config *config, const struct check_place *upstreams,
                  struct faults *faults);

/* Begins the error of a key of a record: where the key stands, else where its section does. */
FILE *check_fault(const struct config *config, enum section section, unsigned record,
                  const char *key, struct faults *faults);

/* Any TLS key but `security`. */
bool check_tls_is_given(const struct config_tls *tls);

/* True when the prefixes hold every address of IPv4 or every address of IPv6, one of them alone
 * or several together. Names hold none for sure. Sets *ret_covers; false without memory. */
bool check_covers_family(const struct host_pattern *patterns, unsigned count, bool *ret_covers);

#endif
