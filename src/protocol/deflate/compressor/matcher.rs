//! Finds repeats.
//!
//! It remembers, for each hash of four bytes, where these stood last. A place is counted from the first
//! message on, so that the places of earlier messages are known by being small, and nothing need be
//! cleared between two messages: that would cost more than to compress a short one.

use std::ops::Range;

use super::block::Block;
use super::symbols::LENGTH_MAX;

/// The shortest repeat that is looked for. One of three bytes saves next to nothing.
const LENGTH_MIN: usize = 4;

/// A repeat so long is taken as it is; behind a shorter one's first byte there may be a longer one.
const LENGTH_GOOD: usize = 32;

/// Of a long repeat, only so many of the last bytes are remembered: a run of zeros is quick.
const REMEMBERED_BYTES: usize = 32;

/// What is near in a dictionary, and the step from one place that is remembered to the next before that.
/// At 1 KiB of JSON-like text behind 32 KiB, a step of 1 takes 33 µs for 0.220 of the plain size, 2 takes
/// 20 for 0.217, and 4 takes 15 for 0.215: among fewer places, less is forgotten.
const NEAR_BYTES: usize = 4096;
const FAR_STEP: usize = 4;

/// Sizes of the table: at least four places for each byte of the message, within this, so that a short
/// message touches few cache lines. Each place has four bytes.
const TABLE_BITS_MIN: u32 = 10;
const TABLE_BITS_MAX: u32 = 15;

/// Where four bytes stood last, by their hash. At most 128 KiB.
pub struct Matcher {
    table: Vec<u32>,
    /// The bits of a hash that are left out.
    shift: u32,
    /// Where the message begins. Never 0, so that no place of it is.
    start: u32,
    /// And where the next one does.
    end: u32,
}

impl Default for Matcher {
    fn default() -> Self {
        Self { table: Vec::new(), shift: 0, start: 1, end: 1 }
    }
}

/// Bytes that stood before.
#[derive(Clone, Copy)]
struct Repeat {
    length: usize,
    distance: usize,
}

impl Matcher {
    /// Begins a message of so many bytes, with what may stand before it.
    pub fn begin(&mut self, bytes: usize) {
        let bits = (bytes.next_power_of_two().ilog2() + 2).clamp(TABLE_BITS_MIN, TABLE_BITS_MAX);
        self.shift = u32::BITS - bits;
        if self.table.len() < 1 << bits {
            self.table.resize(1 << bits, 0);
        }
        match self.end.checked_add(bytes as u32) {
            Some(end) => (self.start, self.end) = (self.end, end),
            None => {
                self.table.fill(0);
                (self.start, self.end) = (1, 1 + bytes as u32);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// Remembers what stands before the message: the nearest places all, those far off in part, since a
    /// short message would cost more than its own bytes otherwise.
    pub fn remember_dictionary(&mut self, bytes: &[u8], size: usize) {
        let far = size.saturating_sub(NEAR_BYTES);
        self.remember(bytes, (0..far).step_by(FAR_STEP));
        self.remember(bytes, far..size);
    }

    /// Splits a part of the message into literals and repeats, no further back than `window`.
    pub fn parse(&mut self, bytes: &[u8], part: Range<usize>, window: usize, block: &mut Block) {
        let bytes = &bytes[..part.end];
        let mut at = part.start;
        let mut literals = at;
        while let Some(mut repeat) = self.next_repeat(bytes, &mut at, window) {
            let mut searched = at + 1;
            while repeat.length < LENGTH_GOOD
                && let Some(longer) = self.repeat_at(bytes, searched, window, repeat.length)
            {
                (at, repeat) = (searched, longer);
                searched += 1;
            }
            let earlier = same_before(bytes, literals, at, repeat);
            at -= earlier;
            repeat.length += earlier;
            block.push(&bytes[literals..at], repeat.length as u16, repeat.distance as u16);
            at += repeat.length;
            literals = at;
            self.remember(bytes, at.saturating_sub(REMEMBERED_BYTES).max(searched + 1)..at);
        }
        block.end(&bytes[literals..]);
    }

    /// Remembers places of the message.
    #[inline]
    fn remember(&mut self, bytes: &[u8], places: impl Iterator<Item = usize>) {
        for at in places {
            let Some(word) = word_at(bytes, at) else { break };
            self.replace(word, at);
        }
    }

    /// The next repeat from `at` on, which is moved to it.
    #[inline]
    fn next_repeat(&mut self, bytes: &[u8], at: &mut usize, window: usize) -> Option<Repeat> {
        while *at + LENGTH_MIN <= bytes.len() {
            if let Some(repeat) = self.repeat_at(bytes, *at, window, LENGTH_MIN - 1) {
                return Some(repeat);
            }
            *at += 1;
        }
        None
    }

    /// A repeat that begins here and is longer than that, if there is one. The place is remembered.
    #[inline]
    fn repeat_at(&mut self, bytes: &[u8], at: usize, window: usize, longer_than: usize) -> Option<Repeat> {
        let word = word_at(bytes, at)?;
        let before = self.replace(word, at).checked_sub(self.start)? as usize;
        let distance = at - before;
        if distance > window || word_at(bytes, before) != Some(word) {
            return None;
        }
        let length = common_length(&bytes[before..], &bytes[at..]);
        (length > longer_than).then_some(Repeat { length, distance })
    }

    /// Remembers where these four bytes stand, and tells where bytes of the same hash stood last.
    #[inline]
    fn replace(&mut self, word: u32, at: usize) -> u32 {
        // Knuth's multiplicative hash: the high bits are the good ones.
        let hash = word.wrapping_mul(0x9e37_79b1) >> self.shift;
        let place = self.start + at as u32;
        self.table.get_mut(hash as usize).map_or(0, |last| std::mem::replace(last, place))
    }
}

#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// How many bytes before a repeat belong to it, too, back to `start` at most. A place may have been
/// forgotten for another of the same hash, or never have been remembered.
#[inline]
fn same_before(bytes: &[u8], start: usize, at: usize, repeat: Repeat) -> usize {
    let most = (LENGTH_MAX - repeat.length).min(at - start);
    let (before, here) = (&bytes[..at - repeat.distance], &bytes[start..at]);
    before.iter().rev().zip(here.iter().rev()).take(most).take_while(|(one, other)| one == other).count()
}

/// How many bytes are the same, as far as a repeat may be long. The second slice is the shorter one.
#[inline]
fn common_length(before: &[u8], here: &[u8]) -> usize {
    let here = &here[..here.len().min(LENGTH_MAX)];
    let before = &before[..here.len()];
    let (eights_before, _) = before.as_chunks::<8>();
    let (eights, _) = here.as_chunks::<8>();
    for (at, (one, other)) in eights_before.iter().zip(eights).enumerate() {
        let differing = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differing != 0 {
            return 8 * at + (differing.trailing_zeros() / 8) as usize;
        }
    }
    let whole = 8 * eights.len();
    whole + before[whole..].iter().zip(&here[whole..]).take_while(|(one, other)| one == other).count()
}
