/* A set of row numbers in blocks of one cache line (a blocked Bloom filter): a bit in each of its eight words stands for
 * a number. The first lane says which block, the second which bits; both are as good as drawn by lot. */
#include "numbers.h"

enum { WORDS = 8, SHIFT = 6, AHEAD = 16 };

INLINE size_t block_of(uint64_t one, uint64_t blocks) { return (size_t)((one >> 32) * blocks >> 32) * WORDS; }

INLINE uint64_t bit_of(uint64_t two, int word) { return UINT64_C(1) << (two >> SHIFT * word & 63); }

/* Take in some rows. `blocks` is below 2^32. */
EXPORT void kfm_sieve_add(uint64_t *sieve, uint64_t blocks, const uint64_t *one, const uint64_t *two, int64_t rows) {
  for (int64_t i = 0; i < rows; i++) {
    if (i + AHEAD < rows) __builtin_prefetch(&sieve[block_of(one[i + AHEAD], blocks)], 1);
    uint64_t *block = &sieve[block_of(one[i], blocks)];
    for (int word = 0; word < WORDS; word++) block[word] |= bit_of(two[i], word);
  }
}

/* Write the places of the rows that were certainly not taken in, ascending; returns how many there are. */
EXPORT int64_t kfm_sieve_lacks(const uint64_t *sieve, uint64_t blocks, const uint64_t *one, const uint64_t *two,
                               int64_t rows, int64_t *places) {
  int64_t found = 0;
  for (int64_t i = 0; i < rows; i++) {
    if (i + AHEAD < rows) __builtin_prefetch(&sieve[block_of(one[i + AHEAD], blocks)]);
    const uint64_t *block = &sieve[block_of(one[i], blocks)];
    uint64_t lacking = 0;
    for (int word = 0; word < WORDS; word++) lacking |= ~block[word] & bit_of(two[i], word);
    places[found] = i;
    found += lacking != 0;
  }
  return found;
}
