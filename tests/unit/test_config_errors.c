/* test_config_errors.c - for each mistake one line `FILE:LINE: [section] key: what is wrong (what
 * is accepted)`, in the order of the lines, all at once. The texts in here are what users read;
 * they change knowingly. What each key says of its values stands with the key. */
#include "config/config.h"

#include "tests/unit/ini_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config_errors, .timeout = 10, .init = ini_enter_folder, .fini = ini_leave_folder);

#define SECTIONS "(accepted: daemon, listener NAME, upstream NAME, certificate NAME, rule NAME)\n"
#define NAMES "(accepted: letters, digits, `-`, `_`, `.`)\n"
#define ADDRESSES                                                                                  \
    "(accepted: a list of ADDRESS:PORT, [V6]:PORT, localhost:PORT, unix:/PATH, systemd:NAME)\n"
#define CLIENTS "(accepted: any, or a list of ADDRESS, ADDRESS/BITS, NAME)\n"

/* One mistake a file. */
static const struct {
    const char *text, *errors;
} mistakes[] = {
    /* the file */
    {"", "p.ini:1: there is no [listener NAME] section\n"},
    {"[daemon]\n", "p.ini:1: there is no [listener NAME] section\n"},
    /* lines */
    {"workers = 1\n" LISTENER, "p.ini:1: workers: a key must follow a [section]\n"},
    {"hello\n" LISTENER, "p.ini:1: this is no `key = value`, no [section] and no comment\n"},
    {LISTENER "hello\n",
     "p.ini:3: [listener a] this is no `key = value`, no [section] and no comment\n"},
    {LISTENER "= 5\n", "p.ini:3: [listener a] there is no key before the `=`\n"},
    {LISTENER "queue: 5 = 6\n",
     "p.ini:3: [listener a] a key holds a colon (keys and values are separated by `=`)\n"},
    {LISTENER "queue = 5\x1B\n", "p.ini:3: [listener a] the line holds a control character\n"},
    /* sections */
    {LISTENER "[nonsense]\nkey = 1\n", "p.ini:3: [nonsense] there is no such section " SECTIONS},
    {LISTENER "[]\n", "p.ini:3: there is no such section " SECTIONS},
    {LISTENER "[Daemon]\n",
     "p.ini:3: [Daemon] there is no such section; did you mean `daemon`? " SECTIONS},
    {LISTENER "[listner b]\n",
     "p.ini:3: [listner b] there is no such section; did you mean `listener`? " SECTIONS},
    {LISTENER "[rules b]\n",
     "p.ini:3: [rules b] there is no such section; did you mean `rule`? " SECTIONS},
    {LISTENER "[daemon x]\n", "p.ini:3: [daemon x] this section has no name\n"},
    {LISTENER "[daemon]\n[daemon]\nworkers = 1\n",
     "p.ini:4: [daemon] there is such a section already, in line 3\n"},
    {LISTENER "[listener a]\nlisten = 127.0.0.1:2\n",
     "p.ini:3: [listener a] there is such a section already, in line 1\n"},
    {LISTENER "[rule a]\naction = deny\n[rule b]\naction = deny\n[rule  a]\naction = allow\n",
     "p.ini:7: [rule  a] there is such a section already, in line 3\n"},
    {"[listener]\nlisten = 127.0.0.1:1\n", "p.ini:1: [listener] the section needs a name " NAMES},
    {LISTENER "[rule]\n", "p.ini:3: [rule] the section needs a name " NAMES},
    {"[listener a b]\n", "p.ini:1: [listener a b] this is no name " NAMES},
    {"[listener a/b]\n", "p.ini:1: [listener a/b] this is no name " NAMES},
    {LISTENER "[rule a,b]\n", "p.ini:3: [rule a,b] this is no name " NAMES},
    {"[listener \xC3\xBC]\n", "p.ini:1: [listener \xC3\xBC] this is no name " NAMES},
    {"[listener direct]\n", "p.ini:1: [listener direct] the name is reserved\n"},
    {"[listener none]\n", "p.ini:1: [listener none] the name is reserved\n"},
    {"[listener Any]\n", "p.ini:1: [listener Any] the name is reserved\n"},
    {LISTENER "[rule any]\n", "p.ini:3: [rule any] the name is reserved\n"},
    {LISTENER "[upstream u]\n",
     "p.ini:3: [upstream u] type: the section needs this key (accepted: direct, socks4, "
     "socks4a, socks5, http)\n"},
    {LISTENER "route = u\n", "p.ini:3: [listener a] route: there is no [upstream u]\n"},
    {LISTENER "[rule r]\naction = route u\n[upstream v]\ntype = direct\n",
     "p.ini:4: [rule r] action: there is no [upstream u]\n"},
    {LISTENER "forward_to = a:1\n", "p.ini:3: [listener a] forward_to: clients choose their "
                                    "targets (add `protocols = forward`)\n"},
    {LISTENER "protocols = forward\n",
     "p.ini:1: [listener a] forward_to: `protocols = forward` needs it (add HOST:PORT)\n"},
    {LISTENER "protocols = forward, http\nforward_to = a:1\n",
     "p.ini:3: [listener a] protocols: `forward` stands alone\n"},
    {LISTENER "protocols = forward\nforward_to = a:1\nauth = ident\n",
     "p.ini:5: [listener a] auth: `protocols = forward` asks nobody (use `allow`, or rules)\n"},
    {LISTENER "auth = password\n",
     "p.ini:1: [listener a] users_file: `auth = password` needs it (add the file's path)\n"},
    {LISTENER "users_file = /dev/null\n",
     "p.ini:3: [listener a] users_file: nobody is asked for a password (add `auth = password`)\n"},
    {LISTENER "proxy_protocol = require\n",
     "p.ini:1: [listener a] proxy_protocol_from: `proxy_protocol = require` needs it (add the "
     "addresses of your load balancers)\n"},
    {LISTENER "proxy_protocol_from = ::1\n",
     "p.ini:3: [listener a] proxy_protocol_from: no header is read (add `proxy_protocol = "
     "require`)\n"},
    {LISTENER "proxy_protocol_from = ::1\nproxy_protocol = require\nauth = none, ident\n",
     "p.ini:5: [listener a] auth: `ident` cannot be asked behind `proxy_protocol`: the connection "
     "is the load balancer's\n"},
    {LISTENER "udp = yes\nproxy_protocol = require\nproxy_protocol_from = 10.0.0.1\n",
     "p.ini:3: [listener a] udp: a load balancer passes no datagrams on, and theirs is not the "
     "address that its header names (leave out `proxy_protocol` or `udp`)\n"},
    {LISTENER "udp = yes\nprotocols = socks4, http\n",
     "p.ini:3: [listener a] udp: only SOCKS5 has UDP ASSOCIATE (add `protocols = socks5`)\n"},
    {"[listener a]\nlisten = unix:/x\nudp = yes\n",
     "p.ini:3: [listener a] udp: clients of a unix socket have no address that their datagrams "
     "could be known by (add a TCP address to `listen`)\n"},
    {LISTENER "protocols = http\nbind = yes\n",
     "p.ini:4: [listener a] bind: no protocol here has BIND (add `socks4` or `socks5`)\n"},
    {LISTENER "bind = no\nbind_ports = 40000\n",
     "p.ini:4: [listener a] bind_ports: nobody may bind here (add `bind = yes`)\n"},
    {LISTENER "auth = password\nusers_file = /nonexistent/users\n",
     "p.ini:4: [listener a] users_file: /nonexistent/users: No such file or directory\n"},
    {LISTENER "[certificate c]\nnames = a\ncertificate = /a\n",
     "p.ini:3: [certificate c] private_key: the section needs this key (accepted: an absolute "
     "path)\n"},
    {LISTENER "certificates = c\nsecurity = tlsv1.3\ncertificate = /a\nprivate_key = /b\n",
     "p.ini:3: [listener a] certificates: there is no [certificate c]\n"},
    {LISTENER "security = sslv3\n",
     "p.ini:3: [listener a] security: RFC 7568 forbids this level: `sslv3` (accepted: none, "
     "negotiated, tlsv1.2, tlsv1.3)\n"},
    {LISTENER "security = SSLv2\n",
     "p.ini:3: [listener a] security: RFC 6176 forbids this level: `SSLv2` (accepted: none, "
     "negotiated, tlsv1.2, tlsv1.3)\n"},
    {LISTENER "security = tlsv1\n",
     "p.ini:3: [listener a] security: RFC 8996 forbids this level: `tlsv1` (accepted: none, "
     "negotiated, tlsv1.2, tlsv1.3)\n"},
    {LISTENER "security = tlsv1.2\n",
     "p.ini:1: [listener a] certificate: `security` needs it, and `private_key` (add the paths of "
     "PEM files)\n"},
    {LISTENER "alpn = h2\n",
     "p.ini:1: [listener a] security: without it other TLS keys mean nothing (add `security`)\n"},
    {LISTENER "auth = certificate\n",
     "p.ini:3: [listener a] auth: `certificate` needs an authority (add `authority`: the CA of "
     "your clients)\n"},
    {LISTENER "[upstream u]\ntype = direct\npeer_name = none\n",
     "p.ini:3: [upstream u] security: without it other TLS keys mean nothing (add `security`)\n"},
    {LISTENER "[upstream u]\ntype = direct\nsecurity = tlsv1.3\ncertificate = /a\n",
     "p.ini:6: [upstream u] certificate: `certificate` and `private_key` need each other\n"},
    /* keys */
    {"[listener a]\n", "p.ini:1: [listener a] listen: the section needs this key " ADDRESSES},
    {"\n[listener a]\nqueue = 5\n\n[daemon]\n",
     "p.ini:2: [listener a] listen: the section needs this key " ADDRESSES},
    {LISTENER "[rule r]\nport = 80\n", "p.ini:3: [rule r] action: the section needs this key "
                                       "(accepted: allow, deny, route UPSTREAM)\n"},
    {LISTENER "nonsense = 1\n",
     "p.ini:3: [listener a] nonsense: there is no such key in this section\n"},
    {LISTENER "Queue = 1\n", "p.ini:3: [listener a] Queue: there is no such key in this section; "
                             "did you mean `queue`?\n"},
    {LISTENER "[daemon]\nloglevel = info\n",
     "p.ini:4: [daemon] loglevel: there is no such key in this section; did you mean "
     "`log_level`?\n"},
    {LISTENER "[rule r]\naction = deny\ndestinatoin = x\n",
     "p.ini:5: [rule r] destinatoin: there is no such key in this section; did you mean "
     "`destination`?\n"},
    {LISTENER "workers = 1\n",
     "p.ini:3: [listener a] workers: there is no such key in this section; this key belongs into "
     "[daemon]\n"},
    {LISTENER "[daemon]\nlisten = 127.0.0.1:1\n",
     "p.ini:4: [daemon] listen: there is no such key in this section; this key belongs into "
     "[listener]\n"},
    {LISTENER "user = alice\n",
     "p.ini:3: [listener a] user: there is no such key in this section; this key belongs into "
     "[daemon] or [upstream] or [rule]\n"},
    {LISTENER "peer_name = x\n",
     "p.ini:3: [listener a] peer_name: this key is not available in this version yet\n"},
    {LISTENER "[daemon]\ncontrol = run/control\n",
     "p.ini:4: [daemon] control: the path must begin with `/`: `run/control` (accepted: "
     "/run/pairsocks/control, or none, an absolute path)\n"},
    {LISTENER "[daemon]\ncontrol_group = a,b\n",
     "p.ini:4: [daemon] control_group: this is no valid value: `a,b` (accepted: none, or a "
     "group's name or number)\n"},
    {LISTENER "[rule r]\nrate = 1k\naction = deny\n[rule s]\nrate = 0\naction = deny\n",
     "p.ini:4: [rule r] rate: a rule that denies lets nothing through (accepted: 0 with `action = "
     "deny`)\n"},
    {LISTENER "[rule r]\naction = allow\nrate = 1 M\n",
     "p.ini:5: [rule r] rate: this is no valid value: `1 M` (accepted: a size such as 64k, 10M, "
     "1G, "
     "from 0 to 1024G)\n"},
    {LISTENER "[rule r]\naction = allow\nrate = 1025G\n",
     "p.ini:5: [rule r] rate: the size is out of range: `1025G` (accepted: a size such as 64k, "
     "10M, "
     "1G, from 0 to 1024G)\n"},
    {LISTENER "queue = 5\nqueue = 5\n",
     "p.ini:4: [listener a] queue: the key was given in line 3 already\n"},
    {LISTENER "queue = 0\nqueue = 5\n",
     "p.ini:3: [listener a] queue: the number is out of range: `0` (accepted: a number from 1 to "
     "1000000)\n"
     "p.ini:4: [listener a] queue: the key was given in line 3 already\n"},
    {LISTENER "queue =\n",
     "p.ini:3: [listener a] queue: the value is empty (accepted: a number from 1 to 1000000)\n"},
    {LISTENER "listen =   \n", "p.ini:3: [listener a] listen: the value is empty " ADDRESSES},
    /* words */
    {LISTENER "[daemon]\nlog_level = inof\n",
     "p.ini:4: [daemon] log_level: this is no valid value: `inof`; did you mean `info`? "
     "(accepted: error, warning, notice, info, debug)\n"},
    {LISTENER "guard = of\n",
     "p.ini:3: [listener a] guard: this is no valid value: `of`; did you mean `off`? (accepted: "
     "auto, no, yes, off, on, false, true)\n"},
    {LISTENER "protocols = socks5, sock4\n",
     "p.ini:3: [listener a] protocols: this is no valid value: `sock4`; did you mean `socks4`? "
     "(accepted: a list of socks4, socks5, http, forward)\n"},
    {LISTENER "[daemon]\nworkers = atuo\n",
     "p.ini:4: [daemon] workers: this is no valid value: `atuo`; did you mean `auto`? (accepted: "
     "auto, or a number from 1 to 256)\n"},
    {LISTENER "[daemon]\nlog_target = jounral\n",
     "p.ini:4: [daemon] log_target: this is no valid value: `jounral`; did you mean `journal`? "
     "(accepted: stderr, syslog, journal, file:/PATH)\n"},
    {LISTENER "[rule r]\naction = alow\n",
     "p.ini:4: [rule r] action: this is no valid value: `alow`; did you mean `allow`? (accepted: "
     "allow, deny, route UPSTREAM)\n"},
    /* the word for nothing */
    {LISTENER "allow = any, 127.0.0.1\n",
     "p.ini:3: [listener a] allow: `any` stands alone " CLIENTS},
    {LISTENER "allow = 127.0.0.1, any\n",
     "p.ini:3: [listener a] allow: `any` stands alone " CLIENTS},
    {LISTENER "allow = any\nallow = 127.0.0.1\n",
     "p.ini:4: [listener a] allow: `any` stands alone " CLIENTS},
    {LISTENER "allow = any, any\n", "p.ini:3: [listener a] allow: `any` stands alone " CLIENTS},
};

