/* session_machine.h - what the session_*.c files share. Nobody else includes it. */
#ifndef PAIRSOCKS_SESSION_MACHINE_H
#define PAIRSOCKS_SESSION_MACHINE_H

#include "daemon/session.h"

#include <stddef.h>

#define SESSION_OF(pointer, member)                                                                \
    ((struct session *)((char *)(pointer)-offsetof(struct session, member)))

static inline uint64_t session_now(const struct session *s)
{
    return s->worker->now;
}

/* The only place that changes the state. */
void session_set_state(struct session *s, enum session_state state);

/* Marks it ended; it is freed when the step is over. The first error wins. */
void session_end(struct session *s, struct stream_error error);

/* The same with a reset to both: nobody may take what they got for the whole. */
void session_end_with_reset(struct session *s, struct stream_error error);

/* One step in each state. True: something changed that another step may build on. */
bool session_step_handshake(struct session *s);
bool session_step_dialing(struct session *s);
bool session_step_relay(struct session *s);
bool session_step_refusing(struct session *s);

/* The request is complete: no place in the queue is needed any more. False: it was lost to another
 * client in the meantime, the session must end with policy.limit.queue. */
bool session_leave_queue(struct session *s);

/* session_policy.c: judges the request before anything is resolved. False: denied, *ret_error says
 * by what. */
bool session_judge_request(struct session *s, struct stream_error *ret_error);

/* The same for one address of the target; as connector_options.judge, with the target's pair. */
bool session_judge_address(void *target, const struct ip_endpoint *address,
                           struct stream_error *ret_error);

/* Starts towards the target of the complete request. */
void session_dial(struct session *s);

/* Reads from the client into the block in which its bytes wait until the target stands. */
enum io session_read_early(struct session *s);

/* Sends handshake bytes; what the socket does not take waits as the first bytes of the way down,
 * not counted as received. */
void session_say(struct session *s, const struct answer *answer);

/* Sends a refusal, ends our direction, and goes on to discard what the client still sends. */
void session_refuse(struct session *s, struct stream_error error, const struct answer *answer);

/* When somebody has to look at the session again, in ms; and the look, when that time has come. */
uint64_t session_next_look(const struct session *s);
void session_look(struct session *s);

#endif
