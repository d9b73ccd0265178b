//! A socket made of memory.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use super::Wire;

/// What a peer has sent, what it is sent, and how much the host takes.
#[derive(Default)]
pub(super) struct Memory {
    /// Not read yet.
    pub(super) incoming: VecDeque<u8>,
    /// Bytes of one read at most; 0 is all.
    pub(super) read: usize,
    /// Written.
    pub(super) outgoing: Vec<u8>,
    /// What the next writes take, one after another; without any, all is taken. 0 is [`ErrorKind::WouldBlock`].
    pub(super) room: VecDeque<usize>,
}

impl Wire for Memory {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = if self.read == 0 { usize::MAX } else { self.read };
        let length = self.incoming.len().min(buffer.len()).min(most);
        for (place, byte) in buffer.iter_mut().zip(self.incoming.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.pop_front().unwrap_or(usize::MAX).min(bytes.len());
        if room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.outgoing.extend_from_slice(&bytes[..room]);
        Ok(room)
    }
}
