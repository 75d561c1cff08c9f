/* control_client.c - a client's three states: it asks, it waits, it is told. */
#include "daemon/control_client.h"

#include <config.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 512 };

enum state { STATE_ASKING, STATE_WAITING, STATE_TOLD };

struct control_client {
    struct control_clients *clients; /* borrowed */
    struct control_client *next, *previous;
    ev_io io; /* io.fd is owned */
    ev_timer deadline;
    enum state state;
    char line[CONTROL_REQUEST_MAX + 1];
    size_t length;
    struct json answer;
    size_t sent;
    void (*cancel)(void *what); /* NULL: nothing is under way */
    void *what;
};

static void stop_waiting(struct control_client *client)
{
    void (*cancel)(void *) = client->cancel;

    client->cancel = NULL;
    if (cancel)
        cancel(client->what);
}

static void client_free(struct control_client *client)
{
    struct control_clients *clients = client->clients;

    stop_waiting(client);
    if (client->previous)
        client->previous->next = client->next;
    else
        clients->first = client->next;
    if (client->next)
        client->next->previous = client->previous;
    clients->count--;
    ev_io_stop(clients->loop, &client->io);
    ev_timer_stop(clients->loop, &client->deadline);
    close(client->io.fd);
    json_done(&client->answer);
    free(client);
}

/* Not for the owner's own call to end it. */
static void leave(struct control_client *client)
{
    struct control_clients *clients = client->clients;

    client_free(client);
    clients->gone(clients);
}

static void set_deadline(struct control_client *client, unsigned ms)
{
    ev_timer_stop(client->clients->loop, &client->deadline);
    ev_timer_set(&client->deadline, ms / 1000., 0.);
    ev_timer_start(client->clients->loop, &client->deadline);
}

static void watch(struct control_client *client, int events)
{
    ev_io_stop(client->clients->loop, &client->io);
    ev_io_set(&client->io, client->io.fd, events);
    if (events)
        ev_io_start(client->clients->loop, &client->io);
}

/* ---- the answer ---- */

struct json *control_client_begin(struct control_client *client, bool ok)
{
    client->cancel = NULL;
    json_done(&client->answer);
    json_init(&client->answer, CONTROL_ANSWER_MAX);
    json_begin_object(&client->answer, NULL);
    json_bool(&client->answer, "ok", ok);
    json_string(&client->answer, "version", PACKAGE_VERSION);
    return &client->answer;
}

/* As far as it goes now. True: it is over: all is told, nobody listens, or there was no memory for it. */
static bool tell(struct control_client *client)
{
    size_t length;
    const char *text = json_text(&client->answer, &length);
    ssize_t n = 1;

    while (text && client->sent <= length && n > 0) {
        n = client->sent < length
                ? send(client->io.fd, text + client->sent, length - client->sent, MSG_NOSIGNAL)
                : send(client->io.fd, "\n", 1, MSG_NOSIGNAL);
        client->sent += n > 0 ? (size_t)n : 0;
    }
    return client->sent > length || !text || (errno != EAGAIN && errno != EINTR);
}

/* At once, as the daemon may end next; the loop does the rest, and closes. */
void control_client_end(struct control_client *client)
{
    client->state = STATE_TOLD;
    json_end_object(&client->answer);
    tell(client);
    set_deadline(client, CONTROL_READ_MS);
    watch(client, EV_WRITE);
}

void control_client_fail(struct control_client *client, const char *error, const char *format, ...)
{
    struct json *json = control_client_begin(client, false);
    char message[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    json_string(json, "error", error);
    json_string(json, "message", message);
    control_client_end(client);
}

static void step_told(struct control_client *client)
{
    size_t before = client->sent;

    if (tell(client))
        leave(client);
    else if (client->sent != before)
        set_deadline(client, CONTROL_READ_MS);
}

/* ---- the request ---- */

void control_client_wait(struct control_client *client, void (*cancel)(void *what), void *what)
{
    client->state = STATE_WAITING;
    client->cancel = cancel;
    client->what = what;
    watch(client, 0);
    set_deadline(client, CONTROL_PENDING_MS);
}

/* One line and nothing behind it: whoever sends more expects more than one answer. */
static void take_line(struct control_client *client, char *end)
{
    struct control_clients *clients = client->clients;

    if (end + 1 != client->line + client->length) {
        control_client_fail(client, "bad-request", "one line is one connection's request");
        return;
    }
    *end = '\0';
    if (strlen(client->line) != (size_t)(end - client->line))
        control_client_fail(client, "bad-request", "the request holds a NUL");
    else
        clients->request(clients->context, client, client->line);
}

static void step_asking(struct control_client *client)
{
    ssize_t n =
        read(client->io.fd, client->line + client->length, CONTROL_REQUEST_MAX - client->length);
    char *end;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        leave(client);
        return;
    }
    client->length += (size_t)n;
    end = memchr(client->line, '\n', client->length);
    if (end)
        take_line(client, end);
    else if (client->length == CONTROL_REQUEST_MAX)
        control_client_fail(client, "bad-request", "a request has at most %d bytes",
                            CONTROL_REQUEST_MAX);
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct control_client *client = w->data;

    if (client->state == STATE_ASKING)
        step_asking(client);
    else
        step_told(client);
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct control_client *client = w->data;

    if (client->state != STATE_WAITING) {
        leave(client);
        return;
    }
    stop_waiting(client);
    control_client_fail(client, "timeout", "there is no result after %d seconds",
                        CONTROL_PENDING_MS / 1000);
}

/* ---- clients ---- */

void control_client_start(struct control_clients *clients, int fd)
{
    struct control_client *client = calloc(1, sizeof *client);

    if (!client) {
        close(fd);
        return;
    }
    client->clients = clients;
    client->next = clients->first;
    if (client->next)
        client->next->previous = client;
    clients->first = client;
    clients->count++;
    ev_io_init(&client->io, on_io, fd, EV_READ);
    ev_init(&client->deadline, on_deadline);
    client->io.data = client->deadline.data = client;
    ev_io_start(clients->loop, &client->io);
    set_deadline(client, CONTROL_REQUEST_MS);
}

void control_clients_stop(struct control_clients *clients)
{
    while (clients->first)
        client_free(clients->first);
}

struct control_peer control_client_peer(const struct control_client *client)
{
    struct ucred credentials = {.pid = 0, .uid = (uid_t)-1};
    socklen_t length = sizeof credentials;

    getsockopt(client->io.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    return (struct control_peer){credentials.pid, credentials.uid};
}
