/* test_cfstream.c - the rows of the CFStream socket additions: paired streams, their properties, SOCKS
 * proxies, errors and events. TLS and services have files of their own, test_cfstream_tls.c and test_cfstream_service.c. */
#include "streams/resolver.h"
#include "tests/unit/stream_peer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(cfstream, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

Test(cfstream, a_pair_to_a_host_opens_nothing_until_one_is_opened)
{
    struct stream *in, *out;
    struct seen seen_in = {0}, seen_out = {0};
    int listening, peer;

    pair_to_peer(&in, &out, &listening);
    stream_set_callback(in, SEE_ALL, see, &seen_in);
    stream_set_callback(out, SEE_ALL, see, &seen_out);
    run_a_little();
    cr_assert_eq(stream_status(in), STREAM_NOT_OPEN);
    cr_assert_eq(stream_status(out), STREAM_NOT_OPEN);
    cr_assert_eq(seen_in.open + seen_out.room, 0);
    peer = open_to_peer(out, listening);
    cr_assert_eq(seen_out.open, 0, "never from inside a call");
    RUN_UNTIL(seen_in.open && seen_out.open);
    cr_assert_eq(stream_status(in), STREAM_OPEN, "the other one is opened with it");
    stream_free(in);
    stream_free(out);
    close(peer);
    close(listening);
}

Test(cfstream, either_half_may_be_left_out)
{
    struct stream *one;
    struct ip_endpoint bound;
    int listening = peer_listen(&bound), peer;
    struct seen seen = {0};
    char byte;
    size_t n;

    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &one, NULL));
    stream_set_callback(one, SEE_ALL, see, &seen);
    peer = open_to_peer(one, listening);
    peer_send(peer, "r", 1);
    RUN_UNTIL(seen.bytes);
    cr_assert_eq(stream_read(one, &byte, 1, &n), IO_OK);
    stream_free(one);
    cr_assert_eq(read(peer, &byte, 1), 0, "with its only handle the pair closes");
    close(peer);
    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, NULL, &one));
    seen = (struct seen){0};
    stream_set_callback(one, SEE_ALL, see, &seen);
    peer = open_to_peer(one, listening);
    RUN_UNTIL(seen.room);
    cr_assert_eq(stream_write(one, "w", 1, &n), IO_OK);
    peer_expect(peer, "w", 1);
    cr_assert_eq(stream_read(one, &byte, 1, &n), IO_ERROR, "a write stream gives no bytes");
    stream_free(one);
    close(peer);
    close(listening);
}

Test(cfstream, an_unresolved_host_is_resolved_without_blocking)
{
    struct resolver *resolver = resolver_new(loop(), &(struct resolver_options){0});
    struct stream *in, *out;
    struct stream_error error;
    struct seen seen = {0};
    struct ip_endpoint bound;
    int listening = peer_listen(&bound);

    cr_assert(stream_pair_to_host(loop(), resolver, "localhost", bound.port, &in, &out));
    stream_set_callback(out, SEE_ALL, see, &seen);
    cr_assert(stream_open(in, &error));
    cr_assert_eq(stream_status(in), STREAM_OPENING);
    cr_assert_eq(stream_pair_state(in), PAIR_INITIALIZED);
    RUN_UNTIL(seen.open || seen.error);
    cr_assert_eq(stream_status(in), STREAM_OPEN, "%s", error_of(in));
    cr_assert_str_eq(text_of(in, STREAM_REMOTE_HOST), "localhost");
    stream_free(in);
    stream_free(out);
    resolver_free(resolver);
    close(listening);
}

Test(cfstream, a_pair_from_a_socket_does_not_close_it_by_default_and_one_to_a_host_does)
{
    struct stream *in, *out;
    int listening, peer, fds[2], fd;

    peer_pair(fds);
    cr_assert(stream_pair_from_socket(loop(), fds[0], &in, &out));
    cr_assert_eq(number_of(in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET), 0);
    cr_assert_eq(number_of(in, STREAM_NATIVE_HANDLE), fds[0]);
    cr_assert(stream_open(in, &(struct stream_error){0}));
    stream_free(in);
    stream_free(out);
    cr_assert_geq(fcntl(fds[0], F_GETFD), 0);
    for (int opened = 0; opened <= 1; opened++) {
        int copy = dup(fds[0]);

        cr_assert(stream_pair_from_socket(loop(), copy, &in, &out));
        cr_assert(stream_set_number(out, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, true));
        if (opened)
            cr_assert(stream_open(in, &(struct stream_error){0}));
        stream_free(in);
        stream_free(out);
        cr_assert_lt(fcntl(copy, F_GETFD), 0, "opened or not, it is the pair's");
    }
    close(fds[0]);
    close(fds[1]);

    pair_to_peer(&in, &out, &listening);
    cr_assert_eq(number_of(in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET), 1);
    peer = open_to_peer(in, listening);
    RUN_UNTIL(stream_status(in) == STREAM_OPEN);
    fd = (int)number_of(in, STREAM_NATIVE_HANDLE);
    stream_free(in);
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    stream_free(out);
    cr_assert_lt(fcntl(fd, F_GETFD), 0);
    close(peer);
    close(listening);
}

