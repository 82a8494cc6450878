/* The n-th row of a number in A paired with the n-th of that number in B, the records of delimited text, and the rows
 * of SQLite tables. All arrays are those of Arrow; the caller vouches for their lengths. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <unistd.h>

#include "numbers.h"

#define AHEAD 16 /* rows whose memory is asked for before they are looked at */

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

/* A row of B. The first one of a number stands for all of them: `head` is the next that is free, -1 when none is. */
typedef struct {
  uint64_t one, two;
  int32_t next, head, met; /* met: A has such a row */
} Row;

/* One side: both lanes, and its rows ordered by partitions, which begin at `starts`. */
typedef struct {
  const uint64_t *one, *two;
  const uint32_t *order;
  const int64_t *starts;
} Side;

/* Where a number is in a table of places in `rows`, or belongs; places count from 1, 0 is none. */
static inline uint32_t *find(uint32_t *table, size_t mask, const Row *rows, uint64_t one, uint64_t two) {
  size_t at = (size_t)(one ^ two) & mask;
  while (table[at] && (rows[table[at] - 1].one != one || rows[table[at] - 1].two != two)) at = (at + 1) & mask;
  return &table[at];
}

static void pair_part(const Side *a, const Side *b, int64_t part, uint32_t *table, Row *rows, int64_t *partner,
                      uint8_t *state) {
  const uint32_t *order_a = a->order + a->starts[part], *order_b = b->order + b->starts[part];
  int64_t count_a = a->starts[part + 1] - a->starts[part], count_b = b->starts[part + 1] - b->starts[part];
  size_t size = 16;
  while (size < (size_t)count_b * 2) size <<= 1;
  memset(table, 0, size * sizeof *table);
  for (int64_t j = count_b - 1; j >= 0; j--) { /* backwards: the chain then runs forwards */
    if (j >= AHEAD) {
      __builtin_prefetch(&b->one[order_b[j - AHEAD]]);
      __builtin_prefetch(&b->two[order_b[j - AHEAD]]);
      __builtin_prefetch(&state[order_b[j - AHEAD]], 1);
    }
    uint64_t one = b->one[order_b[j]], two = b->two[order_b[j]];
    uint32_t *place = find(table, size - 1, rows, one, two);
    rows[j] = (Row){one, two, -1, (int32_t)j, 0};
    if (*place) {
      rows[j].next = rows[*place - 1].head;
      rows[*place - 1].head = (int32_t)j;
    } else {
      *place = (uint32_t)j + 1;
    }
  }
  for (int64_t i = 0; i < count_a; i++) {
    if (i + AHEAD < count_a) {
      __builtin_prefetch(&a->one[order_a[i + AHEAD]]);
      __builtin_prefetch(&a->two[order_a[i + AHEAD]]);
      __builtin_prefetch(&partner[order_a[i + AHEAD]], 1);
    }
    uint32_t place = *find(table, size - 1, rows, a->one[order_a[i]], a->two[order_a[i]]);
    if (!place) { partner[order_a[i]] = -1; continue; }
    Row *row = &rows[place - 1];
    row->met = 1;
    if (row->head < 0) { partner[order_a[i]] = -2; continue; }
    partner[order_a[i]] = order_b[row->head];
    state[order_b[row->head]] = 0;
    row->head = rows[row->head].next;
  }
  for (int64_t j = 0; j < count_b; j++)
    if (rows[j].met)
      for (int32_t k = rows[j].head; k >= 0; k = rows[k].next) state[order_b[k]] = 2;
}

/* Pair some partitions. partner[i]: row of B, -1 no such row in B, -2 B has such rows, but all are taken. state[j],
 * which is 1: 0 taken, 1 no such row in A, 2 A has such rows, but fewer. Returns 0, or -1 without memory. */
EXPORT int kfm_pair(const uint64_t *a1, const uint64_t *a2, const uint32_t *order_a, const int64_t *starts_a,
                    const uint64_t *b1, const uint64_t *b2, const uint32_t *order_b, const int64_t *starts_b,
                    int64_t first, int64_t last, int64_t *partner, uint8_t *state) {
  Side a = {a1, a2, order_a, starts_a}, b = {b1, b2, order_b, starts_b};
  int64_t most = 8;
  for (int64_t part = first; part < last; part++)
    if (starts_b[part + 1] - starts_b[part] > most) most = starts_b[part + 1] - starts_b[part];
  uint32_t *table = malloc((size_t)most * 4 * sizeof *table);
  Row *rows = malloc((size_t)most * sizeof *rows);
  int found = table == NULL || rows == NULL ? -1 : 0;
  for (int64_t part = first; found == 0 && part < last; part++)
    pair_part(&a, &b, part, table, rows, partner, state);
  free(table);
  free(rows);
  return found;
}

