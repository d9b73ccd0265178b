//! The byte layout of commands: what JavaScript tells a reactor, or the gate.
//!
//! A command is a head of three little-endian 32-bit words and a payload padded to four bytes:
//!
//! | word | contents |
//! |---|---|
//! | 0 | generation << 16, flags << 8, [`CommandKind`] |
//! | 1 | place of the connection's slot |
//! | 2 | length of the payload |
//!
//! `lib/commands.js` writes the same layout; a test holds the two files against each other. The
//! bytes come from JavaScript memory, so every record is checked here ([`Commands`]).

use super::ConnectionId;

/// Bytes of a command's head.
pub const COMMAND_HEAD_BYTES: usize = 12;

/// What to do. The numbers are part of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommandKind {
    /// Send the payload as a frame. Flags: the opcode, [`FLAG_FIN`], [`FLAG_COMPRESS`].
    Send = 1,
    /// The same, with the payload outside of the record: the next of the flush's large ones.
    SendLarge = 2,
    /// Send a close frame, then FIN. Payload: nothing, or status code (two bytes, little-endian) and reason.
    End = 3,
    /// Close the socket at once. Flags: [`FLAG_BACKPRESSURE`] or [`FLAG_SHUTDOWN`].
    Terminate = 4,
    /// JavaScript is done with the connection: its close handler has run, no command follows.
    Release = 5,
    /// Tell by an event when nothing waits to be written any more; of a response, when little does.
    WatchDrain = 6,
    /// Close every socket at once, also of connections that JavaScript was not told of yet. Names none.
    /// Flags: [`FLAG_SHUTDOWN`].
    TerminateAll = 7,
    /// From now on the connection gets what is published to a topic. Payload: the numbers of the topic
    /// and of the subscription, both given by JavaScript.
    Subscribe = 8,
    /// From now on it does not. Payload: the number of the subscription.
    Unsubscribe = 9,
    /// Send to all subscribers of a topic but the connection that is named. Flags as of
    /// [`Send`](Self::Send). Payload: the number of the topic, and the message.
    Publish = 10,
    /// The same, with the message outside of the record: the next of the flush's large ones.
    PublishLarge = 11,
    /// Close every connection, some at a time, those that are still to come as well. Names none. Payload:
    /// status code (two bytes, little-endian) and reason.
    Shutdown = 12,
    /// Answer the connection's request. Flags: one of the `ANSWER_` numbers. Payload: see [`ANSWER_RESPONSE`].
    Answer = 16,
    /// The same, with the payload outside of the record, as of [`CommandKind::SendLarge`].
    AnswerLarge = 17,
    /// Begin a response whose content follows. To the gate alone, as all below. Payload: as of
    /// [`ANSWER_RESPONSE`], without a body.
    Begin = 18,
    /// The same, with the payload outside of the record.
    BeginLarge = 19,
    /// Go on with a response. Flags: [`FLAG_FIN`], and with it [`FLAG_CLOSE`]. Payload: content.
    Content = 20,
    /// The same, with the payload outside of the record.
    ContentLarge = 21,
    /// Take so many more bytes of the request's content. Payload: the number.
    Grant = 22,
    /// The handlers of [`EventKind::ServerName`](super::EventKind::ServerName) have run: the name has a certificate
    /// now, or it gets the default. Releases the place.
    ServerNameLooked = 23,
}

/// [`CommandKind::Send`]: the low four bits of the flags are the frame's opcode.
pub const OPCODE_MASK: u8 = 0x0f;
/// [`CommandKind::Send`]: the frame is the last of its message.
pub const FLAG_FIN: u8 = 0x10;
/// [`CommandKind::Content`]: the connection ends behind the response.
pub const FLAG_CLOSE: u8 = 0x20;
/// [`CommandKind::Send`]: compress it, if that was agreed on with the client.
pub const FLAG_COMPRESS: u8 = 0x20;
/// [`CommandKind::Terminate`]: for `closeOnBackpressureLimit`, not because the application asked.
pub const FLAG_BACKPRESSURE: u8 = 1;
/// [`CommandKind::Terminate`]: for a shutdown whose time is over. [`CommandKind::TerminateAll`]: likewise;
/// those go, too, that are closing already.
pub const FLAG_SHUTDOWN: u8 = 2;

/// [`CommandKind::Answer`]: a response. Payload: the status line without its version, a line feed, header
/// lines (name, colon, blank, value, line feed), an empty line, the body. Behind the status line there may
/// be `:length:` and a number: to the gate alone, the length of the content that follows, or that a
/// response without body would have.
pub const ANSWER_RESPONSE: u8 = 0;
/// [`CommandKind::Answer`]: the connection becomes a WebSocket; what follows for it is sent behind the
/// 101. Payload: the subprotocol, or an empty line for none, then header lines for the 101 as above.
pub const ANSWER_UPGRADE: u8 = 1;
/// [`CommandKind::Answer`]: another route shall have the request, the next that matches.
pub const ANSWER_YIELD: u8 = 2;
/// [`CommandKind::Answer`]: the connection ends without a response.
pub const ANSWER_CLOSE: u8 = 3;
/// Of [`ANSWER_UPGRADE`]: no extension is wanted, whatever was offered.
pub const ANSWER_PLAIN: u8 = 0x10;

