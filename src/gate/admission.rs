//! Whether a connection may come in, and whom it counts for.
//!
//! One [`Admission`] for each gate, asked for each connection before anything is read of it. That the App has too many
//! is the census's word; what an address may have is counted only if the App bounds it. A connection of a trusted
//! proxy counts for whom the proxy speaks for, once that is known: its [`Counting`] is in its task.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Bounds;
use super::tally::Tally;
use super::trusted::Trusted;
use crate::bridge::{Addresses, Excess, Guest, Ticket};

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surplus {
    /// The App has as many connections as it may have.
    App,
    /// Its address may have no more.
    Address(Excess),
}

/// See the module.
pub(super) struct Admission {
    /// Where what an address may have is bounded.
    addresses: Option<Counted>,
    tally: Arc<Tally>,
}

struct Counted {
    addresses: Arc<Addresses>,
    trusted: Trusted,
}

impl Admission {
    pub(super) fn new(bounds: &Bounds, tally: Arc<Tally>) -> Self {
        let counted = || Counted { addresses: Addresses::new(bounds.address), trusted: bounds.trusted.clone() };
        Self { addresses: bounds.address.is_any().then(counted), tally }
    }

    /// Counts a connection that was accepted, until its ticket is dropped; or that it is turned away.
    pub(super) fn admit(&self, ticket: &mut Ticket, peer: Option<SocketAddr>) -> Result<(), Surplus> {
        self.judge(ticket, peer).inspect_err(|&surplus| self.tally.turn_away(surplus))
    }

    fn judge(&self, ticket: &mut Ticket, peer: Option<SocketAddr>) -> Result<(), Surplus> {
        if !ticket.connect() {
            return Err(Surplus::App);
        }
        if let Some(Counted { addresses, trusted }) = &self.addresses
            && let Some(peer) = peer
            && !trusted.trusts_peer(Some(peer))
        {
            let entered = addresses.enter(peer.ip()).inspect_err(|_| ticket.disconnect());
            ticket.set_guest(entered.map_err(Surplus::Address)?);
        }
        Ok(())
    }

    /// Whether a connection counts for an address that its peer is still to say.
    pub(super) fn awaits(&self, peer: Option<SocketAddr>) -> bool {
        self.addresses.as_ref().is_some_and(|counted| counted.trusted.trusts_peer(peer))
    }

    /// For whom a connection of this peer counts.
    pub(super) fn counting(&self, peer: Option<SocketAddr>) -> Counting<'_> {
        let counted = self.addresses.as_ref().filter(|counted| counted.trusted.trusts_peer(peer));
        let peer = peer.map(|peer| peer.ip());
        Counting { counted, tally: &self.tally, peer, proxied: Cell::new(None), client: RefCell::new(None) }
    }
}

/// For whom a connection counts, where its peer says it.
pub(super) struct Counting<'a> {
    /// `None`: it counts for its peer, if at all.
    counted: Option<&'a Counted>,
    tally: &'a Tally,
    /// The address of the peer itself, if it has one.
    peer: Option<IpAddr>,
    /// Who was named at the beginning of the connection.
    proxied: Cell<Option<IpAddr>>,
    client: RefCell<Option<(IpAddr, Option<Guest>)>>,
}

impl Counting<'_> {
    /// Whether heads are to be looked at.
    pub(super) fn is_awaited(&self) -> bool {
        self.counted.is_some()
    }

    /// A head of the PROXY protocol has named this client.
    pub(super) fn set_proxied(&self, client: SocketAddr) {
        self.proxied.set(Some(client.ip()));
    }

    /// Says for whom the connection counts from now on, once a head has come. `forwarded` are the values of that head's
    /// `X-Forwarded-For`. If that is somebody else than before, as behind a proxy that sends requests of many clients over one
    /// connection, it counts for the former no more. Does nothing if the peer is not trusted, or names nobody.
    ///
    /// # Errors
    ///
    /// When the new one has too many connections. That is noted as a client that was turned away; the connection is to be
    /// ended, and counts for the former until then.
    pub(super) fn count<'h>(&self, forwarded: impl DoubleEndedIterator<Item = &'h [u8]>) -> Result<(), Surplus> {
        let Some(Counted { addresses, trusted }) = self.counted else { return Ok(()) };
        let Some(client) = trusted.client(self.peer, self.proxied.get(), forwarded) else { return Ok(()) };
        if self.client.borrow().as_ref().is_none_or(|(known, _)| *known != client) {
            let entered = addresses.enter(client).map_err(Surplus::Address);
            let guest = entered.inspect_err(|&surplus| self.tally.turn_away(surplus))?;
            self.client.replace(Some((client, guest)));
        }
        Ok(())
    }

    /// The connection becomes a WebSocket: what counts is its ticket's.
    pub(super) fn hand_over(self, ticket: &mut Ticket) {
        if let Some((_, guest)) = self.client.into_inner() {
            ticket.set_guest(guest);
        }
    }
}