/* ---- lines of delimited text ---- */

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

enum { RETURNS = 1, ZEROS = 2, QUOTES = 4 };
#define SURVEYED 240 /* so many line feeds a byte counts; a loop of known length is one over vectors */

/* Returns the number of line feeds among a few bytes; which of the others are among them, `seen` takes in. */
static inline __attribute__((always_inline)) uint8_t survey(const uint8_t *data, int length, uint8_t *seen) {
  uint8_t feeds = 0, returns = 0, zeros = 0, quotes = 0;
  for (int i = 0; i < length; i++) {
    feeds += data[i] == '\n';
    returns |= data[i] == '\r';
    zeros |= data[i] == 0;
    quotes |= data[i] == '"';
  }
  *seen |= (uint8_t)(returns * RETURNS | zeros * ZEROS | quotes * QUOTES);
  return feeds;
}

/* Number of line feeds and one more, a bound for the number of records; `kinds` becomes which of the other bytes
 * that matter there are. */
EXPORT int64_t kfm_survey(const uint8_t *data, int64_t size, int32_t *kinds) {
  int64_t count = 1, at = 0;
  uint8_t seen = 0;
  for (; size - at >= SURVEYED; at += SURVEYED) count += survey(data + at, SURVEYED, &seen);
  count += survey(data + at, (int)(size - at), &seen);
  *kinds = seen;
  return count;
}

/* Where the record ends that begins at `at`: at its line feed or the end of the text. -1 for a blank line, a
 * carriage return by itself, a NUL or quotes that RFC 4180 does not allow; -2 where a text that is not `whole`
 * ends before the record does. */
static int64_t record_end(const uint8_t *data, int64_t at, int64_t size, int delimiter, int kinds, int whole) {
  int64_t from = at, end;
  for (;;) {
    const uint8_t *feed = memchr(data + from, '\n', (size_t)(size - from));
    if (feed == NULL && !whole) return -2;
    end = feed == NULL ? size : feed - data;
    if (!(kinds & QUOTES)) break;
    int64_t past = past_quotes(data, at, from, end, size, (uint8_t)delimiter, whole);
    if (past < 0) return past == -2 && !whole ? -2 : -1;
    if (past <= end) break;
    from = past;
    if (from >= size) { end = size; break; }
  }
  if (end == at || (end == at + 1 && data[at] == '\r')) return -1;
  if (kinds & ZEROS && memchr(data + at, 0, (size_t)(end - at)) != NULL) return -1;
  if (kinds & RETURNS) {
    const uint8_t *lone = memchr(data + at, '\r', (size_t)(end - at));
    if (lone != NULL && (lone - data != end - 1 || end == size)) return -1;
  }
  return end;
}

/* Where every record begins, and the end of the text. Returns the number of records, or -1 (see record_end). Of a
 * text that is not `whole` what lies behind its last complete record is left: there the last of `starts` points. */
EXPORT int64_t kfm_find_lines(const uint8_t *data, int64_t size, int delimiter, int kinds, int whole,
                              int64_t *starts) {
  int64_t rows = 0, at = 0;
  while (at < size) {
    starts[rows] = at;
    int64_t end = record_end(data, at, size, delimiter, kinds, whole);
    if (end == -2) return rows;
    if (end < 0) return -1;
    rows++;
    at = end + 1;
  }
  starts[rows] = whole ? size : at;
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
    int64_t end = record_end(b, at, size, delimiter, RETURNS | ZEROS | QUOTES, 1);
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

/* The rows of a SQLite table, from the leaves of its tree (SQLite file format, sections 1.6 and 2.1). The caller
 * vouches for nothing in the file: whatever does not fit makes the whole call say -1. */
typedef struct {
  int file;
  int64_t page_size, usable;
  uint8_t *window, *lone; /* pages in a row, and one that lies elsewhere */
  int64_t start, end;     /* what of the file the window holds */
  uint8_t *scratch;       /* a payload that is spread over pages, put together */
  int64_t room, left;     /* its size, and how many bytes may still be put together in all */
} Sqlite;

#define WINDOW (1 << 18)

static int64_t read_at(int file, uint8_t *to, int64_t size, int64_t from) {
  int64_t done = 0;
  while (done < size) {
    ssize_t part = pread(file, to + done, (size_t)(size - done), (off_t)(from + done));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) break;
    done += part;
  }
  return done;
}

