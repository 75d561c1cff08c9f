/* example.c - the example of pairsocks(3): a server that answers every line in capitals, and a client
 * of it, in one program and on one loop. The server is told what happens; the client waits for it, in
 * straight lines.
 *
 *     cc example.c $(pkg-config --cflags --libs pairsocks) -o example && ./example "some words" */
#include <pairsocks/sync.h>
#include <pairsocks/tcp_socket.h>

#include <ctype.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

/* ---- the server */

struct server {
    struct tcp_socket *listening, *client;
};

/* What is read is written; a client that ends has been answered. */
static void on_client(struct stream *in, const struct stream_event *event, void *context)
{
    struct server *server = context;
    char bytes[512];
    size_t n, written;

    if (event->kind != STREAM_EVENT_HAS_BYTES) {
        tcp_socket_free(server->client);
        tcp_socket_free(server->listening);
        return;
    }
    if (stream_read(in, bytes, sizeof bytes, &n) != IO_OK)
        return;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (char)toupper((unsigned char)bytes[i]);
    stream_write(tcp_socket_write_stream(server->client), bytes, n, &written);
}

static void on_accepted(struct tcp_socket *listening, struct tcp_socket *inbound, void *context)
{
    struct server *server = context;

    (void)listening; /* asked once, it accepts nobody else */
    server->client = inbound;
    stream_set_callback(tcp_socket_read_stream(inbound),
                        STREAM_EVENT_HAS_BYTES | STREAM_EVENT_END_ENCOUNTERED |
                            STREAM_EVENT_ERROR_OCCURRED,
                        on_client, server);
}

static const struct tcp_socket_callbacks server_callbacks = {.accepted = on_accepted};

/* ---- the client */

struct client {
    struct ev_loop *loop;
    const char *words;
    uint16_t port;
    int status;
};

static int fail(const struct sync_socket *socket, const char *what)
{
    struct stream_error error = sync_error(socket);
    char name[STREAM_ERROR_NAME_MAX];

    fprintf(stderr, "%s: %s\n", what, stream_error_name(&error, name));
    return 1;
}

static int talk(struct sync_socket *socket, const struct client *client)
{
    double deadline = sync_in(5.); /* for all of it */
    size_t n, left = strlen(client->words);
    char bytes[512];

    /* Through a proxy, and with TLS, it would be:
     *     sync_set_text(socket, STREAM_SOCKS_HOST, "proxy.example");
     *     sync_set_number(socket, STREAM_SECURITY, STREAM_SECURITY_NEGOTIATED); */
    if (sync_connect(socket, "127.0.0.1", client->port, deadline) != IO_OK)
        return fail(socket, "connect");
    if (sync_write(socket, client->words, left, NULL, deadline) != IO_OK)
        return fail(socket, "write");
    while (left) {
        if (sync_read(socket, bytes, sizeof bytes, &n, deadline) != IO_OK)
            return fail(socket, "read");
        fwrite(bytes, 1, n, stdout);
        left -= n;
    }
    putchar('\n');
    return 0;
}

static void run_client(void *context)
{
    struct client *client = context;
    struct sync_socket *socket = sync_new(client->loop, NULL);

    client->status = socket ? talk(socket, client) : 1;
    sync_free(socket);
}

int main(int argc, char **argv)
{
    struct client client = {ev_default_loop(0), argc > 1 ? argv[1] : "hello", 0, 1};
    struct server server = {tcp_socket_new(client.loop, NULL, &server_callbacks, &server), NULL};
    struct ip_endpoint bound;
    struct stream_error error;
    char name[STREAM_ERROR_NAME_MAX];

    if (!server.listening || !tcp_socket_set_address(server.listening, "127.0.0.1", 0))
        return 1;
    if (!tcp_socket_listen(server.listening, &error)) {
        fprintf(stderr, "listen: %s\n", stream_error_name(&error, name));
        return 1;
    }
    tcp_socket_bound(server.listening, &bound);
    tcp_socket_accept(server.listening, NULL, NULL, &error);
    client.port = bound.port;
    if (sync_start(client.loop, run_client, &client))
        ev_run(client.loop, 0); /* until nothing is left to wait for */
    return client.status;
}
