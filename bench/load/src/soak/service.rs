//! One connection of the soak that is ready: it is read, and what came is taken. And what is right at its end.

use std::time::{Duration, Instant};

use crate::client::{Client, End, Heard, Stop};
use crate::frame;
use crate::payload::MASKING_KEY;
use crate::soak::codec::Codec;
use crate::soak::lane::Lane;
use crate::soak::message::Contents;
use crate::soak::roster::Ending;
use crate::soak::tally::Tally;
use crate::stream::Room;

/// The status with which the server ends a connection that asks for it.
const END_STATUS: u16 = 4000;

/// The server pings an idle connection after 8 to 12 seconds, since its `idleTimeout` is 16.
const PING_SECONDS: u64 = 12;

/// What the poller said of a socket.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    /// It can be written.
    pub writable: bool,
    /// It can be read.
    pub readable: bool,
    /// A FIN may stand behind what can be read.
    pub closed: bool,
}

/// A connection and what is needed to serve it.
pub(crate) struct Service<'a> {
    pub client: &'a mut Client,
    pub lane: &'a mut Lane,
    pub codec: Option<&'a mut Codec>,
    pub contents: &'a Contents,
    pub tally: &'a mut Tally,
    pub room: &'a mut Room,
    pub request: &'a [u8],
    pub reads: usize,
    pub now: Instant,
}

impl Service<'_> {
    /// Writes and reads; whether there may be more to read.
    pub(crate) fn exchange(&mut self, ready: Ready) -> Result<bool, End> {
        if ready.writable {
            self.client.on_writable(self.request)?;
        }
        if ready.readable {
            for _ in 0..self.reads {
                let Some((bytes, is_full)) = self.client.read(self.room)? else {
                    self.client.take_failed_write()?;
                    return Ok(false);
                };
                let (lane, tally, now) = (&mut *self.lane, &mut *self.tally, self.now);
                let mut codec = self.codec.as_deref_mut();
                let digested = self.client.digest(bytes, |_, heard| {
                    if let Heard::Data(piece) = heard {
                        lane.hear(&piece, codec.as_deref_mut(), self.contents, tally, now);
                    }
                    Ok(())
                });
                digested.map_err(|stop| match stop {
                    Stop::Connection(end) => end,
                    Stop::Run(failure) => End::Refused(failure),
                })?;
                // A short read has emptied the socket (epoll(7)), unless a FIN stands behind it.
                if !is_full && !ready.closed {
                    self.client.take_failed_write()?;
                    return Ok(false);
                }
            }
        }
        self.client.take_failed_write()?;
        Ok(ready.readable)
    }
}

/// Writes a message by itself: one that is not counted.
pub(crate) fn put(client: &mut Client, message: &[u8]) {
    let mut bytes = Vec::with_capacity(message.len() + 8);
    frame::put_masked(&mut bytes, frame::TEXT, message, MASKING_KEY);
    client.write(&bytes);
}

/// Whether a connection that was to end in this way may end in that.
pub(crate) fn is_expected(ending: Ending, end: &End) -> bool {
    match ending {
        Ending::Close => matches!(end, End::Clean),
        Ending::End => matches!(end, End::CloseFrame(Some(END_STATUS))),
        Ending::Half => matches!(end, End::Fin | End::CloseFrame(_) | End::Io(_)),
        Ending::Cut => matches!(end, End::Fin | End::Io(_)),
        Ending::Reset => true,
    }
}

/// The fewest pings of an idle connection that was open from then to now.
pub(crate) fn least_pings(opened: Instant, now: Instant) -> u32 {
    const SLACK: Duration = Duration::from_secs(8);
    let seconds = now.saturating_duration_since(opened).saturating_sub(SLACK).as_secs();
    u32::try_from(seconds / PING_SECONDS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_are_pinged_about_every_twelve_seconds() {
        let opened = Instant::now();
        let found = [0, 19, 20, 31, 32, 608].map(|seconds| least_pings(opened, opened + Duration::from_secs(seconds)));
        assert_eq!(found, [0, 0, 1, 1, 2, 50]);
    }

    #[test]
    fn each_ending_has_its_ends() {
        for (ending, end, is_right) in [
            (Ending::Close, End::Clean, true),
            (Ending::Close, End::CleanThenReset, false),
            (Ending::Close, End::CloseFrame(Some(1000)), false),
            (Ending::End, End::CloseFrame(Some(4000)), true),
            (Ending::End, End::CloseFrame(Some(1001)), false),
            (Ending::End, End::Fin, false),
            (Ending::Half, End::Fin, true),
            (Ending::Cut, End::Fin, true),
            (Ending::Cut, End::CloseFrame(Some(1000)), false),
        ] {
            assert_eq!(is_expected(ending, &end), is_right, "{ending:?}, {end:?}");
        }
    }
}
