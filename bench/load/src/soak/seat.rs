//! A connection's place in the soak: who sits there, how that stands, and what the server is to be told of it.

use std::net::SocketAddr;
use std::time::Instant;

use crate::client::Client;
use crate::deflate::OFFER;
use crate::frame::FrameReader;
use crate::handshake;
use crate::soak::codec::Codec;
use crate::soak::lane::Lane;
use crate::soak::message::{Head, word};
use crate::soak::roster::{Deflate, Ending, Part, Role};
use crate::stream::Stream;

/// Offers contexts that all messages share.
const CONTEXT_OFFER: &str = "permessage-deflate";

/// Where a place stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is there, and maybe something will be.
    Vacant,
    /// A connection is made, since then.
    Opening(Instant),
    /// It is open, and nobody ends it.
    Open,
    /// Its end was begun then.
    Leaving(Ending, Instant),
}

/// A connection's place.
pub(crate) struct Seat {
    pub role: Role,
    pub stage: Stage,
    /// When it was opened that is there, or was.
    pub opened: Instant,
    pub client: Option<Client>,
    pub lane: Lane,
    /// The contexts of compression of one that keeps them.
    pub codec: Option<Box<Codec>>,
    /// The upgrade request of one that is made.
    pub request: Vec<u8>,
    /// What the server is to be told of the connection before, as soon as this one is open.
    pub note: Option<Vec<u8>>,
}

impl Seat {
    /// The place with this index, before the first connection.
    pub(crate) fn vacant(index: usize, now: Instant) -> Self {
        Self {
            role: Role::of(index),
            stage: Stage::Vacant,
            opened: now,
            client: None,
            lane: Lane::new(0, false),
            codec: None,
            request: Vec::new(),
            note: None,
        }
    }

    /// The way of its connections, in words.
    pub(crate) fn way(&self) -> String {
        let beneath = if self.role.tls { " over TLS" } else { "" };
        format!("{}{beneath}", self.role.path())
    }

    /// A connection is being made.
    pub(crate) fn begin(&mut self, stream: Stream, address: SocketAddr, connection: u32, now: Instant) {
        let (reader, offer) = match self.role.deflate {
            Deflate::Off => (FrameReader::default(), None),
            Deflate::Single => (FrameReader::deflating(), Some(OFFER)),
            Deflate::Context => (FrameReader::deflating(), Some(CONTEXT_OFFER)),
        };
        self.request = handshake::request(&address.to_string(), self.role.path(), offer);
        self.codec = (self.role.deflate == Deflate::Context).then(|| Box::new(Codec::new(true)));
        self.lane = Lane::new(connection, self.role.part == Part::Slow);
        self.client = Some(Client::new(stream, reader));
        self.stage = Stage::Opening(now);
    }

    /// Nothing is there any more. What the server does not know yet of the last connection is kept for the next one.
    pub(crate) fn clear(&mut self) {
        let body: Option<&[u8]> = match self.stage {
            Stage::Leaving(Ending::Half, _) => Some(b"all"),
            Stage::Leaving(Ending::Reset, _) | Stage::Open => Some(b"some"),
            // The server was told when the end was begun.
            Stage::Leaving(Ending::Close | Ending::End | Ending::Cut, _) => None,
            Stage::Vacant | Stage::Opening(_) => None,
        };
        if let (Some(body), 1..) = (body, self.lane.written()) {
            let head = Head { word: word::NOTE, of: self.lane.connection, number: self.lane.written() };
            self.note = Some(head.message(body));
        }
        self.client = None;
        self.codec = None;
        self.stage = Stage::Vacant;
    }
}