Test(cfstream, properties_are_shared_and_set_on_either)
{
    struct stream *in, *out;
    struct stream_value value;
    int listening, peer;

    pair_to_peer(&in, &out, &listening);
    cr_assert(stream_set_text(in, STREAM_SOCKS_USER, "alice"));
    cr_assert_str_eq(text_of(out, STREAM_SOCKS_USER), "alice");
    cr_assert(stream_set_number(out, STREAM_SOCKS_PORT, 1081));
    cr_assert_eq(number_of(in, STREAM_SOCKS_PORT), 1081);
    cr_assert(stream_set_property(in, STREAM_SOCKS_PORT, NULL), "back to the default");
    cr_assert_eq(number_of(out, STREAM_SOCKS_PORT), 1080);
    cr_assert_eq(number_of(out, STREAM_SOCKS_VERSION), 5);
    cr_assert_not(stream_set_number(in, STREAM_REMOTE_PORT, 65536));
    cr_assert_not(stream_set_number(in, STREAM_KEEPALIVE, -1));
    cr_assert_not(stream_set_number(in, STREAM_NATIVE_HANDLE, 1), "read only");
    cr_assert_not(stream_set_number(in, STREAM_PROPERTY_COUNT, 1), "there is none");
    cr_assert_not(stream_copy_property(in, STREAM_PROPERTY_COUNT, &value));
    cr_assert_not(stream_set_text(in, STREAM_REMOTE_HOST, NULL));
    cr_assert_not(stream_copy_property(in, STREAM_SOCKS_SERVER_VERSION, &value));
    cr_assert_not(stream_copy_property(in, STREAM_NATIVE_HANDLE, &value), "none yet");
    cr_assert_str_eq(text_of(in, STREAM_REMOTE_HOST), "127.0.0.1");
    peer = open_to_peer(in, listening);
    RUN_UNTIL(stream_status(in) == STREAM_OPEN);
    cr_assert_not(stream_set_text(in, STREAM_REMOTE_HOST, "127.0.0.2"), "fixed once it is open");
    cr_assert_not(stream_set_text(out, STREAM_SOCKS_HOST, "127.0.0.2"));
    cr_assert_geq(number_of(in, STREAM_NATIVE_HANDLE), 0);
    cr_assert(strncmp(text_of(in, STREAM_LOCAL_ADDRESS), "127.0.0.1:", 10) == 0);
    stream_free(in);
    stream_free(out);
    close(peer);
    close(listening);
}

/* What a proxy hears and says, and what comes of it. Octal, as C has it. */
static const struct proxy_row {
    const char *host, *user, *password;
    int version;
    const char *hears;
    size_t hears_n;
    const char *says;
    size_t says_n;
    const char *error; /* NULL: it is open */
    int32_t packed;
} proxy_rows[] = {
#define BYTES(text) text, sizeof(text) - 1
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0\5\1\0\1\300\0\2\7\0\120"),
     BYTES("\5\0\5\0\0\1\177\0\0\1\0\1"), NULL, 0},
    {"far.test", "al", "pw", 5, BYTES("\5\2\0\2\1\2al\2pw\5\1\0\3\10far.test\0\120"),
     BYTES("\5\2\1\0\5\0\0\1\177\0\0\1\0\1"), NULL, 0},
    {"192.0.2.7", "al", NULL, 4, BYTES("\4\1\0\120\300\0\2\7al\0"), BYTES("\0\132\0\0\0\0\0\0"),
     NULL, 0},
    {"far.test", NULL, NULL, 4, BYTES("\4\1\0\120\0\0\0\1\0far.test\0"),
     BYTES("\0\132\0\0\0\0\0\0"), NULL, 0},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\4\0"), "socks.version.4", 0x10004},
    {"192.0.2.7", NULL, NULL, 4, BYTES("\4\1\0\120\300\0\2\7\0"), BYTES("\5\377\0\0\0\0\0\0"),
     "socks.version.5", 0x10005},
    {"192.0.2.7", NULL, NULL, 4, BYTES("\4\1\0\120\300\0\2\7\0"), BYTES("\0\133\0\0\0\0\0\0"),
     "socks.socks4-response.request-failed", 0x2005B},
    {"192.0.2.7", NULL, NULL, 4, BYTES("\4\1\0\120\300\0\2\7\0"), BYTES("\0\134\0\0\0\0\0\0"),
     "socks.socks4-response.identd-failed", 0x2005C},
    {"192.0.2.7", NULL, NULL, 4, BYTES("\4\1\0\120\300\0\2\7\0"), BYTES("\0\135\0\0\0\0\0\0"),
     "socks.socks4-response.id-conflict", 0x2005D},
    {"192.0.2.7", "al", "pw", 5, BYTES("\5\2\0\2\1\2al\2pw"), BYTES("\5\2\1\1"),
     "socks.socks5-userpass.1", 0x30001},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\2"), "socks.socks5-method.2", 0x40002},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\377"),
     "socks.socks5-method.none-acceptable", 0x400FF},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\0\5\1\0\1"),
     "socks.socks5-response.general-failure", 0x50001},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\0\5\5\0\1"),
     "socks.socks5-response.connection-refused", 0x50005},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\0\5\10\0\1"),
     "socks.socks5-response.address-type-not-supported", 0x50008},
    {"192.0.2.7", NULL, NULL, 5, BYTES("\5\1\0"), BYTES("\5\0\5\0\0\11\1\1\1\1\1\1\1"),
     "socks.none.bad-response-address", 1},
