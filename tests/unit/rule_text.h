/* rule_text.h - rules and requests for tests, from a line of text each, so that a test can be read
 * beside the manual. Not config_load(): what tests of rules hold must not depend on how files are
 * read. A line that is wrong fails the test. For tests only.
 *
 *     rule:    listener=0,1 client=10.0.0.0/8 user=alice,ident:bob destination=a.example,*.b.example
 *              port=80,8000-8999 command=connect,udp action=deny
 *     request: listener=0 client=10.0.0.1 user=alice name=A.example. address=192.0.2.1 port=80
 *              command=bind
 *
 * What is not said is any in a rule (its action: allow), and in a request listener 0, no client, no
 * user, no name, no address, port 80 and connect. */
#ifndef PAIRSOCKS_TESTS_RULE_TEXT_H
#define PAIRSOCKS_TESTS_RULE_TEXT_H

#include "config/rules.h"

struct rule_list {
    struct config_rule *rules; /* owned */
    unsigned count;
};

void rule_list_add(struct rule_list *list, const char *text);
void rule_list_done(struct rule_list *list);

/* Its name points into `text`, its user to what the next call writes over. */
struct rules_request request_from_text(const char *text);

#endif
