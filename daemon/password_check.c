/* password_check.c - see password_check.h. */
#include "daemon/password_check.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

/* ---- comparing ---- */

/* Takes the same time wherever they differ. Hashes of one kind are of one length. */
static bool same_hash(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char difference = 0;

    if (strlen(b) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

bool password_matches(const struct users *users, const void *user, size_t user_length,
                      const void *password, size_t password_length)
{
    const char *hash = users_find(users, user, user_length), *computed;
    struct crypt_data *data = calloc(1, sizeof *data);
    char phrase[256] = {0};
    bool matches = false;

    if (!data || password_length >= sizeof phrase) {
        free(data);
        return false;
    }
    memcpy(phrase, password, password_length);
    computed = crypt_rn(phrase, hash ? hash : users_decoy(users), data, sizeof *data);
    /* crypt(3) ends at a NUL, which must not make `right\0wrong` right. */
    if (computed && hash && !memchr(phrase, '\0', password_length))
        matches = same_hash(computed, hash);
    explicit_bzero(phrase, sizeof phrase);
    explicit_bzero(data, sizeof *data);
    free(data);
    return matches;
}

/* ---- a check ---- */

struct password_check *password_check_new(const struct password_question *question,
                                          struct password_inbox *inbox, void *owner)
{
    struct password_check *check = calloc(1, sizeof *check);

    if (!check)
        return NULL;
    check->inbox = inbox;
    check->owner = owner;
    check->users = users_ref(question->users);
    check->login = question->login;
    check->user_length = question->user_length;
    check->password_length = question->password_length;
    memcpy(check->user, question->user, question->user_length);
    memcpy(check->password, question->password, question->password_length);
    return check;
}

void password_check_free(struct password_check *check)
{
    users_unref(check->users);
    explicit_bzero(check->password, sizeof check->password);
    free(check);
}

void password_check_cancel(struct password_check *check)
{
    check->owner = NULL;
    atomic_store(&check->is_cancelled, true);
}

bool password_check_is_wanted(const struct password_check *check)
{
    bool wanted = !atomic_load(&check->is_cancelled);

    for (const struct password_check *f = check->followers; f && !wanted; f = f->next)
        wanted = !atomic_load(&f->is_cancelled);
    return wanted;
}

void password_check_follow(struct password_check *leader, struct password_check *check)
{
    explicit_bzero(check->password, sizeof check->password);
    check->next = leader->followers;
    leader->followers = check;
}

void password_check_run(struct password_check *check)
{
    check->matches = password_matches(check->users, check->user, check->user_length,
                                      check->password, check->password_length);
}

/* ---- inboxes ---- */

void password_inbox_init(struct password_inbox *inbox, void (*wake)(void *context), void *context)
{
    *inbox = (struct password_inbox){.wake = wake, .context = context};
    inbox->last = &inbox->first;
    pthread_mutex_init(&inbox->lock, NULL);
}

void password_inbox_done(struct password_inbox *inbox)
{
    struct password_check *check;

    if (!inbox->last)
        return;
    while ((check = password_inbox_next(inbox)))
        password_check_free(check);
    pthread_mutex_destroy(&inbox->lock);
}

struct password_check *password_inbox_next(struct password_inbox *inbox)
{
    struct password_check *check;

    pthread_mutex_lock(&inbox->lock);
    check = inbox->first;
    if (check) {
        inbox->first = check->next;
        if (!inbox->first)
            inbox->last = &inbox->first;
    }
    pthread_mutex_unlock(&inbox->lock);
    return check;
}

static void hand_back(struct password_check *check)
{
    struct password_inbox *inbox = check->inbox;

    check->next = NULL;
    pthread_mutex_lock(&inbox->lock);
    *inbox->last = check;
    inbox->last = &check->next;
    pthread_mutex_unlock(&inbox->lock);
    inbox->wake(inbox->context);
}

void password_check_answer(struct password_check *check)
{
    struct password_check *next = check->followers;
    bool matches = check->matches;

    explicit_bzero(check->password, sizeof check->password);
    hand_back(check);
    while ((check = next)) {
        next = check->next;
        check->matches = matches;
        hand_back(check);
    }
}

void password_check_drop(struct password_check *check)
{
    struct password_check *next = check->followers;

    password_check_free(check);
    while ((check = next)) {
        next = check->next;
        password_check_free(check);
    }
}
