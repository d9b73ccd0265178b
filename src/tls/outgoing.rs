//! Sealed records of one turn, until they are written: one buffer for all sessions of a thread.

/// Bytes that grow without being cleared before they are written over.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    filled: usize,
}

/// Room that is offered at first: for most of what is said in a handshake, and for a record.
const ROOM_BYTES: usize = 17 * 1024;

impl Outgoing {
    /// What was appended.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Whether nothing was.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Empties it; the memory stays for the next.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// The memory that is kept.
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Has `write` append to it, which returns how much it wrote; again with more room if it asks for that
    /// with its error.
    pub(super) fn append<E>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
        required: impl Fn(&E) -> Option<usize>,
    ) -> Result<(), E> {
        let mut room = ROOM_BYTES;
        loop {
            if self.bytes.len() < self.filled + room {
                self.bytes.resize(self.filled + room, 0);
            }
            match write(&mut self.bytes[self.filled..]) {
                Ok(written) => {
                    self.filled += written;
                    return Ok(());
                }
                Err(error) => match required(&error) {
                    Some(bytes) if bytes > room => room = bytes,
                    _ => return Err(error),
                },
            }
        }
    }
}
