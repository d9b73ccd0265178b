//! Unmasking in place (RFC 6455 §5.3).
//!
//! Allocates nothing, and works eight bytes at a time so that the compiler can use wide registers.

/// Unmasks `payload`, whose first byte meets the first byte of `key`.
#[inline]
pub(super) fn unmask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The key as it meets the payload `count` bytes further on.
#[inline]
pub(super) fn rotated(key: [u8; 4], count: usize) -> [u8; 4] {
    let bits = (count % 4) as u32 * 8;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}
