/* session.h - one client, from accept to the log line: handshake, dial, reply, relay. A session
 * belongs to one worker and frees itself. The worker starts it; after that only events of its
 * two pairs and its deadline drive it. */
#ifndef PAIRSOCKS_SESSION_H
#define PAIRSOCKS_SESSION_H

#include "daemon/association.h"
#include "daemon/dial.h"
#include "daemon/frontend.h"
#include "daemon/relay.h"
#include "daemon/worker.h"

enum session_state {
    SESSION_SECURING,   /* TLS with the client */
    SESSION_HANDSHAKE,  /* reading the greeting and the request */
    SESSION_JUDGING,    /* who the client is, is being found out */
    SESSION_DIALING,    /* resolving and connecting */
    SESSION_BINDING,    /* a port is open for the target, the client knows it */
    SESSION_RELAY,      /* the target stands, the client knows it */
    SESSION_ASSOCIATED, /* datagrams pass, the client knows where */
    SESSION_REFUSING,   /* a refusal is on its way; what the client still sends is thrown away */
    SESSION_ENDED,      /* freed when the step is over */
};

/* How a direction gets on. */
struct progress {
    uint64_t moved;          /* ms; when it last moved, or began to wait */
    uint64_t unacknowledged; /* bytes, when it was last looked at while it waited */
};

/* What a session whose rule has a rate may move. */
struct session_rate {
    struct throttle up, down;
};

struct session {
    struct worker *worker;                    /* borrowed */
    const struct snapshot_listener *listener; /* holds a reference to its snapshot */
    struct session *next, *previous;          /* in the worker's list */
    struct stream_pair client, target;
    struct relay_direction up, down; /* client to target, target to client */
    struct session_rate *rate;       /* owned; NULL: no limit */
    struct relay_direction *cut;     /* it will be reset once its bytes have arrived; NULL: none */
    struct handshake *handshake;     /* owned; NULL once the reply is sent */
    struct password_check *check;    /* while a password is checked */
    struct ident_query *ident;       /* while an identd is asked; owned */
    struct dial *dial;               /* while proxies are asked for the target; owned */
    struct dial_path *path;          /* of what came of that: the servers on the way; owned */
    struct association *association; /* of a UDP ASSOCIATE; owned */
    char *user;                      /* owned; a verified identity as rules write it, or NULL */
    struct wheel_entry deadline;     /* when it is looked at; in the worker's wheel */
    uint64_t id;
    uint64_t started, dialed, resolved, replied; /* ms; 0 = not yet, or not needed */
    uint64_t active;                             /* ms; when anything last moved */
    struct progress up_progress, down_progress;
    uint64_t discarded;         /* bytes thrown away while refusing */
    struct ip_endpoint peer;    /* the client */
    struct ip_endpoint address; /* of the target; connected or last tried */
    char *target_name;          /* owned, of any bytes; NULL when the client gave an address */
    uint8_t target_name_length;
    struct ip_address target_ip; /* as the client gave it */
    struct ip_address asked_ip;  /* the address that it means, also when it came as a name's text */
    uint16_t target_port;
    uint8_t command;                     /* enum socks_command as asked, 0 = none yet */
    uint8_t state;                       /* enum session_state */
    bool is_queued, on_probation;        /* see queue.h */
    bool expects_proxy_header;           /* before anything else */
    bool host_counted;                   /* has a place in the gate's count of hosts */
    bool user_counted;                   /* and of users */
    bool by_password;                    /* how `user` is known */
    bool client_secured, target_secured; /* their TLS has begun */
    bool keepalive_set;
    bool is_routed;                          /* `route` says which way */
    bool reset_client, reset_target;         /* how to end */
    const char *protocol;                    /* as logged */
    const struct config_rule *rule;          /* that decided, of the snapshot; NULL: none */
    const struct config_upstream *route;     /* once `is_routed`; NULL: direct */
    struct stream_error error;               /* the first */
    struct listener_counters *counted;       /* borrowed: the gate's for this worker */
    uint64_t sent_counted, received_counted; /* bytes that are in there already */
};

/* Takes over an accepted descriptor, whose place in the limits is reserved. */
void session_start(struct worker *worker, const struct snapshot_listener *listener, int fd,
                   const struct ip_endpoint *peer);

/* Its deadline has come. As deadlines.due. */
void session_due(struct wheel_entry *deadline);

/* The session whose place this is had to leave the queue: it ends. */
void session_evict(struct queue_entry *place);

/* The worker serves another configuration: a user that it does not have any more loses the session,
 * if it says so. True: the session has ended. */
bool session_follow_users(struct session *session);

/* The password pool has answered a check of one of this thread's sessions, or of none. */
struct password_check;
void session_password_checked(struct password_check *check);

/* session_inspect.c: the control plane asks about this worker's sessions, or ends one. */
struct inspect_letter;
void session_inspect(struct worker *worker, struct inspect_letter *letter);

/* session_count.c: adds the bytes that it has passed on since the last time to the counters. */
void session_count_bytes(struct session *session);

/* Ends it at once with resets. */
void session_abort(struct session *session, struct stream_error error);

/* session_log.c: the field `client`. */
struct log_record;
void session_log_client(struct log_record *record, const struct session *session);

/* session_log.c: the line at a session's end (config.md, "The session line"). */
void session_log(const struct session *session);

#endif
