/* main.c - pairsocksd: the command line, the configuration, and then the control plane. */
#include "config/dump.h"
#include "daemon/control_plane.h"
#include "daemon/log.h"
#include "daemon/own_binary.h"
#include "daemon/privileges.h"
#include "daemon/tls_setup.h"

#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: pairsocksd [-c FILE] [--check] [--dump-config] [--version] [--help]\n"
    "\n"
    "A SOCKS4, 4a and 5 proxy, in the foreground.\n"
    "\n"
    "  -c, --config FILE  the configuration; else " CONFIG_DEFAULT_FILE ",\n"
    "                     else none: it serves 127.0.0.1:1080 and [::1]:1080\n"
    "      --check        checks the configuration, says so, and exits\n"
    "      --dump-config  prints the whole configuration, defaults included, and exits\n"
    "      --version      prints the version\n"
    "      --help         prints this\n"
    "\n"
    "SIGTERM: no new connections, sessions may finish. SIGINT, or SIGTERM again: stops at once.\n"
    "SIGHUP: reads the configuration again, and changes nothing if it is wrong.\n"
    "SIGUSR2: another process of this program takes over, and this one drains.\n";

struct command_line {
    const char *file;
    bool check;
    bool dump;
};

/* -1: go on; else the exit status. */
static int parse_command_line(int argc, char **argv, struct command_line *ret)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},
        {"dump-config", no_argument, NULL, 'd'},  {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            ret->file = optarg;
            break;
        case 'k':
            ret->check = true;
            break;
        case 'd':
            ret->dump = true;
            break;
        case 'v':
            puts("pairsocksd " PACKAGE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "pairsocksd: unexpected argument: %s\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    if (!ret->file)
        ret->file = config_default_file();
    return -1;
}

static bool gets_names(const struct config_upstream *route)
{
    const struct config_upstream *proxy = config_last_proxy(route);

    return proxy && config_resolves_remotely(proxy);
}

/* What a good file does not do is said as well: the guard sees no address of a name that a proxy
 * resolves, and nobody here knows where systemd's sockets are. */
static void tell_ok(const char *file, const struct config *config)
{
    printf("%s: ok\n", file);
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        const struct config_upstream *route = gets_names(listener->route) ? listener->route : NULL;

        if (listener->is_undecided)
            printf(
                "%s: note: [listener %s] open_proxy: if a socket of systemd's is beyond loopback, "
                "strangers could reach any target, and the start is refused (add `allow`, "
                "`auth = password` or `default = deny`; or say `open_proxy = yes`)\n",
                file, listener->name);
        for (unsigned j = 0; j < config->rule_count && !route; j++)
            if (gets_names(config->rules_in_order[j].route))
                route = config->rules_in_order[j].route;
        if (listener->is_guarded && route)
            printf(
                "%s: note: [listener %s] guard: names that go to [upstream %s] are resolved there: "
                "of these it judges addresses and local names only\n",
                file, listener->name, route->name);
    }
}

/* What ends with the checked configuration: prints the answer, returns the exit status. */
static int answer(const struct command_line *command_line, const struct config *config)
{
    if (command_line->dump)
        config_dump(config, stdout);
    else if (!tls_setup_check(config, stderr))
        return EXIT_FAILURE;
    else
        tell_ok(command_line->file ? command_line->file : "built-in default", config);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    fprintf(stderr, "pairsocksd: cannot write: %s\n", strerror(errno));
    return EXIT_FAILURE;
}

/* Where one of them is closed the next socket would take its place, and get the lines that are for
 * stderr. */
static bool hold_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
    return fd > STDERR_FILENO;
}

/* `setup` has all but the configuration. Takes over the reference. */
static int serve(struct control_setup *setup, struct config *config)
{
    int status;

    signal(SIGPIPE, SIG_IGN); /* the log's reader may go; sockets do without signals */
    if (!privileges_forbid_new(config) || !log_open(config)) {
        notify_failed(setup->notify, "Cannot open the log", EIO);
        successor_failed(setup->successor, "it cannot open its log");
        config_unref(config);
        return EXIT_FAILURE;
    }
    setup->config = config;
    status = control_plane_run(setup);
    log_close();
    return status;
}

/* The daemon that we would take over from, and systemd, hear of what is wrong, too. */
static void tell_wrong(struct control_setup *setup, const char *errors)
{
    successor_failed(setup->successor, errors);
    notify_failed(setup->notify, "The configuration is wrong, see the log", EINVAL);
}

/* `setup`: of the daemon; NULL: nobody serves. */
static struct config *load(const char *file, const struct activation *activation,
                           struct control_setup *setup)
{
    char *text = NULL;
    size_t size;
    FILE *errors = open_memstream(&text, &size);
    struct config *config;

    if (!errors)
        return NULL;
    config = file ? config_load(file, activation, errors) : config_default();
    fclose(errors);
    fputs(text, stderr);
    if (!config && setup)
        tell_wrong(setup, text);
    free(text);
    return config;
}

static int run(const struct command_line *command_line, struct control_setup *setup)
{
    bool answers = command_line->check || command_line->dump;
    /* Who asks by hand has no sockets of systemd, and cannot know them. */
    const struct activation *activation =
        answers && setup->inherited->activation.count == 0 ? NULL : &setup->inherited->activation;
    struct config *config = load(command_line->file, activation, answers ? NULL : setup);
    int status;

    if (!config)
        return EXIT_FAILURE;
    if (!answers)
        return serve(setup, config);
    status = answer(command_line, config);
    config_unref(config);
    return status;
}

int main(int argc, char **argv)
{
    struct command_line command_line = {0};
    int status = parse_command_line(argc, argv, &command_line);
    struct inherited inherited = {0};
    struct notify notify;
    struct successor successor;
    struct control_setup setup = {
        .inherited = &inherited,
        .notify = &notify,
        .successor = &successor,
        .arguments = argv,
    };
    char *binary;

    if (status >= 0)
        return status;
    status = EXIT_FAILURE;
    notify_init(&notify);
    binary = own_binary(argv[0]);
    if (hold_standard_descriptors() && inherited_from_systemd(&inherited, stderr) &&
        successor_open(&successor, &inherited, &notify, stderr)) {
        if (successor.channel < 0 && !command_line.check && !command_line.dump)
            notify_open(&notify);
        setup.file = command_line.file;
        setup.binary = binary;
        status = run(&command_line, &setup);
        successor_done(&successor);
    }
    notify_done(&notify);
    inherited_done(&inherited);
    free(binary);
    return status;
}
