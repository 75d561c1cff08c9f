/* session_machine.h - what the session_*.c files share. Nobody else includes it. */
#ifndef PAIRSOCKS_SESSION_MACHINE_H
#define PAIRSOCKS_SESSION_MACHINE_H

#include "config/policy.h"
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
bool session_step_securing(struct session *s);
bool session_step_handshake(struct session *s);
bool session_step_dialing(struct session *s);
bool session_step_binding(struct session *s);
bool session_step_relay(struct session *s);
bool session_step_refusing(struct session *s);
bool session_step_associated(struct session *s);

/* Goes as far as it can, and arms what it waits for; it may be freed then. After something that has
 * come from elsewhere than its pairs and its deadline. */
void session_run(struct session *s);

/* Something that has come from elsewhere has brought session_next_look() forward. */
void session_look_again(struct session *s);

/* Nothing of it is needed any more. */
void session_free_handshake(struct session *s);

/* The request is complete: no place in the queue is needed any more. False: it was lost to another
 * client in the meantime, the session must end with policy.limit.queue. */
bool session_leave_queue(struct session *s);

/* session_handshake.c: the answer to what the front end has asked about the client. */
void session_judged(struct session *s, struct stream_error error);

/* session_relay.c: a stream was cut: has all that came of it arrived at the other side? */
void session_look_at_cut(struct session *s);

/* session_relay.c: from now on the session is held to the rate of its rule, if that has one. False: no
 * memory. */
bool session_limit(struct session *s);

/* When a direction that waits for its rate alone may go on, ms; UINT64_MAX: none does. */
uint64_t session_throttle_due(const struct session *s);

/* session_tls.c: TLS on the client's side, before the handshake; what it has sent already is the
 * first of it. */
void session_secure_client(struct session *s);

/* session_tls.c: how a client failed before its target stood: what it did wrong in TLS, or client.gone. */
struct stream_error session_client_error(const struct session *s);

/* session_tls.c: PROXY header and TLS towards a target that is reached straight, if the route wants
 * them. False: it does not, or they are there already. */
bool session_secure_target(struct session *s);

/* session.c: the client is known: TLS, or the target at once, or the handshake. */
void session_begin(struct session *s);

/* session_handshake.c: the client is for the listener's target, whatever it says. */
void session_forward(struct session *s);

/* session_auth.c: find out, and call session_judged(), now or later. */
void session_check_password(struct session *s);
void session_ask_ident(struct session *s);
void session_stop_judging(struct session *s);

/* session_proxy.c: reads the PROXY header. True: it was there, and the client that it names may come
 * in. */
bool session_take_proxy_header(struct session *s);

/* A place in the queue, for who the client is now. */
void session_enter_queue(struct session *s);

/* A place for one more session of the client's host. False: there is none, it has ended. */
bool session_enter_host(struct session *s);

/* session_policy.c: judges the request before anything is resolved. False: denied, *ret_error says
 * by what. */
bool session_judge_request(struct session *s, struct stream_error *ret_error);

/* The same for one address of the target; as connector_options.judge, with the target's pair. */
bool session_judge_address(void *target, const struct ip_endpoint *address,
                           struct stream_error *ret_error);

/* Once it is routed: the address of ours that it is to use; IP_NONE: any. */
struct ip_address session_source(const struct session *s);

/* As session_judge_address() for one that has come by itself. */
bool session_judge_peer(struct session *s, const struct ip_address *address,
                        struct stream_error *ret_error);

/* Starts towards the target of the complete request. */
void session_dial(struct session *s);

/* session_udp.c: the request was UDP ASSOCIATE: opens what it needs, and replies at once or when the
 * proxies stand. */
void session_associate(struct session *s);
void session_reply_association(struct session *s);

/* The proxy at the end has granted it. As a step. */
bool session_step_association_dial(struct session *s);

/* Reads and throws away what comes by a connection that is only held, and watches it. Returns why it is
 * over; none: it stands. */
struct stream_error session_watch(struct session *s, struct stream_pair *pair);

/* When the association ends if nothing passes before; ms. */
uint64_t session_association_deadline(const struct session *s);

/* session_policy.c: whether its client may have an association, and which way that has. */
bool session_judge_association(struct session *s, struct stream_error *ret_error);

/* Judges a target of its datagrams; of `target` name, address and port are set. */
struct policy_decision session_judge_datagram(struct session *s,
                                              const struct rules_request *target);

/* What a dial for the session's route is given. */
void session_dial_options(struct session *s, struct dial_options *ret_options);

/* session_dial.c: what the client says while it waits for its target is kept. False: it is gone, the
 * session has ended. */
bool session_keep_early(struct session *s);

/* session_dial.c: the truth, told once: the target is there, `told` is what the reply says of it. */
void session_reply_success(struct session *s, const struct ip_endpoint *told);
void session_reply_failure(struct session *s, struct stream_error error);

/* Of s->dial: what came of it is kept. */
void session_free_dial(struct session *s);

/* session_bind.c: the target is to come to us. False: no memory. */
bool session_prepare_bind(struct session *s);

/* Opens a port for the peers that are known, and tells the client. */
void session_listen(struct session *s);

/* The last proxy has done so: tells the client, and waits for the proxy to say who came. */
void session_listen_by_proxy(struct session *s);

/* As connector_options.judge: peers are judged, and noted, and none is connected. */
bool session_note_peer(void *target, const struct ip_endpoint *address,
                       struct stream_error *ret_error);

/* When its time is up. */
uint64_t session_bind_due(const struct session *s);

/* Closes the port. Harmless without one. */
void session_stop_bind(struct session *s);

/* Makes s->dial for the session's route, which has proxies; it stays NULL without memory. */
void session_prepare_dial(struct session *s);

/* Reads from the client into the block in which its bytes wait until the target stands. */
enum io session_read_early(struct session *s);

/* Sends handshake bytes; what the socket does not take waits as the first bytes of the way down,
 * not counted as received. */
void session_say(struct session *s, const struct answer *answer);

/* Sends a refusal, ends our direction, and goes on to discard what the client still sends. */
void session_refuse(struct session *s, struct stream_error error, const struct answer *answer);

/* session_count.c: what happens to the session is counted. Its TLS with the client has come to an end, good
 * or not; the first address of the target's name is known; the target could not be had, and why; it can, and
 * the client is about to hear so. */
void session_count_started(struct session *s);
void session_count_client_secured(struct session *s);
void session_count_resolved(struct session *s);
void session_count_failed(struct session *s, const struct stream_error *error);
void session_count_stands(struct session *s);
void session_count_ended(struct session *s);

/* When somebody has to look at the session again, in ms; and the look, when that time has come. */
uint64_t session_next_look(const struct session *s);
void session_look(struct session *s);

#endif