/// One checked command. The payload lies in the buffer that was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What to do.
    pub kind: CommandKind,
    /// See [`CommandKind`].
    pub flags: u8,
    /// With which connection.
    pub connection: ConnectionId,
    /// Where the payload begins in the buffer.
    pub offset: u32,
    /// Its length; 0 if the payload is outside of the record, but of a [`CommandKind::PublishLarge`] that of
    /// the topic's number.
    pub length: u32,
}

/// A record that is none, at this place of the buffer: the bytes were not written by `lib/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where in the buffer.
    pub offset: usize,
}

/// Decodes a buffer of commands; ends behind the first malformed record.
pub struct Commands<'a> {
    buffer: &'a [u8],
    offset: usize,
}

impl CommandKind {
    /// Whether the payload is the next of the flush's large ones.
    pub fn is_large(self) -> bool {
        matches!(self, Self::SendLarge | Self::PublishLarge | Self::AnswerLarge | Self::BeginLarge | Self::ContentLarge)
    }
}

impl<'a> Commands<'a> {
    /// Over a whole buffer.
    pub fn new(buffer: &'a [u8]) -> Self {
        Self::behind(buffer, 0)
    }

    /// Over what is left of a buffer behind [`offset`](Self::offset): for who changes, between two
    /// commands, what was decoded.
    pub fn behind(buffer: &'a [u8], offset: usize) -> Self {
        Self { buffer, offset }
    }

    /// Where the next command begins.
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn decode(&mut self) -> Option<Command> {
        let (head, rest) = self.buffer.get(self.offset..)?.split_first_chunk::<COMMAND_HEAD_BYTES>()?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let kind = match head[0] {
            1 => CommandKind::Send,
            2 => CommandKind::SendLarge,
            3 => CommandKind::End,
            4 => CommandKind::Terminate,
            5 => CommandKind::Release,
            6 => CommandKind::WatchDrain,
            7 => CommandKind::TerminateAll,
            8 => CommandKind::Subscribe,
            9 => CommandKind::Unsubscribe,
            10 => CommandKind::Publish,
            11 => CommandKind::PublishLarge,
            12 => CommandKind::Shutdown,
            16 => CommandKind::Answer,
            17 => CommandKind::AnswerLarge,
            18 => CommandKind::Begin,
            19 => CommandKind::BeginLarge,
            20 => CommandKind::Content,
            21 => CommandKind::ContentLarge,
            22 => CommandKind::Grant,
            23 => CommandKind::ServerNameLooked,
            _ => return None,
        };
        let length = word(8);
        let padded = (length as usize).checked_next_multiple_of(4)?;
        if padded > rest.len() {
            return None;
        }
        let command = Command {
            kind,
            flags: head[1],
            connection: ConnectionId { index: word(4), generation: u16::from_le_bytes([head[2], head[3]]) },
            offset: u32::try_from(self.offset + COMMAND_HEAD_BYTES).ok()?,
            length,
        };
        self.offset += COMMAND_HEAD_BYTES + padded;
        Some(command)
    }
}

impl Iterator for Commands<'_> {
    type Item = Result<Command, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.buffer.len() {
            return None;
        }
        let decoded = self.decode().ok_or(Malformed { offset: self.offset });
        if decoded.is_err() {
            self.offset = self.buffer.len();
        }
        Some(decoded)
    }
}

/// Appends one command, as `lib/commands.js` does: for tests.
#[cfg(test)]
pub(crate) fn encode(out: &mut Vec<u8>, kind: CommandKind, flags: u8, connection: ConnectionId, payload: &[u8]) {
    out.extend_from_slice(&[kind as u8, flags]);
    out.extend_from_slice(&connection.generation.to_le_bytes());
    out.extend_from_slice(&connection.index.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONNECTION: ConnectionId = ConnectionId { index: 70_000, generation: 513 };

    proptest! {
        #[test]
        fn encode_then_decode_is_identity(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut buffer = Vec::new();
            for payload in &payloads {
                encode(&mut buffer, CommandKind::Send, FLAG_FIN | 2, CONNECTION, payload);
            }
            let decoded: Vec<Vec<u8>> = Commands::new(&buffer)
                .map(|command| {
                    let command = command.unwrap();
                    assert_eq!((command.kind, command.flags, command.connection), (CommandKind::Send, FLAG_FIN | 2, CONNECTION));
                    buffer[command.offset as usize..][..command.length as usize].to_vec()
                })
                .collect();
            prop_assert_eq!(decoded, payloads);
        }

        #[test]
        fn any_bytes_decode_in_bounds_and_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut records = 0;
            for command in Commands::new(&bytes) {
                records += 1;
                if let Ok(command) = command {
                    prop_assert!(command.offset as usize + command.length as usize <= bytes.len());
                }
            }
            prop_assert!(records <= bytes.len() / COMMAND_HEAD_BYTES + 1);
        }
    }

    #[test]
    fn a_malformed_record_ends_the_buffer() {
        let mut buffer = Vec::new();
        encode(&mut buffer, CommandKind::Release, 0, CONNECTION, b"");
        let good = buffer.len();
        buffer.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 200, 0, 0, 0]);
        let decoded: Vec<_> = Commands::new(&buffer).collect();
        assert!(decoded[0].is_ok());
        assert_eq!(decoded[1..], [Err(Malformed { offset: good })]);
    }
}
