/* Rows as 128-bit numbers, and the n-th row of a number in A paired with the n-th of that number in B.
 *
 * Two lanes of 64 bits take in one cell after the other; every step is a bijection of the lane, so that two
 * rows that differ in one word never share a lane. rows.py holds the same function in numpy: they must agree
 * bit for bit, on any machine. All arrays are those of Arrow; the caller vouches for their lengths. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static const uint64_t K[2] = {0x9E3779B97F4A7C15u, 0xD6E8FEB86659FD93u};
static const uint64_t L[2] = {0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu};
#define AHEAD 16 /* rows whose memory is asked for before they are looked at */

static const uint64_t NONE = 0xA0761D6478BD642Fu;

static inline uint64_t mix(uint64_t lane, uint64_t word, int which) {
  lane = (lane ^ word) * K[which];
  lane = (lane ^ (lane >> 32)) * L[which];
  return lane ^ (lane >> 29);
}

static inline uint64_t mix_null(uint64_t lane, int which) {
  return mix((lane << 23) | (lane >> 41), NONE, which);
}

static inline int is_valid(const uint8_t *bits, int64_t at) {
  return bits == NULL || (bits[at >> 3] >> (at & 7) & 1);
}

static inline uint64_t little_endian(const uint8_t *from, size_t size) {
  uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, from, size);
#else
  for (size_t i = 0; i < size; i++) word |= (uint64_t)from[i] << (8 * i);
#endif
  return word;
}

/* `one` and `two` hold the halves of the seed, and then the number: without a secret to begin with, two strings
 * of one number are found in seconds. */
static inline void mix_bytes(const uint8_t *from, size_t size, uint64_t *one, uint64_t *two) {
  uint64_t a = *one, b = *two;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = little_endian(from + at, 8);
    a = mix(a, word, 0);
    b = mix(b, word, 1);
  }
  if (at < size) {
    uint64_t word = little_endian(from + at, size - at);
    a = mix(a, word, 0);
    b = mix(b, word, 1);
  }
  *one = mix(a, size, 0);
  *two = mix(b, size, 1);
}

/* Values of 1, 2, 4 or 8 bytes: zero-extended to one word. */
EXPORT void kfm_mix_fixed(uint64_t *one, uint64_t *two, const uint8_t *values, int64_t width,
                          const uint8_t *valid, int64_t offset, int64_t rows) {
#define LOOP(TYPE)                                                        \
  do {                                                                    \
    const TYPE *from = (const TYPE *)values + offset;                     \
    for (int64_t i = 0; i < rows; i++) {                                  \
      if (is_valid(valid, offset + i)) {                                  \
        one[i] = mix(one[i], from[i], 0);                                 \
        two[i] = mix(two[i], from[i], 1);                                 \
      } else {                                                            \
        one[i] = mix_null(one[i], 0);                                     \
        two[i] = mix_null(two[i], 1);                                     \
      }                                                                   \
    }                                                                     \
  } while (0)
  if (width == 1) LOOP(uint8_t);
  else if (width == 2) LOOP(uint16_t);
  else if (width == 4) LOOP(uint32_t);
  else LOOP(uint64_t);
#undef LOOP
}

/* Byte strings between 64-bit offsets. */
EXPORT void kfm_mix_bytes(uint64_t *one, uint64_t *two, uint64_t seed_one, uint64_t seed_two,
                          const int64_t *offsets, const uint8_t *data, const uint8_t *valid, int64_t offset,
                          int64_t rows) {
  for (int64_t i = 0; i < rows; i++) {
    int64_t at = offset + i;
    if (is_valid(valid, at)) {
      uint64_t a = seed_one, b = seed_two;
      mix_bytes(data + offsets[at], (size_t)(offsets[at + 1] - offsets[at]), &a, &b);
      one[i] = mix(one[i], a, 0);
      two[i] = mix(two[i], b, 1);
    } else {
      one[i] = mix_null(one[i], 0);
      two[i] = mix_null(two[i], 1);
    }
  }
}

