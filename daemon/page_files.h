/* page_files.h - the files of daemon/page/, built into the daemon by daemon/page/embed. */
#ifndef PAIRSOCKS_PAGE_FILES_H
#define PAIRSOCKS_PAGE_FILES_H

#include <stddef.h>

struct page_file {
    const char *path; /* that it is asked for by */
    const char *type; /* its media type */
    const unsigned char *bytes;
    size_t size;
};

extern const struct page_file page_files[];
extern const unsigned page_file_count;

#endif
