/* words.h - the words that stand for values in the ini file. One table serves parsing,
 * --dump-config, the list of what is accepted and the suggestions. Pure. */
#ifndef PAIRSOCKS_WORDS_H
#define PAIRSOCKS_WORDS_H

#include <stdbool.h>

struct word {
    const char *text; /* NULL ends a table */
    int value;
    bool is_later; /* known, and not available in this version yet */
};

/* Several words may mean one value: the first of them is the one that is written. */
extern const struct word words_bool[];
extern const struct word words_log_level[];      /* enum log_level */
extern const struct word words_log_format[];     /* enum log_format of the daemon */
extern const struct word words_log_target[];     /* enum log_target, but for files */
extern const struct word words_protocol[];       /* bits of enum protocol */
extern const struct word words_auth[];           /* bits of enum auth */
extern const struct word words_proxy_protocol[]; /* proxy_protocol */
extern const struct word words_security[];       /* enum security */
extern const struct word words_validate_chain[]; /* skip_chain */
extern const struct word words_tls_cut[];        /* tls_cut_ends */
extern const struct word words_sandbox[];        /* enum sandbox */
extern const struct word words_guard[];          /* enum guard */
extern const struct word words_udp[];            /* enum udp */
extern const struct word words_udp_filter[];     /* udp_by_address */
extern const struct word words_bind[];           /* enum bind */
extern const struct word words_default[];        /* default_deny */
extern const struct word words_command[];        /* bits of enum command */
extern const struct word words_action[];         /* enum rule_action, but for RULE_ROUTE */
extern const struct word words_upstream_type[];  /* enum upstream_type */
extern const struct word words_balance[];        /* enum balance */
extern const struct word words_resolve[];        /* enum resolve */
extern const struct word words_send_proxy[];     /* enum send_proxy */
extern const struct word words_check[];          /* enum check_kind */

/* Without regard to case. NULL: it is not in the table. */
const struct word *words_find(const struct word *words, const char *text);

/* The word that is written for a value of the table. */
const char *words_text(const struct word *words, int value);

#endif