Test(config_errors, every_mistake_is_told_with_its_place)
{
    for (size_t i = 0; i < COUNT(mistakes); i++)
        ini_expect_errors(mistakes[i].text, mistakes[i].errors);
}

Test(config_errors, every_bad_item_of_a_list_is_told)
{
    ini_expect_errors(LISTENER "allow = 127.1, 10.0.0.0/8, 10.0.0.0/99,, x\n",
                      "p.ini:3: [listener a] allow: this is no address, no network and no name: "
                      "`127.1` " CLIENTS "p.ini:3: [listener a] allow: this is no address, no "
                      "network and no name: `10.0.0.0/99` " CLIENTS
                      "p.ini:3: [listener a] allow: an item of the list is empty: `` " CLIENTS);
}

/* Whatever is found late (a missing key, a listener that is not there) stands at its line. */
Test(config_errors, all_mistakes_of_a_file_are_told_at_once_in_the_order_of_its_lines)
{
    ini_expect_errors(
        "lost = 1\n"
        "[daemon]\n"
        "workers = none\n"
        "log_level = loud\n"
        "control = none/\n"
        "[rule r]\n"
        "listener = x\n"
        "[listener a]\n"
        "queue = 0\n"
        "colour = red\n"
        "[nonsense]\n"
        "key = 1\n"
        "[listener a]\n"
        "listen = 127.0.0.1:1\n"
        "[listener b]\n"
        "listen = 127.0.0.1\n"
        "rubbish\n"
        "[listener c]\n"
        "listen = 0.0.0.0:1\n"
        "keepalive = x\n",
        "p.ini:1: lost: a key must follow a [section]\n"
        "p.ini:3: [daemon] workers: this is no valid value: `none` (accepted: auto, or a number "
        "from 1 to 256)\n"
        "p.ini:4: [daemon] log_level: this is no valid value: `loud` (accepted: error, warning, "
        "notice, info, debug)\n"
        "p.ini:5: [daemon] control: the path must begin with `/`: `none/` (accepted: "
        "/run/pairsocks/control, or none, an absolute path)\n"
        "p.ini:6: [rule r] action: the section needs this key (accepted: allow, deny, route "
        "UPSTREAM)\n"
        "p.ini:7: [rule r] listener: there is no [listener x]\n"
        "p.ini:8: [listener a] listen: the section needs this key " ADDRESSES
        "p.ini:9: [listener a] queue: the number is out of range: `0` (accepted: a number from 1 "
        "to 1000000)\n"
        "p.ini:10: [listener a] colour: there is no such key in this section\n"
        "p.ini:11: [nonsense] there is no such section " SECTIONS
        "p.ini:13: [listener a] there is such a section already, in line 8\n"
        "p.ini:16: [listener b] listen: this is no valid value: `127.0.0.1` " ADDRESSES
        "p.ini:17: [listener b] this is no `key = value`, no [section] and no comment\n"
        "p.ini:18: [listener c] open_proxy: strangers could reach any target through 0.0.0.0:1 "
        "(add `allow` with the addresses of your clients, or `auth = password`, or `default = "
        "deny` and rules that "
        "allow; or say `open_proxy = yes`)\n"
        "p.ini:20: [listener c] keepalive: this is no valid value: `x` (accepted: a duration such "
        "as 500ms, 10s, 5m, 2h, from 0 to 9h)\n");
}

