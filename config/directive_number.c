/* directive_number.c - numbers, durations, sizes and modes: int64_t fields within the row's range. */
#include "config/directive_type.h"

#include "config/value.h"

#include <inttypes.h>
#include <string.h>

static bool store(const struct directive *d, void *field, int64_t value,
                  struct directive_input *input, const char *out_of_range)
{
    if (value < d->min || value > d->max) {
        input->wrong = out_of_range;
        return false;
    }
    *(int64_t *)field = value;
    return true;
}

static bool parse_number(const struct directive *d, void *field, struct directive_input *input)
{
    int64_t number;

    return value_number(input->text, &number) &&
           store(d, field, number, input, "the number is out of range");
}

/* A zero that is out of range is a field that is not set: it has no text. */
static void format_number(const struct directive *d, const void *field,
                          struct directive_output *output)
{
    int64_t number = *(const int64_t *)field;

    if (number >= d->min)
        directive_put(output, "%" PRId64, number);
}

static void accepts_number(const struct directive *d, FILE *out)
{
    fprintf(out, "a number from %" PRId64 " to %" PRId64, d->min, d->max);
}

const struct directive_type type_number = {
    .parse = parse_number,
    .format = format_number,
    .accepts = accepts_number,
};

static bool parse_duration(const struct directive *d, void *field, struct directive_input *input)
{
    int64_t ms;

    return value_duration(input->text, &ms) &&
           store(d, field, ms, input, "the duration is out of range");
}

static void format_duration(const struct directive *d, const void *field,
                            struct directive_output *output)
{
    char text[VALUE_DURATION_TEXT_MAX];

    value_duration_format(*(const int64_t *)field, text);
    directive_put(output, "%s", text);
}

static void accepts_duration(const struct directive *d, FILE *out)
{
    char min[VALUE_DURATION_TEXT_MAX], max[VALUE_DURATION_TEXT_MAX];

    value_duration_format(d->min, min);
    value_duration_format(d->max, max);
    fprintf(out, "a duration such as 500ms, 10s, 5m, 2h, from %s to %s", min, max);
}

const struct directive_type type_duration = {
    .parse = parse_duration,
    .format = format_duration,
    .accepts = accepts_duration,
};

static bool parse_size(const struct directive *d, void *field, struct directive_input *input)
{
    int64_t size;

    return value_size(input->text, &size) &&
           store(d, field, size, input, "the size is out of range");
}

static void format_size(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    char text[VALUE_SIZE_TEXT_MAX];

    (void)d;
    value_size_format(*(const int64_t *)field, text);
    directive_put(output, "%s", text);
}

static void accepts_size(const struct directive *d, FILE *out)
{
    char min[VALUE_SIZE_TEXT_MAX], max[VALUE_SIZE_TEXT_MAX];

    value_size_format(d->min, min);
    value_size_format(d->max, max);
    fprintf(out, "a size such as 64k, 10M, 1G, from %s to %s", min, max);
}

const struct directive_type type_size = {
    .parse = parse_size,
    .format = format_size,
    .accepts = accepts_size,
};

/* Octal digits alone, as chmod(1) takes them. */
static bool parse_mode(const struct directive *d, void *field, struct directive_input *input)
{
    const char *digits = input->text;
    int64_t mode = 0;

    if (strlen(digits) > 4 || digits[strspn(digits, "01234567")] != '\0')
        return false;
    for (; *digits; digits++)
        mode = mode * 8 + (*digits - '0');
    return store(d, field, mode, input, "the mode is out of range");
}

static void format_mode(const struct directive *d, const void *field,
                        struct directive_output *output)
{
    directive_put(output, "%04" PRIo64, *(const int64_t *)field);
}

static void accepts_mode(const struct directive *d, FILE *out)
{
    fprintf(out, "an octal number from %04" PRIo64 " to %04" PRIo64, d->min, d->max);
}

const struct directive_type type_mode = {
    .parse = parse_mode,
    .format = format_mode,
    .accepts = accepts_mode,
};
