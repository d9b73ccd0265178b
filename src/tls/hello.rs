//! The first bytes of a client, until its ClientHello is whole: they tell whose certificate it wants.

use rustls::server::Acceptor;

use super::fault::Fault;
use crate::limits;

/// A ClientHello that is on its way (RFC 8446 §4.1.2). All its bytes are for the session afterwards.
#[derive(Default)]
pub struct Hello {
    acceptor: Acceptor,
    bytes: Vec<u8>,
}

/// How far it is.
pub enum Progress {
    /// More of it must come.
    More,
    /// It is whole.
    Whole {
        /// The host that it asks for, if it says (RFC 6066 §3).
        server_name: Option<String>,
    },
    /// It is none.
    Failed {
        /// Why.
        fault: Fault,
        /// What to answer before the end: an alert, or an error of plain HTTP.
        answer: Vec<u8>,
    },
}

/// What a browser shows that was sent to a TLS port with `http://`.
const PLAIN_HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 53\r\n\r\nthis port speaks TLS: use https:// or wss:// with it\n";

impl Hello {
    /// Takes the next bytes that came.
    pub fn take(&mut self, mut bytes: &[u8]) -> Progress {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.first().is_some_and(u8::is_ascii_uppercase) {
            return Progress::Failed { fault: Fault::PlainHttp, answer: PLAIN_HTTP_ANSWER.to_vec() };
        }
        if self.bytes.len() > limits::TLS_HELLO_BYTES {
            return Progress::Failed { fault: Fault::Protocol, answer: Vec::new() };
        }
        while !bytes.is_empty() {
            // It reads from memory; what it refuses is refused by `accept` below.
            if !matches!(self.acceptor.read_tls(&mut bytes), Ok(1..)) {
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
                    return Progress::Failed { fault: Fault::of(&error, true), answer };
                }
            }
        }
        Progress::More
    }

    /// All that came, for the session.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
