/* verb.h - what `pairsocks` can be told to do: one `const struct verb` for each, defined in the file
 * that does it and listed in main.c. */
#ifndef PAIRSOCKS_VERB_H
#define PAIRSOCKS_VERB_H

enum { EXIT_USAGE = 2 };

struct verb {
    const char *name;
    const char *arguments; /* for the usage, behind the name */
    const char *summary;   /* one line */
    const char *options;   /* lines for the usage */
    /* argv[0] is `pairsocks NAME`. Returns the exit status. */
    int (*run)(const struct verb *verb, int argc, char **argv);
};

extern const struct verb verb_close;
extern const struct verb verb_connect;
extern const struct verb verb_drain;
extern const struct verb verb_explain;
extern const struct verb verb_log_level;
extern const struct verb verb_passwd;
extern const struct verb verb_probe;
extern const struct verb verb_reload;
extern const struct verb verb_sessions;
extern const struct verb verb_status;
extern const struct verb verb_top;
extern const struct verb verb_upgrade;
extern const struct verb verb_upstreams;

/* To stdout; returns the exit status. */
int verb_help(const struct verb *verb);

/* To stderr, behind whatever was said about what is wrong; returns EXIT_USAGE. */
int verb_bad_usage(const struct verb *verb);

#endif