/* A head that is wrong says which kind was meant, or may have been: the keys are judged as that
 * kind's, but nothing is missed there, and nothing is said of strangers. */
Test(config_errors, keys_below_a_wrong_head_are_judged_as_those_of_the_kind_that_was_meant)
{
    ini_expect_errors(
        LISTENER
        "[listener a]\nqueu = 5\n[listner b]\nlisten = nonsense\n[listener any]\nqueue = 0\n",
        "p.ini:3: [listener a] there is such a section already, in line 1\n"
        "p.ini:4: [listener a] queu: there is no such key in this section; did you mean `queue`?\n"
        "p.ini:5: [listner b] there is no such section; did you mean `listener`? " SECTIONS
        "p.ini:6: [listner b] listen: this is no valid value: `nonsense` " ADDRESSES
        "p.ini:7: [listener any] the name is reserved\n"
        "p.ini:8: [listener any] queue: the number is out of range: `0` (accepted: a number from 1 "
        "to 1000000)\n");
    ini_expect_errors(LISTENER "[listener b/c]\nqueue = 5\nqueue = 6\nrubbish\n",
                      "p.ini:3: [listener b/c] this is no name " NAMES
                      "p.ini:5: [listener b/c] queue: the key was given in line 4 already\n"
                      "p.ini:6: [listener b/c] this is no `key = value`, no [section] and no "
                      "comment\n");
    ini_expect_errors(
        "[listner b]\nlisten = 0.0.0.0:1\n[listener]\nlisten = 0.0.0.0:2\n",
        "p.ini:1: [listner b] there is no such section; did you mean `listener`? " SECTIONS
        "p.ini:3: [listener] the section needs a name " NAMES);
}

