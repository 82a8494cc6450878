/* The rows of a SQLite table, from the leaves of its tree (SQLite file format, sections 1.6 and 2.1). The caller
 * vouches for nothing in the file: whatever does not fit makes the whole call say -1. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <unistd.h>

#include "numbers.h"

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
