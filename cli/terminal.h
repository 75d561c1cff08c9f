/* terminal.h - the terminal while a program draws on all of it: keys come at once and are not shown. One at a time. */
#ifndef PAIRSOCKS_CLI_TERMINAL_H
#define PAIRSOCKS_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* False: standard input and output are no terminal, and nothing has changed. Until terminal_end() signals that end a
 * program only end terminal_wait(). */
bool terminal_begin(void);

/* As it was before. Harmless without terminal_begin(). */
void terminal_end(void);

void terminal_size(unsigned *ret_rows, unsigned *ret_columns);

/* Shows these lines instead of what is there. */
void terminal_show(const char *text, size_t length);

enum terminal_event { TERMINAL_TIME, TERMINAL_RESIZED, TERMINAL_END };

/* Until the time has passed, the window has another size, or somebody wants the end (q, Ctrl-C, a signal). */
enum terminal_event terminal_wait(unsigned ms);

#endif
