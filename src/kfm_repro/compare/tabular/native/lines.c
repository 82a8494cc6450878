/* The records of delimited texts: found, compared in place, numbered, and some of them taken out. */
#include "numbers.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline int ends_field(uint8_t byte, uint8_t delimiter) {
  return byte == delimiter || byte == '\n' || byte == '\r';
}

/* Pass over what a line quotes: a quote opens or closes a whole field, or stands doubled inside of one.
 * Returns where to look on for the end of the record, -1 when a quote stands anywhere else, or -2 when the text
 * ends before it closes, or right behind it. */
static int64_t past_quotes(const uint8_t *data, int64_t start, int64_t at, int64_t end, int64_t size,
                           uint8_t delimiter, int whole) {
  while (at < end) {
    const uint8_t *open = memchr(data + at, '"', (size_t)(end - at));
    if (open == NULL) return end;
    int64_t from = open - data;
    if (from > start && data[from - 1] != delimiter) return -1;
    for (from++;; from += 2) {
      const uint8_t *close = memchr(data + from, '"', (size_t)(size - from));
      if (close == NULL) return -2;
      from = close - data;
      if (from + 1 >= size || data[from + 1] != '"') break;
    }
    at = from + 1;
    if (at == size) return whole ? at : -2;
    if (!ends_field(data[at], delimiter)) return -1;
    if (at >= end) return at; /* the field went on beyond this line */
  }
  return at;
}

/* Where the record ends that begins at `at`: at its line feed or the end of the text. -1 for a blank line, a
 * carriage return by itself, a NUL or quotes that RFC 4180 does not allow; -2 where a text that is not `whole`
 * ends before the record does. */
static int64_t record_end(const uint8_t *data, int64_t at, int64_t size, int delimiter, int whole) {
  int64_t from = at, end;
  for (;;) {
    const uint8_t *feed = memchr(data + from, '\n', (size_t)(size - from));
    if (feed == NULL && !whole) return -2;
    end = feed == NULL ? size : feed - data;
    int64_t past = past_quotes(data, at, from, end, size, (uint8_t)delimiter, whole);
    if (past < 0) return past == -2 && !whole ? -2 : -1;
    if (past <= end) break;
    from = past;
    if (from >= size) { end = size; break; }
  }
  if (end == at || (end == at + 1 && data[at] == '\r')) return -1;
  if (memchr(data + at, 0, (size_t)(end - at)) != NULL) return -1;
  const uint8_t *lone = memchr(data + at, '\r', (size_t)(end - at));
  if (lone != NULL && (lone - data != end - 1 || end == size)) return -1;
  return end;
}

enum { LANE = 64, NOT_PLAIN = -1, TOO_MANY = -3 };

/* Which of 64 bytes are one of two, as bits. */
static inline uint64_t where(const uint8_t *at, uint8_t one, uint8_t other) {
  uint64_t bits = 0;
#ifdef __SSE2__
  const __m128i ones = _mm_set1_epi8((char)one), others = _mm_set1_epi8((char)other);
  for (int i = 0; i < LANE; i += 16) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(at + i));
    const __m128i same = _mm_or_si128(_mm_cmpeq_epi8(bytes, ones), _mm_cmpeq_epi8(bytes, others));
    bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(same) << i;
  }
#else
  for (int i = 0; i < LANE; i++) bits |= (uint64_t)(at[i] == one || at[i] == other) << i;
#endif
  return bits;
}

/* What of the last byte of some is needed to go on behind them, 0 or 1 each. */
typedef struct { uint64_t quoted, may_open, must_end, must_feed, ended; } Before;

/* Returns which of the first `count` of 64 bytes are line feeds that end a record, all at once. `*plain` becomes 0
 * where they cannot stand in a text that leaves no doubt (see record_end). */
static inline uint64_t record_ends(const uint8_t *at, uint8_t delimiter, int count, Before *before, int *plain) {
  const uint64_t valid = ~(uint64_t)0 >> (LANE - count);
  const uint64_t feeds = where(at, '\n', '\n') & valid, quotes = where(at, '"', '"') & valid;
  const uint64_t delimiters = where(at, delimiter, delimiter), rare = where(at, '\r', 0) & valid;
  const uint64_t returns = rare ? where(at, '\r', '\r') & valid : 0;
  uint64_t quoted = quotes;
  for (int shift = 1; shift < LANE; shift *= 2) quoted ^= quoted << shift;
  quoted ^= -before->quoted; /* from every quote that opens to the byte before the one that closes */
  const uint64_t opens = quotes & quoted, closes = quotes & ~quoted, ends = feeds & ~quoted;
  const uint64_t may_open = delimiters | ends | closes; /* a quote doubled closes, and opens again at once */
  const uint64_t behind_close = closes << 1 | before->must_end, behind_return = returns << 1 | before->must_feed;
  const uint64_t first = ends << 1 | before->ended;
  uint64_t wrong = opens & ~(may_open << 1 | before->may_open);
  wrong |= behind_close & ~(delimiters | feeds | returns | quotes);
  wrong |= behind_return & ~ends;
  wrong |= first & (ends | returns);
  wrong |= rare ^ returns;
  *plain &= (wrong & valid) == 0;
  const int last = count - 1;
  *before = (Before){quoted >> last & 1, may_open >> last & 1, closes >> last & 1, returns >> last & 1, ends >> last & 1};
  return ends;
}

