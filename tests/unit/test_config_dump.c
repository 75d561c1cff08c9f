/* test_config_dump.c - --dump-config: what is written loads to the same snapshot, and is written
 * of that again; every directive has its line. */
#include "config/directive.h"
#include "config/dump.h"

#include "tests/unit/ini_file.h"
#include "tests/unit/snapshot.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config_dump, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

/* The caller frees it. */
static char *dump(const struct config *config)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    cr_assert(out);
    config_dump(config, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

/* Takes the reference. */
static void expect_round_trip(struct config *config)
{
    char *first = dump(config), *second;
    struct config *again = ini_load(first);
    const char *difference = snapshot_difference(config, again);

    cr_assert_null(difference, "%s differs:\n%s", difference, first);
    second = dump(again);
    cr_assert_str_eq(second, first);
    free(first);
    free(second);
    config_unref(again);
    config_unref(config);
}

/* Every key with another value than its default, lists with more than one item. */
static const char everything[] =
    "[daemon]\nworkers = 3\nuser = proxy\ngroup = proxies\nchroot = /var/empty dir\n"
    "sandbox = yes\n"
    "log_target = file:/var/log/p;q #x.log\nlog_level = debug\nlog_format = json\n"
    "nameserver = 192.0.2.53, 192.0.2.54:5353\nnameserver = [2001:db8::1]:53, 2001:db8::2\n"
    "search_domains = true\ndrain_timeout = 90s\nmax_files = 1000\nauth_cache = 0\ncontrol = "
    "/run/a b,c\ncontrol_group = admins\n"
    "status = [::1]:9180\nstatus_hosts = a.example, ::1\npac = yes\n"
    "status_token_file = /proc/sys/kernel/random/boot_id\n"
    "[rule first]\nlistener = b, a\nclient = 10.0.0.0/8, ::/0, 192.0.2.1\n"
    "user = alice, ident:bob, cert:Carol C\n"
    "destination = Example.ORG., *.example.net, 10.1.2.3/8, ::1, 0.0.0.0/0\n"
    "port = 80, 8000-8999, 1-65535\ncommand = connect, bind\naction = deny\n"
    "[listener a]\nlisten = localhost:1, 127.0.0.1:0, [::1]:2, unix:/run/a b, systemd:s\nlisten = "
    "localhost:0\n"
    "unix_mode = 7\nprotocols = socks5\nqueue = 1\nmax_connections = 2\nmax_per_host = 3\n"
    "max_per_user = 4\nallow = 10.0.0.0/8, example.org, ::1\ndeny = 10.0.0.1, bad.example\n"
    "open_proxy = yes\nguard = true\ndefault = deny\nbind_address = 2001:db8::2\n"
    "udp = yes\nudp_ports = 40000-40100, 50000\nudp_advertise = 192.0.2.7\nudp_max_targets = 9\n"
    "udp_rate = 500\nudp_filter = address\n"
    "bind = true\nbind_ports = 40000-40999, 5\nbind_timeout = 90s\n"
    "resolve_for_rules = yes\nhandshake_timeout = 1500ms\nconnect_timeout = 1h\n"
    "write_timeout = 61s\nidle_timeout = 720h\nhalf_close_timeout = 1ms\nkeepalive = 0\n"
    "[listener b]\nlisten = [::]:1\nguard = off\nopen_proxy = on\nprotocols = socks4\n"
    "auth = ident, password, none\nusers_file = /dev/null\nclose_on_removal = no\n"
    "[listener c]\nlisten = [::]:2\nopen_proxy = on\nproxy_protocol = require\n"
    "proxy_protocol_from = 10.0.0.0/8, ::1\n"
    "[listener d]\nlisten = [::]:3\nprotocols = forward\nforward_to = Example.org:443\n"
    "route = out\n"
    "[listener e]\nlisten = [::]:4\nprotocols = forward\nforward_to = [::1]:1\n"
    "[rule second]\naction = route out\nrate = 10241k\n[rule third]\naction = route direct\n"
    "[upstream out]\ntype = direct\nbind_address = 192.0.2.1\nconnect_timeout = 5s\n"
    "security = tlsv1.2\npeer_name = none\nciphers = A:B\nalpn = h2, http/1.1\n"
    "certificate = /c.pem\nprivate_key = /k.pem\nauthority = /a b.pem\nrevoke = /r.pem\n"
    "validate_chain = off\nallow_expired_certificates = yes\nallow_expired_roots = yes\n"
    "allow_any_root = yes\n"
    "[upstream pool]\ntype = socks5\nserver = a.example:1, [::1]:2\nserver = 192.0.2.1:3\n"
    "balance = source\nuser = alice\npassword = a, b; c # d\nresolve = local\nvia = old\n"
    "local_bypass = yes\ncheck_interval = 5s\ncheck = connect\ncheck = socks\n"
    "check = send HELO a, b\\r\\n\ncheck = expect \\x20250 \\\\ \\x00\\xFF\\t\\x20\n"
    "send_proxy = v2\n"
    "[upstream old]\ntype = socks4\nservice = _socks._tcp.example.org\nuser = bob\n"
    "balance = least\n"
    "[upstream web]\ntype = http\nserver = a:1\nuser = carol\n"
    "password_file = /proc/sys/kernel/ostype\nsend_proxy = v1\nbalance = round_robin\n"
    "[upstream web2]\ntype = socks4a\nserver = a:1\nresolve = remote\n"
    "[listener f]\nlisten = [::]:5\nsecurity = negotiated\ncertificate = /c\nprivate_key = /k\n"
    "certificates = one, two\nauthority = /a\nauth = certificate\ntls_cut = end\n"
    "[certificate one]\nnames = One.example, *.one.example\ncertificate = /c1\nprivate_key = /k1\n"
    "authority = /a1\n"
    "[certificate two]\nnames = two.example\ncertificate = /c2\nprivate_key = /k2\n";

static const char *const files[] = {
    everything,
    LISTENER,
    LISTENER "[rule r]\naction = deny\nlistener = any\n[rule s]\naction = allow\nlistener = a\n",
    "[listener a]\nlisten = 0.0.0.0:1, [::]:1\nallow = 10.0.0.0/8\n",
    "[listener a]\nlisten = unix:/x\ndeny = x\n[listener b]\nlisten = [::ffff:127.0.0.1]:1\n",
};

Test(config_dump, file_of_a_dump_is_the_same_snapshot)
{
    expect_round_trip(config_default());
    for (size_t i = 0; i < COUNT(files); i++)
        expect_round_trip(ini_load(files[i]));
}

/* No line of a list gets too long for the reader. */
Test(config_dump, long_lists_survive)
{
    static char text[64 * 1024];
    char *at = stpcpy(text, LISTENER "[rule r]\naction = deny\n");

    for (int i = 0; i < 1000; i++)
        at +=
            sprintf(at, "destination = d%d.example, *.s%d.example, 10.0.%d.0/24\n", i, i, i % 256);
    expect_round_trip(ini_load(text));
}

Test(config_dump, default_is_written_whole)
{
    struct config *config = config_default();
    char *text = dump(config);

    cr_assert_str_eq(text, "[daemon]\n"
                           "workers = auto\n"
                           "user = none\n"
                           "group = none\n"
                           "chroot = none\n"
                           "sandbox = auto\n"
                           "log_target = stderr\n"
                           "log_level = info\n"
                           "log_format = text\n"
                           "nameserver = system\n"
                           "search_domains = no\n"
                           "drain_timeout = 30s\n"
                           "max_files = auto\n"
                           "auth_cache = 1m\n"
                           "control = /run/pairsocks/control\n"
                           "control_group = none\n"
                           "status = none\n"
                           "status_hosts = localhost\n"
                           "status_token_file = none\n"
                           "pac = no\n"
                           "\n"
                           "[listener default]\n"
                           "listen = localhost:1080\n"
                           "unix_mode = 0660\n"
                           "protocols = socks4\n"
                           "protocols = socks5\n"
                           "protocols = http\n"
                           "queue = 1024\n"
                           "max_connections = 10000\n"
                           "max_per_host = 0\n"
                           "max_per_user = 0\n"
                           "allow = any\n"
                           "deny = none\n"
                           "open_proxy = no\n"
                           "guard = auto\n"
                           "default = allow\n"
                           "bind_address = none\n"
                           "udp = auto\n"
                           "udp_ports = any\n"
                           "udp_advertise = none\n"
                           "udp_max_targets = 1024\n"
                           "udp_rate = 0\n"
                           "udp_filter = endpoint\n"
                           "bind = auto\n"
                           "bind_ports = any\n"
                           "bind_timeout = 2m\n"
                           "resolve_for_rules = no\n"
                           "handshake_timeout = 10s\n"
                           "connect_timeout = 30s\n"
                           "write_timeout = 1m\n"
                           "idle_timeout = 2h\n"
                           "half_close_timeout = 5m\n"
                           "keepalive = 1m\n"
                           "auth = none\n"
                           "users_file = none\n"
                           "close_on_removal = yes\n"
                           "proxy_protocol = no\n"
                           "proxy_protocol_from = none\n"
                           "forward_to = none\n"
                           "route = direct\n"
                           "tls_cut = reset\n"
                           "security = none\n"
                           "certificate = none\n"
                           "private_key = none\n"
                           "authority = none\n"
                           "revoke = none\n"
                           "ciphers = built-in\n"
                           "validate_chain = yes\n"
                           "allow_expired_certificates = no\n"
                           "allow_expired_roots = no\n"
                           "allow_any_root = no\n"
                           "alpn = none\n"
                           "certificates = none\n");
    free(text);
    config_unref(config);
}

Test(config_dump, every_directive_of_this_version_has_a_line)
{
    struct config *config =
        ini_load(LISTENER "[rule r]\naction = deny\n[upstream u]\ntype = http\n"
                          "server = a:1\nuser = a\npassword = none\n"
                          "[certificate c]\nnames = a\ncertificate = /a\nprivate_key = /b\n");
    char *text = dump(config), line[64];

    for (unsigned i = 0; i < directive_count; i++) {
        snprintf(line, sizeof line, "\n%s = ", directives[i].key);
        if (directives[i].type)
            cr_assert(strstr(text, line), "%s is not written", directives[i].key);
    }
    free(text);
    config_unref(config);
}

/* A row that the test of round trips above does not know would pass it in silence. */
Test(config_dump, round_trips_are_tried_with_every_directive)
{
    char line[64];

    for (unsigned i = 0; i < directive_count; i++) {
        snprintf(line, sizeof line, "\n%s = ", directives[i].key);
        if (directives[i].type)
            cr_assert(strstr(everything, line), "%s is not tried", directives[i].key);
    }
}
