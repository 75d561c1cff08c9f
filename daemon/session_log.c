/* session_log.c - the one line that says how a session went. */
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/session_facts.h"

static void put_endpoint(struct log_record *record, const char *key,
                         const struct ip_endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_MAX];

    endpoint_format(endpoint, text);
    log_record_string(record, key, endpoint->ip.family == IP_NONE ? "" : text);
}

static void put_datagrams(struct log_record *record, const struct association_counts *counts)
{
    log_record_number(record, "datagrams_sent", counts->sent);
    log_record_number(record, "datagrams_received", counts->received);
    if (counts->icmp_errors)
        log_record_number(record, "icmp_errors", counts->icmp_errors);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        if (counts->dropped[i])
            log_record_number(record, association_drop_names[i], counts->dropped[i]);
}

void session_log_client(struct log_record *record, const struct session *s)
{
    char text[ENDPOINT_TEXT_MAX];

    session_facts_client(&s->peer, text);
    log_record_string(record, "client", text);
}

void session_log(const struct session *s)
{
    char name[STREAM_ERROR_NAME_MAX], target[SESSION_TARGET_MAX];
    struct session_facts facts;
    struct log_record record;

    if (!log_wants(LOG_LEVEL_INFO))
        return;
    session_facts(s, target, &facts);
    log_begin_session(&record);
    log_record_number(&record, "id", facts.id);
    log_record_string(&record, "listener", facts.listener);
    session_log_client(&record, s);
    log_record_string(&record, "user", facts.user);
    log_record_string(&record, "protocol", facts.protocol);
    log_record_string(&record, "command", facts.command);
    log_record_bytes(&record, "target", facts.target, facts.target_length);
    put_endpoint(&record, "address", &facts.address);
    log_record_string(&record, "route", facts.route);
    log_record_string(&record, "rule", facts.rule);
    log_record_string(&record, "upstream", facts.upstream);
    log_record_string(&record, "upstream_peer", facts.upstream_peer);
    log_record_number(&record, "sent", facts.sent);
    log_record_number(&record, "received", facts.received);
    log_record_number(&record, "setup_ms", facts.setup);
    log_record_number(&record, "duration_ms", facts.age);
    log_record_string(&record, "error", stream_error_name(&s->error, name));
    if (stream_error_is(&s->error, ERROR_SYSTEM_CONNECT_OTHER) &&
        stream_error_errno_name(&s->error))
        log_record_string(&record, "errno", stream_error_errno_name(&s->error));
    if (s->association)
        put_datagrams(&record, association_counts(s->association));
    log_commit(&record);
}