Test(config_errors, keys_below_a_second_daemon_section_are_judged)
{
    ini_expect_errors(
        LISTENER "[daemon]\nuser = a\nlog_target = file:/a\n[daemon]\nuser = b\n"
                 "log_target = file:/b\ndrain_timeout = x\n[daemon x]\nmax_files = 1\nuser = c\n",
        "p.ini:6: [daemon] there is such a section already, in line 3\n"
        "p.ini:9: [daemon] drain_timeout: this is no valid value: `x` (accepted: a duration such "
        "as "
        "500ms, 10s, 5m, 2h, from 0 to 24h)\n"
        "p.ini:10: [daemon x] this section has no name\n"
        "p.ini:11: [daemon x] max_files: the number is out of range: `1` (accepted: auto, or a "
        "number "
        "from 64 to 2147483647)\n");
}

Test(config_errors, rules_below_a_wrong_head_name_listeners_that_are_there)
{
    ini_expect_errors(LISTENER "[rule r]\naction = deny\n[rule r]\nlistener = a, b\nlistener = c\n"
                               "[rule any]\nlistener = d, a\nport = 0\n[rlue x]\nlistener = e\n",
                      "p.ini:5: [rule r] there is such a section already, in line 3\n"
                      "p.ini:6: [rule r] listener: there is no [listener b]\n"
                      "p.ini:7: [rule r] listener: there is no [listener c]\n"
                      "p.ini:8: [rule any] the name is reserved\n"
                      "p.ini:9: [rule any] listener: there is no [listener d]\n"
                      "p.ini:10: [rule any] port: there is no port 0: `0` (accepted: any, or a "
                      "list of PORT, FIRST-LAST, from 1 to 65535)\n"
                      "p.ini:11: [rlue x] there is no such section; did you mean `rule`? " SECTIONS
                      "p.ini:12: [rlue x] listener: there is no [listener e]\n");
}