/* Where every record begins, and the end of the text. Returns the number of records, -1 for a text that is not written
 * plainly (see record_end), or -3 for more than `most`, beyond which and one there is no room. Of a text that is not
 * `whole` what lies behind its last complete record is left: there the last of `starts` points. */
EXPORT int64_t kfm_find_lines(const uint8_t *data, int64_t size, int delimiter, int whole, int64_t *starts,
                              int64_t most) {
  Before before = {.may_open = 1, .ended = 1};
  int64_t rows = 0, at = 0;
  int plain = 1;
  for (int64_t block = 0; block < size && plain; block += LANE) {
    uint8_t copied[LANE] = {0};
    const uint8_t *from = data + block;
    const int count = size - block < LANE ? (int)(size - block) : LANE;
    if (count < LANE) from = memcpy(copied, from, (size_t)count);
    uint64_t ends = record_ends(from, (uint8_t)delimiter, count, &before, &plain);
    for (; ends; ends &= ends - 1) {
      if (rows == most) return TOO_MANY;
      starts[rows++] = at;
      at = block + __builtin_ctzll(ends) + 1;
    }
  }
  if (!plain || (whole && (before.quoted || before.must_feed))) return NOT_PLAIN;
  if (whole && at < size) {
    if (rows == most) return TOO_MANY;
    starts[rows++] = at;
    at = size;
  }
  starts[rows] = at;
  return rows;
}

/* Length of a record without its end of line. */
static inline int64_t length_of(const uint8_t *data, const int64_t *starts, int64_t row) {
  int64_t from = starts[row], to = starts[row + 1];
  if (to > from && data[to - 1] == '\n') to--;
  if (to > from && data[to - 1] == '\r') to--;
  return to - from;
}

/* Length of what two texts begin with alike. */
static int64_t alike(const uint8_t *a, const uint8_t *b, int64_t size) {
  int64_t at = 0;
  while (size - at >= 4096 && memcmp(a + at, b + at, 4096) == 0) at += 4096;
  while (size - at >= 64 && memcmp(a + at, b + at, 64) == 0) at += 64;
  while (at < size && a[at] == b[at]) at++;
  return at;
}

/* Find the records of B by those of A, and mark which differ in place: what both have alike is one record in both.
 * Returns 1, 0 where B has not as many records as A, or -1 (see record_end). */
EXPORT int kfm_follow_lines(const uint8_t *a, const int64_t *starts_a, int64_t records, const uint8_t *b,
                            int64_t size, int delimiter, int64_t *starts_b, uint8_t *mask) {
  int64_t i = 0, at = 0;
  while (i < records && at < size) {
    int64_t from = starts_a[i], rest = starts_a[records] - from;
    int64_t same = from + alike(a + from, b + at, rest < size - at ? rest : size - at), shift = at - from;
    while (i < records && starts_a[i + 1] <= same && a[starts_a[i + 1] - 1] == '\n') {
      starts_b[i] = starts_a[i] + shift;
      mask[i++] = 0;
    }
    at = starts_a[i] + shift;
    if (i == records || at >= size) break;
    int64_t end = record_end(b, at, size, delimiter, 1);
    if (end < 0) return -1;
    starts_b[i] = at;
    starts_b[i + 1] = end < size ? end + 1 : size;
    int64_t length = length_of(a, starts_a, i);
    mask[i] = length != length_of(b, starts_b, i) || memcmp(a + starts_a[i], b + at, (size_t)length) != 0;
    at = starts_b[++i];
  }
  if (i < records || at < size) return 0;
  starts_b[records] = size;
  return 1;
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
WIDE EXPORT void kfm_mix_lines(uint64_t *restrict one, uint64_t *restrict two, uint64_t seed_one, uint64_t seed_two,
                               const uint8_t *data, const int64_t *starts, int64_t from, int64_t to) {
  for (int64_t at = from; at < to; at += BLOCK) {
    Strings strings = {.data = data};
    uint64_t a[BLOCK], b[BLOCK];
    int64_t count = to - at < BLOCK ? to - at : BLOCK;
    for (int64_t i = 0; i < count; i++) {
      strings.from[i] = (uint64_t)starts[at + i];
      strings.size[i] = (uint64_t)length_of(data, starts, at + i);
      a[i] = seed_one;
      b[i] = seed_two;
    }
    number_strings(&strings, (uint64_t)starts[to], count, a, b);
    for (int64_t i = 0; i < count; i++) one[at + i] = mix(one[at + i], a[i], 0);
    for (int64_t i = 0; i < count; i++) two[at + i] = mix(two[at + i], b[i], 1);
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