/* Return a page, NULL when the file has none of this number. What lies just ahead is read with it. */
static const uint8_t *page_of(Sqlite *base, int64_t number) {
  if (number < 1 || number > INT64_MAX / base->page_size) return NULL;
  int64_t from = (number - 1) * base->page_size;
  if (from < base->start || from + base->page_size > base->end) {
    int64_t size = from >= base->end && from < base->end + WINDOW ? WINDOW : base->page_size;
    base->start = from;
    base->end = from + read_at(base->file, base->window, size, from);
    if (base->end - from < base->page_size) return NULL;
  }
  return base->window + (from - base->start);
}

static inline uint32_t big_endian(const uint8_t *from) {
  return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* A number of one to nine bytes; returns how many, 0 when it goes beyond `end`. */
static inline int variable(const uint8_t *from, const uint8_t *end, uint64_t *number) {
  uint64_t found = 0;
  for (int i = 0; i < 9; i++) {
    if (from + i >= end) return 0;
    if (i == 8) {
      *number = found << 8 | from[8];
      return 9;
    }
    found = found << 7 | (from[i] & 0x7F);
    if (from[i] < 0x80) {
      *number = found;
      return i + 1;
    }
  }
  return 0;
}

/* Return a payload of which `local` bytes lie at `from` and the rest in overflow pages, NULL when they do not. */
static const uint8_t *put_together(Sqlite *base, const uint8_t *from, int64_t local, int64_t size) {
  if (size > base->left) return NULL;
  base->left -= size;
  if (size > base->room) {
    uint8_t *more = realloc(base->scratch, (size_t)size);
    if (more == NULL) return NULL;
    base->scratch = more;
    base->room = size;
  }
  memcpy(base->scratch, from, (size_t)local);
  uint32_t next = big_endian(from + local);
  for (int64_t at = local; at < size;) {
    if (next == 0) return NULL;
    if (read_at(base->file, base->lone, base->page_size, ((int64_t)next - 1) * base->page_size) < base->page_size)
      return NULL;
    int64_t part = size - at < base->usable - 4 ? size - at : base->usable - 4;
    memcpy(base->scratch + at, base->lone + 4, (size_t)part);
    next = big_endian(base->lone);
    at += part;
  }
  return base->scratch;
}

/* Say of one column of a record how long its blob is, -1 for null and -2 for what is neither, and how it begins. */
static int look_at(const uint8_t *record, int64_t size, int64_t column, int64_t *length, uint64_t *head) {
  static const int64_t sizes[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  const uint8_t *end = record + size;
  uint64_t header, kind = 0;
  int used = variable(record, end, &header);
  if (used == 0 || header > (uint64_t)size) return -1;
  const uint8_t *at = record + used, *body = record + header;
  end = body;
  *length = -2;
  *head = 0;
  for (int64_t i = 0; i <= column; i++) {
    if (at == end) return 0; /* a record from before the column was added */
    used = variable(at, end, &kind);
    if (used == 0 || kind > (uint64_t)INT64_MAX) return -1;
    at += used;
    int64_t here = kind >= 12 ? (int64_t)((kind - 12) / 2) : kind < 10 ? sizes[kind] : -1;
    if (here < 0 || here > record + size - body) return -1;
    if (i < column) {
      body += here;
    } else if (kind == 0) {
      *length = -1;
    } else if (kind >= 12 && kind % 2 == 0) {
      *length = here;
      *head = here < 8 ? part_at(body, (size_t)here) : word_at(body);
    }
  }
  return 0;
}

/* Whether a column of a record holds a whole number, and which. */
static int whole_number(const uint8_t *record, int64_t size, int64_t column, int64_t *number) {
  static const int64_t sizes[10] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0};
  const uint8_t *end = record + size;
  uint64_t header, kind = 0;
  int used = variable(record, end, &header);
  if (used == 0 || header > (uint64_t)size) return 0;
  const uint8_t *at = record + used, *body = record + header;
  int64_t width = 0;
  for (int64_t i = 0; i <= column; i++, body += width) {
    used = at < record + header ? variable(at, record + header, &kind) : 0;
    if (used == 0 || kind > (uint64_t)INT64_MAX || kind == 10 || kind == 11) return 0;
    at += used;
    width = kind >= 12 ? (int64_t)((kind - 12) / 2) : sizes[kind];
    if (width > end - body) return 0;
    if (i == column) break;
  }
  if (kind == 0 || kind == 7 || kind > 9) return 0;
  uint64_t value = kind == 9 ? 1 : kind < 7 && body[0] & 0x80 ? UINT64_MAX : 0;
  for (int64_t i = 0; i < width; i++) value = value << 8 | body[i];
  *number = (int64_t)value;
  return 1;
}

/* Number the records in `leaves`, which are numbers of pages of the file, from the seed, and note their row numbers;
 * of blobs in `column`, unless it is negative, their lengths and first eight bytes. `spread` is how many bytes may be
 * put together from several pages. `values` become the whole numbers in the column `named`, and `whole` 0 where it holds
 * something else. Returns how many records there are, at most `rows`. */
EXPORT int64_t kfm_sqlite_rows(int file, int64_t page_size, int64_t usable, const int64_t *leaves, int64_t count,
                               int64_t column, uint64_t seed_one, uint64_t seed_two, int64_t *spread,
                               int64_t rows, int64_t *numbers, uint64_t *one, uint64_t *two, int64_t *lengths,
                               uint64_t *heads, int64_t named, int64_t *values, int32_t *whole) {
  Sqlite base = {file, page_size, usable, malloc(WINDOW + (size_t)page_size), malloc((size_t)page_size), 0, 0,
                 NULL, 0, *spread};
  int64_t found = 0, most = usable - 35, least = (usable - 12) * 32 / 255 - 23;
  if (base.window == NULL || base.lone == NULL) goto broken;
  for (int64_t l = 0; l < count; l++) {
    const uint8_t *page = page_of(&base, leaves[l]), *end = page + usable;
    if (page == NULL || page[0] != 0x0D) goto broken;
    int64_t cells = page[3] << 8 | page[4];
    if (8 + 2 * cells > usable || found + cells > rows) goto broken;
    for (int64_t c = 0; c < cells; c++, found++) {
      const uint8_t *at = page + (page[8 + 2 * c] << 8 | page[9 + 2 * c]);
      uint64_t payload, number;
      if (at < page + 8 + 2 * cells || at >= end) goto broken;
      int used = variable(at, end, &payload);
      if (used == 0 || payload > INT32_MAX) goto broken;
      at += used;
      used = variable(at, end, &number);
      if (used == 0) goto broken;
      at += used;
      int64_t bytes = (int64_t)payload, local = bytes;
      if (bytes > most) {
        int64_t part = least + (bytes - least) % (usable - 4);
        local = part <= most ? part : least;
      }
      if (local + (local < bytes ? 4 : 0) > end - at) goto broken;
      const uint8_t *record = local == bytes ? at : put_together(&base, at, local, bytes);
      if (record == NULL) goto broken;
      if (column >= 0 && look_at(record, bytes, column, &lengths[found], &heads[found])) goto broken;
      if (named >= 0 && *whole) *whole = whole_number(record, bytes, named, &values[found]);
      numbers[found] = (int64_t)number;
      one[found] = seed_one;
      two[found] = seed_two;
      mix_bytes(record, (size_t)bytes, &one[found], &two[found]);
    }
  }
  *spread = base.left;
  goto done;
broken:
  found = -1;
done:
  free(base.window);
  free(base.lone);
  free(base.scratch);
  return found;
}

/* ---- rings of polygons in well-known binary ---- */

#define POLYGON 3
#define MULTIPOLYGON 6
enum { UNTOLD = 0, STARTED_ELSEWHERE = 1, WOUND_THE_OTHER_WAY = 2 };

typedef struct {
  const uint8_t *at, *end, *other;
} Twins;

/* The next number of the two, which must be the same; at most `most`, or -1. */
static int64_t both_say(Twins *twins, int64_t most) {
  if (twins->end - twins->at < 4 || memcmp(twins->at, twins->other, 4) != 0) return -1;
  int64_t number = (int64_t)part_at(twins->at, 4);
  twins->at += 4;
  twins->other += 4;
  return number <= most ? number : -1;
}

/* The type that both have, in little-endian order and without SRID; -1 for another one than is wanted here. */
static int64_t type_of_both(Twins *twins, int64_t *ordinates) {
  if (twins->end - twins->at < 5 || *twins->at != 1 || *twins->other != 1) return -1;
  twins->at++;
  twins->other++;
  int64_t code = both_say(twins, UINT32_MAX), kind, more;
  if (code < 0) return -1;
  if (code < 4000) { /* ISO 13249-3 */
    kind = code % 1000;
    more = code / 1000;
    *ordinates = more == 0 ? 2 : more == 3 ? 4 : 3;
  } else { /* the extended form of PostGIS */
    kind = code & 0x1FFFFFFF;
    if (code & 0x20000000 || kind >= 1000) return -1;
    *ordinates = 2 + (code >> 31 & 1) + (code >> 30 & 1);
  }
  return kind;
}

/* Whether all are finite numbers, and none is a negative zero: then equal numbers are equal bytes. */
static int are_plain(const uint8_t *numbers, int64_t count) {
  int odd = 0;
  for (int64_t i = 0; i < count; i++) {
    uint64_t bits = word_at(numbers + 8 * i);
    odd |= (bits & 0x7FF0000000000000u) == 0x7FF0000000000000u;
    odd |= bits == 0x8000000000000000u;
  }
  return !odd;
}

/* Whether the closed ring b, of `turns` vertices and the first again, is a begun elsewhere or wound the other way. The
 * first vertex of a must occur once: else a ring may lie on the other in several ways. */
static int turned_ring(const uint8_t *a, const uint8_t *b, int64_t turns, size_t width) {
  int64_t begin = -1;
  const uint8_t *last_a = a + (size_t)turns * width, *last_b = b + (size_t)turns * width;
  if (memcmp(a, last_a, width) != 0 || memcmp(b, last_b, width) != 0) return UNTOLD;
  if (!are_plain(a, turns * (int64_t)(width / 8))) return UNTOLD;
  for (int64_t i = 0; i < turns; i++)
    if (memcmp(b + (size_t)i * width, a, 16) == 0) {
      if (begin >= 0) return UNTOLD;
      begin = i;
    }
  if (begin < 0) return UNTOLD;
  size_t head = (size_t)begin * width, rest = (size_t)(turns - begin) * width;
  if (memcmp(a, b + head, rest) == 0 && memcmp(a + rest, b, head) == 0) return STARTED_ELSEWHERE;
  for (int64_t i = 0, j = begin; i < turns; i++, j = j == 0 ? turns - 1 : j - 1)
    if (memcmp(a + (size_t)i * width, b + (size_t)j * width, width) != 0) return UNTOLD;
  return WOUND_THE_OTHER_WAY;
}

static int turned_polygon(Twins *twins, int64_t ordinates) {
  int64_t rings = both_say(twins, UINT32_MAX);
  size_t width = 8 * (size_t)ordinates;
  int found = rings > 0 ? STARTED_ELSEWHERE : UNTOLD;
  for (int64_t i = 0; i < rings; i++) {
    int64_t vertices = both_say(twins, (twins->end - twins->at) / (int64_t)width);
    if (vertices < 4 || twins->end - twins->at < vertices * (int64_t)width) return UNTOLD;
    int ring = turned_ring(twins->at, twins->other, vertices - 1, width);
    if (ring == UNTOLD) return UNTOLD;
    if (ring > found) found = ring;
    twins->at += (size_t)vertices * width;
    twins->other += (size_t)vertices * width;
  }
  return found;
}

static int turned(const uint8_t *a, const uint8_t *b, int64_t size) {
  Twins twins = {a, a + size, b};
  int64_t ordinates, inner, kind = type_of_both(&twins, &ordinates), parts = 1;
  int found = STARTED_ELSEWHERE;
  if (kind != POLYGON && (kind != MULTIPOLYGON || (parts = both_say(&twins, UINT32_MAX)) < 1)) return UNTOLD;
  for (int64_t i = 0; i < parts; i++) {
    if (kind == MULTIPOLYGON && (type_of_both(&twins, &inner) != POLYGON || inner != ordinates)) return UNTOLD;
    int polygon = turned_polygon(&twins, ordinates);
    if (polygon == UNTOLD) return UNTOLD;
    if (polygon > found) found = polygon;
  }
  return twins.at == twins.end ? found : UNTOLD;
}

/* Say of pairs of differing geometries, each pair of one size, between `starts`, whether they are polygons of the same
 * rings, laid out alike, some of which are begun elsewhere or wound the other way. */
EXPORT void kfm_rings_turned(const uint8_t *a, const uint8_t *b, const int64_t *starts, int64_t count, uint8_t *told) {
  for (int64_t i = 0; i < count; i++) told[i] = (uint8_t)turned(a + starts[i], b + starts[i], starts[i + 1] - starts[i]);
}
