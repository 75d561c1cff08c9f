/* test_cfstream_tls.c - the rows of CFStream about security: levels, SSL settings, when they take hold,
 * and the peer's certificates. Both ends are pairs of streams. */
#include "streams/layer_tls.h"
#include "tests/unit/stream_peer.h"
#include "tests/unit/tls_wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(cfstream_tls, .timeout = 20);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct end {
    struct stream *in, *out;
    struct seen seen;
};

struct ends {
    struct end client, server;
};

static void pair_up(struct ends *ends)
{
    int fds[2];

    *ends = (struct ends){0};
    peer_pair(fds);
    cr_assert_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    cr_assert(stream_pair_from_socket(loop(), fds[0], &ends->client.in, &ends->client.out));
    cr_assert(stream_pair_from_socket(loop(), fds[1], &ends->server.in, &ends->server.out));
    stream_set_number(ends->client.in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, true);
    stream_set_number(ends->server.in, STREAM_SHOULD_CLOSE_NATIVE_SOCKET, true);
    stream_set_callback(ends->client.in, SEE_ALL, see, &ends->client.seen);
    stream_set_callback(ends->server.in, SEE_ALL, see, &ends->server.seen);
}

static void be_server(struct ends *ends, const char *certificate)
{
    char pem[64], key[64];

    snprintf(pem, sizeof pem, "%s.pem", certificate);
    snprintf(key, sizeof key, "%s.key", certificate);
    cr_assert(stream_set_number(ends->server.in, STREAM_TLS_IS_SERVER, true));
    cr_assert(stream_set_text(ends->server.out, STREAM_TLS_CERTIFICATE, tls_test_path(pem)));
    cr_assert(stream_set_text(ends->server.in, STREAM_TLS_PRIVATE_KEY, tls_test_path(key)));
}

static void open_both(struct ends *ends)
{
    struct stream_error error;

    cr_assert(stream_open(ends->server.in, &error), "%s", text_of(ends->server.in, STREAM_WHY));
    cr_assert(stream_open(ends->client.in, &error), "%s", text_of(ends->client.in, STREAM_WHY));
    RUN_UNTIL(ends->client.seen.open || ends->client.seen.error);
}

static void free_both(struct ends *ends)
{
    stream_free(ends->client.in);
    stream_free(ends->client.out);
    stream_free(ends->server.in);
    stream_free(ends->server.out);
    run_a_little();
}

static void talk(struct ends *ends)
{
    char bytes[8];
    size_t n;

    cr_assert_eq(stream_write(ends->client.out, "hello", 5, &n), IO_OK);
    RUN_UNTIL(ends->server.seen.bytes);
    cr_assert_eq(stream_read(ends->server.in, bytes, sizeof bytes, &n), IO_OK);
    cr_assert_eq(n, 5);
    cr_assert_arr_eq(bytes, "hello", 5);
}

/* Every setting, alone or with what it needs, against a server that is fine or not. A setting that is
 * not named has its default. */
static const struct setting_row {
    const char *server;
    struct {
        enum stream_property property;
        int number;
        const char *text;
    } set[4];
    const char *error; /* NULL: it is open */
} setting_rows[] = {
#define PEM(file) STREAM_TLS_AUTHORITY, 0, file
#define NAME(name) STREAM_TLS_PEER_NAME, 0, name
    {"server", {{PEM("root.pem")}, {NAME("server.test")}}, NULL},
    {"server", {{PEM("root.pem")}}, NULL}, /* without a host no name is checked */
    {"server", {{PEM("root.pem")}, {NAME("other.test")}}, "tls.certificate.name-mismatch"},
    {"server", {{PEM("root.pem")}, {NAME(NULL)}}, NULL},
    {"server", {{PEM("other-root.pem")}}, "tls.certificate.unknown-root"},
    {"server", {{PEM("other-root.pem")}, {STREAM_TLS_ALLOWS_ANY_ROOT, 1, NULL}}, NULL},
    {"server", {{PEM("other-root.pem")}, {STREAM_TLS_VALIDATES_CHAIN, 0, NULL}}, NULL},
    {"expired", {{PEM("root.pem")}}, "tls.certificate.expired"},
    {"expired", {{PEM("root.pem")}, {STREAM_TLS_ALLOWS_EXPIRED_CERTIFICATES, 1, NULL}}, NULL},
    {"by-root-expired", {{PEM("root-expired.pem")}}, "tls.certificate.expired"},
    {"by-root-expired",
     {{PEM("root-expired.pem")}, {STREAM_TLS_ALLOWS_EXPIRED_ROOTS, 1, NULL}},
     NULL},
    {"revoked", {{PEM("root.pem")}, {STREAM_TLS_REVOKE, 0, "root.crl"}}, "tls.certificate.revoked"},
    {"server", {{PEM("root.pem")}, {STREAM_SECURITY, STREAM_SECURITY_TLSV1_2, NULL}}, NULL},
    {"server", {{PEM("root.pem")}, {STREAM_SECURITY, STREAM_SECURITY_TLSV1_3, NULL}}, NULL},
    {"server", {{PEM("root.pem")}, {STREAM_SECURITY, STREAM_SECURITY_SSLV23, NULL}}, NULL},
    {"server", {{PEM("root.pem")}, {STREAM_TLS_ALPN, 0, "h2"}}, NULL},
#undef PEM
#undef NAME
};

