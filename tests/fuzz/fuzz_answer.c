/* fuzz_answer.c - any bytes as the answer of a daemon. The claims are those of answer.h: it is a tree or nothing, no
 * deeper than it may be, and each text and key is one line without controls. */
#include "tests/fuzz/fuzz.h"

#include "cli/answer.h"

#include <string.h>

static void check_text(const char *text)
{
    for (; *text; text++) {
        CLAIM((unsigned char)*text >= ' ' && *text != 0x7F);
        CLAIM((unsigned char)*text != 0xC2 || (unsigned char)text[1] < 0x80 ||
              (unsigned char)text[1] >= 0xA0);
    }
}

static void check(const struct answer *answer, unsigned depth)
{
    CLAIM(depth <= ANSWER_DEPTH_MAX + 1);
    for (; answer; answer = answer->next) {
        if (answer->key)
            check_text(answer->key);
        if (answer->kind == ANSWER_TEXT)
            check_text(answer->text);
        CLAIM(!answer->first || answer->kind == ANSWER_ARRAY || answer->kind == ANSWER_OBJECT);
        check(answer->first, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct answer *answer;

    CLAIM(text);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    answer = answer_parse(text);
    check(answer, 0);
    if (answer)
        CLAIM(answer_member(answer, "ok") && answer_text(answer, "error"));
    answer_free(answer);
    free(text);
    return 0;
}