#undef BYTES
};

static void talk_to_proxy(const struct proxy_row *row)
{
    struct ip_endpoint proxy;
    struct stream *in, *out;
    struct stream_error error;
    struct seen seen = {0};
    int listening = peer_listen(&proxy), peer;

    cr_assert(stream_pair_to_host(loop(), NULL, row->host, 80, &in, &out));
    cr_assert(stream_set_text(in, STREAM_SOCKS_HOST, "127.0.0.1"));
    cr_assert(stream_set_number(out, STREAM_SOCKS_PORT, proxy.port));
    cr_assert(stream_set_number(in, STREAM_SOCKS_VERSION, row->version));
    cr_assert(!row->user || stream_set_text(out, STREAM_SOCKS_USER, row->user));
    cr_assert(!row->password || stream_set_text(in, STREAM_SOCKS_PASSWORD, row->password));
    stream_set_callback(in, SEE_ALL, see, &seen);
    peer = open_to_peer(out, listening);
    peer_send(peer, row->says, row->says_n);
    RUN_UNTIL(seen.open || seen.error);
    peer_expect(peer, row->hears, row->hears_n);
    cr_assert_eq(seen.open, !row->error, "%s", error_of(in));
    if (row->error) {
        cr_assert_str_eq(error_of(out), row->error);
        error = stream_error(in);
        cr_assert_eq(stream_error_pack(&error), row->packed);
        cr_assert_eq(stream_error_unpack(ERROR_DOMAIN_SOCKS, row->packed).code, error.code);
    } else {
        peer_send(peer, "hello", 5);
        RUN_UNTIL(seen.bytes);
    }
    if (error_of(in) && strncmp(error_of(in), "socks.version.", 14) == 0)
        cr_assert_eq(number_of(out, STREAM_SOCKS_SERVER_VERSION), error_of(in)[14] - '0');
    stream_free(in);
    stream_free(out);
    close(peer);
    close(listening);
}

Test(cfstream, a_socks_proxy_has_host_port_version_user_and_password_and_every_error_its_code)
{
    for (size_t i = 0; i < COUNT(proxy_rows); i++)
        talk_to_proxy(&proxy_rows[i]);
}

Test(cfstream, what_no_proxy_can_be_told_is_found_before_it_is_asked)
{
    struct stream *in;
    struct stream_error error;
    char long_user[257] = {0};

    cr_assert(stream_pair_to_host(loop(), NULL, "192.0.2.7", 80, &in, NULL));
    cr_assert(stream_set_text(in, STREAM_SOCKS_HOST, "127.0.0.1"));
    cr_assert(stream_set_number(in, STREAM_SOCKS_VERSION, 6));
    cr_assert_not(stream_open(in, &error));
    cr_assert(stream_error_is(&error, ERROR_SOCKS_UNKNOWN_CLIENT_VERSION));
    cr_assert_eq(stream_error_pack(&error), 3);
    cr_assert_eq(stream_status(in), STREAM_NOT_OPEN);
    cr_assert(stream_set_number(in, STREAM_SOCKS_VERSION, 4));
    cr_assert(stream_set_text(in, STREAM_REMOTE_HOST, "2001:db8::1"));
    cr_assert_not(stream_open(in, &error));
    cr_assert(stream_error_is(&error, ERROR_PROTOCOL_ADDRESS_UNSUPPORTED));
    memset(long_user, 'u', sizeof long_user - 1);
    cr_assert(stream_set_text(in, STREAM_SOCKS_USER, long_user));
    cr_assert(stream_set_number(in, STREAM_SOCKS_VERSION, 5));
    cr_assert_not(stream_open(in, &error));
    cr_assert_str_eq(error_of(in), "stream.state.bad-state");
    cr_assert_eq(stream_error_pack(&error), 2);
    stream_free(in);
}

