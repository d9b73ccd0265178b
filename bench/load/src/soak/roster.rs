//! Who does what in the soak, by a connection's place: the way that it takes, and whether it stays.

use crate::soak::message::mix;

/// What is done on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It sends messages, and is subscribed to a topic.
    Talk,
    /// It is subscribed to a topic whose publications it reads more slowly than they come.
    Slow,
    /// It says nothing, and answers pings.
    Idle,
}

/// Which compression is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {
    /// None.
    Off,
    /// Each message by itself.
    Single,
    /// With the context of all messages before.
    Context,
}

/// A connection's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// What is done there.
    pub part: Part,
    /// What is offered there.
    pub deflate: Deflate,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// Whether connections come and go there.
    pub churns: bool,
}

/// A place in so many of those that stay is slow: few, since each takes publications of 16 KiB.
const SLOW_EVERY: usize = 200;
/// A place in so many of those that stay is idle.
const IDLE_EVERY: usize = 10;
/// In so many places one that stays and one that churns keep contexts of compression, which cost the client 300 KB.
const DEFLATE_CYCLE: usize = 128;
/// A place in so many is over TLS: a handshake costs ten times an upgrade.
const TLS_EVERY: u64 = 8;

impl Role {
    /// Of the place with this index. Every second one churns.
    pub fn of(index: usize) -> Self {
        let (lasting, churns) = (index / 2, index % 2 == 1);
        let part = match lasting {
            _ if churns => Part::Talk,
            _ if lasting % SLOW_EVERY == 0 => Part::Slow,
            _ if lasting % IDLE_EVERY == 1 => Part::Idle,
            _ => Part::Talk,
        };
        let deflate = match (part, index % DEFLATE_CYCLE) {
            (Part::Talk, 16..32) => Deflate::Single,
            (Part::Talk, 45 | 58) => Deflate::Context,
            _ => Deflate::Off,
        };
        Self { part, deflate, tls: mix(index as u64).is_multiple_of(TLS_EVERY), churns }
    }

    /// The path that is asked for.
    pub fn path(self) -> &'static str {
        match (self.part, self.deflate) {
            (Part::Slow, _) => "/slow",
            (Part::Idle, _) => "/idle",
            (Part::Talk, Deflate::Off) => "/plain",
            (Part::Talk, Deflate::Single) => "/shared",
            (Part::Talk, Deflate::Context) => "/dedicated",
        }
    }
}

/// How a connection ends that churns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the closing handshake, which the client begins.
    Close,
    /// By a reset of the client.
    Reset,
    /// By a FIN of the client without a close frame, behind messages that the server is still to get.
    Half,
    /// By a close frame of the server.
    End,
    /// By the server, at once.
    Cut,
}

/// In this order they take turns.
pub const ENDINGS: [Ending; 5] = [Ending::Close, Ending::Reset, Ending::Half, Ending::End, Ending::Cut];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_share() {
        for count in [200, 10_000] {
            let roles: Vec<_> = (0..count).map(Role::of).collect();
            let share = |is: fn(&Role) -> bool| roles.iter().filter(|role| is(role)).count() as f64 / count as f64;
            assert_eq!(share(|role| role.churns), 0.5);
            assert!((0.002..=0.006).contains(&share(|role| role.part == Part::Slow)));
            assert!((0.04..=0.06).contains(&share(|role| role.part == Part::Idle)));
            assert!((0.08..=0.17).contains(&share(|role| role.tls)));
            assert!((0.08..=0.16).contains(&share(|role| role.deflate == Deflate::Single)));
            assert!((0.004..=0.04).contains(&share(|role| role.deflate == Deflate::Context)));
            assert!(roles.iter().any(|role| role.churns && role.tls && role.deflate != Deflate::Off));
        }
    }
}
