//! The last bytes that passed in one direction: all that a context is, between two messages.
//!
//! A reactor keeps [`Windows`] for each connection with context takeover, from its first message on to
//! the connection's end. A window grows with what passes, up to the size that was agreed on.

/// The sliding window of one direction (RFC 1951 §2).
#[derive(Clone, Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
}

/// Those of both directions.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    /// What the client sent.
    pub inbound: Window,
    /// What was sent to it.
    pub outbound: Window,
}

impl Window {
    /// What a codec gets as its dictionary.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Memory that it takes.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Moves on over a message, plain.
    pub fn slide(&mut self, message: &[u8], window_bits: u8) {
        let size = 1 << window_bits;
        let kept = &message[message.len().saturating_sub(size)..];
        let dropped = (self.bytes.len() + kept.len()).saturating_sub(size);
        self.bytes.drain(..dropped);
        let end = self.bytes.len() + kept.len();
        if end > self.bytes.capacity() {
            // Twice what is needed, to copy rarely; but never more than the window can get.
            self.bytes.reserve_exact((2 * end).min(size) - self.bytes.len());
        }
        self.bytes.extend_from_slice(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_the_last_bytes_and_no_more_memory() {
        let mut window = Window::default();
        let mut all = Vec::new();
        for round in 0..if cfg!(miri) { 20 } else { 200_usize } {
            let message: Vec<u8> = (0..round * 37 % 700).map(|at| (at * round) as u8).collect();
            window.slide(&message, 9);
            all.extend(message);
            assert_eq!(window.bytes(), &all[all.len().saturating_sub(512)..]);
            assert!(window.bytes.capacity() <= 512);
        }
        assert_eq!(window.bytes().len(), 512);
    }
}
