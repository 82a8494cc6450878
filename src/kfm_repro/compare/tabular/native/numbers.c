/* Cells of Arrow's arrays taken into the numbers of their rows, a block at a time. The caller vouches for the lengths
 * of all arrays. */
#include "numbers.h"

static const uint64_t NONE = 0xA0761D6478BD642Fu;

INLINE uint64_t mix_or_null(uint64_t lane, uint64_t word, uint64_t held, int which) {
  uint64_t turned = (lane << 23) | (lane >> 41);
  return mix((lane & held) | (turned & ~held), (word & held) | (NONE & ~held), which);
}

INLINE void take_in(uint64_t *restrict one, uint64_t *restrict two, const Cells *restrict cells, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    one[i] = mix_or_null(one[i], cells->one[i], cells->held[i], 0);
    two[i] = mix_or_null(two[i], cells->two[i], cells->held[i], 1);
  }
}

/* Say which cells of a block are not null, by a bitmap; NULL says all. */
INLINE void hold(Cells *cells, const uint8_t *valid, int64_t from, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    cells->held[i] = valid == NULL ? ~(uint64_t)0 : -(uint64_t)(valid[(from + i) >> 3] >> ((from + i) & 7) & 1);
}

INLINE int64_t least(int64_t rest) { return rest < BLOCK ? rest : BLOCK; }

/* Values of 1, 2, 4 or 8 bytes: zero-extended to one word. */
WIDE EXPORT void kfm_mix_fixed(uint64_t *restrict one, uint64_t *restrict two, const uint8_t *restrict values,
                               int64_t width, const uint8_t *restrict valid, int64_t offset, int64_t rows) {
#define LOOP(TYPE)                                                        \
  do {                                                                    \
    const TYPE *restrict from = (const TYPE *)values + offset;            \
    for (int64_t i = 0; valid == NULL && i < rows; i++) {                 \
      one[i] = mix(one[i], from[i], 0);                                   \
      two[i] = mix(two[i], from[i], 1);                                   \
    }                                                                     \
    for (int64_t at = 0; valid != NULL && at < rows; at += BLOCK) {       \
      Cells cells;                                                        \
      int64_t count = least(rows - at);                                   \
      hold(&cells, valid, offset + at, count);                            \
      for (int64_t i = 0; i < count; i++) cells.one[i] = from[at + i];    \
      for (int64_t i = 0; i < count; i++) cells.two[i] = cells.one[i];    \
      take_in(one + at, two + at, &cells, count);                         \
    }                                                                     \
  } while (0)
  if (width == 1) LOOP(uint8_t);
  else if (width == 2) LOOP(uint16_t);
  else if (width == 4) LOOP(uint32_t);
  else LOOP(uint64_t);
#undef LOOP
}

/* Say where some strings are; returns where the last of `rows` ends. */
INLINE uint64_t place(Strings *strings, const void *offsets, int64_t width, int64_t from, int64_t count, int64_t rows) {
#define LOOP(TYPE)                                                                                             \
  do {                                                                                                         \
    const TYPE *at = (const TYPE *)offsets;                                                                    \
    for (int64_t i = 0; i < count; i++) strings->from[i] = (uint64_t)at[from + i];                             \
    for (int64_t i = 0; i < count; i++) strings->size[i] = (uint64_t)at[from + i + 1] - (uint64_t)at[from + i]; \
    return (uint64_t)at[rows];                                                                                 \
  } while (0)
  if (width == 4) LOOP(int32_t);
  else LOOP(int64_t);
#undef LOOP
}

/* Byte strings between offsets of 4 or 8 bytes. */
WIDE EXPORT void kfm_mix_bytes(uint64_t *restrict one, uint64_t *restrict two, uint64_t seed_one, uint64_t seed_two,
                               const void *offsets, int64_t width, const uint8_t *data, const uint8_t *valid,
                               int64_t offset, int64_t rows) {
  for (int64_t at = 0; at < rows; at += BLOCK) {
    Strings strings = {.data = data};
    Cells cells;
    int64_t count = least(rows - at);
    uint64_t end = place(&strings, offsets, width, offset + at, count, offset + rows);
    for (int64_t i = 0; i < count; i++) cells.one[i] = seed_one;
    for (int64_t i = 0; i < count; i++) cells.two[i] = seed_two;
    number_strings(&strings, end, count, cells.one, cells.two);
    hold(&cells, valid, offset + at, count);
    take_in(one + at, two + at, &cells, count);
  }
}

/* The same for strings by their 32-bit place in a dictionary whose numbers are known; negative is null. */
WIDE EXPORT void kfm_mix_places(uint64_t *restrict one, uint64_t *restrict two, const int32_t *restrict places,
                                const uint64_t *restrict first, const uint64_t *restrict second, int64_t rows) {
  for (int64_t at = 0; at < rows; at += BLOCK) {
    Cells cells;
    int64_t count = least(rows - at);
    for (int64_t i = 0; i < count; i++) {
      int32_t place = places[at + i];
      cells.held[i] = -(uint64_t)(place >= 0);
      cells.one[i] = place >= 0 ? first[place] : 0;
      cells.two[i] = place >= 0 ? second[place] : 0;
    }
    take_in(one + at, two + at, &cells, count);
  }
}

/* The two numbers of every byte string by itself, for kfm_mix_places; one and two begin as the seed's halves. */
WIDE EXPORT void kfm_number_bytes(uint64_t *restrict one, uint64_t *restrict two, const int64_t *offsets,
                                  const uint8_t *data, int64_t offset, int64_t rows) {
  for (int64_t at = 0; at < rows; at += BLOCK) {
    Strings strings = {.data = data};
    int64_t count = least(rows - at);
    uint64_t end = place(&strings, offsets, 8, offset + at, count, offset + rows);
    number_strings(&strings, end, count, one + at, two + at);
  }
}
