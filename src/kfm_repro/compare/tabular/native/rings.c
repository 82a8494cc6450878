/* Rings of polygons in well-known binary that are begun elsewhere or wound the other way. */
#include "numbers.h"

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