static bool is_a_file(enum stream_property property)
{
    return property == STREAM_TLS_AUTHORITY || property == STREAM_TLS_REVOKE;
}

static void try_settings(const struct setting_row *row)
{
    struct ends ends;

    pair_up(&ends);
    be_server(&ends, row->server);
    for (size_t i = 0; i < COUNT(row->set) && row->set[i].property; i++) {
        enum stream_property property = row->set[i].property;
        const char *text = is_a_file(property) ? tls_test_path(row->set[i].text) : row->set[i].text;
        struct stream *either = i % 2 ? ends.client.in : ends.client.out;

        if (text || property == STREAM_TLS_PEER_NAME)
            cr_assert(stream_set_text(either, property, text));
        else
            cr_assert(stream_set_number(either, property, row->set[i].number));
    }
    open_both(&ends);
    if (row->error)
        cr_assert_str_eq(error_of(ends.client.out), row->error);
    else
        cr_assert_eq(ends.client.seen.open, 1, "%s: %s", row->server, error_of(ends.client.in));
    free_both(&ends);
}

Test(cfstream_tls, every_ssl_setting_does_what_it_says_and_its_level_is_negotiated_by_default)
{
    for (size_t i = 0; i < COUNT(setting_rows); i++)
        try_settings(&setting_rows[i]);
}

Test(cfstream_tls, sslv2_sslv3_and_tlsv1_are_refused_by_name)
{
    static const struct {
        enum stream_security level;
        const char *why;
    } rows[] = {
        {STREAM_SECURITY_SSLV2, "SSLv2 must not be used (RFC 6176)"},
        {STREAM_SECURITY_SSLV3, "SSLv3 must not be used (RFC 7568)"},
        {STREAM_SECURITY_TLSV1, "TLSv1 must not be used (RFC 8996)"},
    };
    struct ends ends;

    pair_up(&ends);
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_not(stream_set_number(ends.client.in, STREAM_SECURITY, rows[i].level));
        cr_assert_str_eq(text_of(ends.client.out, STREAM_WHY), rows[i].why);
        cr_assert_str_eq(stream_security_refusal(rows[i].level), rows[i].why);
    }
    cr_assert_eq(number_of(ends.client.in, STREAM_SECURITY), STREAM_SECURITY_NONE);
    cr_assert_null(stream_security_refusal(STREAM_SECURITY_NEGOTIATED));
    cr_assert_not(stream_set_number(ends.client.in, STREAM_SECURITY, 99));
    free_both(&ends);
}

Test(cfstream_tls, the_peers_name_is_the_host_given_at_creation_unless_it_is_set)
{
    struct stream *in, *out, *server_in, *server_out;
    struct stream_error error;
    struct seen seen = {0};
    int listening, peer;

    pair_to_peer(&in, &out, &listening);
    cr_assert(stream_set_text(in, STREAM_TLS_AUTHORITY, tls_test_path("root.pem")));
    stream_set_callback(in, SEE_ALL, see, &seen);
    peer = open_to_peer(in, listening);
    cr_assert(stream_pair_from_socket(loop(), peer, &server_in, &server_out));
    cr_assert(stream_set_number(server_in, STREAM_TLS_IS_SERVER, true));
    cr_assert(stream_set_text(server_in, STREAM_TLS_CERTIFICATE, tls_test_path("no-names.pem")));
    cr_assert(stream_set_text(server_in, STREAM_TLS_PRIVATE_KEY, tls_test_path("no-names.key")));
    cr_assert_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    cr_assert(stream_open(server_in, &error));
    RUN_UNTIL(seen.open || seen.error);
    cr_assert_str_eq(error_of(in), "tls.certificate.name-mismatch");
    stream_free(in);
    stream_free(out);
    stream_free(server_in);
    stream_free(server_out);
    close(peer);
    close(listening);
}

