/* condition.h - one condition of all rules, such as `client`, compiled: what is listed by any rule,
 * numbered, and for each number the set of rules that list it. Made by rules_new(), looked through by
 * rules_find(), known to nobody else. Pure. */
#ifndef PAIRSOCKS_CONDITION_H
#define PAIRSOCKS_CONDITION_H

#include "config/config.h"
#include "config/prefix_table.h"
#include "config/rule_set.h"
#include "config/text_table.h"

/* `destination` is three of them: a rule's names, suffixes and prefixes are alternatives. */
enum condition_kind {
    CONDITION_LISTENER,
    CONDITION_CLIENT,
    CONDITION_USER,
    CONDITION_COMMAND,
    CONDITION_PORT,
    CONDITION_NAME,
    CONDITION_SUFFIX,
    CONDITION_ADDRESS,
    CONDITION_KINDS
};

enum { COMMANDS = 3 }; /* bits of enum command */

struct condition {
    bool is_open;       /* no rule has it */
    rule_block *listed; /* bits of the rules that have it; owned, as what follows */
    /* What the rules list, numbered as the sets are. Neither: listeners and commands are numbers
     * already (a command: of its bit). */
    struct prefix_table *prefixes;
    struct text_table *texts;
    size_t count;          /* of numbers */
    struct rule_sets sets; /* of prefixes: one that is bits has the rules of all wider ones, too */
};

/* False without memory; *condition can be given to condition_done() in any case. Texts stay the
 * rules'. */
bool condition_init(struct condition *condition, enum condition_kind kind,
                    const struct config_rule *rules, uint32_t count);
void condition_done(struct condition *condition);

/* A port as an address of 16 bits: its place in the prefixes of CONDITION_PORT, where a range of ports
 * is the few prefixes that it is made of. */
struct ip_address condition_port(uint16_t port);

#endif
