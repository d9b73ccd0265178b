//! Whether the gate may accept one more connection, and the pause while it may not.
//!
//! Asked by the gate's thread before each connection that it accepts. While there is no room, new
//! peers wait in the kernel's queue, which costs this process nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use super::tally::{Pausing, Tally};
use super::trusted::Trusted;
use crate::bridge::{AddressBounds, Budget};
use crate::limits;

/// What a gate takes at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of a request's head.
    pub request_head_bytes: usize,
    /// Connections at the gate.
    pub handshakes: usize,
    /// What one address may have.
    pub address: AddressBounds,
    /// Whose word is taken for whom they speak for, when that is counted.
    pub trusted: Trusted,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            request_head_bytes: limits::REQUEST_HEAD_BYTES,
            handshakes: limits::HANDSHAKES,
            address: AddressBounds::default(),
            trusted: Trusted::default(),
        }
    }
}

/// The room for new connections.
pub(super) struct Room {
    most_handshakes: usize,
    tally: Arc<Tally>,
    pausing: Option<(Lack, Pausing)>,
    /// When to look at the reactors again.
    next_look: Option<Pin<Box<Sleep>>>,
    budget: Arc<Budget>,
}

/// What there is no room in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Handshakes,
    Intake,
    Memory,
}

impl Lack {
    fn code(self) -> &'static str {
        match self {
            Self::Handshakes => "TIDEWIRE_HANDSHAKES_FULL",
            Self::Intake => "TIDEWIRE_INTAKE_FULL",
            Self::Memory => "TIDEWIRE_MEMORY_FULL",
        }
    }
}

impl Room {
    pub(super) fn new(bounds: &Bounds, tally: Arc<Tally>, budget: Arc<Budget>) -> Self {
        Self { most_handshakes: bounds.handshakes, tally, pausing: None, next_look: None, budget }
    }

    /// Ready when one more may be accepted, with so many at the gate. Pending for their number, it does
    /// not wake: whoever sees one of them end asks again. `is_full`: whether those have no room that it goes to.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, handshakes: usize, is_full: impl Fn() -> bool) -> Poll<()> {
        if handshakes >= self.most_handshakes {
            self.pause(Lack::Handshakes);
            return Poll::Pending;
        }
        // Other threads make room; that they do is seen soon enough by looking.
        while let Some(lack) = self.lack(&is_full) {
            self.pause(lack);
            let look = || Box::pin(sleep(Duration::from_millis(limits::INTAKE_LOOK_MILLISECONDS)));
            ready!(self.next_look.get_or_insert_with(look).as_mut().poll(cx));
            self.next_look = None;
        }
        self.pausing = None;
        Poll::Ready(())
    }

    /// What other threads have no room in.
    fn lack(&self, is_full: &impl Fn() -> bool) -> Option<Lack> {
        match self.budget.level().stops_accepting() {
            true => Some(Lack::Memory),
            false => is_full().then_some(Lack::Intake),
        }
    }

    /// Nobody wants room any more.
    pub(super) fn let_go(&mut self) {
        self.pausing = None;
    }

    /// A pause for the same lack goes on.
    fn pause(&mut self, lack: Lack) {
        if self.pausing.as_ref().is_none_or(|(known, _)| *known != lack) {
            self.pausing = Some((lack, self.tally.pause(lack.code())));
        }
    }
}
