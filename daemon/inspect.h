/* inspect.h - the control plane asks the workers for what only they know: which sessions they have; and tells
 * them to end one. The control plane's thread.
 *
 * Nobody waits: each worker is woken, writes its part, and when the last part is there the callback gets
 * the whole, from the control plane's loop. A worker that says nothing for INSPECT_DEADLINE_MS is left out,
 * and counted: the answer then is what the others have said.
 *
 *     asking = inspect_sessions(inspector, 1000, on_sessions, client);
 *     ...
 *     static void on_sessions(void *context, const struct inspect_answer *answer) { ... }
 *
 * Before a worker answers it has counted the bytes of its sessions (counters.h): who wants to know these alone
 * asks for no sessions.
 *
 * Ids of sessions are unique over all workers for as long as the daemon runs. */
#ifndef PAIRSOCKS_INSPECT_H
#define PAIRSOCKS_INSPECT_H

#include "daemon/session_facts.h"
#include "daemon/worker.h"

#define INSPECT_DEADLINE_MS 2000

/* The most sessions that one answer can have: what copying them takes, a worker does not serve. */
#define INSPECT_SESSIONS_MAX 10000

/* Borrowed: for as long as the callback runs. */
struct inspect_answer {
    const struct session_facts *sessions; /* the oldest first; of too many the newest */
    unsigned count;
    uint64_t total;  /* live sessions of the workers that have answered; more than `count`: cut */
    unsigned silent; /* workers that have not answered in time */
    bool is_closed;  /* inspect_close(): there was such a session, and it has ended */
};

/* Called once, never from inside the call that asks. */
typedef void inspect_callback(void *context, const struct inspect_answer *answer);

struct inspector;
struct inspection;

/* For workers that are initialized; both are borrowed and outlive it. To be freed once no worker runs any
 * more; what is still asked for then never gets its callback. NULL without memory. */
struct inspector *inspector_new(struct ev_loop *loop, struct workers *workers);
void inspector_free(struct inspector *inspector); /* harmless with NULL */

/* All live sessions, `max` of them at most. NULL: no memory, nothing will be called. What is returned is
 * valid until the callback is called. */
struct inspection *inspect_sessions(struct inspector *inspector, unsigned max,
                                    inspect_callback *callback, void *context);

/* Ends the session with this id, with resets and the error daemon.closed-by-admin. Otherwise as above. */
struct inspection *inspect_close(struct inspector *inspector, uint64_t id,
                                 inspect_callback *callback, void *context);

/* Its callback is not called any more. Harmless with NULL. */
void inspect_cancel(struct inspection *inspection);

#endif
