/* faults.c - one text with marks where an error begins. */
#include "config/faults.h"

#include "config/list.h"

#include <stdlib.h>

struct fault {
    int line;
    long begin, end; /* in the text */
};

bool faults_init(struct faults *faults, const char *file)
{
    *faults = (struct faults){.file = file};
    faults->text = open_memstream(&faults->bytes, &faults->size);
    return faults->text != NULL;
}

void faults_done(struct faults *faults)
{
    if (faults->text)
        fclose(faults->text);
    free(faults->bytes);
    free(faults->items);
    *faults = (struct faults){0};
}

static void end_last(struct faults *faults)
{
    if (faults->count)
        faults->items[faults->count - 1].end = ftell(faults->text);
}

FILE *faults_begin(struct faults *faults, int line, const char *section, const char *key)
{
    struct fault *item = list_grow(&faults->items, faults->count, sizeof *item);

    if (item) {
        end_last(faults);
        *item = (struct fault){.line = line, .begin = ftell(faults->text)};
        faults->count++;
    } else {
        faults->is_broken = true; /* it stands behind the one before */
    }
    fprintf(faults->text, "%s:%d: ", faults->file, line);
    if (section)
        fprintf(faults->text, "[%s] ", section);
    if (key)
        fprintf(faults->text, "%s: ", key);
    return faults->text;
}

bool faults_any(const struct faults *faults)
{
    return faults->count > 0 || faults->is_broken;
}

static int by_line(const void *a, const void *b)
{
    const struct fault *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->begin < y->begin ? -1 : 1;
}

void faults_print(struct faults *faults, FILE *out)
{
    end_last(faults);
    if (fflush(faults->text) != 0)
        faults->is_broken = true;
    if (faults->count)
        qsort(faults->items, faults->count, sizeof *faults->items, by_line);
    for (unsigned i = 0; i < faults->count; i++) {
        const struct fault *fault = &faults->items[i];

        if (fault->end <= (long)faults->size)
            fwrite(faults->bytes + fault->begin, 1, (size_t)(fault->end - fault->begin), out);
        fputc('\n', out);
    }
    if (faults->is_broken)
        fprintf(out, "%s: there is no memory for all errors\n", faults->file);
}