Test(cfstream_tls, a_server_has_to_have_a_certificate_and_files_have_to_be_there)
{
    struct ends ends;
    struct stream_error error;

    pair_up(&ends);
    cr_assert(stream_set_number(ends.server.in, STREAM_TLS_IS_SERVER, true));
    cr_assert_not(stream_open(ends.server.in, &error));
    cr_assert(stream_error_is(&error, ERROR_STREAM_BAD_SETTINGS));
    cr_assert(strstr(text_of(ends.server.out, STREAM_WHY), "a server needs a certificate"));
    cr_assert_eq(stream_status(ends.server.in), STREAM_NOT_OPEN);
    cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY, "/no/such.pem"));
    cr_assert_not(stream_open(ends.client.in, &error));
    cr_assert(strstr(text_of(ends.client.out, STREAM_WHY), "/no/such.pem"));
    be_server(&ends, "server");
    cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY, tls_test_path("root.pem")));
    open_both(&ends);
    cr_assert_eq(ends.client.seen.open, 1);
    talk(&ends);
    cr_assert_not(stream_set_number(ends.client.in, STREAM_TLS_ALLOWS_ANY_ROOT, true),
                  "TLS stands already");
    free_both(&ends);
}

static const char first_line[] = "-----BEGIN CERTIFICATE-----\n";

Test(cfstream_tls, the_peers_certificates_can_be_copied_also_of_one_that_is_refused)
{
    for (unsigned refused = 0; refused <= 1; refused++) {
        struct ends ends;
        struct stream_value value;
        const char *at;
        uint8_t der[8192];
        size_t n;
        bool broken;
        struct x509 own;

        pair_up(&ends);
        be_server(&ends, "by-middle-chain");
        cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY,
                                  tls_test_path(refused ? "other-root.pem" : "root.pem")));
        cr_assert_not(stream_copy_property(ends.client.in, STREAM_PEER_CERTIFICATES, &value));
        open_both(&ends);
        cr_assert_eq(ends.client.seen.error, refused);
        at = text_of(ends.client.out, STREAM_PEER_CERTIFICATES);
        cr_assert_eq(strncmp(at, first_line, sizeof first_line - 1), 0);
        cr_assert(strstr(at + 1, first_line), "the one between, too");
        cr_assert(x509_pem_next(&at, "CERTIFICATE", der, &n, &broken));
        cr_assert(x509_parse(der, n, &own), "the own one first, whole");
        cr_assert_not(own.is_authority);
        cr_assert_eq(number_of(ends.client.in, STREAM_IS_SECURE), !refused);
        if (!refused) {
            cr_assert_str_eq(text_of(ends.client.in, STREAM_TLS_VERSION), "TLSv1.3");
            cr_assert(strlen(text_of(ends.client.out, STREAM_TLS_SUITE)) > 8);
        }
        free_both(&ends);
    }
}

Test(cfstream_tls, security_can_be_set_on_an_open_plain_stream)
{
    struct ends ends;
    char bytes[16];
    size_t n;

    pair_up(&ends);
    open_both(&ends);
    cr_assert_eq(number_of(ends.client.in, STREAM_IS_SECURE), 0);
    cr_assert_eq(stream_write(ends.client.out, "STARTTLS\r\n", 10, &n), IO_OK);
    be_server(&ends, "server");
    cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY, tls_test_path("root.pem")));
    cr_assert_eq(stream_status(ends.client.in), STREAM_OPEN, "a setting alone starts nothing");
    cr_assert(stream_set_number(ends.client.out, STREAM_SECURITY, STREAM_SECURITY_NEGOTIATED));
    cr_assert_eq(stream_status(ends.client.in), STREAM_OPENING);
    cr_assert_eq(stream_write(ends.client.out, "x", 1, &n), IO_ERROR, "not now");
    RUN_UNTIL(ends.server.seen.bytes);
    /* The client's hello may be read ahead by now: it is handed on. */
    cr_assert_eq(stream_read(ends.server.in, bytes, 10, &n), IO_OK);
    cr_assert_arr_eq(bytes, "STARTTLS\r\n", 10);
    ends.server.seen.bytes = 0;
    cr_assert(stream_set_number(ends.server.in, STREAM_SECURITY, STREAM_SECURITY_NEGOTIATED));
    RUN_UNTIL(ends.client.seen.open == 2 && ends.server.seen.open == 2);
    cr_assert_eq(number_of(ends.client.in, STREAM_IS_SECURE), 1);
    cr_assert_eq(number_of(ends.server.in, STREAM_IS_SECURE), 1);
    talk(&ends);
    free_both(&ends);
}

Test(cfstream_tls, security_that_cannot_be_had_leaves_a_plain_stream_as_it_is)
{
    struct ends ends;

    pair_up(&ends);
    open_both(&ends);
    cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY, "/no/such.pem"));
    cr_assert_not(stream_set_number(ends.client.in, STREAM_SECURITY, STREAM_SECURITY_NEGOTIATED));
    cr_assert(strstr(text_of(ends.client.in, STREAM_WHY), "/no/such.pem"));
    cr_assert_eq(stream_status(ends.client.in), STREAM_OPEN);
    talk(&ends);
    free_both(&ends);
}

