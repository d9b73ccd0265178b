//! The first bytes of a TLS client: its ClientHello, and what a proxy says before it.

use std::net::SocketAddr;

use crate::http::proxy::{self, Beginning, Client};
use crate::tls::{Fault, Hello, Progress};

/// See the module. Memory: what has come of it.
#[derive(Default)]
pub(super) struct Greeting {
    /// What came before it is known whether a proxy speaks first.
    head: Vec<u8>,
    is_clients: bool,
    proxied: Option<SocketAddr>,
    hello: Hello,
}

impl Greeting {
    /// Takes the next bytes that came.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Progress {
        if self.is_clients {
            return self.hello.take(bytes);
        }
        self.head.extend_from_slice(bytes);
        match proxy::look(&self.head) {
            Ok(Beginning::Unknown) => return Progress::More,
            Ok(Beginning::Request) => {}
            Ok(Beginning::Proxied { bytes, client }) => {
                self.head.drain(..bytes);
                self.proxied = client.map(address_of);
            }
            // It is a proxy's, which would not understand an alert.
            Err(_) => return Progress::Failed { fault: Fault::NotTls, answer: Vec::new() },
        }
        self.is_clients = true;
        self.hello.take(&std::mem::take(&mut self.head))
    }

    /// Whom a proxy speaks for.
    pub(super) fn proxied(&self) -> Option<SocketAddr> {
        self.proxied
    }

    /// The ClientHello, for the session, and whom a proxy speaks for.
    pub(super) fn into_parts(self) -> (Vec<u8>, Option<SocketAddr>) {
        (self.hello.into_bytes(), self.proxied)
    }
}

/// Whom a proxy speaks for.
pub(super) fn address_of(client: Client) -> SocketAddr {
    match client {
        Client::V4(address, port) => (address, port).into(),
        Client::V6(address, port) => (address, port).into(),
    }
}

/// The line about it in the text of a head.
pub(super) fn proxied_note(client: SocketAddr) -> String {
    format!(":proxied:{} {}\n", client.ip(), client.port())
}
