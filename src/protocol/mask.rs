//! Unmasking in place (RFC 6455 §5.3).
//!
//! Allocates nothing, and works eight bytes at a time so that the compiler can use wide registers.

/// Unmasks `payload`, whose first byte meets the first byte of `key`. Says whether it is all ASCII,
/// which costs next to nothing here and saves most texts a second look.
#[inline]
pub(super) fn unmask(payload: &mut [u8], key: [u8; 4]) -> bool {
    let key_half = u32::from_ne_bytes(key);
    let key_word = u64::from(key_half) << 32 | u64::from(key_half);
    let (words, tail) = payload.as_chunks_mut::<8>();
    let mut seen = 0;
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ key_word;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    let (halves, tail) = tail.as_chunks_mut::<4>();
    if let [half] = halves {
        let plain = u32::from_ne_bytes(*half) ^ key_half;
        seen |= u64::from(plain);
        *half = plain.to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
        seen |= u64::from(*byte);
    }
    seen & 0x8080_8080_8080_8080 == 0
}

/// The key as it meets the payload `count` bytes further on.
#[inline]
pub(super) fn rotated(key: [u8; 4], count: usize) -> [u8; 4] {
    let bits = (count % 4) as u32 * 8;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::{KEY, hex};

    #[test]
    fn the_example_of_the_rfc() {
        let mut payload = hex("7f9f4d5158");
        assert!(unmask(&mut payload, KEY));
        assert_eq!(payload, b"Hello");
    }

    #[test]
    fn every_length_and_every_cut() {
        for size in 0..40 {
            let plain: Vec<u8> = (0..size).map(|at| at as u8).collect();
            let masked: Vec<u8> = plain.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
            for cut in 0..=size {
                let mut bytes = masked.clone();
                let (front, back) = bytes.split_at_mut(cut);
                unmask(front, KEY);
                unmask(back, rotated(KEY, cut));
                assert_eq!(bytes, plain, "{size} bytes cut at {cut}");
            }
        }
    }

    #[test]
    fn one_byte_that_is_not_ascii_is_seen_anywhere() {
        for size in 1..40 {
            for at in 0..size {
                let mut masked: Vec<u8> = (0..size).map(|i| b'a' ^ KEY[i % 4]).collect();
                masked[at] ^= 0x80;
                assert!(!unmask(&mut masked, KEY), "byte {at} of {size}");
            }
        }
    }
}
