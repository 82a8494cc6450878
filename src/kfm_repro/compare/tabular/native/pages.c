/* The headers of the pages of a Parquet column chunk, as pages.py reads them (parquet.thrift, Thrift's compact
 * protocol). Whatever is odd about one is left to pages.py, which says what: both must agree where this one answers. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { TRUE_ = 1, FALSE_, BYTE_, I16, I32, I64, DOUBLE_, BINARY, STRUCT = 12 };
enum { DATA, DICTIONARY = 2, DATA_2, KINDS };
enum { KIND = 1, SIZE, STORED };
enum { WANTED = 5, DEEPEST = 8, WINDOW = 256, LARGE_WINDOW = 1 << 13 };
#define MOST (INT64_C(1) << 48) /* no honest number is larger; sums of those that are smaller fit */

static const int64_t inner_of[KINDS] = {[DATA] = 5, [DICTIONARY] = 7, [DATA_2] = 8};
static const int encoding_of[KINDS] = {[DATA] = 2, [DICTIONARY] = 2, [DATA_2] = 4};

typedef struct {
  const uint8_t *at, *end;
  int odd;
} Reader;

/* Integers of a struct by the number of their field, as far as one is wanted; -1 where there is none. */
typedef struct {
  int64_t field[WANTED];
} Fields;

typedef struct {
  int64_t kind, size, stored, count, encoding;
} Header;

static uint8_t octet(Reader *reader) {
  if (reader->at < reader->end) return *reader->at++;
  reader->odd = 1;
  return 0;
}

static uint64_t variable(Reader *reader) {
  uint64_t number = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    uint8_t byte = octet(reader);
    number |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) return number;
  }
  reader->odd = 1;
  return 0;
}

static int64_t integer(Reader *reader) {
  uint64_t number = variable(reader);
  int64_t found = (int64_t)(number >> 1) ^ -(int64_t)(number & 1);
  if (found >= MOST || found <= -MOST) reader->odd = 1;
  return found;
}

/* The number and the type of the next field of a struct; 0 at its end. */
static int next_field(Reader *reader, int64_t *number) {
  uint8_t byte = octet(reader);
  if (reader->odd || byte == 0) return 0;
  *number = byte >> 4 ? *number + (byte >> 4) : integer(reader);
  if ((byte & 0x0F) == 0) reader->odd = 1;
  return reader->odd ? 0 : byte & 0x0F;
}

static void skip(Reader *reader, int type, int depth) {
  int64_t number = 0;
  uint64_t length = 1;
  if (depth > DEEPEST) reader->odd = 1;
  switch (type) {
  case TRUE_:
  case FALSE_: return;
  case I16:
  case I32:
  case I64: variable(reader); return;
  case STRUCT:
    for (int inner; !reader->odd && (inner = next_field(reader, &number)) != 0;) skip(reader, inner, depth + 1);
    return;
  case BINARY: length = variable(reader); break;
  case DOUBLE_: length = 8; break;
  case BYTE_: break;
  default: reader->odd = 1;
  }
  if (length > (uint64_t)(reader->end - reader->at)) reader->odd = 1;
  else reader->at += length;
}

static Fields numbers(Reader *reader) {
  Fields found = {{-1, -1, -1, -1, -1}};
  int64_t number = 0;
  for (int type; (type = next_field(reader, &number)) != 0;) {
    if (type == I32 && number < WANTED) {
      int64_t value = integer(reader);
      if (number >= 0) found.field[number] = value;
    } else {
      skip(reader, type, 0);
    }
  }
  return found;
}

/* Read a header; returns its length, 0 where it is odd or does not end within `size` bytes. */
static int64_t read_header(const uint8_t *data, int64_t size, Header *header) {
  Reader reader = {data, data + size, 0};
  Fields plain = {{-1, -1, -1, -1, -1}}, inner[KINDS] = {plain, plain, plain, plain};
  int64_t number = 0;
  for (int type; (type = next_field(&reader, &number)) != 0;) {
    if (type == I32) {
      int64_t value = integer(&reader);
      if (number >= 0 && number < WANTED) plain.field[number] = value;
    } else if (type == STRUCT) {
      Fields found = numbers(&reader);
      for (int kind = 0; kind < KINDS; kind++)
        if (inner_of[kind] != 0 && inner_of[kind] == number) inner[kind] = found;
    } else {
      skip(&reader, type, 0);
    }
  }
  header->kind = plain.field[KIND];
  header->size = plain.field[SIZE];
  header->stored = plain.field[STORED];
  if (reader.odd || header->size < 0 || header->stored < 0) return 0;
  int known = header->kind >= 0 && header->kind < KINDS && inner_of[header->kind] != 0;
  header->count = known ? inner[header->kind].field[1] : 0;
  header->encoding = known ? inner[header->kind].field[encoding_of[header->kind]] : 0;
  if (header->count < 0) header->count = 0;
  return reader.at - data;
}

/* Read the header at a place of a file; returns its length, 0 where it is odd or does not end before `end`. */
static int64_t header_at(int file, int64_t at, int64_t end, Header *header) {
  static const int64_t sizes[2] = {WINDOW, LARGE_WINDOW};
  uint8_t window[LARGE_WINDOW];
  int64_t length = 0;
  for (int i = 0; i < 2 && length == 0; i++) {
    ssize_t count;
    do count = pread(file, window, (size_t)(sizes[i] < end - at ? sizes[i] : end - at), (off_t)at);
    while (count < 0 && errno == EINTR);
    if (count > 0) length = read_header(window, count, header);
  }
  return length;
}

/* Scan the pages between two places of a file until so many values are told of. `found` becomes the values, the
 * bytes decompressed of all pages and of the largest, where the dictionary starts (-1 where there is none), its bytes
 * there and decompressed, and whether a page holds `prefixed`, an encoding. Returns 0, or -1 for what is odd. */
EXPORT int kfm_scan_pages(int file, int64_t at, int64_t end, int64_t values, int64_t prefixed, int64_t *found) {
  for (int i = 0; i < 7; i++) found[i] = 0;
  found[3] = -1;
  while (at < end && found[0] < values) {
    Header header;
    int64_t length = header_at(file, at, end, &header);
    if (length == 0) return -1;
    at += length + header.stored;
    found[1] += header.size;
    if (header.size > found[2]) found[2] = header.size;
    if (found[1] >= MOST || at >= MOST) return -1;
    if (header.kind == DICTIONARY) {
      found[3] = at - header.stored;
      found[4] = header.stored;
      found[5] = header.size;
    } else if (header.kind == DATA || header.kind == DATA_2) {
      found[0] += header.count;
      if (header.encoding == prefixed) found[6] = 1;
    }
  }
  return 0;
}
