//! What all TLS sessions of a gate work with in turn: a buffer for what is read, and rustls's scratch.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use crate::limits;
use crate::tls::Scratch;

/// What is read at a time: a record with its head and what seals it (RFC 5246 §6.2.3: 2 KiB at most).
const READ_BYTES: usize = 18 * 1024 + 5;

/// One for each gate, on its thread; a clone is the same. It is borrowed for one step, never while a task waits.
#[derive(Clone, Default)]
pub(super) struct Bench(Rc<RefCell<Tools>>);

/// See the module.
#[derive(Default)]
pub(super) struct Tools {
    pub(super) scratch: Scratch,
    ciphertext: Vec<u8>,
}

impl Bench {
    pub(super) fn tools(&self) -> RefMut<'_, Tools> {
        self.0.borrow_mut()
    }

    /// Gives the memory back, once there are no connections.
    pub(super) fn let_go(&self) {
        self.0.take();
    }
}

impl Tools {
    /// Room for one read behind so many bytes that were read before, and the scratch.
    pub(super) fn behind(&mut self, kept: usize) -> (&mut [u8], &mut Scratch) {
        self.ciphertext.resize(limits::TLS_CUT_BYTES + READ_BYTES, 0);
        (&mut self.ciphertext[..kept + READ_BYTES], &mut self.scratch)
    }
}
