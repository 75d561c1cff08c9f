/* suggest.h - "did you mean": the word of a list that is nearest to one that is not in it. Pure. */
#ifndef PAIRSOCKS_SUGGEST_H
#define PAIRSOCKS_SUGGEST_H

#define SUGGEST_DISTANCE_MAX 2 /* a word with more edits is another word */

/* Damerau-Levenshtein distance in its restricted form: how many letters have to be inserted,
 * removed, replaced or exchanged with their neighbour to make one word of the other, none of them
 * twice. Without regard to case. SUGGEST_DISTANCE_MAX + 1 for everything beyond. */
unsigned suggest_distance(const char *a, const char *b);

/* Begin with {.word = WORD}, offer every candidate, read `best`. */
struct suggestion {
    const char *word;
    const char *best;  /* borrowed; the first of the nearest; NULL: none is near */
    unsigned distance; /* of `best` */
};

/* A candidate is near when its distance is at most SUGGEST_DISTANCE_MAX, less than the length of
 * each of the two, and at most half of the longer one: nothing is left of `no` in `yes`. */
void suggestion_offer(struct suggestion *suggestion, const char *candidate);

#endif
