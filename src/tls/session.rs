//! One TLS connection on the server's side, as a value: records in, plaintext out, and back.
//!
//! rustls's unbuffered interface under it: it works in its caller's buffers, so an idle session holds keys and
//! no bytes (docs/memory.md has the figure). What a read cuts is kept until the next one, and what the host
//! does not take until it does: see [`line`](super::line), which drives this over a socket.

use std::io::IoSlice;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};

use super::fault::Fault;
use super::outgoing::Outgoing;
use crate::limits;

/// Plaintext of one record at most (RFC 8446 §5.1, RFC 5246 §6.2.1).
const RECORD_BYTES: usize = 16 * 1024;

/// A TLS connection, from the ClientHello on.
pub struct Session {
    connection: UnbufferedServerConnection,
    /// What has come of a record, or of a handshake message, that is not whole. rustls has a part of it
    /// decrypted in place, so it is given back to it as it was. Born by a read that cuts one, freed with it.
    cut: Vec<u8>,
    /// Records that the host did not take yet.
    pub(super) unsent: Unsent,
    is_shaking: bool,
    is_finished: bool,
    says_no_more: bool,
    fault: Option<Fault>,
}

/// Sealed records that wait for the host. Born by a short write, freed when written.
#[derive(Default)]
pub(super) struct Unsent {
    pub(super) bytes: Vec<u8>,
    /// How many of them are written already.
    pub(super) written: usize,
    /// Plaintext in them of which the caller was not told yet that it is sent.
    pub(super) plaintext: usize,
}

