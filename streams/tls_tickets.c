/* tls_tickets.c - AES-256-GCM; the scope is authenticated with every ticket. */
#include "streams/tls_tickets.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct key {
    uint8_t name[TLS_TICKET_KEY_NAME];
    uint8_t secret[32];
    int64_t since;
    bool is_set;
};

struct tls_ticket_keys {
    atomic_uint refs;
    char *name; /* owned */
    pthread_mutex_t lock;
    struct key current, former; /* under the lock */
};

static bool random_bytes(void *out, size_t n)
{
    return getrandom(out, n, 0) == (ssize_t)n;
}

static bool make_key(struct key *key, int64_t now)
{
    struct key made = {.since = now, .is_set = true};

    if (!random_bytes(made.name, sizeof made.name) ||
        !random_bytes(made.secret, sizeof made.secret))
        return false;
    *key = made;
    explicit_bzero(&made, sizeof made);
    return true;
}

struct tls_ticket_keys *tls_ticket_keys_new(const char *name)
{
    struct tls_ticket_keys *keys = calloc(1, sizeof *keys);

    if (!keys)
        return NULL;
    keys->name = strdup(name);
    if (!keys->name || pthread_mutex_init(&keys->lock, NULL) != 0) {
        free(keys->name);
        free(keys);
        return NULL;
    }
    atomic_init(&keys->refs, 1);
    return keys;
}

struct tls_ticket_keys *tls_ticket_keys_ref(struct tls_ticket_keys *keys)
{
    if (keys)
        atomic_fetch_add(&keys->refs, 1);
    return keys;
}

void tls_ticket_keys_unref(struct tls_ticket_keys *keys)
{
    if (!keys || atomic_fetch_sub(&keys->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&keys->lock);
    free(keys->name);
    explicit_bzero(keys, sizeof *keys);
    free(keys);
}

const char *tls_ticket_keys_name(const struct tls_ticket_keys *keys)
{
    return keys->name;
}

static bool rotate(struct tls_ticket_keys *keys, int64_t now)
{
    struct key fresh = {0};

    if (!make_key(&fresh, now))
        return false;
    keys->former = keys->current;
    keys->current = fresh;
    explicit_bzero(&fresh, sizeof fresh);
    return true;
}

bool tls_ticket_keys_rotate(struct tls_ticket_keys *keys, int64_t now)
{
    bool ok;

    pthread_mutex_lock(&keys->lock);
    ok = rotate(keys, now);
    pthread_mutex_unlock(&keys->lock);
    return ok;
}

/* Forgets what is too old. */
static void expire(struct tls_ticket_keys *keys, int64_t now)
{
    if (keys->former.is_set && now - keys->former.since >= 2 * TLS_TICKET_PERIOD)
        explicit_bzero(&keys->former, sizeof keys->former);
    if (keys->current.is_set && now - keys->current.since >= TLS_TICKET_PERIOD)
        rotate(keys, now);
    if (keys->former.is_set && now - keys->former.since >= 2 * TLS_TICKET_PERIOD)
        explicit_bzero(&keys->former, sizeof keys->former);
}

static bool key_to_seal(struct tls_ticket_keys *keys, int64_t now, struct key *ret)
{
    bool ok;

    pthread_mutex_lock(&keys->lock);
    expire(keys, now);
    ok = keys->current.is_set || rotate(keys, now);
    if (ok && now - keys->current.since >= TLS_TICKET_PERIOD)
        ok = false; /* it should have rotated, and could not */
    if (ok)
        *ret = keys->current;
    pthread_mutex_unlock(&keys->lock);
    return ok;
}

static bool key_to_open(struct tls_ticket_keys *keys, int64_t now, const uint8_t *name,
                        struct key *ret)
{
    const struct key *found = NULL;

    pthread_mutex_lock(&keys->lock);
    expire(keys, now);
    if (keys->current.is_set && memcmp(keys->current.name, name, TLS_TICKET_KEY_NAME) == 0)
        found = &keys->current;
    else if (keys->former.is_set && memcmp(keys->former.name, name, TLS_TICKET_KEY_NAME) == 0)
        found = &keys->former;
    if (found)
        *ret = *found;
    pthread_mutex_unlock(&keys->lock);
    return found;
}

bool tls_ticket_seal(struct tls_ticket_keys *keys, const uint8_t *scope, int64_t now,
                     uint8_t *ret_key_name, uint8_t *ret_iv, uint8_t *ret_tag, uint8_t *bytes,
                     size_t n)
{
    struct key key;
    Aes aes;
    bool ok = false;

    if (!random_bytes(ret_iv, TLS_TICKET_IV) || !key_to_seal(keys, now, &key))
        return false;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) == 0) {
        ok = wc_AesGcmSetKey(&aes, key.secret, sizeof key.secret) == 0 &&
             wc_AesGcmEncrypt(&aes, bytes, bytes, (word32)n, ret_iv, TLS_TICKET_IV, ret_tag,
                              TLS_TICKET_TAG, scope, TLS_TICKET_SCOPE) == 0;
        wc_AesFree(&aes);
    }
    memcpy(ret_key_name, key.name, TLS_TICKET_KEY_NAME);
    explicit_bzero(&key, sizeof key);
    return ok;
}

bool tls_ticket_open(struct tls_ticket_keys *keys, const uint8_t *scope, int64_t now,
                     const uint8_t *key_name, const uint8_t *iv, const uint8_t *tag, uint8_t *bytes,
                     size_t n)
{
    struct key key;
    Aes aes;
    bool ok = false;

    if (!key_to_open(keys, now, key_name, &key))
        return false;
    if (wc_AesInit(&aes, NULL, INVALID_DEVID) == 0) {
        ok = wc_AesGcmSetKey(&aes, key.secret, sizeof key.secret) == 0 &&
             wc_AesGcmDecrypt(&aes, bytes, bytes, (word32)n, iv, TLS_TICKET_IV, tag, TLS_TICKET_TAG,
                              scope, TLS_TICKET_SCOPE) == 0;
        wc_AesFree(&aes);
    }
    explicit_bzero(&key, sizeof key);
    return ok;
}
