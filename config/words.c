/* words.c - tables of words. A word of a later version has the value 0 until it means something. */
#include "config/words.h"

#include "config/config.h"

#include <string.h>
#include <strings.h>

#define WORD(text_, value_) .text = text_, .value = value_
#define LATER(text_, value_) WORD(text_, value_), .is_later = true

/* clang-format off */
const struct word words_bool[] = {
    {WORD("no", false)}, {WORD("yes", true)},
    {WORD("off", false)}, {WORD("on", true)},
    {WORD("false", false)}, {WORD("true", true)},
    {0},
};

const struct word words_log_level[] = {
    {WORD("error", LOG_LEVEL_ERROR)},
    {WORD("warning", LOG_LEVEL_WARNING)},
    {WORD("notice", LOG_LEVEL_NOTICE)},
    {WORD("info", LOG_LEVEL_INFO)},
    {WORD("debug", LOG_LEVEL_DEBUG)},
    {0},
};

const struct word words_log_format[] = {
    {WORD("text", 0)},
    {WORD("json", 1)},
    {0},
};

const struct word words_log_target[] = {
    {WORD("stderr", LOG_TARGET_STDERR)},
    {WORD("syslog", LOG_TARGET_SYSLOG)},
    {WORD("journal", LOG_TARGET_JOURNAL)},
    {0},
};

const struct word words_protocol[] = {
    {WORD("socks4", PROTOCOL_SOCKS4)},
    {WORD("socks5", PROTOCOL_SOCKS5)},
    {WORD("http", PROTOCOL_HTTP)},
    {WORD("forward", PROTOCOL_FORWARD)},
    {0},
};

const struct word words_auth[] = {
    {WORD("none", AUTH_NONE)},
    {WORD("password", AUTH_PASSWORD)},
    {WORD("ident", AUTH_IDENT)},
    {WORD("certificate", AUTH_CERTIFICATE)},
    {0},
};

const struct word words_proxy_protocol[] = {
    {WORD("no", false)},
    {WORD("require", true)},
    {0},
};

const struct word words_security[] = {
    {WORD("none", SECURITY_NONE)},
    {WORD("negotiated", SECURITY_NEGOTIATED)},
    {WORD("tlsv1.2", SECURITY_TLS_1_2)},
    {WORD("tlsv1.3", SECURITY_TLS_1_3)},
    {0},
};

const struct word words_validate_chain[] = {
    {WORD("yes", false)}, {WORD("no", true)},
    {WORD("on", false)}, {WORD("off", true)},
    {WORD("true", false)}, {WORD("false", true)},
    {0},
};

const struct word words_tls_cut[] = {
    {WORD("reset", false)},
    {WORD("end", true)},
    {0},
};

const struct word words_sandbox[] = {
    {WORD("auto", SANDBOX_AUTO)},
    {WORD("no", SANDBOX_NO)}, {WORD("yes", SANDBOX_YES)},
    {WORD("off", SANDBOX_NO)}, {WORD("on", SANDBOX_YES)},
    {WORD("false", SANDBOX_NO)}, {WORD("true", SANDBOX_YES)},
    {0},
};

const struct word words_guard[] = {
    {WORD("auto", GUARD_AUTO)},
    {WORD("no", GUARD_NO)}, {WORD("yes", GUARD_YES)},
    {WORD("off", GUARD_NO)}, {WORD("on", GUARD_YES)},
    {WORD("false", GUARD_NO)}, {WORD("true", GUARD_YES)},
    {0},
};

const struct word words_udp[] = {
    {WORD("auto", UDP_AUTO)},
    {WORD("no", UDP_NO)}, {WORD("yes", UDP_YES)},
    {WORD("off", UDP_NO)}, {WORD("on", UDP_YES)},
    {WORD("false", UDP_NO)}, {WORD("true", UDP_YES)},
    {0},
};

const struct word words_udp_filter[] = {
    {WORD("endpoint", false)},
    {WORD("address", true)},
    {0},
};

const struct word words_bind[] = {
    {WORD("auto", BIND_AUTO)},
    {WORD("no", BIND_NO)}, {WORD("yes", BIND_YES)},
    {WORD("off", BIND_NO)}, {WORD("on", BIND_YES)},
    {WORD("false", BIND_NO)}, {WORD("true", BIND_YES)},
    {0},
};

const struct word words_default[] = {
    {WORD("allow", false)},
    {WORD("deny", true)},
    {0},
};

const struct word words_command[] = {
    {WORD("connect", COMMAND_CONNECT)},
    {WORD("bind", COMMAND_BIND)},
    {WORD("udp", COMMAND_UDP)},
    {0},
};

const struct word words_action[] = {
    {WORD("allow", RULE_ALLOW)},
    {WORD("deny", RULE_DENY)},
    {0},
};

const struct word words_upstream_type[] = {
    {WORD("direct", UPSTREAM_DIRECT)},
    {WORD("socks4", UPSTREAM_SOCKS4)},
    {WORD("socks4a", UPSTREAM_SOCKS4A)},
    {WORD("socks5", UPSTREAM_SOCKS5)},
    {WORD("http", UPSTREAM_HTTP)},
    {0},
};

const struct word words_balance[] = {
    {WORD("first", BALANCE_FIRST)},
    {WORD("round_robin", BALANCE_ROUND_ROBIN)},
    {WORD("least", BALANCE_LEAST)},
    {WORD("source", BALANCE_SOURCE)},
    {0},
};

const struct word words_resolve[] = {
    {WORD("auto", RESOLVE_AUTO)},
    {WORD("remote", RESOLVE_REMOTE)},
    {WORD("local", RESOLVE_LOCAL)},
    {0},
};

const struct word words_send_proxy[] = {
    {WORD("no", SEND_PROXY_NO)},
    {WORD("v1", SEND_PROXY_V1)},
    {WORD("v2", SEND_PROXY_V2)},
    {0},
};

const struct word words_check[] = {
    {WORD("connect", CHECK_CONNECT)},
    {WORD("tls", CHECK_TLS)},
    {WORD("socks", CHECK_SOCKS)},
    {WORD("send", CHECK_SEND)},
    {WORD("expect", CHECK_EXPECT)},
    {0},
};
/* clang-format on */

const struct word *words_find(const struct word *words, const char *text)
{
    for (; words->text; words++)
        if (strcasecmp(words->text, text) == 0)
            return words;
    return NULL;
}

const char *words_text(const struct word *words, int value)
{
    while (words->text && words->value != value)
        words++;
    return words->text;
}

const char *config_log_level_name(enum log_level level)
{
    return words_text(words_log_level, (int)level);
}
