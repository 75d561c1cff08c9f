/* test_config_manual.c - pairsocks.ini.5 has a paragraph for each directive, where it is looked
 * for: an `.It Cm KEY` in the part of its section. */
#include "config/directive.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config_manual, .timeout = 10);

static char *read_manual(void)
{
    FILE *file = fopen(SOURCE_FOLDER "/config/pairsocks.ini.5", "r");
    char *text = NULL;
    size_t n = 0;

    cr_assert(file, SOURCE_FOLDER "/config/pairsocks.ini.5");
    cr_assert(getdelim(&text, &n, '\0', file) > 0);
    fclose(file);
    return text;
}

static bool line_begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* `.Ss [daemon]`, `.Ss [listener NAME]` */
static bool is_part_of(const char *line, enum section section)
{
    const char *word = section_kinds[section].word;
    size_t n = strlen(word);

    return strncmp(line, ".Ss [", 5) == 0 && strncmp(line + 5, word, n) == 0 &&
           strchr(" ]", line[5 + n]);
}

static bool documents(const char *manual, enum section section, const char *key)
{
    char item[128];
    bool in_part = false;

    snprintf(item, sizeof item, ".It Cm %s\n", key);
    for (const char *line = manual; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (line_begins(line, ".Ss ") || line_begins(line, ".Sh "))
            in_part = is_part_of(line, section);
        if (in_part && line_begins(line, item))
            return true;
    }
    return false;
}

Test(config_manual, every_directive_has_a_paragraph_in_its_sections_part)
{
    char *manual = read_manual();

    for (unsigned i = 0; i < directive_count; i++)
        cr_assert(documents(manual, directives[i].section, directives[i].key), "[%s] %s is missing",
                  section_kinds[directives[i].section].word, directives[i].key);
    free(manual);
}

/* The test above must be able to fail. */
Test(config_manual, what_is_not_there_is_missed)
{
    static const char manual[] = ".Sh DESCRIPTION\n.It Cm a\n.Ss [daemon]\n.Sy x\n.It Cm b\n"
                                 ".Ss [listener NAME]\n.It Cm c\n.Sh EXAMPLES\n.It Cm d\n";

    cr_assert(documents(manual, SECTION_DAEMON, "b"));
    cr_assert(documents(manual, SECTION_LISTENER, "c"));
    cr_assert_not(documents(manual, SECTION_LISTENER, "b"));
    cr_assert_not(documents(manual, SECTION_DAEMON, "a"));
    cr_assert_not(documents(manual, SECTION_DAEMON, "d"));
    cr_assert_not(documents(manual, SECTION_LISTENER, "d"));
    cr_assert_not(documents(manual, SECTION_RULE, "c"));
}