Test(config_errors, keys_below_a_head_that_is_like_nothing_are_not_judged)
{
    ini_expect_errors(LISTENER "[nonsense]\nqueue = x\n",
                      "p.ini:3: [nonsense] there is no such section " SECTIONS);
}

Test(config_errors, thousands_of_them_are_told)
{
    enum { LINES = 5000 };
    char *text = malloc(sizeof LISTENER + LINES * 8), *errors, line[64], *at;

    cr_assert(text);
    at = stpcpy(text, LISTENER);
    for (int i = 0; i < LINES; i++)
        at = stpcpy(at, "rubble\n");
    cr_assert_null(ini_load_bytes(text, (size_t)(at - text), &errors));
    at = errors;
    for (int i = 0; i < LINES; i++) {
        snprintf(line, sizeof line, "p.ini:%d: ", i + 3);
        cr_assert_eq(strncmp(at, line, strlen(line)), 0);
        at = strchr(at, '\n') + 1;
    }
    cr_assert_eq(*at, '\0');
    free(errors);
    free(text);
}

/* What follows belongs to no section: it is no mistake of the one before, and neither is the
 * head. */
Test(config_errors, broken_section_head_is_told_once_and_its_keys_are_not)
{
    static const char nul[] = LISTENER "[listener b\0]\nlisten = 127.0.0.1:1\n";

    ini_expect_errors(LISTENER "queue = 5\n[listener b\nlisten = 127.0.0.1:2\nqueue = 6\n",
                      "p.ini:4: the section's head has no closing bracket\n");
    ini_expect_errors(LISTENER "[daemon] ; c\nworkers = 1\n",
                      "p.ini:3: there is something behind the section's closing bracket\n");
    ini_expect_errors(LISTENER "queue = 5\n[rule \x01]\nqueue = 6\n",
                      "p.ini:4: the line holds a control character\n");
    ini_expect_errors_of(nul, sizeof nul - 1, "p.ini:3: the line holds a NUL byte\n");
}

Test(config_errors, long_lines_and_nul_bytes_are_told)
{
    static const char nul[] = LISTENER "queue = 5\0\n";
    static char text[8192];

    ini_expect_errors_of(nul, sizeof nul - 1, "p.ini:3: [listener a] the line holds a NUL byte\n");
    strcpy(text, LISTENER);
    memset(text + strlen(text), 'x', 4097);
    ini_expect_errors(text, "p.ini:3: [listener a] the line is too long (at most 4096 bytes)\n");
    snprintf(text, sizeof text, "[listener %0*d]\n", 120, 0);
    ini_expect_errors(text, "p.ini:1: the section's name is too long (at most 100 bytes)\n");
}

Test(config_errors, file_that_cannot_be_read_is_told_with_the_systems_reason)
{
    char *text = NULL;
    size_t n;
    FILE *errors = open_memstream(&text, &n);

    cr_assert(errors);
    cr_assert_null(config_load("missing.ini", NULL, errors));
    cr_assert_null(config_load("/", NULL, errors));
    fclose(errors);
    cr_assert_str_eq(text, "missing.ini: No such file or directory\n"
                           "/: cannot be read: Is a directory\n");
    free(text);
}
