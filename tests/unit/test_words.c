/* test_words.c - tables of words: found without case, written by their first one. */
#include "config/words.h"

#include "config/config.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(words, .timeout = 10);

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

Test(words, are_found_without_case_and_only_whole)
{
    cr_assert_str_eq(words_find(words_log_level, "error")->text, "error");
    cr_assert_eq(words_find(words_log_level, "INFO")->value, LOG_LEVEL_INFO);
    cr_assert_null(words_find(words_log_level, ""));
    cr_assert_null(words_find(words_log_level, "inf"));
    cr_assert_null(words_find(words_log_level, "infos"));
    cr_assert_null(words_find(words_log_level, "error,info"));
}

static const struct {
    const char *text;
    bool value;
} booleans[] = {
    {"yes", true},  {"no", false},    {"on", true},  {"off", false},
    {"true", true}, {"false", false}, {"YES", true}, {"False", false},
};

Test(words, booleans_are_six)
{
    static const char *const others[] = {"", "y", "n", "1", "0", "yes ", " no", "yess", "enabled"};

    for (size_t i = 0; i < COUNT(booleans); i++)
        cr_assert_eq(words_find(words_bool, booleans[i].text)->value, booleans[i].value);
    for (size_t i = 0; i < COUNT(others); i++)
        cr_assert_null(words_find(words_bool, others[i]));
}

Test(words, first_of_a_value_is_written)
{
    cr_assert_str_eq(words_text(words_bool, true), "yes");
    cr_assert_str_eq(words_text(words_bool, false), "no");
    cr_assert_str_eq(words_text(words_guard, GUARD_AUTO), "auto");
    cr_assert_null(words_text(words_bool, 2));
}

static const struct word *const tables[] = {
    words_bool,  words_log_level, words_log_format, words_log_target, words_protocol,
    words_guard, words_default,   words_command,    words_action,
};

/* What is written is read again as the same. */
Test(words, of_each_table_are_written_as_they_are_read)
{
    for (size_t i = 0; i < COUNT(tables); i++)
        for (const struct word *word = tables[i]; word->text; word++)
            if (!word->is_later)
                cr_assert_eq(words_find(tables[i], words_text(tables[i], word->value))->value,
                             word->value);
}

Test(words, log_levels_have_the_names_that_the_file_takes)
{
    static const char *const names[] = {"error", "warning", "notice", "info", "debug"};

    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
        cr_assert_str_eq(config_log_level_name((enum log_level)level), names[level]);
}
