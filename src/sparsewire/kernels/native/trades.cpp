// Random patterns of fixed degrees: labels are dealt to rows, and rows trade what only one of two has. row_trades.py says
// what a deal and a trade are and does the same in numpy, to the same bits: every random number is a function of a key and
// of a count, so that it matters neither in which order they are asked for nor in which form the rows are kept, as bits
// or as sorted lists.
#include "threads.hpp"
#include "vectors.hpp"

namespace sw {
inline namespace SW_WIDE {
namespace trades {

typedef uint64_t Word;

constexpr Word LATER = Word(1) << 32;     // where the numbers that mend a deal or a trade begin
constexpr int64_t MOST_TRIES = 1 << 12;   // to mend one repetition of a deal
// So far ahead memory is asked for: pairs of rows, and single numbers.
constexpr int64_t AHEAD = 6, FAR_AHEAD = 32;

// The i-th number of a key (splitmix64: Steele, Lea and Flood 2014).
SW_INLINE Word number(Word key, Word i) {
  Word x = key + 0x9e3779b97f4a7c15u * (i + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

SW_INLINE int64_t below(Word x, int64_t n) { return int64_t((unsigned __int128)(x)*Word(n) >> 64); }

SW_INLINE int64_t ones(Word x) {
#if defined(__x86_64__) && !defined(__POPCNT__)
  x -= x >> 1 & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  return int64_t(((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u >> 56);
#else
  return __builtin_popcountll(x);
#endif
}

constexpr Word EACH_BYTE = 0x0101010101010101u, HIGH_BITS = 0x8080808080808080u;

// A byte, 0 or 1, for each of eight bits.
SW_INLINE Word bytes_of(Word bits) {
  return ((((bits & 255) * EACH_BYTE) & 0x8040201008040201u) + 0x7f * EACH_BYTE) >> 7 & EACH_BYTE;
}

// How many of the bytes of `upto` are at most `n`, both less than 128.
SW_INLINE int64_t at_most(Word upto, int64_t n) { return ones((((Word(n) | 128) * EACH_BYTE) - upto) & HIGH_BITS); }

// The place of the bit before which `rank` others are set: first its byte, then itself, without a branch.
SW_INLINE int64_t place_of(Word bits, int64_t rank) {
  Word counts = bits - (bits >> 1 & 0x5555555555555555u);
  counts = (counts & 0x3333333333333333u) + (counts >> 2 & 0x3333333333333333u);
  const Word upto = ((counts + (counts >> 4)) & 0x0f0f0f0f0f0f0f0fu) * EACH_BYTE;
  const int64_t byte = at_most(upto, rank), before = int64_t((upto << 8) >> 8 * byte & 255);
  return 8 * byte + at_most(bytes_of(bits >> 8 * byte) * EACH_BYTE, rank - before);
}

// Fisher and Yates. The places to change with do not depend on the changes, so that they can be asked for beforehand.
static void shuffle(int32_t *x, int64_t n, Word key) {
  for (int64_t start = 0; start + 1 < n; start += FAR_AHEAD) {
    int64_t there[FAR_AHEAD];
    const int64_t some = n - 1 - start < FAR_AHEAD ? n - 1 - start : FAR_AHEAD;
    for (int64_t i = 0; i < some; i++) {
      there[i] = start + i + below(number(key, Word(start + i)), n - start - i);
      __builtin_prefetch(x + there[i], 1);
    }
    for (int64_t i = 0; i < some; i++) {
      const int32_t kept = x[start + i];
      x[start + i] = x[there[i]], x[there[i]] = kept;
    }
  }
}

SW_INLINE bool is_among(const int32_t *x, int64_t n, int32_t wanted) {
  int32_t found = 0;
  for (int64_t i = 0; i < n; i++) found |= x[i] == wanted;
  return found;
}

// slots: the rows of each label, `each` for a label. A row that a label has twice changes places with one from anywhere.
static bool deal(int32_t *slots, int64_t n, int64_t each, int32_t *last, Word key) {
  shuffle(slots, n, key);
  Word drawn = LATER;
  for (int64_t start = 0, label = 0; start < n; start += each, label++)
    for (int64_t i = start; i < start + each; i++) {
      if (i + FAR_AHEAD < n) __builtin_prefetch(last + slots[i + FAR_AHEAD], 1);
      for (int64_t tries = 0; last[slots[i]] == label; tries++) {
        if (tries == MOST_TRIES) return false;
        const int64_t other = below(number(key, drawn++), n);
        if (is_among(slots + start, each, slots[other]) || is_among(slots + other / each * each, each, slots[i])) continue;
        const int32_t kept = slots[i];
        slots[i] = slots[other], slots[other] = kept;
      }
      last[slots[i]] = int32_t(label);
    }
  return true;
}

// What two rows of bits trade with: room for a row of each.
struct Room {
  Word *apart, *first, *side;  // in one row only; of these what the first row gets; those that may still change sides
  int64_t *upto;               // how many of the latter lie before a word
};

SW_INLINE void change_sides(const Room &room, int64_t words, int64_t size, int64_t count, bool gain, Word key) {
  for (int64_t w = 0, upto = 0; w < words; w++) {
    room.side[w] = gain ? room.apart[w] & ~room.first[w] : room.first[w];
    room.upto[w] = upto;
    upto += ones(room.side[w]);
  }
  for (Word draw = LATER; count; draw++) {
    const int64_t place = below(number(key, draw), size);
    int64_t w = 0;
    for (int64_t length = words; length > 1;) {
      const int64_t half = length / 2;
      w += room.upto[w + half] <= place ? half : 0;
      length -= half;
    }
    const Word bit = Word(1) << place_of(room.side[w], place - room.upto[w]);
    if (((room.first[w] & bit) != 0) == gain) continue;
    room.first[w] ^= bit;
    count--;
  }
}

static void trade_bits(Word *a, Word *b, const Word *held_a, const Word *held_b, int64_t words, Word key, const Room &room) {
  int64_t size = 0, wanted = 0, had = 0;
  for (int64_t w = 0; w < words; w++) room.apart[w] = a[w] ^ b[w];
  if (held_a)
    for (int64_t w = 0; w < words; w++) room.apart[w] &= ~(held_a[w] | held_b[w]);
  for (int64_t w = 0; w < words; w++) room.first[w] = room.apart[w] & number(key, Word(w));
  for (int64_t w = 0; w < words; w++)
    size += ones(room.apart[w]), had += ones(room.first[w]), wanted += ones(room.apart[w] & a[w]);
  if (4 * wanted < size || 4 * wanted > 3 * size) {
    const Word rather = 4 * wanted < size ? 0 : ~Word(0);
    for (int64_t w = 0; w < words; w++) room.first[w] = room.apart[w] & rather;
    had = rather ? size : 0;
  }
  if (had < wanted) change_sides(room, words, size - had, wanted - had, true, key);
  if (had > wanted) change_sides(room, words, had, had - wanted, false, key);
  for (int64_t w = 0; w < words; w++) {
    const Word stay = ~room.apart[w];
    a[w] = (a[w] & stay) | room.first[w];
    b[w] = (b[w] & stay) | (room.apart[w] & ~room.first[w]);
  }
}

// What two rows of labels trade with: room for both, one behind the other.
struct Lists {
  int32_t *labels, *apart;  // all labels of the two, once; the places there of those in one row only, or on one side
  int32_t *first;           // 1 for the first row, 0 for the second, 2 for both
};

static void trade_lists(int32_t *a, int64_t n, int32_t *b, int64_t m, Word key, const Lists &room) {
  int64_t i = 0, j = 0, all = 0, size = 0, had = 0;
  while (i < n && j < m) {
    const int32_t x = a[i], y = b[j];
    room.labels[all] = x < y ? x : y;
    room.first[all] = x == y ? 2 : 0;
    room.apart[size] = int32_t(all++);
    size += x != y, i += x <= y, j += y <= x;
  }
  for (; i < n; i++) room.labels[all] = a[i], room.first[all] = 0, room.apart[size++] = int32_t(all++);
  for (; j < m; j++) room.labels[all] = b[j], room.first[all] = 0, room.apart[size++] = int32_t(all++);
  const int64_t wanted = n - (all - size);
  const bool few = 4 * wanted < size, most = 4 * wanted > 3 * size;
  for (int64_t p = 0; p < size; p++) {
    const int32_t label = room.labels[room.apart[p]];
    const int32_t drawn = few ? 0 : most ? 1 : int32_t(number(key, Word(label >> 6)) >> (label & 63) & 1);
    room.first[room.apart[p]] = drawn;
    had += drawn;
  }
  if (had != wanted) {
    const int32_t gain = had < wanted;
    int64_t movable = 0, count = gain ? wanted - had : had - wanted;
    for (int64_t p = 0; p < size; p++) {
      const int32_t place = room.apart[p];
      room.apart[movable] = place;
      movable += room.first[place] != gain;
    }
    for (Word draw = LATER; count; draw++) {
      int32_t &moved = room.first[room.apart[below(number(key, draw), movable)]];
      count -= moved != gain;
      moved = gain;
    }
  }
  // Each label is written to both rows and counts in those that get it; the last of a row may come too late for it.
  i = j = 0;
  for (int64_t p = 0; p < all; p++) {
    const int32_t label = room.labels[p], first = room.first[p];
    if (i < n) a[i] = label;
    if (j < m) b[j] = label;
    i += first != 0, j += first != 1;
  }
}

// All rows in random pairs, each thread its share of them: a trade depends on its number alone. It is told how many rows
// of the thread's share lie from its own on.
template <class Trade>
void rounds_of(int64_t rounds, int32_t *order, int64_t count, Word seed, int64_t threads, const Trade &trade) {
  for (int64_t round = 0; round < rounds; round++) {
    const Word key = number(seed, Word(round));
    shuffle(order, count, number(key, 0));
    together(threads, [&](int64_t thread, int64_t team) {
      const int64_t end = share(count / 2, team, thread + 1);
      for (int64_t pair = share(count / 2, team, thread); pair < end; pair++)
        trade(thread, order + 2 * pair, 2 * (end - pair), number(key, 1 + Word(pair)));
    });
  }
}

// A byte for each bit.
SW_INLINE void spread(Word bits, uint8_t *to) {
#if defined(__AVX512BW__) && SW_BYTES == 64
  _mm512_storeu_si512(to, _mm512_maskz_set1_epi8(bits, 1));
#else
  for (int64_t byte = 0; byte < 8; byte++) {
    const Word eight = bytes_of(bits >> 8 * byte);
    memcpy(to + 8 * byte, &eight, 8);
  }
#endif
}

// The bits of a word from `start` on and up to `end`, where these lie in it.
SW_INLINE Word run_in(int64_t word, int64_t start, int64_t end) {
  const int64_t low = start - 64 * word, high = end - 64 * word;
  return (low > 0 ? ~Word(0) << low : ~Word(0)) & (high < 64 ? ~(~Word(0) << high) : ~Word(0));
}

static void set_run(Word *row, int64_t start, int64_t end) {
  for (int64_t w = start / 64; 64 * w < end; w++) row[w] |= run_in(w, start, end);
}

template <class T>
SW_INLINE T *at(int64_t address) {
  return reinterpret_cast<T *>(address);
}

}  // namespace trades
}  // namespace SW_WIDE
}  // namespace sw

// slots: n row numbers, `each` for a label, as often as a row has labels. last: -1 for each row. done: 1 where the deal
// has no repetition.
SW_EXPORT(deal)(int64_t slots, int64_t n, int64_t each, int64_t last, int64_t seed, int64_t done) {
  using namespace sw::trades;
  *at<int64_t>(done) = deal(at<int32_t>(slots), n, each, at<int32_t>(last), Word(seed));
}

// bits: `words` words for each row, 0.
SW_EXPORT(dealt_bits)(int64_t slots, int64_t n, int64_t each, int64_t bits, int64_t words) {
  using namespace sw::trades;
  const int32_t *rows = at<int32_t>(slots);
  for (int64_t start = 0, label = 0; start < n; start += each, label++)
    for (int64_t i = start; i < start + each; i++)
      at<Word>(bits)[rows[i] * words + label / 64] |= Word(1) << label % 64;
}

// next: for each row where its first label goes; afterwards where its last one ends.
SW_EXPORT(dealt_lists)(int64_t slots, int64_t n, int64_t each, int64_t labels, int64_t next) {
  using namespace sw::trades;
  const int32_t *rows = at<int32_t>(slots);
  for (int64_t start = 0, label = 0; start < n; start += each, label++)
    for (int64_t i = start; i < start + each; i++) {
      if (i + FAR_AHEAD < n) __builtin_prefetch(at<int64_t>(next) + rows[i + FAR_AHEAD], 1);
      if (i + FAR_AHEAD / 2 < n) __builtin_prefetch(at<int32_t>(labels) + at<int64_t>(next)[rows[i + FAR_AHEAD / 2]], 1);
      at<int32_t>(labels)[at<int64_t>(next)[rows[i]]++] = int32_t(label);
    }
}

// Row after row round the labels, from the label `first` on. lengths: how many each row gets.
SW_EXPORT(laid_bits)(int64_t lengths, int64_t count, int64_t labels, int64_t first, int64_t bits, int64_t words) {
  using namespace sw::trades;
  for (int64_t row = 0, start = first; row < count; row++) {
    const int64_t end = start + at<int64_t>(lengths)[row];
    Word *const own = at<Word>(bits) + row * words;
    set_run(own, start, end < labels ? end : labels);
    if (end > labels) set_run(own, 0, end - labels);
    start = end < labels ? end : end - labels;
  }
}

// held: 0, or as the bits: those that stay. order: 0 … count - 1. room: 4 × words words for each thread.
SW_EXPORT(trade_bits)
(int64_t bits, int64_t held, int64_t count, int64_t words, int64_t rounds, int64_t seed, int64_t order, int64_t room,
 int64_t threads) {
  using namespace sw::trades;
  Word *const rows = at<Word>(bits), *const stay = at<Word>(held);
  const auto trade = [=](int64_t thread, const int32_t *pair, int64_t, Word key) {
    Word *const own = at<Word>(room) + 4 * words * thread;
    const int64_t a = pair[0] * words, b = pair[1] * words;
    trade_bits(rows + a, rows + b, held ? stay + a : nullptr, held ? stay + b : nullptr, words, key,
               {own, own + words, own + 2 * words, reinterpret_cast<int64_t *>(own + 3 * words)});
  };
  rounds_of(rounds, at<int32_t>(order), count, Word(seed), threads, trade);
}

// starts: where in `labels` each row begins, and the last one ends. room: 6 × longest + 3 numbers for each thread, where
// no row has more labels than `longest`.
SW_EXPORT(trade_lists)
(int64_t starts, int64_t labels, int64_t count, int64_t longest, int64_t rounds, int64_t seed, int64_t order,
 int64_t room, int64_t threads) {
  using namespace sw::trades;
  const int64_t *const begin = at<int64_t>(starts);
  int32_t *const rows = at<int32_t>(labels);
  const auto trade = [=](int64_t thread, const int32_t *pair, int64_t left, Word key) {
    int32_t *const own = at<int32_t>(room) + (6 * longest + 3) * thread;
    for (int64_t one = 0; one < 2; one++) {
      if (one + 4 * AHEAD < left) __builtin_prefetch(begin + pair[one + 4 * AHEAD]);
      if (one + 2 * AHEAD < left) __builtin_prefetch(rows + begin[pair[one + 2 * AHEAD]], 1);
    }
    const int64_t a = begin[pair[0]], b = begin[pair[1]];
    trade_lists(rows + a, begin[pair[0] + 1] - a, rows + b, begin[pair[1] + 1] - b, key,
                {own, own + 2 * longest + 1, own + 4 * longest + 2});
  };
  rounds_of(rounds, at<int32_t>(order), count, Word(seed), threads, trade);
}

// pattern: count × labels bytes.
SW_EXPORT(spread_bits)(int64_t bits, int64_t count, int64_t words, int64_t labels, int64_t pattern) {
  using namespace sw::trades;
  for (int64_t row = 0; row < count; row++) {
    const Word *const from = at<Word>(bits) + row * words;
    uint8_t *const to = at<uint8_t>(pattern) + row * labels;
    int64_t label = 0;
    for (; label + 64 <= labels; label += 64) spread(from[label / 64], to + label);
    for (; label < labels; label++) to[label] = from[label / 64] >> label % 64 & 1;
  }
}