/* The same for strings by their 32-bit place in a dictionary whose numbers are known; negative is null. */
EXPORT void kfm_mix_places(uint64_t *one, uint64_t *two, const int32_t *places, const uint64_t *first,
                           const uint64_t *second, int64_t rows) {
  for (int64_t i = 0; i < rows; i++) {
    if (places[i] >= 0) {
      one[i] = mix(one[i], first[places[i]], 0);
      two[i] = mix(two[i], second[places[i]], 1);
    } else {
      one[i] = mix_null(one[i], 0);
      two[i] = mix_null(two[i], 1);
    }
  }
}

/* The two numbers of every byte string by itself, for kfm_mix_places; one and two begin as the seed's halves. */
EXPORT void kfm_number_bytes(uint64_t *one, uint64_t *two, const int64_t *offsets, const uint8_t *data,
                             int64_t offset, int64_t rows) {
  for (int64_t i = 0; i < rows; i++) {
    int64_t at = offset + i;
    mix_bytes(data + offsets[at], (size_t)(offsets[at + 1] - offsets[at]), &one[i], &two[i]);
  }
}

/* Order row numbers by the highest `bits` bits of lane one, stably. starts has room for 2^bits + 1. */
EXPORT void kfm_partition(const uint64_t *one, int64_t rows, int bits, int64_t *starts, uint32_t *order) {
  size_t parts = (size_t)1 << bits;
  memset(starts, 0, (parts + 1) * sizeof *starts);
  int shift = 64 - bits;
  if (bits == 0) {
    for (int64_t i = 0; i < rows; i++) order[i] = (uint32_t)i;
    starts[1] = rows;
    return;
  }
  for (int64_t i = 0; i < rows; i++) starts[(one[i] >> shift) + 1]++;
  for (size_t p = 0; p < parts; p++) starts[p + 1] += starts[p];
  int64_t *next = malloc(parts * sizeof *next);
  if (next == NULL) { starts[parts] = -1; return; }
  memcpy(next, starts, parts * sizeof *next);
  for (int64_t i = 0; i < rows; i++) order[next[one[i] >> shift]++] = (uint32_t)i;
  free(next);
}

typedef struct {
  uint64_t one, two;
  int32_t head; /* next free row of B with this number, -1 when all are taken */
  int32_t seen; /* 0 empty, 1 in B, 2 in A too */
} Slot;

static Slot *find(Slot *slots, size_t mask, uint64_t one, uint64_t two) {
  size_t at = (size_t)(one ^ two) & mask;
  while (slots[at].seen && (slots[at].one != one || slots[at].two != two)) at = (at + 1) & mask;
  return &slots[at];
}

/* Pair one partition. partner[i]: row of B, -1 no such row in B, -2 B has such rows, but all are taken.
 * state[j]: 0 taken, 1 no such row in A, 2 A has such rows, but fewer. Returns 0, or -1 without memory. */
EXPORT int kfm_pair(const uint64_t *a1, const uint64_t *a2, const uint32_t *rows_a, int64_t count_a,
                    const uint64_t *b1, const uint64_t *b2, const uint32_t *rows_b, int64_t count_b,
                    int64_t *partner, uint8_t *state) {
  size_t size = 16;
  while (size < (size_t)count_b * 2) size <<= 1;
  Slot *slots = calloc(size, sizeof *slots);
  int32_t *next = malloc((size_t)(count_b ? count_b : 1) * sizeof *next);
  if (slots == NULL || next == NULL) { free(slots); free(next); return -1; }
  for (int64_t j = count_b - 1; j >= 0; j--) { /* backwards: the chain then runs forwards */
    if (j >= AHEAD) {
      __builtin_prefetch(&b1[rows_b[j - AHEAD]]);
      __builtin_prefetch(&b2[rows_b[j - AHEAD]]);
      __builtin_prefetch(&state[rows_b[j - AHEAD]], 1);
    }
    uint64_t one = b1[rows_b[j]], two = b2[rows_b[j]];
    Slot *slot = find(slots, size - 1, one, two);
    next[j] = slot->seen ? slot->head : -1;
    *slot = (Slot){one, two, (int32_t)j, 1};
    state[rows_b[j]] = 1;
  }
  for (int64_t i = 0; i < count_a; i++) {
    if (i + AHEAD < count_a) {
      __builtin_prefetch(&a1[rows_a[i + AHEAD]]);
      __builtin_prefetch(&a2[rows_a[i + AHEAD]]);
      __builtin_prefetch(&partner[rows_a[i + AHEAD]], 1);
    }
    Slot *slot = find(slots, size - 1, a1[rows_a[i]], a2[rows_a[i]]);
    if (!slot->seen) { partner[rows_a[i]] = -1; continue; }
    slot->seen = 2;
    if (slot->head < 0) { partner[rows_a[i]] = -2; continue; }
    partner[rows_a[i]] = rows_b[slot->head];
    state[rows_b[slot->head]] = 0;
    slot->head = next[slot->head];
  }
  for (size_t at = 0; at < size; at++)
    if (slots[at].seen == 2)
      for (int32_t j = slots[at].head; j >= 0; j = next[j]) state[rows_b[j]] = 2;
  free(slots);
  free(next);
  return 0;
}

