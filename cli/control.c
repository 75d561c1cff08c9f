/* control.c - from the options to the answer. */
#include "cli/control.h"

#include "config/config.h"

#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The daemon has its own deadlines, and says so when one has passed: this is for one that hangs. */
enum { PATIENCE = 70, ANSWER_MAX = 64 * 1024 * 1024, INTERVAL_MAX = 3600 };

/* ---- options */

static bool parse_interval(const struct verb *verb, const char *text, double *ret)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !isfinite(seconds) || seconds < 0.1 || seconds > INTERVAL_MAX) {
        fprintf(stderr, "pairsocks %s: --interval: %s (seconds, from 0.1 to 3600)\n", verb->name,
                text);
        return false;
    }
    *ret = seconds;
    return true;
}

static bool parse_options(int argc, char **argv, unsigned takes, struct control *control,
                          bool *ret_help)
{
    static const struct option options[] = {
        {"control", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {"interval", required_argument, NULL, 'i'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'c') {
            control->path = optarg;
        } else if (c == 'h') {
            *ret_help = true;
        } else if (c == 'j' && (takes & CONTROL_JSON)) {
            control->json = true;
        } else if (c == 'i' && (takes & CONTROL_INTERVAL)) {
            if (!parse_interval(control->verb, optarg, &control->interval))
                return false;
        } else {
            if (c != '?')
                fprintf(stderr, "%s: it takes no --%s\n", argv[0], c == 'j' ? "json" : "interval");
            return false;
        }
    }
    return true;
}

bool control_parse(const struct verb *verb, int argc, char **argv, unsigned takes,
                   struct control *ret, int *ret_status)
{
    const char *path = getenv("PAIRSOCKS_CONTROL");
    int most = takes & (CONTROL_TAKES | CONTROL_MAY_TAKE) ? 1 : 0;
    bool help = false;

    *ret = (struct control){
        .verb = verb, .path = path && *path ? path : CONFIG_DEFAULT_CONTROL, .errors = stderr};
    *ret_status = EXIT_USAGE;
    if (!parse_options(argc, argv, takes, ret, &help)) {
        verb_bad_usage(verb);
        return false;
    }
    if (help) {
        *ret_status = verb_help(verb);
        return false;
    }
    if (argc - optind > most || (argc == optind && (takes & CONTROL_TAKES))) {
        fprintf(stderr, "pairsocks %s: %s\n", verb->name,
                argc == optind ? "an argument is missing" : "too many arguments");
        verb_bad_usage(verb);
        return false;
    }
    ret->operand = argv[optind];
    return true;
}

void control_done(struct control *control)
{
    answer_free(control->answer);
    free(control->text);
    control->answer = NULL;
    control->text = NULL;
}

/* ---- the question */

static void complain(const struct control *control, const char *what, const char *advice)
{
    fprintf(control->errors, "pairsocks %s: %s: %s%s%s%s\n", control->verb->name, control->path,
            what, *advice ? " (" : "", advice, *advice ? ")" : "");
}

static void complain_of_permission(const struct control *control)
{
    const struct group *group;
    struct stat file;
    char advice[256];

    if (stat(control->path, &file) != 0) {
        complain(control, "you may not look into its folder", "");
        return;
    }
    group = getgrgid(file.st_gid); // cppcheck-suppress getgrgidCalled
    snprintf(advice, sizeof advice,
             "it is for root, its owner, and the group %s: see control_group",
             group ? group->gr_name : "that it belongs to");
    complain(control, "you may not use this control socket", advice);
}

static void complain_of_connect(const struct control *control, int reason)
{
    switch (reason) {
    case ENOENT:
        complain(control, "there is no such control socket",
                 "is pairsocksd running? `control` in its configuration says where its socket is");
        break;
    case ECONNREFUSED:
        complain(control, "no daemon serves this socket any more", "is pairsocksd running?");
        break;
    case EACCES:
    case EPERM:
        complain_of_permission(control);
        break;
    case EAGAIN:
        complain(control, "the daemon does not answer", "");
        break;
    default:
        complain(control, strerror(reason), "");
    }
}

/* Every call on it ends by itself. -1: with errno. */
static int connect_control(const char *path)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, reason;

    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* All that comes until the end; NULL with errno, 0: it is longer than any answer. */
static char *read_answer(int fd)
{
    size_t length = 0, size = 64 * 1024;
    char *text = NULL, *more;
    ssize_t n;

    do {
        if (!text || length + 1 == size) {
            size *= 2;
            more = size <= ANSWER_MAX ? realloc(text, size) : NULL;
            if (!more) {
                free(text);
                errno = 0;
                return NULL;
            }
            text = more;
        }
        n = read(fd, text + length, size - 1 - length);
        if (n > 0)
            length += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n == 0) {
        text[length] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

static bool say(int fd, const char *verb, const char *operand)
{
    char line[512];
    int n =
        snprintf(line, sizeof line, "%s%s%s\n", verb, operand ? " " : "", operand ? operand : "");

    return n < (int)sizeof line && send(fd, line, (size_t)n, MSG_NOSIGNAL) == n;
}

/* True: control->text is a line. */
static bool ask(struct control *control, const char *verb, const char *operand)
{
    int fd = connect_control(control->path);

    control_done(control);
    if (fd < 0) {
        complain_of_connect(control, errno);
        return false;
    }
    if (say(fd, verb, operand))
        control->text = read_answer(fd);
    if (!control->text)
        complain(control, errno == EAGAIN ? "the daemon does not answer" : "the connection broke",
                 "");
    else if (!*control->text)
        complain(control, "the daemon has ended the connection without an answer", "");
    close(fd);
    return control->text && *control->text;
}

static void complain_of_answer(const struct control *control)
{
    const struct answer *answer = control->answer;
    const char *version = answer_text(answer, "version");

    if (strcmp(answer_text(answer, "error"), "unknown-request") == 0)
        fprintf(control->errors,
                "pairsocks %s: the daemon at %s is pairsocksd %s, which does not know this: this "
                "command is %s\n",
                control->verb->name, control->path, version, PACKAGE_VERSION);
    else
        fprintf(control->errors, "pairsocks %s: %s\n", control->verb->name,
                answer_text(answer, "message"));
}

void control_print_lines(FILE *out, const char *before, const struct answer *lines)
{
    for (const struct answer *line = lines->first; line; line = line->next)
        if (line->kind == ANSWER_TEXT)
            fprintf(out, "%s%s\n", before, line->text);
}

bool control_call(struct control *control, const char *verb, const char *operand, int *ret_status)
{
    *ret_status = EXIT_FAILURE;
    if (!ask(control, verb, operand))
        return false;
    if (control->json)
        fputs(control->text, stdout);
    control->answer = answer_parse(control->text);
    if (!control->answer || control->answer->kind != ANSWER_OBJECT) {
        complain(control, "what answers there is no pairsocksd", "");
        return false;
    }
    if (answer_is(control->answer, "ok")) {
        *ret_status = EXIT_SUCCESS;
        return true;
    }
    if (!control->json)
        complain_of_answer(control);
    return false;
}
