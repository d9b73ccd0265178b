//! The first bytes of a client, until its ClientHello is whole: they tell whose certificate it wants.

use rustls::server::Acceptor;

use super::fault::Fault;
use super::opening::Opening;
use crate::limits;

/// A ClientHello that is on its way (RFC 8446 §4.1.2). All its bytes are for the session afterwards; until then it
/// has twice [`limits::TLS_HELLO_BYTES`] at most, beside what it was given last.
#[derive(Default)]
pub struct Hello {
    acceptor: Acceptor,
    bytes: Vec<u8>,
    /// How many of the bytes the acceptor has.
    read: usize,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More of it must come.
    More,
    /// It is whole.
    Whole {
        /// The host that it asks for, if it says, in lower case (RFC 6066 §3). An address is none.
        server_name: Option<String>,
    },
    /// It is none.
    Failed {
        /// Why.
        fault: Fault,
        /// What to answer before the end: an alert, an error of plain HTTP, or nothing.
        answer: Vec<u8>,
    },
}

/// What a browser shows that was sent to a TLS port with `http://`.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 53\r\n\r\nthis port speaks TLS: use https:// or wss:// with it\n";

/// Alerts of RFC 8446 §6.2, in a record of TLS 1.0: old clients are to understand the first one.
const PROTOCOL_VERSION_ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
const DECODE_ERROR_ALERT: [u8; 7] = [21, 3, 1, 0, 2, 2, 50];

impl Hello {
    /// Takes the next bytes that came. Not to be called once it was whole or has failed.
    pub fn take(&mut self, bytes: &[u8]) -> Progress {
        self.bytes.extend_from_slice(bytes);
        let failed = |fault, answer: &[u8]| Progress::Failed { fault, answer: answer.to_vec() };
        match Opening::of(&self.bytes) {
            Opening::More => Progress::More,
            Opening::Tls => match self.accept() {
                Progress::More if self.bytes.len() > limits::TLS_HELLO_BYTES => {
                    failed(Fault::Protocol, &DECODE_ERROR_ALERT)
                }
                progress => progress,
            },
            Opening::Old => failed(Fault::Version, &PROTOCOL_VERSION_ALERT),
            Opening::PlainHttp => failed(Fault::PlainHttp, PLAIN_HTTP_ANSWER),
            Opening::Unknown => failed(Fault::NotTls, &[]),
        }
    }

    /// All that came, for the session.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn accept(&mut self) -> Progress {
        let end = self.bytes.len().min(limits::TLS_HELLO_BYTES);
        let mut rest = &self.bytes[self.read.min(end)..end];
        while !rest.is_empty() {
            // It reads from memory: an error is that it has enough of what is no hello.
            if !matches!(self.acceptor.read_tls(&mut rest), Ok(1..)) {
                break;
            }
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => {
                    return Progress::Whole { server_name: accepted.client_hello().server_name().map(str::to_owned) };
                }
                Err((error, mut alert)) => {
                    let mut answer = Vec::new();
                    // Into memory: it does not fail.
                    let _ = alert.write_all(&mut answer);
                    return Progress::Failed { fault: Fault::of(&error), answer };
                }
            }
        }
        self.read = end;
        Progress::More
    }
}
