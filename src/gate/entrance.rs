//! What all connections of a gate share, and what each one's requests are answered by.

use std::cell::RefCell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use hyper::server::conn::http1;

use super::admission::Admission;
use super::closing::Closing;
use super::desk::Desk;
use super::greeting::proxied_note;
use super::hand_over::Reactors;
use super::handshake::{Guest, Reception};
use super::screened::ReadBuffer;
use super::security::Security;
use super::tally::Tally;
use super::turned_away::Lingering;
use super::{Bounds, Routes};
use crate::http::HeadScreen;
use crate::limits;

/// hyper's smallest buffer.
const HYPER_BUFFER_BYTES: usize = 8 * 1024;

/// What all connections of a gate share.
pub(super) struct Entrance {
    pub(super) routes: Routes,
    pub(super) admission: Admission,
    pub(super) lingering: Lingering,
    pub(super) reactors: Reactors,
    pub(super) desk: Rc<Desk>,
    pub(super) tally: Arc<Tally>,
    pub(super) closing: Closing,
    pub(super) screen: HeadScreen,
    pub(super) buffer: Box<RefCell<ReadBuffer>>,
    pub(super) http: http1::Builder,
    /// Where TLS is spoken.
    pub(super) reception: Option<Reception>,
}

/// What one connection's requests are answered by.
pub(super) struct Terms {
    /// The App's, or those of the domain that its client asked for.
    pub(super) routes: Routes,
    /// The peer's address, where it has one.
    pub(super) peer: Option<SocketAddr>,
    /// Lines for the head of each request, from the handshake: whom a proxy speaks for, and the client's
    /// certificate in hexadecimal.
    pub(super) notes: String,
}

impl Entrance {
    pub(super) fn new(
        routes: Routes,
        reactors: Reactors,
        desk: Desk,
        tally: Arc<Tally>,
        bounds: &Bounds,
        security: Option<Security>,
    ) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own deadline for a head is left out: `converse` has one that covers the writing,
        // too. Its bounds are above those of the screen, which has judged before, and answers with a
        // sentence. A client that has finished sending still gets its answer; with this setting hyper
        // reads nothing, either, while a request is being answered, so no frame is taken for a head.
        http.max_buf_size(bounds.request_head_bytes + HYPER_BUFFER_BYTES)
            .max_headers(limits::REQUEST_HEADER_LINES)
            .half_close(true);
        let (desk, closing, buffer) = (Rc::new(desk), Closing::default(), Box::new(RefCell::new([0; _])));
        let screen = HeadScreen::new(bounds.request_head_bytes);
        let reception = security.map(Reception::new);
        let (admission, lingering) = (Admission::new(bounds, tally.clone()), Lingering::default());
        Self { routes, admission, lingering, reactors, desk, tally, closing, screen, buffer, http, reception }
    }

    /// Those of a connection without TLS.
    pub(super) fn terms(&self, peer: Option<SocketAddr>) -> Terms {
        Terms { routes: self.routes.clone(), peer, notes: String::new() }
    }

    /// Those of one that has shaken hands.
    pub(super) fn terms_for(&self, reception: &Reception, guest: &Guest, peer: Option<SocketAddr>) -> Terms {
        let own = guest.name.as_deref().and_then(|name| reception.security.routes_of(name));
        let mut notes = guest.proxied.map(proxied_note).unwrap_or_default();
        if let Some(bytes) = guest.stream.client_certificate() {
            notes.push_str(":certificate:");
            // Into memory: it does not fail.
            bytes.iter().for_each(|byte| _ = write!(notes, "{byte:02x}"));
            notes.push('\n');
        }
        Terms { routes: own.unwrap_or_else(|| self.routes.clone()), peer, notes }
    }

    pub(super) fn reactors(&self) -> &Reactors {
        &self.reactors
    }

    pub(super) fn desk(&self) -> &Rc<Desk> {
        &self.desk
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lets go of buffers, once there are no connections.
    pub(super) fn let_go(&self) {
        self.desk.let_go();
        self.reactors.let_go();
        if let Some(reception) = &self.reception {
            reception.let_go();
        }
    }

    /// The App shuts down: connections end at which no request is under way, and others behind theirs.
    pub(super) fn close(&self) {
        self.closing.begin();
    }
}