/* ---- lines of delimited text ---- */

static inline int ends_field(uint8_t byte, uint8_t delimiter) {
  return byte == delimiter || byte == '\n' || byte == '\r';
}

/* Pass over what a line quotes: a quote opens or closes a whole field, or stands doubled inside of one.
 * Returns where to look on for the end of the record, or -1 when a quote stands anywhere else. */
static int64_t past_quotes(const uint8_t *data, int64_t start, int64_t at, int64_t end, int64_t size,
                           uint8_t delimiter) {
  while (at < end) {
    const uint8_t *open = memchr(data + at, '"', (size_t)(end - at));
    if (open == NULL) return end;
    int64_t from = open - data;
    if (from > start && data[from - 1] != delimiter) return -1;
    for (from++;; from += 2) {
      const uint8_t *close = memchr(data + from, '"', (size_t)(size - from));
      if (close == NULL) return -1;
      from = close - data;
      if (from + 1 >= size || data[from + 1] != '"') break;
    }
    at = from + 1;
    if (at < size && !ends_field(data[at], delimiter)) return -1;
    if (at >= end) return at; /* the field went on beyond this line */
  }
  return at;
}

/* Number of line feeds: a bound for the number of records. */
EXPORT int64_t kfm_count_lines(const uint8_t *data, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; i++) count += data[i] == '\n';
  return count + 1;
}

/* Where every record begins, and the end of the text. Returns the number of records, or -1 for a text that
 * has blank lines, a carriage return by itself, a NUL, or quotes that RFC 4180 does not allow. */
EXPORT int64_t kfm_find_lines(const uint8_t *data, int64_t size, int delimiter, int64_t *starts) {
  int64_t rows = 0, at = 0;
  int returns = memchr(data, '\r', (size_t)size) != NULL;
  if (memchr(data, 0, (size_t)size) != NULL) return -1;
  int quotes = memchr(data, '"', (size_t)size) != NULL;
  while (at < size) {
    starts[rows++] = at;
    int64_t from = at, end;
    for (;;) {
      const uint8_t *feed = memchr(data + from, '\n', (size_t)(size - from));
      end = feed == NULL ? size : feed - data;
      if (!quotes) break;
      int64_t past = past_quotes(data, at, from, end, size, (uint8_t)delimiter);
      if (past < 0) return -1;
      if (past <= end) break;
      from = past;
      if (from >= size) { end = size; break; }
    }
    if (end == at || (end == at + 1 && data[at] == '\r')) return -1;
    if (returns) {
      const uint8_t *lone = memchr(data + at, '\r', (size_t)(end - at));
      if (lone != NULL && (lone - data != end - 1 || end == size)) return -1;
    }
    at = end + 1;
  }
  starts[rows] = size;
  return rows;
}

/* Length of a record without its end of line. */
static inline int64_t length_of(const uint8_t *data, const int64_t *starts, int64_t row) {
  int64_t from = starts[row], to = starts[row + 1];
  if (to > from && data[to - 1] == '\n') to--;
  if (to > from && data[to - 1] == '\r') to--;
  return to - from;
}

/* Mark the records that differ in place; returns how many. */
EXPORT int64_t kfm_lines_differ(const uint8_t *a, const int64_t *starts_a, const uint8_t *b,
                                const int64_t *starts_b, int64_t from, int64_t to, uint8_t *mask) {
  int64_t count = 0;
  for (int64_t i = from; i < to; i++) {
    int64_t size = length_of(a, starts_a, i);
    mask[i] = size != length_of(b, starts_b, i) ||
              memcmp(a + starts_a[i], b + starts_b[i], (size_t)size) != 0;
    count += mask[i];
  }
  return count;
}