Test(cfstream, a_local_bypass_connects_what_is_near_straight)
{
    struct ip_endpoint proxy;
    int proxy_listening = peer_listen(&proxy), listening, peer, probe;
    struct stream *in, *out;

    for (int bypass = 0; bypass <= 1; bypass++) {
        pair_to_peer(&in, &out, &listening);
        cr_assert(stream_set_text(in, STREAM_SOCKS_HOST, "127.0.0.1"));
        cr_assert(stream_set_number(in, STREAM_SOCKS_PORT, proxy.port));
        cr_assert(stream_set_number(out, STREAM_PROXY_LOCAL_BYPASS, bypass));
        peer = open_to_peer(in, bypass ? listening : proxy_listening);
        if (bypass)
            RUN_UNTIL(stream_status(in) == STREAM_OPEN);
        stream_free(in);
        stream_free(out);
        close(peer);
        close(listening);
    }
    probe = fcntl(proxy_listening, F_SETFL, O_NONBLOCK);
    cr_assert_eq(probe, 0);
    cr_assert_lt(accept(proxy_listening, NULL, NULL), 0, "nobody else came to the proxy");
    close(proxy_listening);
}

Test(cfstream, its_client_is_told_of_open_completed_has_bytes_can_accept_bytes_and_end)
{
    struct stream *in, *out;
    struct seen seen_in = {0}, seen_out = {0};
    static char much[256 * 1024];
    int listening, peer;
    char bytes[4];
    size_t n, all = 0;

    pair_to_peer(&in, &out, &listening);
    stream_set_callback(in, SEE_ALL, see, &seen_in);
    stream_set_callback(out, SEE_ALL, see, &seen_out);
    peer = open_to_peer(in, listening);
    RUN_UNTIL(seen_in.open && seen_out.open && seen_out.room);
    cr_assert_eq(seen_in.bytes, 0);
    peer_send(peer, "abcdef", 6);
    RUN_UNTIL(seen_in.bytes);
    run_a_little();
    cr_assert_eq(seen_in.bytes, 1, "not again before it is read");
    cr_assert_eq(stream_read(in, bytes, 4, &n), IO_OK);
    cr_assert_eq(n, 4);
    RUN_UNTIL(seen_in.bytes == 2);
    cr_assert_eq(stream_read(in, bytes, 4, &n), IO_OK);
    cr_assert_eq(n, 2);
    cr_assert_eq(stream_read(in, bytes, 4, &n), IO_AGAIN);
    cr_assert_eq(seen_out.room, 1, "not again before it is written to");
    while (stream_write(out, much, sizeof much, &n) == IO_OK)
        all += n;
    run_a_little();
    cr_assert_eq(seen_out.room, 1, "it is full");
    while (all) {
        ssize_t got = read(peer, much, sizeof much);

        cr_assert_gt(got, 0);
        all -= (size_t)got;
    }
    RUN_UNTIL(seen_out.room == 2);
    cr_assert_eq(seen_in.end, 0);
    shutdown(peer, SHUT_WR);
    RUN_UNTIL(seen_in.end);
    cr_assert_eq(stream_status(in), STREAM_AT_END);
    cr_assert_eq(stream_status(out), STREAM_OPEN);
    run_a_little();
    cr_assert_eq(seen_in.end, 1);
    cr_assert_eq(seen_in.open + seen_out.open, 2);
    cr_assert_eq(seen_in.error + seen_out.error, 0);
    stream_free(in);
    stream_free(out);
    close(peer);
    close(listening);
}

Test(cfstream, an_error_is_told_to_both_once)
{
    struct stream *in, *out;
    struct seen seen_in = {0}, seen_out = {0};
    struct ip_endpoint bound;
    struct stream_error error;

    close(peer_listen(&bound));
    cr_assert(stream_pair_to_host(loop(), NULL, "127.0.0.1", bound.port, &in, &out));
    stream_set_callback(in, SEE_ALL, see, &seen_in);
    stream_set_callback(out, SEE_ALL, see, &seen_out);
    cr_assert(stream_open(in, &error));
    RUN_UNTIL(seen_in.error && seen_out.error);
    run_a_little();
    cr_assert_eq(seen_in.error + seen_out.error, 2);
    cr_assert_eq(seen_in.open + seen_out.open, 0);
    cr_assert_str_eq(error_of(in), "system.connect.refused");
    stream_free(in);
    stream_free(out);
}
