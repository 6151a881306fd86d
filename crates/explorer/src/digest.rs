//! What makes two states the same: 128 bits over everything that the future depends on.
//!
//! Time enters as age. Instants lie above [`EPOCH_MS`], every other number below, so a derived `Hash` of any type is
//! enough: an instant is hashed as the number of deadlines that it has outlived. Two states whose ages lie between the
//! same deadlines are taken for one; the walk follows the one that it met first. So it may miss an order of two
//! deadlines, and never reports what cannot happen.

use std::hash::{Hash, Hasher};

/// When every world begins, ms: above every other number that a state holds.
pub(crate) const EPOCH_MS: u64 = 1 << 40;

const LEFT: u64 = 0x9E37_79B9_7F4A_7C15;
const RIGHT: u64 = 0xC2B2_AE3D_27D4_EB4F;

/// A hasher that knows what time it is.
pub(crate) struct Digester<'a> {
    lanes: [u64; 2],
    now_ms: u64,
    deadlines: &'a [u64],
}

impl<'a> Digester<'a> {
    /// At this time; `deadlines` are the ages that matter, sorted, ms.
    pub(crate) fn new(now_ms: u64, deadlines: &'a [u64]) -> Self {
        Self { lanes: [LEFT, RIGHT], now_ms, deadlines }
    }

    /// From here on these ages matter.
    pub(crate) fn judge_by(&mut self, deadlines: &'a [u64]) {
        self.deadlines = deadlines;
    }

    /// The digest of everything so far.
    pub(crate) fn sum(&self) -> u128 {
        let [a, b] = self.lanes;
        let (a, b) = (fold(a ^ b.rotate_left(32), RIGHT), fold(b ^ a, LEFT));
        u128::from(a) << 64 | u128::from(b)
    }

    #[inline]
    fn word(&mut self, word: u64) {
        let [a, b] = self.lanes;
        self.lanes = [fold(a ^ word, LEFT), (b.rotate_left(29) ^ word).wrapping_mul(RIGHT)];
    }

    fn age(&self, at_ms: u64) -> u64 {
        let age = self.now_ms.saturating_sub(at_ms);
        EPOCH_MS + self.deadlines.partition_point(|deadline| *deadline <= age) as u64
    }
}

/// The digest of one value.
pub(crate) fn digest(value: &impl Hash, now_ms: u64, deadlines: &[u64]) -> u128 {
    let mut digester = Digester::new(now_ms, deadlines);
    value.hash(&mut digester);
    digester.sum()
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

impl Hasher for Digester<'_> {
    fn finish(&self) -> u64 {
        self.sum() as u64
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.word(u64::from(n));
    }

    #[inline]
    fn write_u16(&mut self, n: u16) {
        self.word(u64::from(n));
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.word(u64::from(n));
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        let word = if n >= EPOCH_MS { self.age(n) } else { n };
        self.word(word);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    #[inline]
    fn write_isize(&mut self, n: isize) {
        self.word(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: &[u64] = &[100, 1_000];

    #[test]
    fn instants_count_by_the_deadlines_they_have_outlived() {
        let at = |at_ms: u64, now_ms: u64| digest(&at_ms, now_ms, DEADLINES);
        assert_eq!(at(EPOCH_MS, EPOCH_MS + 99), at(EPOCH_MS + 500, EPOCH_MS + 550));
        assert_ne!(at(EPOCH_MS, EPOCH_MS + 99), at(EPOCH_MS, EPOCH_MS + 100));
        assert_eq!(at(EPOCH_MS, EPOCH_MS + 1_000), at(EPOCH_MS, EPOCH_MS + 90_000));
    }

    #[test]
    fn everything_else_counts_as_it_is() {
        let sum = |value: (u8, u64, [u8; 16])| digest(&value, EPOCH_MS, DEADLINES);
        assert_ne!(sum((1, 7, [3; 16])), sum((1, 8, [3; 16])));
        assert_ne!(sum((1, 7, [3; 16])), sum((2, 7, [3; 16])));
        assert_ne!(sum((1, 7, [3; 16])), sum((1, 7, [4; 16])));
        assert_eq!(sum((1, 7, [3; 16])), sum((1, 7, [3; 16])));
    }
}