/* Take in every record as one byte string. */
EXPORT void kfm_mix_lines(uint64_t *one, uint64_t *two, uint64_t seed_one, uint64_t seed_two,
                          const uint8_t *data, const int64_t *starts, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i++) {
    uint64_t a = seed_one, b = seed_two;
    mix_bytes(data + starts[i], (size_t)length_of(data, starts, i), &a, &b);
    one[i] = mix(one[i], a, 0);
    two[i] = mix(two[i], b, 1);
  }
}

static int is_natural(const uint8_t *text, size_t size) {
  if (size > 1 && text[0] == '0') return 0;
  for (size_t i = 0; i < size; i++)
    if (text[i] < '0' || text[i] > '9') return 0;
  return size > 0;
}

/* Where a field ends that begins at `at`; of a quoted one, behind its closing quote. */
static inline const uint8_t *field_end(const uint8_t *at, const uint8_t *end, int delimiter) {
  if (at < end && *at == '"') {
    for (at++; at < end && !(at[0] == '"' && (at + 1 == end || at[1] != '"')); at++)
      if (at[0] == '"') at++;
    return at < end ? at + 1 : end;
  }
  const uint8_t *next = memchr(at, delimiter, (size_t)(end - at));
  return next == NULL ? end : next;
}

/* Count per column in how many of some records its cells are not the same bytes. -1 where a record has another
 * number of cells. */
EXPORT int kfm_cells_differ(const uint8_t *a, const int64_t *starts_a, const uint8_t *b, const int64_t *starts_b,
                            const int64_t *records, int64_t count, int delimiter, int64_t columns,
                            int64_t *differ) {
  for (int64_t i = 0; i < count; i++) {
    const uint8_t *at = a + starts_a[records[i]], *end = at + length_of(a, starts_a, records[i]);
    const uint8_t *to = b + starts_b[records[i]], *stop = to + length_of(b, starts_b, records[i]);
    for (int64_t column = 0; column < columns; column++) {
      const uint8_t *mine = field_end(at, end, delimiter), *other = field_end(to, stop, delimiter);
      differ[column] += mine - at != other - to || memcmp(at, to, (size_t)(mine - at)) != 0;
      if ((mine == end) != (column == columns - 1) || (other == stop) != (column == columns - 1)) return -1;
      at = mine + 1;
      to = other + 1;
    }
  }
  return 0;
}

/* Copy some records, each with one line feed behind it; returns how many bytes. */
EXPORT int64_t kfm_gather_lines(const uint8_t *data, const int64_t *starts, const int64_t *records, int64_t count,
                                uint8_t *out) {
  int64_t size = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t length = length_of(data, starts, records[i]);
    memcpy(out + size, data + starts[records[i]], (size_t)length);
    size += length;
    out[size++] = '\n';
  }
  return size;
}

/* Whether the cells of a column rise strictly, shorter before longer and else by their bytes; then none occurs
 * twice. 2 if all are natural numbers, which then rise as such. A quoted or missing cell says no. */
EXPORT int kfm_column_rises(const uint8_t *data, const int64_t *starts, int64_t from, int64_t to,
                            int delimiter, int64_t column) {
  const uint8_t *last = NULL;
  size_t last_size = 0;
  int natural = 1;
  for (int64_t i = from; i < to; i++) {
    const uint8_t *at = data + starts[i], *end = at + length_of(data, starts, i);
    for (int64_t skipped = 0; skipped < column; skipped++) {
      at = field_end(at, end, delimiter);
      if (at >= end) return 0;
      at++;
    }
    if (at >= end || *at == '"') return 0;
    const uint8_t *stop = memchr(at, delimiter, (size_t)(end - at));
    size_t size = (size_t)((stop == NULL ? end : stop) - at);
    if (size == 0) return 0;
    if (last != NULL && (size < last_size || (size == last_size && memcmp(last, at, size) >= 0))) return 0;
    natural = natural && is_natural(at, size);
    last = at;
    last_size = size;
  }
  return 1 + natural;
}