impl Session {
    /// A session that waits for its ClientHello.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`]: the configuration does not fit; none that [`Identity`](super::Identity) makes is such.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, Fault> {
        Ok(Self {
            connection: UnbufferedServerConnection::new(config).map_err(|_| Fault::Internal)?,
            cut: Vec::new(),
            unsent: Unsent::default(),
            is_shaking: true,
            is_finished: false,
            says_no_more: false,
            fault: None,
        })
    }

    /// Whether the handshake is under way.
    pub fn is_shaking_hands(&self) -> bool {
        self.is_shaking
    }

    /// Whether the peer has said close_notify: it sends no more (RFC 8446 §6.1).
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// What it has failed of. It is of no more use then: its alert is sent, or waits, and nothing follows that.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether it resumes an earlier session (RFC 8446 §2.2), once the handshake is done.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The certificate by which the client has proved who it is, if it has.
    pub fn client_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificates()?.first()
    }

    /// What is kept of a record that is not whole.
    pub fn cut(&self) -> &[u8] {
        &self.cut
    }

    /// Opens records: appends their content to `plaintext`, and to `out` what is to be sent for them, be it an
    /// alert. `incoming` is what has come, behind a copy of [`cut`](Self::cut).
    ///
    /// # Errors
    ///
    /// Whatever the peer has done wrong; the session is of no more use then.
    pub fn open(&mut self, incoming: &mut [u8], plaintext: &mut Vec<u8>, out: &mut Outgoing) -> Result<(), Fault> {
        let mut opened = 0;
        let outcome = loop {
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(&mut incoming[opened..]);
            let goes_on = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        plaintext.extend_from_slice(record.payload);
                    }
                    true
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    true
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.is_finished = true;
                    true
                }
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_shaking = false;
                    false
                }
                Ok(_) => false,
                Err(error) => {
                    let fault = Fault::of(&error, self.is_shaking);
                    self.alert(&mut incoming[opened..], out);
                    break Err(fault);
                }
            };
            opened += discard;
            if !goes_on {
                break Ok(());
            }
        };
        let rest = &incoming[opened..];
        match rest.len() {
            _ if outcome.is_err() => self.cut = Vec::new(),
            0 => self.cut = Vec::new(),
            1..=limits::TLS_CUT_BYTES => {
                self.cut.clear();
                // To the byte: most of these are short, and some thousand peers may have one at a time.
                self.cut.reserve_exact(rest.len());
                self.cut.extend_from_slice(rest);
            }
            _ => return Err(self.fail(Fault::Protocol)),
        }
        outcome.map_err(|fault| self.fail(fault))
    }

    /// Nothing is read or said any more.
    pub(super) fn fail(&mut self, fault: Fault) -> Fault {
        (self.fault, self.says_no_more) = (Some(fault), true);
        fault
    }

    /// The alert of a session that has failed, and what was to be sent before it.
    fn alert(&mut self, incoming: &mut [u8], out: &mut Outgoing) {
        loop {
            match self.connection.process_tls_records(incoming).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if !encode(&mut data, out) {
                        return;
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }

    /// Seals plaintext in records, which are appended to `out`: [`limits::TLS_SEALED_BYTES`] of it at most.
    /// Short slices share a record; `staging` is where they meet. Returns how much is sealed.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`]: there are no keys, or they are used up.
    pub fn seal(&mut self, slices: &[IoSlice<'_>], staging: &mut Vec<u8>, out: &mut Outgoing) -> Result<usize, Fault> {
        staging.clear();
        let mut room = limits::TLS_SEALED_BYTES;
        for slice in slices {
            let mut bytes = &slice[..slice.len().min(room)];
            room -= bytes.len();
            while !bytes.is_empty() {
                if staging.is_empty() && bytes.len() >= RECORD_BYTES {
                    let (record, rest) = bytes.split_at(RECORD_BYTES);
                    self.encrypt(record, out)?;
                    bytes = rest;
                    continue;
                }
                let (piece, rest) = bytes.split_at(bytes.len().min(RECORD_BYTES - staging.len()));
                staging.extend_from_slice(piece);
                bytes = rest;
                if staging.len() == RECORD_BYTES {
                    self.encrypt(staging, out)?;
                    staging.clear();
                }
            }
            if room == 0 {
                break;
            }
        }
        if !staging.is_empty() {
            self.encrypt(staging, out)?;
        }
        Ok(limits::TLS_SEALED_BYTES - room)
    }

    /// Seals close_notify, once (RFC 8446 §6.1): nothing follows it.
    ///
    /// # Errors
    ///
    /// As of [`seal`](Self::seal).
    pub fn seal_end(&mut self, out: &mut Outgoing) -> Result<(), Fault> {
        if self.says_no_more {
            return Ok(());
        }
        self.says_no_more = true;
        self.write(out, |mut traffic, out| out.append(|room| traffic.queue_close_notify(room), required))
    }

    fn encrypt(&mut self, plaintext: &[u8], out: &mut Outgoing) -> Result<(), Fault> {
        self.write(out, |mut traffic, out| out.append(|room| traffic.encrypt(plaintext, room), required))
    }

    /// Writes when all that rustls has to say by itself, such as an update of keys, is said.
    fn write(
        &mut self,
        out: &mut Outgoing,
        write: impl FnOnce(
            WriteTraffic<'_, rustls::server::ServerConnectionData>,
            &mut Outgoing,
        ) -> Result<(), EncryptError>,
    ) -> Result<(), Fault> {
        // rustls remembers where in it a handshake message begins that is cut: it must have the same bytes again.
        let mut cut = std::mem::take(&mut self.cut);
        let outcome = loop {
            match self.connection.process_tls_records(&mut cut).state {
                Ok(ConnectionState::WriteTraffic(traffic)) => break write(traffic, out).map_err(|_| Fault::Internal),
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if !encode(&mut data, out) {
                        break Err(Fault::Internal);
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_finished = true,
                _ => break Err(Fault::Internal),
            }
        };
        self.cut = cut;
        outcome
    }
}

/// `false`: it cannot be encoded.
fn encode<D>(data: &mut EncodeTlsData<'_, D>, out: &mut Outgoing) -> bool {
    let required = |error: &EncodeError| match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    };
    out.append(|room| data.encode(room), required).is_ok()
}

fn required(error: &EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}
