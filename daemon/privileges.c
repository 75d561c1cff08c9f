/* privileges.c - the supplementary groups, chroot(2), the group and the user, in this order. */
#include "daemon/privileges.h"

#include "config/value.h"
#include "daemon/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool fail(const char *key, const char *value, const char *why)
{
    log_message(LOG_LEVEL_ERROR, "start", "[daemon] %s = %s: %s", key, value, why);
    return false;
}

static const char *lookup_error(const char *unknown)
{
    return errno && errno != ENOENT && errno != ESRCH ? strerror(errno) : unknown;
}

/* All digits: no name. -1 for what no identity can be; (uid_t)-1 means none. */
static bool is_number(const char *text, int64_t *ret)
{
    int64_t number;

    if (text[strspn(text, "0123456789")])
        return false;
    *ret = value_number(text, &number) && number < UINT32_MAX ? number : -1;
    return true;
}

/* A number needs no entry, but who has none has no group either. */
static bool find_number(struct privileges *p, int64_t number)
{
    const struct passwd *entry;
    const char *why;

    if (number < 0)
        return fail("user", p->user, "the number is out of range");
    errno = 0;
    entry = getpwuid((uid_t)number); // cppcheck-suppress getpwuidCalled
    why = lookup_error(p->group ? NULL
                                : "there is no such user, so its group must be said too (`group`)");
    if (!entry && why)
        return fail("user", p->user, why);
    p->uid = number;
    p->gid = entry ? (int64_t)entry->pw_gid : -1;
    return true;
}

static bool find_user(struct privileges *p)
{
    const struct passwd *entry;
    int64_t number;

    if (!p->user)
        return true;
    if (is_number(p->user, &number))
        return find_number(p, number);
    errno = 0;
    entry = getpwnam(p->user); // cppcheck-suppress getpwnamCalled
    if (!entry)
        return fail("user", p->user, lookup_error("there is no such user"));
    p->uid = entry->pw_uid;
    p->gid = entry->pw_gid;
    return true;
}

static bool find_group(struct privileges *p)
{
    const struct group *entry;

    if (!p->group)
        return true;
    if (is_number(p->group, &p->gid))
        return p->gid >= 0 || fail("group", p->group, "the number is out of range");
    errno = 0;
    entry = getgrnam(p->group); // cppcheck-suppress getgrnamCalled
    if (!entry)
        return fail("group", p->group, lookup_error("there is no such group"));
    p->gid = entry->gr_gid;
    return true;
}

bool privileges_find(const struct config *config, bool is_confined, struct privileges *ret)
{
    struct privileges p = {
        .user = config->user,
        .group = config->group,
        .chroot = is_confined ? NULL : config->chroot,
        .confines = is_confined || config->chroot != NULL,
        .uid = -1,
        .gid = -1,
    };
    bool changes;

    if (!find_user(&p) || !find_group(&p))
        return false;
    /* A daemon that is that user already (systemd did it) has nothing to change. */
    changes =
        (p.uid >= 0 && (uid_t)p.uid != geteuid()) || (p.gid >= 0 && (gid_t)p.gid != getegid());
    if (changes && geteuid() != 0)
        return fail(p.user ? "user" : "group", p.user ? p.user : p.group,
                    "only root may change the identity");
    if (p.chroot && geteuid() != 0)
        return fail("chroot", p.chroot, "only root may change the root directory");
    if (!changes)
        p.uid = p.gid = -1;
    *ret = p;
    return true;
}

bool privileges_forbid_new(const struct config *config)
{
    return !(config->user || config->group || config->chroot || config->sandbox != SANDBOX_NO) ||
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Those of /etc/group; none for a group alone, and for a user without a name. */
static bool set_groups(const struct privileges *p)
{
    const char *name = p->uid >= 0 ? p->user : NULL;
    const struct passwd *entry;
    int64_t number;

    if (name && is_number(name, &number)) {
        entry = getpwuid((uid_t)p->uid); // cppcheck-suppress getpwuidCalled
        name = entry ? entry->pw_name : NULL;
    }
    return name ? initgroups(name, (gid_t)p->gid) == 0 : setgroups(0, NULL) == 0;
}

bool privileges_drop(const struct privileges *p)
{
    if ((p->uid >= 0 || p->gid >= 0) && !set_groups(p))
        return fail(p->user ? "user" : "group", p->user ? p->user : p->group, strerror(errno));
    if (p->chroot && (chroot(p->chroot) != 0 || chdir("/") != 0))
        return fail("chroot", p->chroot, strerror(errno));
    if (p->gid >= 0 && setresgid((gid_t)p->gid, (gid_t)p->gid, (gid_t)p->gid) != 0)
        return fail("group", p->group ? p->group : p->user, strerror(errno));
    if (p->uid >= 0 && setresuid((uid_t)p->uid, (uid_t)p->uid, (uid_t)p->uid) != 0)
        return fail("user", p->user, strerror(errno));
    return true;
}