Test(cfstream_tls, what_came_before_tls_is_never_taken_for_what_came_through_it)
{
    struct ends ends;
    size_t n;

    pair_up(&ends);
    open_both(&ends);
    be_server(&ends, "server");
    cr_assert_eq(stream_write(ends.client.out, "STARTTLS\r\nevil\r\n", 16, &n), IO_OK);
    RUN_UNTIL(ends.server.seen.bytes);
    cr_assert_eq(stream_read(ends.server.in, (char[16]){0}, 10, &n), IO_OK);
    stream_set_number(ends.server.in, STREAM_SECURITY, STREAM_SECURITY_NEGOTIATED);
    RUN_UNTIL(ends.server.seen.error);
    cr_assert_str_eq(error_of(ends.server.in), "tls.handshake.protocol");
    free_both(&ends);
}

/* TLS holds what the socket did not take: the end has to wait for it. */
Test(cfstream_tls, a_close_sends_what_is_under_way_then_ends_in_order)
{
    static char much[256 * 1024], got[64 * 1024];
    struct ends ends;
    size_t n, written = 0, all = 0;
    enum io result;

    pair_up(&ends);
    be_server(&ends, "server");
    cr_assert(stream_set_text(ends.client.in, STREAM_TLS_AUTHORITY, tls_test_path("root.pem")));
    open_both(&ends);
    RUN_UNTIL(ends.server.seen.open);
    stream_set_callback(ends.server.in, 0, see, &ends.server.seen);
    while (stream_write(ends.client.out, much, sizeof much, &n) == IO_OK)
        written += n;
    cr_assert_gt(written, 0);
    stream_free(ends.client.out);
    stream_free(ends.client.in);
    ends.client.in = ends.client.out = NULL;
    stream_enable_events(ends.server.in, STREAM_EVENT_HAS_BYTES);
    while ((result = stream_read(ends.server.in, got, sizeof got, &n)) == IO_OK ||
           result == IO_AGAIN) {
        all += result == IO_OK ? n : 0;
        ev_run(loop(), EVRUN_NOWAIT);
    }
    cr_assert_eq(result, IO_EOF, "%s", error_of(ends.server.in));
    cr_assert_eq(all, written);
    free_both(&ends);
}

static int pending_bytes(struct ends *ends, bool has_limit)
{
    static char much[256 * 1024];
    size_t n;

    pair_up(ends);
    be_server(ends, "server");
    cr_assert(stream_set_text(ends->client.in, STREAM_TLS_AUTHORITY, tls_test_path("root.pem")));
    cr_assert(stream_set_number(ends->client.in, STREAM_WRITE_TIMEOUT, has_limit ? 50 : 0));
    open_both(ends);
    RUN_UNTIL(ends->server.seen.open);
    stream_set_callback(ends->server.in, 0, see, &ends->server.seen);
    while (stream_write(ends->client.out, much, sizeof much, &n) == IO_OK)
        ;
    return (int)number_of(ends->client.in, STREAM_NATIVE_HANDLE);
}

Test(cfstream_tls, a_close_waits_no_longer_than_a_write_does)
{
    struct ends ends;
    int fd = pending_bytes(&ends, true);

    cr_assert(stream_close(ends.client.out));
    cr_assert(stream_close(ends.client.in));
    cr_assert_eq(stream_pair_state(ends.client.in), PAIR_CLOSED);
    cr_assert_geq(fcntl(fd, F_GETFD), 0, "there is something to send");
    RUN_UNTIL(fcntl(fd, F_GETFD) < 0);
    free_both(&ends);
}

Test(cfstream_tls, opening_again_gives_up_what_a_close_still_sends)
{
    struct ends ends;
    struct stream_error error;
    struct ip_endpoint bound;
    int fd = pending_bytes(&ends, false), listening = peer_listen(&bound);

    stream_close(ends.client.out);
    stream_close(ends.client.in);
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    cr_assert_not(stream_open(ends.client.in, &error),
                  "its socket is gone now, and there is no host");
    cr_assert_lt(fcntl(fd, F_GETFD), 0);
    cr_assert(stream_set_text(ends.client.in, STREAM_REMOTE_HOST, "127.0.0.1"));
    cr_assert(stream_set_number(ends.client.in, STREAM_REMOTE_PORT, bound.port));
    cr_assert(stream_open(ends.client.in, &error));
    close(peer_accept(listening));
    close(listening);
    free_both(&ends);
}
