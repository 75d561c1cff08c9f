/* folder.h - a folder of a test's own below /tmp, which the test stands in: .init and .fini of a
 * suite whose tests need files or sockets. */
#ifndef PAIRSOCKS_TESTS_FOLDER_H
#define PAIRSOCKS_TESTS_FOLDER_H

void folder_enter(void);

/* Removes it with all that is in it. */
void folder_leave(void);

/* The whole content of a file, with a 0 behind it; "" if there is none. The caller frees it. */
char *folder_read(const char *path);

#endif
