/* passwd.c - `pairsocks passwd`: a line for a users_file. It knows no file and changes none. */
#include "cli/secret.h"
#include "cli/verb.h"
#include "config/users.h"

#include <crypt.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool fail(const char *what)
{
    fprintf(stderr, "pairsocks passwd: %s\n", what);
    return false;
}

static bool read_secret(const char *prompt, struct secret *ret_secret)
{
    static const char *const wrong[] = {
        [SECRET_EMPTY] = "the password is empty",
        [SECRET_TOO_LONG] = "the password is too long (at most 255 bytes)",
        [SECRET_HAS_NUL] = "the password holds a NUL byte",
    };
    enum secret_result result = secret_read(STDIN_FILENO, prompt, ret_secret);

    switch (result) {
    case SECRET_READ:
        return true;
    case SECRET_FAILED:
        fprintf(stderr, "pairsocks passwd: cannot read the password: %s\n", strerror(errno));
        return false;
    case SECRET_EMPTY:
    case SECRET_TOO_LONG:
    case SECRET_HAS_NUL:
        break;
    }
    return fail(wrong[result]);
}

/* Typed blindly, it is typed twice. */
static bool read_password(struct secret *ret_password)
{
    struct secret again;
    bool is_same;

    if (!read_secret("Password: ", ret_password))
        return false;
    if (!isatty(STDIN_FILENO))
        return true;
    if (!read_secret("Again: ", &again)) {
        secret_wipe(ret_password);
        return false;
    }
    is_same = strcmp(ret_password->text, again.text) == 0;
    secret_wipe(&again);
    if (is_same)
        return true;
    secret_wipe(ret_password);
    return fail("the two are not the same");
}

/* The cost is libxcrypt's default: it knows when that has to rise. */
static bool print_line(const char *user, const struct secret *password)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = calloc(1, sizeof *data);
    const char *hash = NULL;
    int reason = ENOMEM;

    if (data && crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof setting))
        hash = crypt_rn(password->text, setting, data, sizeof *data);
    if (hash)
        printf("%s:%s\n", user, hash);
    else if (data)
        reason = errno;
    if (data)
        explicit_bzero(data, sizeof *data);
    free(data);
    if (!hash)
        fprintf(stderr, "pairsocks passwd: cannot make a yescrypt hash: %s\n", strerror(reason));
    return hash;
}

static bool make_line(const char *user)
{
    struct secret password;
    bool ok;

    if (!users_name_is_valid(user, strlen(user)))
        return fail("this cannot be a user's name (accepted: 1 to 255 bytes, no colon, no control "
                    "characters, not `#` first, no blank at an end)");
    if (!read_password(&password))
        return false;
    ok = print_line(user, &password);
    secret_wipe(&password);
    return ok;
}

static int run(const struct verb *verb, int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int c = getopt_long(argc, argv, "", options, NULL);

    if (c != -1)
        return c == 'h' ? verb_help(verb) : verb_bad_usage(verb);
    if (argc - optind != 1) {
        fputs("pairsocks passwd: USER is wanted, and nothing else\n", stderr);
        return verb_bad_usage(verb);
    }
    return make_line(argv[optind]) ? EXIT_SUCCESS : EXIT_FAILURE;
}

const struct verb verb_passwd = {
    .name = "passwd",
    .arguments = "USER",
    .summary = "a line for a users_file, from a password",
    .options = "Prints a line for a users_file: the name and a yescrypt hash of the password.\n"
               "This is asked for twice on a terminal, and not shown; otherwise it is the\n"
               "first line of stdin.\n"
               "\n"
               "      --help         prints this",
    .run = run,
};
