/* tls_tickets.h - the keys that session tickets are sealed with. They outlive the contexts of a
 * reload: the daemon keeps one set by the name of each listener and gives it to the contexts that
 * it builds. Any thread. */
#ifndef PAIRSOCKS_TLS_TICKETS_H
#define PAIRSOCKS_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_ticket_keys;

/* A ticket is good for at least one and at most two of these, in seconds: the key it is sealed with
 * is the current one for so long and the former one for as long again. */
enum { TLS_TICKET_PERIOD = 2 * 3600, TLS_TICKET_SCOPE = 32 };

/* What a sealed ticket has more than a plain one. */
enum { TLS_TICKET_KEY_NAME = 16, TLS_TICKET_IV = 12, TLS_TICKET_TAG = 16 };

/* Keys for the contexts of `name` (a listener). NULL: no memory, or no random numbers. */
struct tls_ticket_keys *tls_ticket_keys_new(const char *name);
struct tls_ticket_keys *tls_ticket_keys_ref(struct tls_ticket_keys *keys);
void tls_ticket_keys_unref(struct tls_ticket_keys *keys); /* harmless with NULL */
const char *tls_ticket_keys_name(const struct tls_ticket_keys *keys);

/* Makes a new current key at `now` (monotonic seconds); the former one goes on opening tickets, the
 * one before is forgotten. Sealing and opening do it by themselves when the time has come. */
bool tls_ticket_keys_rotate(struct tls_ticket_keys *keys, int64_t now);

/* Seals `n` bytes in place. `scope`: who may open it, TLS_TICKET_SCOPE bytes. */
bool tls_ticket_seal(struct tls_ticket_keys *keys, const uint8_t *scope, int64_t now,
                     uint8_t *ret_key_name, uint8_t *ret_iv, uint8_t *ret_tag, uint8_t *bytes,
                     size_t n);

/* Opens it in place. False: another scope, a forgotten key, or not one of ours. */
bool tls_ticket_open(struct tls_ticket_keys *keys, const uint8_t *scope, int64_t now,
                     const uint8_t *key_name, const uint8_t *iv, const uint8_t *tag, uint8_t *bytes,
                     size_t n);

#endif
