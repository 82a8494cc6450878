/* The function that takes the words of a cell into the number of its row: two lanes of 64 bits.
 *
 * Every step is a bijection of the lane, so that two rows that differ in one word never share a lane. numbering.py
 * holds the same function in numpy: they must agree bit for bit, on any machine. */
#ifndef KFM_NUMBERS_H
#define KFM_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline, unused))

/* A loop of which there is a second version for processors that multiply eight words of 64 bits at once. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define WIDE
#endif

static const uint64_t K[2] = {0x9E3779B97F4A7C15u, 0xD6E8FEB86659FD93u};
static const uint64_t L[2] = {0xBF58476D1CE4E5B9u, 0x94D049BB133111EBu};

INLINE uint64_t mix(uint64_t lane, uint64_t word, int which) {
  lane = (lane ^ word) * K[which];
  lane = (lane ^ (lane >> 32)) * L[which];
  return lane ^ (lane >> 29);
}

INLINE uint64_t word_at(const uint8_t *from) {
  uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, from, 8);
#else
  for (size_t i = 0; i < 8; i++) word |= (uint64_t)from[i] << (8 * i);
#endif
  return word;
}

/* Up to seven bytes, without reading beyond them. */
INLINE uint64_t part_at(const uint8_t *from, size_t size) {
  uint64_t word = 0;
  for (size_t i = 0; i < size; i++) word |= (uint64_t)from[i] << (8 * i);
  return word;
}

/* `one` and `two` hold the halves of the seed, and then the number: without a secret to begin with, two strings
 * of one number are found in seconds. */
INLINE void mix_bytes(const uint8_t *from, size_t size, uint64_t *one, uint64_t *two) {
  uint64_t a = *one, b = *two;
  size_t at = 0, rest = size & 7;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = word_at(from + at);
    a = mix(a, word, 0);
    b = mix(b, word, 1);
  }
  if (rest) {
    uint64_t word = size > 8 ? word_at(from + size - 8) >> (64 - 8 * rest) : part_at(from + at, rest);
    a = mix(a, word, 0);
    b = mix(b, word, 1);
  }
  *one = mix(a, size, 0);
  *two = mix(b, size, 1);
}

#define BLOCK 64 /* cells that are numbered together */

/* The two words of every cell, and all bits or none of `held`: whether it is not null. */
typedef struct {
  uint64_t one[BLOCK], two[BLOCK], held[BLOCK];
} Cells;

/* Where the byte strings of a block begin, and how long they are. */
typedef struct {
  const uint8_t *data;
  uint64_t from[BLOCK], size[BLOCK];
} Strings;

/* Number the strings of a block, each by itself, one after the other or all of them word by word: the processor would
 * guess wrongly where each of them ends. Nothing is read from `end` on. */
INLINE void number_strings(const Strings *strings, uint64_t end, int64_t count, uint64_t *restrict one,
                           uint64_t *restrict two) {
  uint64_t longest = 0, bytes = 0, last = 0;
  for (int64_t i = 0; i < count; i++) {
    longest = strings->size[i] > longest ? strings->size[i] : longest;
    last = strings->from[i] > last ? strings->from[i] : last;
    bytes += strings->size[i] + 8;
  }
  uint64_t words = longest / 8 + (longest % 8 != 0);
  if (longest > end || last > end - longest || 8 * words > end - last || 4 * words * (uint64_t)count > bytes) {
    for (int64_t i = 0; i < count; i++)
      mix_bytes(strings->data + strings->from[i], strings->size[i], &one[i], &two[i]);
    return;
  }
  for (uint64_t at = 0; at < longest; at += 8) {
    uint64_t word[BLOCK], held[BLOCK];
    for (int64_t i = 0; i < count; i++) word[i] = word_at(strings->data + strings->from[i] + at);
    for (int64_t i = 0; i < count; i++) {
      int64_t rest = (int64_t)(strings->size[i] - at), spare = rest < 8 ? 8 - rest : 0;
      held[i] = (uint64_t)(-rest >> 63); /* all bits where something is left */
      word[i] &= ~(uint64_t)0 >> (8 * spare & 63);
    }
    for (int64_t i = 0; i < count; i++) {
      one[i] ^= (one[i] ^ mix(one[i], word[i], 0)) & held[i];
      two[i] ^= (two[i] ^ mix(two[i], word[i], 1)) & held[i];
    }
  }
  for (int64_t i = 0; i < count; i++) {
    one[i] = mix(one[i], strings->size[i], 0);
    two[i] = mix(two[i], strings->size[i], 1);
  }
}

#endif
