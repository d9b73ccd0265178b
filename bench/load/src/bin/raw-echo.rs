//! `raw-echo PORT`: the floor of the bench's tables. A bare epoll echo server on one thread, without
//! JavaScript, validation, timeouts or limits on connections. It knows only the bench's own client:
//! the opening handshake's key is a constant, and so is its answer. Not a server to learn from.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use tidewire_load::{frame, handshake};

const LISTENER: Token = Token(usize::MAX);
const BUFFER_BYTES: usize = 512 * 1024;
const MAX_FRAME_BYTES: usize = 32 * 1024 * 1024;

fn main() -> io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(0);
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    writeln!(io::stdout(), "listening {}", listener.local_addr()?.port())?;
    let mut server = Server { peers: Vec::new(), vacant: Vec::new(), buffer: vec![0; BUFFER_BYTES], out: Vec::new() };
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            if event.token() == LISTENER {
                server.accept_all(&listener, poll.registry());
            } else {
                server.serve(event.token(), event.is_read_closed());
            }
        }
    }
}

struct Peer {
    stream: TcpStream,
    is_open: bool,
    /// A frame or request head that a read has cut.
    cut: Vec<u8>,
    unsent: Vec<u8>,
}

struct Server {
    peers: Vec<Option<Peer>>,
    vacant: Vec<usize>,
    buffer: Vec<u8>,
    out: Vec<u8>,
}

impl Server {
    fn accept_all(&mut self, listener: &TcpListener, registry: &Registry) {
        while let Ok((mut stream, _)) = listener.accept() {
            let index = self.vacant.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let both = Interest::READABLE | Interest::WRITABLE;
            let ready = stream.set_nodelay(true);
            if ready.and_then(|()| registry.register(&mut stream, Token(index), both)).is_ok() {
                let peer = Peer { stream, is_open: false, cut: Vec::new(), unsent: Vec::new() };
                self.peers[index] = Some(peer);
            } else {
                self.vacant.push(index);
            }
        }
    }

    fn serve(&mut self, token: Token, is_read_closed: bool) {
        let Some(Some(peer)) = self.peers.get_mut(token.0) else {
            return;
        };
        if peer.serve(&mut self.buffer, &mut self.out, is_read_closed).is_err() {
            self.peers[token.0] = None;
            self.vacant.push(token.0);
        }
    }
}

impl Peer {
    /// An error, also that of a closing handshake that is done, ends the connection.
    fn serve(&mut self, buffer: &mut [u8], out: &mut Vec<u8>, is_read_closed: bool) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent)?;
        }
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            out.clear();
            let is_closing = if self.cut.is_empty() {
                let used = self.answer(&mut buffer[..read], out)?;
                self.cut.extend_from_slice(&buffer[used.bytes..read]);
                used.is_closing
            } else {
                let mut cut = std::mem::take(&mut self.cut);
                cut.extend_from_slice(&buffer[..read]);
                let used = self.answer(&mut cut, out)?;
                if used.bytes < cut.len() {
                    cut.drain(..used.bytes);
                    self.cut = cut;
                }
                used.is_closing
            };
            self.send(out)?;
            if is_closing {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if read < buffer.len() && !is_read_closed {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, mut input: &mut [u8], out: &mut Vec<u8>) -> io::Result<Used> {
        let mut bytes = 0;
        if !self.is_open {
            let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(Used { bytes, is_closing: false });
            };
            let key = handshake::KEY.as_bytes();
            if !input[..end].windows(key.len()).any(|window| window == key) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
            out.extend_from_slice(b"Connection: Upgrade\r\nSec-WebSocket-Accept: ");
            out.extend_from_slice(handshake::ACCEPT.as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            self.is_open = true;
            bytes = end + 4;
            input = &mut input[end + 4..];
        }
        while let Some((head, payload)) = frame_bytes(input)? {
            let (whole, rest) = input.split_at_mut(head + payload);
            let (header, payload) = whole.split_at_mut(head);
            let opcode = header[0] & 0x0f;
            unmask(payload, header);
            header[1] &= 0x7f;
            out.extend_from_slice(&header[..head - 4]);
            out.extend_from_slice(payload);
            bytes += whole.len();
            input = rest;
            if opcode == frame::CLOSE {
                return Ok(Used { bytes, is_closing: true });
            }
        }
        Ok(Used { bytes, is_closing: false })
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while self.unsent.is_empty() && !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent.extend_from_slice(bytes);
        Ok(())
    }
}

struct Used {
    bytes: usize,
    is_closing: bool,
}

/// Length of the header (with the key) and of the payload of a frame that is there in whole.
fn frame_bytes(input: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let (head, payload) = match *input {
        [_, second, ..] if second & 0x7f < 126 => (6, usize::from(second & 0x7f)),
        [_, second, high, low, ..] if second & 0x7f == 126 => (8, usize::from(u16::from_be_bytes([high, low]))),
        [_, second, a, b, c, d, e, f, g, h, ..] if second & 0x7f == 127 => {
            let length = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            (14, usize::try_from(length).unwrap_or(usize::MAX))
        }
        _ => return Ok(None),
    };
    if payload > MAX_FRAME_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((input.len() >= head + payload).then_some((head, payload)))
}

/// The key is the last four bytes of the header (RFC 6455 §5.3).
fn unmask(payload: &mut [u8], header: &[u8]) {
    let Some(key) = header.last_chunk::<4>() else {
        return;
    };
    let mut words = payload.chunks_exact_mut(4);
    let key_word = u32::from_ne_bytes(*key);
    for word in &mut words {
        if let Some(word) = word.first_chunk_mut::<4>() {
            *word = (u32::from_ne_bytes(*word) ^ key_word).to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}
