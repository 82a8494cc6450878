/* The n-th row of a number in A paired with the n-th of that number in B. The caller vouches for all lengths. */
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
