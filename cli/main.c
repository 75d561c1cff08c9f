/* main.c - pairsocks: finds the verb and runs it. Each verb is a file of its own. */
#include "cli/verb.h"

#include <config.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct verb *const verbs[] = {
    &verb_connect,  &verb_probe,     &verb_explain, &verb_passwd, &verb_status,
    &verb_sessions, &verb_upstreams, &verb_top,     &verb_close,  &verb_reload,
    &verb_upgrade,  &verb_log_level, &verb_drain,
};

enum { VERBS = sizeof verbs / sizeof *verbs };

static void print_usage(FILE *out)
{
    fputs("usage: pairsocks VERB [ARGUMENTS]\n"
          "       pairsocks --version | --help\n"
          "\n",
          out);
    for (size_t i = 0; i < VERBS; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("\n`pairsocks VERB --help` says more.\n", out);
}

static void print_verb_usage(const struct verb *verb, FILE *out)
{
    fprintf(out, "usage: pairsocks %s %s\n\n%s\n", verb->name, verb->arguments, verb->options);
}

int verb_help(const struct verb *verb)
{
    print_verb_usage(verb, stdout);
    return EXIT_SUCCESS;
}

int verb_bad_usage(const struct verb *verb)
{
    print_verb_usage(verb, stderr);
    return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    char name[64];

    snprintf(name, sizeof name, "pairsocks %s", verb->name);
    argv[0] = name; /* what getopt's messages begin with */
    return verb->run(verb, argc, argv);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("pairsocks " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(argv[1], verbs[i]->name) == 0)
            return run_verb(verbs[i], argc - 1, argv + 1);
    fprintf(stderr, "pairsocks: no such verb: %s\n", argv[1]);
    print_usage(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int status = run(argc, argv);

    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "pairsocks: cannot write: %s\n", strerror(errno));
    return EXIT_FAILURE;
}
