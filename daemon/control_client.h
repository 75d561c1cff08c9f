/* control_client.h - who has come by the control socket: one line of request, one line of answer, and it is
 * closed. Knows no verb. The control plane's thread; it never waits: a client that is slow to ask or to read
 * loses its connection, one that waits for its answer gets one by a deadline.
 *
 *     request: VERB [ARGUMENT]\n       at most CONTROL_REQUEST_MAX bytes, the newline included
 *     answer:  {"ok":true,"version":"0.1.0", ... }\n
 *          or  {"ok":false,"version":"0.1.0","error":"WORD","message":"TEXT", ... }\n
 *
 * Whoever can connect may ask for everything: the socket's mode and group say who that is. */
#ifndef PAIRSOCKS_CONTROL_CLIENT_H
#define PAIRSOCKS_CONTROL_CLIENT_H

#include "daemon/json.h"

#include <ev.h>
#include <sys/types.h>

#define CONTROL_REQUEST_MAX 256
#define CONTROL_ANSWER_MAX (8 * 1024 * 1024)
#define CONTROL_CLIENTS_MAX 8

/* For the request; for an answer that takes its time; for the client to read on. */
#define CONTROL_REQUEST_MS 5000
#define CONTROL_PENDING_MS 60000
#define CONTROL_READ_MS 10000

struct control_client;

/* Of one socket. Set by its owner, and not to be changed while there are clients. */
struct control_clients {
    struct ev_loop *loop; /* borrowed */
    /* A request, without its newline. Answers now or later by control_client_answer(). */
    void (*request)(void *context, struct control_client *client, char *line);
    void *context;
    void (*gone)(struct control_clients *clients); /* one less */
    struct control_client *first;
    unsigned count;
};

/* Takes over the descriptor. */
void control_client_start(struct control_clients *clients, int fd);

/* Ends all of them, answered or not. */
void control_clients_stop(struct control_clients *clients);

/* Begins an answer with its members `ok` and `version`; more may be added. The client's own. */
struct json *control_client_begin(struct control_client *client, bool ok);

/* Ends the answer and sends it. */
void control_client_end(struct control_client *client);

/* The whole of an answer that is an error: a word for programs, a sentence for people. */
void control_client_fail(struct control_client *client, const char *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The answer comes later: until it begins, `cancel` is called once if the client does not wait any more. */
void control_client_wait(struct control_client *client, void (*cancel)(void *what), void *what);

/* Who it is, for the log: the kernel's word. */
struct control_peer {
    pid_t pid;
    uid_t uid;
};
struct control_peer control_client_peer(const struct control_client *client);

#endif
