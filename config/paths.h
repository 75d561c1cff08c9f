/* paths.h - the files that a configuration names, and what the daemon does with each. They come from the
 * table: the type of a row knows. Pure. */
#ifndef PAIRSOCKS_PATHS_H
#define PAIRSOCKS_PATHS_H

struct config;

enum path_use {
    PATH_READ,  /* at the start, and again by each reload */
    PATH_WRITE, /* made if it is not there, written at its end, and opened again by each reload */
    PATH_BIND,  /* a unix socket: made, and removed at the end */
};

/* `path` is borrowed from the configuration. */
typedef void config_path_visit(void *context, enum path_use use, const char *path);

/* Calls `visit` for every path, some more than once. The configuration's own file is none of them, nor is
 * `chroot`. */
void config_visit_paths(const struct config *config, config_path_visit *visit, void *context);

#endif
