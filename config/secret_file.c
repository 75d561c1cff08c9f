/* secret_file.c - read at once, and wiped behind. */
#include "config/secret_file.h"

#include "config/out_of_reach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line. NULL with *ret_wrong. */
static char *first_line(char *text, size_t n, const char **ret_wrong)
{
    size_t length = strcspn(text, "\n");

    if (strlen(text) != n) {
        *ret_wrong = "the file holds a NUL";
        return NULL;
    }
    if (length && text[length - 1] == '\r')
        length--;
    text[length] = '\0';
    *ret_wrong = length ? "the secret is longer than 255 bytes" : "the first line is empty";
    return length && length <= SECRET_FILE_MAX ? strdup(text) : NULL;
}

char *secret_file_read(const char *path, const char **ret_wrong, const char **ret_hint)
{
    char text[SECRET_FILE_MAX + 3] = "", *secret = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ssize_t n;

    *ret_hint = "";
    if (fd < 0 || fstat(fd, &status) != 0) {
        *ret_wrong = strerror(errno);
        *ret_hint = out_of_reach(path, errno, false);
        goto out;
    }
    *ret_wrong = "this is no file";
    if (!S_ISREG(status.st_mode))
        goto out;
    n = read(fd, text, sizeof text - 1);
    if (n < 0)
        *ret_wrong = strerror(errno);
    else
        secret = first_line(text, (size_t)n, ret_wrong);
    explicit_bzero(text, sizeof text);
out:
    if (fd >= 0)
        close(fd);
    return secret;
}

void secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}
